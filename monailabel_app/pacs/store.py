"""`Store`: how instances enter and leave the folder. What was acknowledged is on the disk; nothing is half there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mammosynth.atomic import UNFINISHED, atomic_path, sync_folder
from mammosynth.errors import OutputError
from monailabel_app.pacs.index import Index
from monailabel_app.pacs.instances import StoredInstance, UnservableFileError, read_instance

logger = logging.getLogger(__name__)

# Failure Reason (0008,1197), PS3.18 table I.2-2 and PS3.7 annex C
OUT_OF_RESOURCES = 0xA700
MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
DUPLICATE = 0x0111


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


class Store:
    """A folder of DICOM files: those of the user, in any layout and never changed, and stored ones in
    `<study>/<series>/<instance>.dcm`. One store per folder.

    Args:
        folder: Created if absent.
        index_folder: See `Index`.
    """

    def __init__(self, folder: Path, *, index_folder: Path) -> None:
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remove_stale_temporaries()
        self.index = Index(self.folder, index_folder.resolve())
        self._writing = threading.Lock()

    def add(self, content: bytes, *, study_instance_uid: str | None = None) -> StoredInstance:
        """Store one DICOM file as it is; returns when it is safely on the disk.

        Storing the same bytes again changes nothing. Other bytes under a known SOP Instance UID replace an image that
        this software synthesized by another such one; nothing else is ever replaced.

        Args:
            content: A whole DICOM file.
            study_instance_uid: The only study it may belong to; None for any.

        Raises:
            RefusedInstanceError: With DICOM's failure reason and a sentence.
        """
        try:
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
            known = self.index.find(sop_instance=instance.sop_instance_uid)
            if known and known[0].path.is_file():
                if known[0].path.read_bytes() == content:
                    return known[0]
                self._check_replaceable(known[0], instance)
            try:
                self._write(instance.path, content)
            except (OutputError, OSError) as error:
                raise RefusedInstanceError(
                    OUT_OF_RESOURCES, f"The instance is not stored: {error}", instance
                ) from error
            return self.index.add(instance.path)

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
            self.index.refresh()

    def is_removable(self, instances: Iterable[StoredInstance]) -> bool:
        """Whether this software has made all of them, and they lie in the store's own layout."""
        return all(instance.is_removable and instance.path == self._path_of(instance) for instance in instances)

    def close(self) -> None:
        """Release the index."""
        self.index.close()

    def _path_of(self, instance: StoredInstance) -> Path:
        uids = instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid
        return self.folder.joinpath(*uids[:2], f"{uids[2]}.dcm")

    def _check_replaceable(self, known: StoredInstance, new: StoredInstance) -> None:
        if not (known.is_replaceable and new.is_replaceable and known.path == new.path):
            sentence = (
                f"Instance {new.sop_instance_uid} is already stored with other content and is not replaced; "
                "give a changed image a new SOP Instance UID."
            )
            raise RefusedInstanceError(DUPLICATE, sentence, new)

    def _write(self, path: Path, content: bytes) -> None:
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
        for folder in (path.parent.parent, self.folder):  # which may be new, too
            sync_folder(folder)

    def _remove_stale_temporaries(self) -> None:
        """Remove what a killed store has left; nothing of it was ever acknowledged."""
        for temporary in self.folder.glob(f"*/*/{UNFINISHED}*"):
            try:
                temporary.unlink()
            except OSError as error:
                logger.warning("an unfinished file stays behind, unseen: %s", error.strerror)
