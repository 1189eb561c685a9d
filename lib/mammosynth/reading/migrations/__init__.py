"""How the layouts of a store of reader studies follow each other, for Alembic; `mammosynth.database` runs them.

The rules are those of `monailabel_app.migrations`; `tests/reading/test_store.py` compares their end with the classes.
"""
