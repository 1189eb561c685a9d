"""`Store`: how instances enter and leave the folder. What was acknowledged is on the disk; nothing is half there."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from mammosynth.atomic import UNFINISHED, sync_folder
from monailabel_app.pacs.index import Index, Progress
from monailabel_app.pacs.instances import Stamp, StoredInstance, UnservableFileError, read_instance, stamp_of

logger = logging.getLogger(__name__)

# Failure Reason (0008,1197), PS3.18 table I.2-2 and PS3.7 annex C
OUT_OF_RESOURCES = 0xA700
MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
DUPLICATE = 0x0111

_LOCK = ".mammosynth-lock"
_WITHOUT_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)  # from FAT, and some network drives


class RefusedInstanceError(Exception):
    """An instance was not stored.

    Attributes:
        failure_reason: DICOM's code.
        instance: What was refused; None if it could not even be read.
    """

    def __init__(self, failure_reason: int, sentence: str, instance: StoredInstance | None = None) -> None:
        super().__init__(sentence)
        self.failure_reason = failure_reason
        self.instance = instance


class NotRemovableError(Exception):
    """A series holds what this software has not made, or files that the store has not written."""


class FolderInUseError(OSError):
    """Another server has the folder: two would not know of each other's files."""


class Store:
    """A folder of DICOM files: those of the user, in any layout and never changed, and stored ones in
    `<study>/<series>/<instance>.dcm`, which nobody but the owner of this process may read. One store per folder.

    Args:
        folder: Created if absent.
        index_folder: See `Index`.
        progress: See `Index`.

    Raises:
        FolderInUseError: If another store has the folder.
        OSError: If one of the folders cannot be used.
    """

    def __init__(self, folder: Path, *, index_folder: Path, progress: Progress | None = None) -> None:
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _lock(self.folder)
        try:
            self._remove_stale_temporaries()
            self.index = Index(self.folder, index_folder.resolve(), progress=progress)
        except BaseException:
            self._unlock()
            raise
        self._reading = threading.BoundedSemaphore(2)  # at once: a deflated file takes memory
        self._writing = threading.Lock()

    def add(self, content: bytes, *, study_instance_uid: str | None = None) -> StoredInstance:
        """Store one DICOM file as it is; returns when it is safely on the disk.

        Storing the same bytes again changes nothing. Other bytes under a known SOP Instance UID replace an image that
        this software synthesized by another such one; nothing else is ever replaced, also not a file that somebody has
        put there a moment ago.

        Args:
            content: A whole DICOM file.
            study_instance_uid: The only study it may belong to; None for any.

        Raises:
            RefusedInstanceError: With DICOM's failure reason and a sentence.
        """
        try:
            with self._reading:
                instance = read_instance(self.folder, content)
        except UnservableFileError as error:
            raise RefusedInstanceError(CANNOT_UNDERSTAND, f"The part is not stored: {error}.") from error
        instance = replace(instance, path=self._path_of(instance))
        if study_instance_uid not in (None, instance.study_instance_uid):
            sentence = (
                f"The instance belongs to study {instance.study_instance_uid}, the request to {study_instance_uid}; "
                "send it to its own study."
            )
            raise RefusedInstanceError(MISMATCH, sentence, instance)
        with self._writing:
            known = self._known(instance)
            if known is not None:
                if known.path.read_bytes() == content:
                    return known
                self._check_replaceable(known, instance)
            try:
                stamp = self._write(instance.path, content, replacing=known is not None)
            except OSError as error:
                if instance.path.exists() and known is None:
                    raise _duplicate(instance) from error
                sentence = (
                    f"The instance is not stored: the archive's folder cannot be written ({error.strerror or error}); "
                    "check the folder, its rights and free space."
                )
                raise RefusedInstanceError(OUT_OF_RESOURCES, sentence, instance) from error
            instance = replace(instance, stamp=stamp)
            self.index.add(instance)
            return instance

    def remove_series(self, study_instance_uid: str, series_instance_uid: str) -> None:
        """Delete a series of synthesized images or drawn segmentations that this store has written.

        Raises:
            LookupError: If there is no such series.
            NotRemovableError: If this software has not made all of it, or a part lies outside the store's own layout.
        """
        with self._writing:
            instances = self.index.find(study_instance_uid, series_instance_uid)
            if not instances:
                raise LookupError(series_instance_uid)
            if not self.is_removable(instances):
                raise NotRemovableError(
                    f"Series {series_instance_uid} is not removed: only what this software made and stored here can be."
                )
            for instance in instances:
                instance.path.unlink(missing_ok=True)
            sync_folder(instances[0].path.parent)
            self.index.remove(instances)

    def is_removable(self, instances: Iterable[StoredInstance]) -> bool:
        """Whether this software has made all of them, and they lie in the store's own layout."""
        return all(instance.is_removable and instance.path == self._path_of(instance) for instance in instances)

    def close(self) -> None:
        """Release the index and the folder."""
        self.index.close()
        self._unlock()

    def _path_of(self, instance: StoredInstance) -> Path:
        uids = instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid
        return self.folder.joinpath(*uids[:2], f"{uids[2]}.dcm")

    def _known(self, instance: StoredInstance) -> StoredInstance | None:
        """What is there already under this UID, or in this place and not yet in the index."""
        known = self.index.instance(instance.sop_instance_uid)
        if known is not None and known.path.is_file():
            return known
        if not instance.path.exists():
            return None
        try:
            found = read_instance(instance.path)
        except (UnservableFileError, OSError) as error:
            raise _duplicate(instance) from error
        self.index.add(found)
        return found

    def _check_replaceable(self, known: StoredInstance, new: StoredInstance) -> None:
        if not (known.is_replaceable and new.is_replaceable and known.path == new.path):
            raise _duplicate(new)

    def _write(self, path: Path, content: bytes, *, replacing: bool) -> Stamp:
        """Write a file for good; it is whole or not there.

        Raises:
            FileExistsError: If there is a file already and it is not to be replaced.
            OSError: If the folder cannot be written.
        """
        for folder in (path.parent.parent, path.parent):
            if not folder.is_dir():
                folder.mkdir(mode=0o700)
        temporary = path.with_name(f"{UNFINISHED}{uuid.uuid4().hex}")
        try:
            stamp = _write_durably(temporary, content)
            if replacing:
                temporary.replace(path)
            else:
                _publish(temporary, path)
        finally:
            with suppress(OSError):  # the reason above is the one to tell
                temporary.unlink(missing_ok=True)
        for folder in (path.parent, path.parent.parent, self.folder):  # which may be new, too
            sync_folder(folder)
        return stamp

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def _remove_stale_temporaries(self) -> None:
        """Remove what a killed store has left; nothing of it was ever acknowledged."""
        for temporary in self.folder.glob(f"*/*/{UNFINISHED}*"):
            try:
                temporary.unlink()
            except OSError as error:
                logger.warning("an unfinished file stays behind, unseen: %s", error.strerror)


def _lock(folder: Path) -> BinaryIO | None:
    """Hold the folder until the file is closed; None where nobody can write, and so nobody can do harm."""
    try:
        file = os.fdopen(os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    except OSError as error:
        logger.info("the archive's folder is served without a lock: %s", error.strerror)
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise FolderInUseError(
            f"The folder {folder.name} is in use by another server; stop that one, or give this one another folder."
        ) from error
    except OSError as error:  # a network drive that knows no locks
        logger.warning("the archive's folder is served without a lock: %s", error.strerror)
    return file


def _write_durably(path: Path, content: bytes) -> Stamp:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        return stamp_of(os.fstat(file.fileno()))


def _publish(temporary: Path, path: Path) -> None:
    """Give a finished file its name, which nobody may have; a link does in one step what no renaming can."""
    try:
        path.hardlink_to(temporary)
    except OSError as error:
        if error.errno not in _WITHOUT_LINKS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, "there is a file already") from error
        temporary.replace(path)


def _duplicate(instance: StoredInstance) -> RefusedInstanceError:
    sentence = (
        f"Instance {instance.sop_instance_uid} is already stored with other content and is not replaced; "
        "give a changed image a new SOP Instance UID."
    )
    return RefusedInstanceError(DUPLICATE, sentence, instance)
