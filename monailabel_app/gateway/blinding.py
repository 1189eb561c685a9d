"""`BlindingJobs`: blinded copies of reader studies are made from the images of the archive, and attacked."""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mammosynth.errors import ConflictError, InvalidParameterError, MammoSynthError, UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.reading.blinding.copies import BlindedCopies, blind
from mammosynth.reading.blinding.sources import Read
from mammosynth.reading.store import StudyStore
from monailabel_app.studies import DicomWebStudies, ViewRequest, check_uid

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far a study is.

    Attributes:
        state: "none", "running", "done" or "failed".
        done: Copies that are made.
        total: Copies that there will be; 0 before that is known.
        message: What went wrong.
    """

    state: str = "none"
    done: int = 0
    total: int = 0
    message: str = ""


class _StoppedError(MammoSynthError):
    """The server ends; the next run goes on."""


class BlindingJobs:
    """One thread, while a study is blinded. A run that was cut off goes on when it is asked for again.

    Args:
        place: Of the store, see `StudyStore`.
        folder: For the copies of all studies.
    """

    def __init__(self, place: Path | str, folder: Path) -> None:
        self._place = place
        self._folder = folder
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._study = ""
        self._progress: dict[str, Progress] = {}
        self._is_stopped = threading.Event()

    def start(self, name: str, read: Read) -> dict[str, Any]:
        """Begin, or go on with what was cut off.

        Args:
            name: Of the study.
            read: Gives the images that its protocol names.

        Raises:
            NotFoundError: If there is no such study.
            ConflictError: If it is closed, or another one is being blinded.
        """
        store = StudyStore(self._place)
        try:
            if not store.study(name).is_open:
                raise ConflictError(f"{name} is closed; nothing is shown of it any more")
        finally:
            store.close()
        with self._lock:
            if self._study and self._progress[self._study].state == "running":
                raise ConflictError(f"{self._study} is being blinded; try again when it is done")
            self._study = name
            self._progress[name] = Progress("running")
            self._thread = threading.Thread(target=self._run, args=(name, read), name="blinding", daemon=True)
            self._thread.start()
        return self.progress(name)

    def progress(self, name: str) -> dict[str, Any]:
        """How far a study is; what its key says after a restart of the server, or of copies made elsewhere.

        Raises:
            NotFoundError: If there is no such study.
        """
        found = self._progress.get(name)  # before the key: a run that ends in between is not done without one
        store = StudyStore(self._place)
        try:
            is_blinded = store.is_blinded(name)
        finally:
            store.close()
        if found is None or (found.state == "failed" and is_blinded):  # the copies came from the command line
            found = Progress("done" if is_blinded else "none")
        return {"study": name, "is_blinded": is_blinded, **asdict(found)}

    def attack(self, name: str) -> list[dict[str, Any]]:
        """What tells the copies of two arms apart, for each pair of arms.

        Raises:
            NotFoundError: If there is no such study.
            ConflictError: If it has no copies.
            DataError: If an arm has too few, or one is missing or damaged.
        """
        from mammosynth.reading.blinding.attack import attack_study  # it takes seconds to load

        store = StudyStore(self._place)
        try:
            copies = BlindedCopies(store, name, self._folder)
            return [each.as_json() for each in attack_study(copies, store.study(name).protocol)]
        finally:
            store.close()

    def stop(self) -> None:
        """Let the running one end after its next copy."""
        self._is_stopped.set()
        if self._thread is not None:
            self._thread.join(10)

    def _run(self, name: str, read: Read) -> None:
        def report(done: int, total: int, _: str) -> None:
            self._progress[name] = Progress("running", done, total)
            if self._is_stopped.is_set():
                raise _StoppedError("the server was stopped; start blinding again to go on")

        try:
            with closing(StudyStore(self._place)) as store:
                count = blind(store, name, self._folder, read, report)
            self._progress[name] = Progress("done", count, count)
        except MammoSynthError as error:
            self._progress[name] = replace(self._progress[name], state="failed", message=str(error))
        except Exception as error:
            logger.exception("blinding ended early")
            words = f"{type(error).__name__}; the log of the server says more"
            self._progress[name] = replace(self._progress[name], state="failed", message=words)


def archive_images(archive: DicomWebStudies) -> Read:
    """The images of an archive by their SOP Instance UIDs, generated ones included."""

    def read(source: str) -> Mammogram:
        try:
            check_uid(source, "image")
        except InvalidParameterError as error:
            hint = (
                "images that are files are read by commands at the server alone: mammosynth study blind NAME --images "
                "FOLDER, mammosynth study export NAME --sr --images FOLDER"
            )
            raise InvalidParameterError(f"{error}; {hint}") from error
        found = archive.views(source, ViewRequest(), accept_generated=True)
        if len(found) != 1:
            raise UnsupportedImageError(
                f"{source}: {len(found)} images have that UID; name each image by its SOP Instance UID"
            )
        return found[0]

    return read
