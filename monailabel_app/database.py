"""The server's own database, of jobs: what its tables are declared on, and how its layouts follow each other."""

from pathlib import Path

from sqlalchemy.orm import DeclarativeBase

from mammosynth.database import Layouts

LAYOUTS = Layouts(Path(__file__).parent / "migrations", first_table="jobs")


class Base(DeclarativeBase):
    """What every table of the server is declared on."""
