"""`Memory`: what an index has read of files, kept in SQLite for the next start and for whoever asks for a header."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from monailabel_app.pacs.instances import NativePixels, Stamp, StoredInstance, shared

logger = logging.getLogger(__name__)

_SCHEMA_VERSION = 2
_Row = tuple[bytes, int, int, str | None]


class Memory:
    """Headers of files by their names relative to a folder. Not safe for several threads.

    What SQLite cannot take, as on a full disk, is forgotten: the files hold everything.

    Args:
        path: The SQLite file, which nobody but the owner of this process may read; created if absent, and made anew if
            it is of another version or damaged.

    Raises:
        OSError: If the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._works = True
        self._database, self._rows = _open_database(path)

    def take(self, prefix: str) -> Iterator[tuple[str, Stamp, StoredInstance | None]]:
        """Name, stamp and instance of each file of an earlier run, once; None is a file that was no usable instance.

        Args:
            prefix: What the names are relative to.
        """
        rows, self._rows = self._rows, []
        for encoded, modified, size, text in rows:
            name, stamp = os.fsdecode(encoded), (modified, size)
            try:
                yield name, stamp, None if text is None else _from_json(prefix + name, stamp, text)
            except (ValueError, TypeError, AttributeError):  # damaged, so the file is read again
                logger.warning("a line of the index is damaged")

    def keep(self, name: str, stamp: Stamp, instance: StoredInstance | None) -> None:
        """Remember a file, with its header if it is an instance."""
        key = os.fsencode(name)
        self._write("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", key, *stamp, instance and _to_json(instance))
        if instance is None or instance.header is None:
            self._write("DELETE FROM headers WHERE path = ?", key)
        else:
            values = *stamp, instance.header.light, instance.header.is_light
            self._write("INSERT OR REPLACE INTO headers VALUES (?, ?, ?, ?, ?)", key, *values)

    def drop(self, name: str) -> None:
        """Forget a file."""
        for table in ("files", "headers"):
            self._write(f"DELETE FROM {table} WHERE path = ?", os.fsencode(name))

    def commit(self) -> None:
        """Make it known to the next run."""
        with self._tolerating_errors():
            self._database.commit()
            self._works = True

    def header(self, name: str, stamp: Stamp) -> tuple[str, bool] | None:
        """The light header of a file, and whether it is the whole one; None if this or this stamp is not known."""
        row = self._row("light, whole", (), name, stamp)
        return None if row is None else (row[0], bool(row[1]))

    def element(self, name: str, stamp: Stamp, tag: str) -> tuple[str | None, bool] | None:
        """One element of the light header, and whether the header is the whole one; None as for `header`."""
        row = self._row("json_extract(light, ?), whole", (f'$."{tag}"',), name, stamp)
        return None if row is None else (row[0], bool(row[1]))

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    def _write(self, statement: str, *values: Any) -> None:
        with self._tolerating_errors():
            self._database.execute(statement, values)

    @contextmanager
    def _tolerating_errors(self) -> Iterator[None]:
        """Tell once that nothing is remembered."""
        try:
            yield
        except sqlite3.Error as error:
            if self._works:
                logger.warning("the index cannot be written (%s); the next start will take longer", error)
            self._works = False

    def _row(self, columns: str, values: tuple[Any, ...], name: str, stamp: Stamp) -> tuple[Any, ...] | None:
        query = f"SELECT {columns} FROM headers WHERE path = ? AND modified = ? AND size = ?"  # noqa: S608
        try:
            found: tuple[Any, ...] | None = self._database.execute(
                query, (*values, os.fsencode(name), *stamp)
            ).fetchone()
        except sqlite3.Error:
            return None
        return found


def _to_json(instance: StoredInstance) -> str:
    place = astuple(instance.pixels) if instance.pixels else None
    kept = [getattr(instance, name) for name in _KEPT]
    return json.dumps([*kept, place])


def _from_json(path: str, stamp: Stamp, text: str) -> StoredInstance:
    *kept, place = json.loads(text)
    values = dict(zip(_KEPT, kept, strict=True))
    values["listed"] = shared(values["listed"])
    values["order"], values["study_order"] = tuple(values["order"]), tuple(values["study_order"])
    return StoredInstance(path=Path(path), stamp=stamp, pixels=NativePixels(*place) if place else None, **values)


_KEPT = tuple(field.name for field in fields(StoredInstance) if field.name not in ("path", "stamp", "pixels", "header"))


def _open_database(path: Path) -> tuple[sqlite3.Connection, list[_Row]]:
    """The open file and its small rows; one of another version or a damaged one is thrown away."""
    for _ in range(2):
        path.touch(mode=0o600)
        path.chmod(0o600)
        database = sqlite3.connect(path, check_same_thread=False)
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version == 0 and not database.execute("SELECT name FROM sqlite_master").fetchall():
                _create_tables(database)
                version = _SCHEMA_VERSION
            if version == _SCHEMA_VERSION:
                return database, database.execute("SELECT path, modified, size, instance FROM files").fetchall()
        except sqlite3.DatabaseError as error:
            logger.warning("the index is damaged (%s) and is built again from the files", error)
        database.close()
        for leftover in path.parent.glob(f"{path.name}*"):
            leftover.unlink()
    raise OSError(f"{path.name}: no usable index can be made in the index folder; check that it is writable")


def _create_tables(database: sqlite3.Connection) -> None:
    """Small rows, which a start loads, apart from large ones."""
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE files (path BLOB PRIMARY KEY, modified INTEGER, size INTEGER, instance TEXT)")
    database.execute(
        "CREATE TABLE headers (path BLOB PRIMARY KEY, modified INTEGER, size INTEGER, light TEXT, whole INTEGER)"
    )
    database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    database.commit()
