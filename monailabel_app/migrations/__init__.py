"""How the layouts of the server's databases follow each other, for Alembic; `mammosynth.database` runs them.

A change of a table is a new file in `versions`, named by the next number; files that were released never change. It has
`revision`, `down_revision` and `upgrade()`, and uses no class of the server, since those go on changing. It runs inside
a transaction that it must not end. `tests/app/test_database.py` compares the layout to which the migrations lead with
the one that the classes declare.
"""
