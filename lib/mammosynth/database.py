"""Databases: opened, brought to the layout of this version, and used in transactions.

Each kind of database has its tables and its `Layouts`, where its room is. It is brought to the newest layout when it is
opened, in one transaction: it holds either the old layout or the new one, also if the process is killed in between, and
of two processes that start at once the second waits and finds it done.
"""

from __future__ import annotations

import logging
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session

from mammosynth.atomic import atomic_path
from mammosynth.errors import DatabaseError, MammoSynthError

logger = logging.getLogger(__name__)

_BUSY_TIMEOUT_S = 30  # how long to wait for another process that writes
_PATIENCE = {"connect_timeout": 5, "tcp_user_timeout": 10_000}  # libpq's: s and ms, until a silent server is given up
_WRITES = "mammosynth_writes"
_MISTYPED = re.compile(r"[\w+.-]{2,}:|.*:.*@|.*password=", re.IGNORECASE)  # an address, as no name of a file is
_UPGRADE_LOCK, _ALONE_LOCK = 0x4D53594E, 0x4D53594F  # PostgreSQL's advisory locks are numbers; these are ours


@dataclass(frozen=True)
class Layouts:
    """How the layouts of one kind of database follow each other.

    Attributes:
        migrations: A folder of Alembic's, whose migrations' names begin with their number.
        version_table: Holds the layout; another for each kind, since a server of databases may hold several in one.
        first_table: A table by which the first layout is known where databases are from before there were migrations.
    """

    migrations: Path
    version_table: str = "alembic_version"
    first_table: str | None = None

    def names(self) -> list[str]:
        """Every layout that this version knows, oldest first: the numbers of the migrations.

        Alembic would say the same, but takes a fifth of a second to be imported, and most starts have nothing to
        migrate.
        """
        return sorted(path.stem.partition("_")[0] for path in (self.migrations / "versions").glob("[0-9]*.py"))


class Database:
    """An open database in the layout of this version. Safe to use from several threads.

    Args:
        place: A SQLite file, made if it is absent, or a SQLAlchemy URL.
        layouts: Of its kind.

    Raises:
        DatabaseError: If it cannot be opened, or a newer version of the software wrote it.
    """

    def __init__(self, place: Path | str, layouts: Layouts) -> None:
        url = URL.create("sqlite", database=str(place)) if isinstance(place, Path) else _url(place)
        self.name = Path(url.database or "").name or url.set(query={}).render_as_string()
        self._layouts = layouts
        self._engine = _engine(url)
        self._writer = self._engine.execution_options(**{_WRITES: True})
        is_sqlite = url.get_backend_name() == "sqlite"  # whose transactions see one state anyway
        # SQLite lets those who wait ask again and again, ever more seldom; threads of one process can take turns.
        self._turn: AbstractContextManager[Any] = threading.Lock() if is_sqlite else nullcontext()
        self._reader = self._engine if is_sqlite else self._engine.execution_options(isolation_level="REPEATABLE READ")
        try:
            self._upgrade()
        except (SQLAlchemyError, sqlite3.Error) as error:
            self.close()
            raise DatabaseError(
                f"{self.name}: the database cannot be opened ({getattr(error, 'orig', None) or error}); check that it "
                "is one of MammoSynth, that it may be written, and that the disk has space"
            ) from error
        except MammoSynthError:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the database and changes nothing."""
        with Session(self._reader) as session:
            yield session

    @contextmanager
    def writing(self, *, alone: bool = False) -> Iterator[Session]:
        """A session that is one transaction: all of it is stored when the block ends well, nothing otherwise.

        On SQLite it is the only one that writes, from its beginning: what it has read is still true when it writes.

        Args:
            alone: Wait until no other process is in such a block, on every kind of database.
        """
        with self._turn, Session(self._writer) as session, session.begin():
            if alone:
                _wait_for_turn(session.connection(), _ALONE_LOCK)
            yield session

    def now(self, session: Session) -> float:
        """Seconds since 1970 by the one clock that all processes that share the database have in common."""
        if self._engine.dialect.name == "sqlite":
            return time.time()
        return float(session.scalar(text("SELECT extract(epoch FROM clock_timestamp())")))

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()

    def _upgrade(self) -> None:
        with self._engine.connect() as connection:
            if self._layout(connection) == self._layouts.names()[-1]:
                return
        with self._writer.begin() as connection:
            _wait_for_turn(connection, _UPGRADE_LOCK)
            found = self._layout(connection)
            if found != self._layouts.names()[-1]:
                if found is not None:
                    self._back_up(found)
                self._migrate(connection, found)
                logger.info("%s: layout %s became %s", self.name, found, self._layouts.names()[-1])

    def _migrate(self, connection: Connection, found: str | None) -> None:
        from alembic import command
        from alembic.config import Config

        attributes = {"connection": connection, "version_table": self._layouts.version_table}
        config = Config(attributes=attributes)
        config.set_main_option("script_location", str(self._layouts.migrations).replace("%", "%%"))
        if found == self._layouts.names()[0]:
            command.stamp(config, found)  # it may be from before there were migrations
        command.upgrade(config, "head")

    def _layout(self, connection: Connection) -> str | None:
        """The layout that the database has; None if it is empty.

        Raises:
            DatabaseError: If it is none that this version knows.
        """
        tables = inspect(connection).get_table_names()
        found = None
        if self._layouts.version_table in tables:
            found = connection.scalar(text(f"SELECT version_num FROM {self._layouts.version_table}"))
        if found is None:
            return self._layouts.names()[0] if self._layouts.first_table in tables else None
        if found not in self._layouts.names():
            raise DatabaseError(
                f"{self.name}: a newer version of MammoSynth wrote this database (its layout is {found}, this version "
                f"knows up to {self._layouts.names()[-1]}); update MammoSynth, or choose another place"
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


def place_of(text: str) -> Path | str:
    """What somebody typed: an address as it is, anything else as the path of a SQLite file.

    Raises:
        DatabaseError: If it looks like an address that was mistyped; without it, since it may hold a password.
    """
    if "://" in text:
        return text
    if _MISTYPED.match(text):
        raise _no_address(text)
    return Path(text)


def _wait_for_turn(connection: Connection, lock: int) -> None:
    """Be the only process in such a transaction. SQLite's already is."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": lock})


def _url(text: str) -> URL:
    try:
        url = make_url(text)
        is_server = url.get_backend_name() != "sqlite"
        if "@" not in (url.host or "") and not (is_server and "@" in (url.database or "")):
            return url
    except (ArgumentError, ValueError):
        pass
    raise _no_address(text)


def _no_address(text: str) -> DatabaseError:
    beginning = re.split("[^a-z]", text, maxsplit=1)[0]  # the rest may hold a password
    return DatabaseError(
        f"what begins with {beginning!r} is no address of a database, expected a file, or "
        "postgresql://USER:PASSWORD@HOST/NAME, with %40 for an @ and %2F for a / in USER or PASSWORD"
    )


def _server_engine(url: URL) -> Engine:
    try:
        has_libpq = url.get_driver_name() in ("psycopg", "psycopg2")
        patience = {name: value for name, value in _PATIENCE.items() if has_libpq and name not in url.query}
        return create_engine(url, pool_pre_ping=True, connect_args=patience)
    except (ArgumentError, ModuleNotFoundError) as error:
        raise DatabaseError(
            f"{url.drivername}: there is no driver for such databases ({error}); use a SQLite file, or postgresql:// "
            "after: pip install 'mammosynth[postgresql]'"
        ) from None


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return _server_engine(url)
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
