"""`Index`: which instances a folder holds, kept in memory, remembered in SQLite, and always second to the files."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from monailabel_app.pacs.catalogue import Catalogue, Study
from monailabel_app.pacs.instances import (
    LISTED_TAGS,
    Header,
    Stamp,
    StoredInstance,
    UnservableFileError,
    json_text,
    read_instance,
    shared,
    stamp_of,
)
from monailabel_app.pacs.memory import Memory

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Told how many files have been read, and how many there are to read."""

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
        self._prefix = os.path.join(folder, "")  # noqa: PTH118 - with the separator at its end
        self._progress = progress or _log_progress
        self._lock = threading.RLock()  # of what follows; never held while files are read
        self._catalogue = Catalogue()
        self._stamps: dict[str, Stamp] = {}
        index_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.sqlite"
        self._memory = Memory(index_folder / file)
        for name, stamp, instance in self._memory.take(self._prefix):  # `refresh` then corrects whatever has changed
            self._stamps[name] = stamp
            if instance is not None:
                self._catalogue.put(instance)
        self._scanning = threading.Lock()
        self._last_scan = self._next_scan = 0.0
        self._closed = False
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
        with self._lock:
            found = self._memory.element(self._key(instance), instance.stamp, tag)
        if found is not None and (found[0] is not None or found[1]):
            return found[0]
        element = json.loads(_header_of_file(instance).text()).get(tag)
        return None if element is None else json_text(element)

    def header(self, instance: StoredInstance) -> str:
        """The header of an instance without bulky elements, as JSON text."""
        found = self._remembered(instance)
        return found[0] if found else _header_of_file(instance).light

    def metadata(self, instance: StoredInstance) -> str:
        """The whole header of an instance as JSON text; bulky elements, which few have, are read from the file."""
        found = self._remembered(instance)
        return found[0] if found and found[1] else _header_of_file(instance).text()

    def add(self, instance: StoredInstance) -> None:
        """Take in an instance as it was read from its file."""
        with self._lock:
            self._keep(instance)
            self._memory.commit()

    def remove(self, instances: Iterable[StoredInstance]) -> None:
        """Forget instances whose files were just removed."""
        with self._lock:
            for key in map(self._key, instances):
                if key in self._stamps:
                    self._forget(key)
            self._memory.commit()

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
            self._memory.close()

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
            self._memory.commit()
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
                    self._memory.commit()
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
        self._stamps[key] = instance.stamp
        self._catalogue.put(replace(instance, header=None, listed=shared(instance.listed)))
        self._memory.keep(key, instance.stamp, instance)

    def _leave_out(self, key: str, stamp: Stamp) -> None:
        self._stamps[key] = stamp
        self._catalogue.drop(self._prefix + key)
        self._memory.keep(key, stamp, None)

    def _forget(self, key: str) -> None:
        del self._stamps[key]
        self._catalogue.drop(self._prefix + key)
        self._memory.drop(key)

    def _remembered(self, instance: StoredInstance) -> tuple[str, bool] | None:
        with self._lock:
            return self._memory.header(self._key(instance), instance.stamp)

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


def _log_progress(done: int, total: int) -> None:
    logger.info("reading the archive: %d of %d files", done, total)
