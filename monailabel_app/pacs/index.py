"""`Index`: which instances a folder holds, kept in memory, remembered in SQLite, and always second to the files."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from monailabel_app.dicom_json import value_of
from monailabel_app.pacs.instances import StoredInstance, UnservableFileError, read_instance

logger = logging.getLogger(__name__)

_SCHEMA_VERSION = 1
_BULKY = 4096  # characters of JSON above which an element is read from SQLite when asked for, not kept in memory
_SCAN_INTERVAL_S = 1.0
_SCAN_SHARE = 0.1  # a scan of a large folder may take at most this part of the time

_Stamp = tuple[int, int]  # modification time in ns, size in bytes


class Index:
    """The instances below a folder. Safe to use from several threads.

    Memory: about 25 kB per mammogram. The SQLite file only saves reading unchanged headers again at the next start;
    it may be deleted at any time.

    Args:
        folder: Any layout of DICOM files; hidden files and folders are not looked at.
        index_folder: Where the SQLite file lies; created if absent.
    """

    def __init__(self, folder: Path, index_folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        index_folder.mkdir(parents=True, exist_ok=True)
        self._database = _open_database(index_folder / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.sqlite")
        self._stamps: dict[Path, _Stamp] = {}
        self._by_path: dict[Path, StoredInstance] = {}
        self._by_sop_instance_uid: dict[str, StoredInstance] = {}
        self._next_scan = 0.0
        self._load()
        self.refresh()

    def find(
        self, study: str | None = None, series: str | None = None, sop_instance: str | None = None
    ) -> list[StoredInstance]:
        """The instances with these UIDs, ordered by study date, series and instance number; None matches all."""
        with self._lock:
            if sop_instance is None:
                candidates = list(self._by_sop_instance_uid.values())
            else:
                candidates = (
                    [self._by_sop_instance_uid[sop_instance]] if sop_instance in self._by_sop_instance_uid else []
                )
        found = [
            instance
            for instance in candidates
            if study in (None, instance.study_instance_uid) and series in (None, instance.series_instance_uid)
        ]
        return sorted(found, key=_order)

    def metadata(self, instances: list[StoredInstance]) -> list[str]:
        """The whole headers of these instances as JSON texts, in the same order."""
        with self._lock:
            rows = [
                self._database.execute(
                    "SELECT attributes FROM files WHERE path = ?", (self._key(instance.path),)
                ).fetchone()
                for instance in instances
            ]
        return [row[0] for row in rows if row is not None]

    def add(self, path: Path) -> StoredInstance:
        """Index one file that was just written."""
        with self._lock:
            self._read(path, _stamp(path.stat()))
            self._database.commit()
            self._sort_out_duplicates()
            return self._by_path[path]

    def refresh(self, *, now: bool = True) -> None:
        """Look for files that were added, changed or removed by others.

        Args:
            now: False leaves it if the last look is recent: less than a second ago, or ten times what it took.
        """
        with self._lock:
            started = time.monotonic()
            if not now and started < self._next_scan:
                return
            found = dict(self._scan())
            changed = [path for path, stamp in found.items() if self._stamps.get(path) != stamp]
            removed = [path for path in self._stamps if path not in found]
            for path in changed:
                self._read(path, found[path])
            for path in removed:
                self._forget(path)
            if changed or removed:
                self._database.commit()
                self._sort_out_duplicates()
            took = time.monotonic() - started
            self._next_scan = time.monotonic() + max(_SCAN_INTERVAL_S, took / _SCAN_SHARE)
            if changed or removed:
                logger.info("indexed %d new or changed files in %.1f s, %d removed", len(changed), took, len(removed))

    def close(self) -> None:
        """Release the SQLite file."""
        with self._lock:
            self._database.close()

    def _scan(self) -> Iterator[tuple[Path, _Stamp]]:
        for folder, subfolders, names in os.walk(self._folder):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            for name in names:
                if not name.startswith("."):
                    path = Path(folder, name)
                    try:
                        yield path, _stamp(path.stat())
                    except OSError:
                        continue  # removed in between, or a dangling link

    def _read(self, path: Path, stamp: _Stamp) -> None:
        try:
            instance = read_instance(path)
        except (UnservableFileError, OSError) as error:
            logger.debug("%s is not served: %s", path, error)
            self._stamps[path] = stamp
            self._by_path.pop(path, None)
            row = (self._key(path), *stamp, None, None)
        else:
            self._keep(instance, stamp)
            row = (self._key(path), *stamp, instance.transfer_syntax_uid, json.dumps(instance.attributes))
        self._database.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", row)

    def _keep(self, instance: StoredInstance, stamp: _Stamp) -> None:
        light = {tag: e for tag, e in instance.attributes.items() if len(json.dumps(e)) <= _BULKY}
        self._stamps[instance.path] = stamp
        self._by_path[instance.path] = StoredInstance(instance.path, instance.transfer_syntax_uid, light)

    def _forget(self, path: Path) -> None:
        del self._stamps[path]
        self._by_path.pop(path, None)
        self._database.execute("DELETE FROM files WHERE path = ?", (self._key(path),))

    def _load(self) -> None:
        """Take over what an earlier run has read; `refresh` then corrects whatever has changed."""
        for key, modified, size, syntax, text in self._database.execute("SELECT * FROM files"):
            path = self._folder / key
            self._stamps[path] = (modified, size)
            if text is not None:
                self._keep(StoredInstance(path, syntax, json.loads(text)), (modified, size))
        self._sort_out_duplicates()

    def _sort_out_duplicates(self) -> None:
        """Of several files with one SOP Instance UID, the first by path is served."""
        self._by_sop_instance_uid = {
            self._by_path[path].sop_instance_uid: self._by_path[path] for path in sorted(self._by_path, reverse=True)
        }

    def _key(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_mtime_ns, status.st_size


def _order(instance: StoredInstance) -> tuple[str, str, str, float, str, float, str]:
    attributes = instance.attributes
    return (
        str(value_of(attributes, "00080020") or ""),
        str(value_of(attributes, "00080030") or ""),
        instance.study_instance_uid,
        float(value_of(attributes, "00200011") or 0),
        instance.series_instance_uid,
        float(value_of(attributes, "00200013") or 0),
        instance.sop_instance_uid,
    )


def _open_database(path: Path) -> sqlite3.Connection:
    """Open the file; one of another version or a damaged one is thrown away, since the DICOM files hold everything."""
    for _ in range(2):
        database = sqlite3.connect(path, check_same_thread=False)
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version == _SCHEMA_VERSION and database.execute("PRAGMA quick_check").fetchone() == ("ok",):
                return database
            if version == 0 and not database.execute("SELECT name FROM sqlite_master").fetchall():
                database.execute(
                    "CREATE TABLE files (path TEXT PRIMARY KEY, modified INTEGER, size INTEGER, "
                    "transfer_syntax_uid TEXT, attributes TEXT)"
                )
                database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
                database.commit()
                return database
        except sqlite3.DatabaseError:
            logger.warning("the index is damaged and is built again from the files")
        database.close()
        for leftover in path.parent.glob(f"{path.name}*"):
            leftover.unlink()
    raise OSError(f"{path.name}: no usable index can be made in the index folder; check that it is writable")
