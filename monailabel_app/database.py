"""The databases of the server: opened, brought to the layout of this version, and used in transactions.

Every table is a class on `Base`; how layouts follow each other stands in `monailabel_app/migrations`. A database is
brought to the newest layout when it is opened, in one transaction: it holds either the old layout or the new one, also
if the process is killed in between, and of two processes that start at once the second waits and finds it done.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Session

from mammosynth.atomic import atomic_path
from mammosynth.errors import MammoSynthError
from monailabel_app.errors import OptionsError

logger = logging.getLogger(__name__)

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_TIMEOUT_S = 30  # how long to wait for another process that writes
_WRITES = "mammosynth_writes"
_UPGRADE_LOCK = 0x4D53594E  # PostgreSQL's advisory locks are numbers; this one is ours
_FIRST = "0001"  # the layout of databases from before there were migrations


class Base(DeclarativeBase):
    """What every table of the server is declared on."""


class Database:
    """An open database in the layout of this version. Safe to use from several threads.

    Args:
        place: A SQLite file, made if it is absent, or a SQLAlchemy URL.

    Raises:
        OptionsError: If it cannot be opened, or a newer version of the software wrote it.
    """

    def __init__(self, place: Path | str) -> None:
        url = URL.create("sqlite", database=str(place)) if isinstance(place, Path) else make_url(place)
        self.name = Path(url.database or "").name or url.render_as_string()
        self._engine = _engine(url)
        self._writer = self._engine.execution_options(**{_WRITES: True})
        try:
            self._upgrade()
        except (SQLAlchemyError, sqlite3.Error) as error:
            self.close()
            raise OptionsError(
                f"{self.name}: the database cannot be opened ({getattr(error, 'orig', None) or error}); check that it "
                "is one of this server, that it may be written, and that the disk has space"
            ) from error
        except MammoSynthError:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the database and changes nothing."""
        with Session(self._engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that is one transaction: all of it is stored when the block ends well, nothing otherwise.

        On SQLite it is the only one that writes, from its beginning: what it has read is still true when it writes.
        """
        with Session(self._writer) as session, session.begin():
            yield session

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()

    def _upgrade(self) -> None:
        with self._engine.connect() as connection:
            if self._layout(connection) == layouts()[-1]:
                return
        with self._writer.begin() as connection:
            _wait_for_turn(connection)
            found = self._layout(connection)
            if found != layouts()[-1]:
                if found is not None:
                    self._back_up(found)
                _migrate(connection, found)
                logger.info("%s: layout %s became %s", self.name, found, layouts()[-1])

    def _layout(self, connection: Connection) -> str | None:
        """The layout that the database has; None if it is empty.

        Raises:
            OptionsError: If it is none that this version knows.
        """
        tables = inspect(connection).get_table_names()
        found = None
        if "alembic_version" in tables:
            found = connection.scalar(text("SELECT version_num FROM alembic_version"))
        if found is None:
            return _FIRST if "jobs" in tables else None
        if found not in layouts():
            raise OptionsError(
                f"{self.name}: a newer version of MammoSynth wrote this database (its layout is {found}, this version "
                f"knows up to {layouts()[-1]}); update MammoSynth, or choose another --data-dir"
            )
        return str(found)

    def _back_up(self, layout: str) -> None:
        """Keep what a SQLite file holds beside it; other databases have their own ways."""
        if self._engine.dialect.name != "sqlite":
            return
        file = Path(str(self._engine.url.database))
        with atomic_path(file.with_name(f"{file.name}.{layout}.backup")) as copy:
            # A connection of its own, since ours is in a transaction; it sees what was there before.
            with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
            shutil.copymode(file, copy)


def layouts() -> list[str]:
    """Every layout that this version knows, oldest first: the numbers at the beginning of the migrations' names.

    Alembic would say the same, but takes a fifth of a second to be imported, and most starts have nothing to migrate.
    """
    return sorted(path.stem.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def _migrate(connection: Connection, found: str | None) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    if found == _FIRST:
        command.stamp(config, _FIRST)
    command.upgrade(config, "head")


def _wait_for_turn(connection: Connection) -> None:
    """Be the only process that upgrades. SQLite's transaction already is."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _UPGRADE_LOCK})


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": _BUSY_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        # The driver would begin transactions late and by itself; `begin` below does it.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later fails if somebody else wrote in between (SQLITE_BUSY).
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
