"""`Index`: which instances a folder holds, kept in memory, remembered in SQLite, and always second to the files."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import Any

from monailabel_app.pacs.catalogue import Catalogue, Study
from monailabel_app.pacs.instances import (
    LISTED_TAGS,
    Header,
    NativePixels,
    Stamp,
    StoredInstance,
    UnservableFileError,
    json_text,
    read_instance,
    shared,
    stamp_of,
)

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Told how many files have been read, and how many there are to read."""

_SCHEMA_VERSION = 2
_SCAN_INTERVAL_S = 1.0
_SCAN_SHARE = 0.1  # a scan of a large folder may take at most this part of the time
_PATIENCE_S = 0.03  # how long a query waits for a scan: it takes 10 ms over 500 files
_LONGEST_WAIT_S = 2.0  # for a scan that has found thousands of new files
_TELL_INTERVAL_S = 2.0


class Index:
    """The instances below a folder. Safe to use from several threads.

    In memory is what queries show and order by: about 4 kB an instance. Other attributes are read from SQLite, which
    saves reading unchanged files again at the next start, too; it may be deleted at any time.

    Args:
        folder: Any layout of DICOM files; hidden files and folders are not looked at.
        index_folder: Where the SQLite file lies; created if absent.
        progress: Called every two seconds while many files are read, here and later; None writes to the log.
    """

    def __init__(self, folder: Path, index_folder: Path, *, progress: Progress | None = None) -> None:
        self._folder = folder
        self._prefix = os.path.join(folder, "")  # noqa: PTH118 - with the separator at its end
        self._progress = progress or _log_progress
        self._lock = threading.RLock()  # of what follows; never held while files are read
        self._catalogue = Catalogue()
        self._stamps: dict[str, Stamp] = {}
        index_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.sqlite"
        self._database = _open_database(index_folder / name, self._load)
        self._scanning = threading.Lock()
        self._last_scan = self._next_scan = 0.0
        self._closed = False
        self._remembers = True
        self.refresh()

    def studies(self) -> list[Study]:
        """Every study, ordered by date and time."""
        with self._lock:
            return self._catalogue.studies()

    def study(self, uid: str) -> Study | None:
        """One study; None if there is none."""
        with self._lock:
            return self._catalogue.study(uid)

    def instance(self, sop_instance_uid: str) -> StoredInstance | None:
        """The instance with this UID; None if there is none."""
        with self._lock:
            return self._catalogue.instance(sop_instance_uid)

    def find(
        self, study: str | None = None, series: str | None = None, sop_instance: str | None = None
    ) -> list[StoredInstance]:
        """The instances with these UIDs, ordered by study date, series and instance number; None matches all."""
        if sop_instance is not None:
            found = self.instance(sop_instance)
            candidates = [found] if found else []
        elif study is not None:
            one = self.study(study)
            candidates = list(one.instances) if one else []
        else:
            candidates = [instance for each in self.studies() for instance in each.instances]
        return [
            instance
            for instance in candidates
            if study in (None, instance.study_instance_uid) and series in (None, instance.series_instance_uid)
        ]

    def element(self, instance: StoredInstance, tag: str) -> str | None:
        """One element as JSON text; None if the instance has none."""
        if tag in LISTED_TAGS:
            return instance.listed.get(tag)
        row = self._row("json_extract(light, ?), whole", (f'$."{tag}"',), instance)
        if row is not None and (row[0] is not None or row[1]):
            return row[0]
        element = json.loads(_header_of_file(instance).text()).get(tag)
        return None if element is None else json_text(element)

    def header(self, instance: StoredInstance) -> str:
        """The header of an instance without bulky elements, as JSON text."""
        row = self._row("light", (), instance)
        return row[0] if row is not None else _header_of_file(instance).light

    def metadata(self, instance: StoredInstance) -> str:
        """The whole header of an instance as JSON text; bulky elements, which few have, are read from the file."""
        row = self._row("light, whole", (), instance)
        return row[0] if row is not None and row[1] else _header_of_file(instance).text()

    def add(self, instance: StoredInstance) -> None:
        """Take in an instance as it was read from its file."""
        with self._lock:
            self._keep(instance)
            self._commit()

    def remove(self, instances: Iterable[StoredInstance]) -> None:
        """Forget instances whose files were just removed."""
        with self._lock:
            for key in map(self._key, instances):
                if key in self._stamps:
                    self._forget(key)
            self._commit()

    def refresh(self, *, now: bool = True) -> None:
        """Look for files that were added, changed or removed by others.

        Args:
            now: True returns when all is read, or after two seconds if somebody else is reading. False leaves it if
                the last look is recent (less than a second ago, or ten times what it took), and leaves a look at a
                large folder to a thread, so that its news are seen by the next query.
        """
        if now:
            self._look()
            return
        with self._lock:
            if time.monotonic() < self._next_scan or self._closed:
                return
            self._next_scan = math.inf  # until this one is over
        looker = threading.Thread(target=self._look, name="index", daemon=True)
        looker.start()
        looker.join(_PATIENCE_S)

    def close(self) -> None:
        """Release the SQLite file, once whoever is reading has stopped."""
        self._closed = True
        with self._scanning, self._lock:
            self._database.close()

    def _look(self) -> None:
        asked = time.monotonic()
        if not self._scanning.acquire(timeout=_LONGEST_WAIT_S):
            return
        try:
            if self._last_scan < asked and not self._closed:  # or somebody has looked while this one waited
                self._last_scan = time.monotonic()
                self._bring_up_to_date(self._last_scan)
        finally:
            self._scanning.release()

    def _bring_up_to_date(self, started: float) -> None:
        try:
            changed, removed, unusable = self._compare()
        finally:
            took = time.monotonic() - started
            self._next_scan = time.monotonic() + max(_SCAN_INTERVAL_S, took / _SCAN_SHARE)
        if changed or removed:
            logger.info("indexed %d new or changed files in %.1f s, %d removed", changed, took, removed)
        if unusable:
            logger.warning("%d files are left out of the archive: damaged, incomplete or no DICOM", unusable)

    def _compare(self) -> tuple[int, int, int]:
        """Bring the index up to the files; how many were read, are gone, are unusable."""
        with self._lock:
            before = dict(self._stamps)
        found = dict(_scan(self._prefix))
        changed = [key for key, stamp in found.items() if before.get(key) != stamp]
        unusable = self._read_all(changed)
        with self._lock:
            # what was stored meanwhile was not yet there to be found
            removed = [key for key in before if key not in found and self._stamps.get(key) == before[key]]
            for key in removed:
                self._forget(key)
            self._commit()
        return len(changed), len(removed), unusable

    def _read_all(self, keys: list[str]) -> int:
        """Read files into the index; returns how many are unusable."""
        unusable, started = 0, time.monotonic()
        told = started
        for number, key in enumerate(keys):
            if self._closed:
                break
            if time.monotonic() - told >= _TELL_INTERVAL_S:
                told = time.monotonic()
                self._progress(number, len(keys))
                with self._lock:
                    self._commit()
            unusable += not self._read(key)
        if told > started:
            self._progress(len(keys), len(keys))
        return unusable

    def _read(self, key: str) -> bool:
        """Read one file into the index; False if it is unusable."""
        path = Path(self._prefix + key)
        try:
            stamp = stamp_of(path.stat())
        except OSError:
            return True  # removed in between, which the next look will see
        try:
            instance = read_instance(path)
        except (UnservableFileError, OSError) as error:
            logger.debug("%s is not served: %s", path, error)
            with self._lock:
                self._leave_out(key, stamp)
            return False
        with self._lock:
            self._keep(instance)
        return True

    def _keep(self, instance: StoredInstance) -> None:
        key = self._key(instance)
        light = replace(instance, header=None, listed=shared(instance.listed))
        self._stamps[key] = instance.stamp
        self._catalogue.put(light)
        self._remember(key, instance.stamp, _to_json(light), instance.header)

    def _leave_out(self, key: str, stamp: Stamp) -> None:
        self._stamps[key] = stamp
        self._catalogue.drop(self._prefix + key)
        self._remember(key, stamp, None, None)

    def _forget(self, key: str) -> None:
        del self._stamps[key]
        self._catalogue.drop(self._prefix + key)
        for table in ("files", "headers"):
            self._write(f"DELETE FROM {table} WHERE path = ?", os.fsencode(key))

    def _remember(self, key: str, stamp: Stamp, text: str | None, header: Header | None) -> None:
        name = os.fsencode(key)
        self._write("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", name, *stamp, text)
        if header is None:
            self._write("DELETE FROM headers WHERE path = ?", name)
        else:
            values = *stamp, header.light, header.is_light
            self._write("INSERT OR REPLACE INTO headers VALUES (?, ?, ?, ?, ?)", name, *values)

    def _write(self, statement: str, *values: Any) -> None:
        with self._tolerating_errors():
            self._database.execute(statement, values)

    def _commit(self) -> None:
        with self._tolerating_errors():
            self._database.commit()
            self._remembers = True

    @contextmanager
    def _tolerating_errors(self) -> Iterator[None]:
        """What SQLite cannot take, as on a full disk, is read from the files again; it is told once."""
        try:
            yield
        except sqlite3.Error as error:
            if self._remembers:
                logger.warning("the index cannot be written (%s); the next start will take longer", error)
            self._remembers = False

    def _row(self, columns: str, values: tuple[Any, ...], instance: StoredInstance) -> tuple[Any, ...] | None:
        """What SQLite holds of the header of an instance; None if nothing, or of another file at its path."""
        query = f"SELECT {columns} FROM headers WHERE path = ? AND modified = ? AND size = ?"  # noqa: S608
        try:
            with self._lock:
                found = self._database.execute(
                    query, (*values, os.fsencode(self._key(instance)), *instance.stamp)
                ).fetchone()
        except sqlite3.Error:
            return None
        return found

    def _load(self, database: sqlite3.Connection) -> None:
        """Take over what an earlier run has read; `refresh` then corrects whatever has changed."""
        rows = database.execute("SELECT path, modified, size, instance FROM files").fetchall()
        paths = [self._prefix + os.fsdecode(row[0]) for row in rows]
        instances = [
            _from_json(path, (modified, size), text) if text is not None else None
            for path, (_, modified, size, text) in zip(paths, rows, strict=True)
        ]
        self._stamps = {os.fsdecode(name): (modified, size) for name, modified, size, _ in rows}
        for instance in instances:
            if instance is not None:
                self._catalogue.put(instance)

    def _key(self, instance: StoredInstance) -> str:
        return str(instance.path).removeprefix(self._prefix)


def _scan(prefix: str) -> Iterator[tuple[str, Stamp]]:
    """The regular files below a folder by their names relative to it; links to folders are not followed."""
    folders = [prefix]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                        continue
                    with suppress(OSError):  # removed in between, or a dangling link
                        status = entry.stat()
                        if stat.S_ISREG(status.st_mode):
                            yield entry.path.removeprefix(prefix), stamp_of(status)
        except OSError:
            continue  # removed in between, or not ours to read


def _header_of_file(instance: StoredInstance) -> Header:
    """Where SQLite has lost it; an empty one if the file is gone."""
    try:
        return read_instance(instance.path).header or Header("{}")
    except (UnservableFileError, OSError):
        return Header("{}")


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


def _log_progress(done: int, total: int) -> None:
    logger.info("reading the archive: %d of %d files", done, total)


def _open_database(path: Path, load: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    """Open the file and load it; one of another version or a damaged one is thrown away: the DICOM files hold all."""
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
                load(database)
                return database
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
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
