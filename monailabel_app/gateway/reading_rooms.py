"""`ReadingRooms`: what a reader sees and does, from the store of reader studies and the blinded copies.

Values go to the browser in pixels of the copies, and are kept in pixels of the sources.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from mammosynth.errors import ConflictError, InvalidParameterError
from mammosynth.reading.answers import Answer
from mammosynth.reading.attention import Attention
from mammosynth.reading.blinding.copies import BlindedCopies, BlindedImage
from mammosynth.reading.blinding.rule import Hanging
from mammosynth.reading.design import TRAINING, Reading
from mammosynth.reading.place import Place, State
from mammosynth.reading.protocol import WHOLE_CASE, Protocol
from mammosynth.reading.questions import Marks
from mammosynth.reading.store import StudyStore
from monailabel_app.errors import NotFoundError
from monailabel_app.gateway.reading_dicom import Visible, frame_url, metadata_url

_KEPT_STUDIES = 4  # whose keys are in memory
# Of marks, after the point: one that was read and is sent again is the same, and none tells the size of its source.
_COPY_DIGITS, _SOURCE_DIGITS = 2, 6
_TOLD_OF_QUESTIONS = (
    *("type", "title", "help", "required", "per", "keys", "levels", "labels", "categories", "items"),
    *("suspicion", "confidence", "shapes", "rated", "finding", "max_characters"),
)


class ReadingRooms:
    """One for a server. Safe to use from several threads.

    Args:
        place: Of the store, see `StudyStore`.
        folder: Of the blinded copies.
    """

    def __init__(self, place: Path | str, folder: Path) -> None:
        self._place = place
        self._folder = folder
        self._store: StudyStore | None = None
        self._opening = threading.Lock()
        # Neither ever changes.
        self._copies = lru_cache(_KEPT_STUDIES)(lambda name: BlindedCopies(self.store(), name, self._folder))
        self._protocol = lru_cache(_KEPT_STUDIES)(lambda name: self.store().study(name).protocol)

    def store(self) -> StudyStore:
        """The store, opened when it is there.

        Raises:
            NotFoundError: If no study was ever opened.
        """
        with self._opening:
            if self._store is None:
                if not self._is_there:
                    raise NotFoundError("there is no reader study on this server yet")
                self._store = StudyStore(self._place)
            return self._store

    @property
    def _is_there(self) -> bool:
        """Whether a study was ever opened; a database server is asked for that, not its address."""
        return not isinstance(self._place, Path) or self._place.is_file()

    def check(self) -> None:
        """Ask the store for its studies, if there is one."""
        if self._is_there:
            self.store().names()

    def close(self) -> None:
        """Release the database."""
        with self._opening:
            if self._store is not None:
                self._store.close()
            self._store = None

    def studies(self, reader: str) -> list[dict[str, Any]]:
        """The studies that somebody reads in, with their sessions."""
        if not self._is_there:
            return []
        store = self.store()
        return [
            {
                "study": name,
                "title": self._protocol(name).title,
                "state": store.place(name, reader).state,
                "sessions": store.sessions(name, reader),
            }
            for name in store.names()
            if store.has_reader(name, reader)
        ]

    def visible(self, reader: str) -> Visible:
        """The images that somebody may fetch."""
        if not self._is_there:
            return Visible()
        found = self.store().visible(reader)
        if found is None:
            return Visible()
        study, shown, ahead = found
        copies = self._copies(study)
        return Visible(copies.of(shown), copies.of(ahead) if ahead else ())

    def current(self, name: str, reader: str) -> dict[str, Any]:
        """What is shown, and what is asked about it.

        Raises:
            NotFoundError: If somebody of that name reads in no such study.
        """
        self._check_reads(name, reader)
        return self._told(self._protocol(name), self.store().place(name, reader))

    def start(self, name: str, reader: str, number: int, display: Any) -> dict[str, Any]:
        """Begin a session, or go on with it.

        Raises:
            NotFoundError: If there is no such study or session.
            ConflictError: If the study is not blinded or closed, or the session's turn has not come or is over.
        """
        self._check_reads(name, reader)
        self._copies(name)  # which says if there are none, before anything begins
        store = self.store()
        store.start_session(name, reader, number, display)
        place = store.place(name, reader)
        if place.state in (State.READING, State.PAUSED) and place.session != number:
            raise ConflictError(f"session {number} of {name} is over, since session {place.session} has begun")
        following = store.next_reading(name, reader)
        if place.state is State.PAUSED and following is not None:
            store.show(name, reader, number, following.position)
        return self.current(name, reader)

    def show(self, name: str, reader: str, number: int, position: int | None, left: Attention | None) -> dict[str, Any]:
        """Go to another reading, or to none."""
        self._check_reads(name, reader)
        self.store().show(name, reader, number, position, left)
        return self.current(name, reader)

    def answer(self, name: str, reader: str, number: int, position: int, answers: Sequence[Answer]) -> dict[str, Any]:
        """Keep answers to the reading that is shown.

        Raises:
            InvalidParameterError: If a question does not take its answer.
            ConflictError: If another reading is shown.
        """
        self._check_reads(name, reader)
        protocol = self._protocol(name)

        def kept(reading: Reading) -> list[Answer]:
            images = self._copies(name).of(reading)
            return [replace(each, value=_to_source(protocol, each, images)) for each in answers]

        saved = self.store().save_shown(name, reader, number, position, kept)
        return {
            "receipts": [asdict(each) for each in saved.receipts],
            "is_complete": saved.is_complete,
            "feedback": self._feedback(protocol, saved.reading) if saved.is_complete else None,
        }

    def _check_reads(self, name: str, reader: str) -> None:
        if not self.store().has_reader(name, reader):
            raise NotFoundError(f"there is no study {name[:64]!r} in which {reader} reads")

    def _told(self, protocol: Protocol, place: Place) -> dict[str, Any]:
        shown = place.shown
        images = self._copies(protocol.name).of(shown) if shown else ()
        ahead = self._copies(protocol.name).of(place.ahead) if place.ahead else ()
        return {
            "study": protocol.name,
            "title": protocol.title,
            "state": place.state,
            "session": place.session,
            "is_training": place.session == TRAINING,
            "position": shown.position if shown else None,
            "readings": place.readings,
            "done": place.done,
            "study_instance_uid": images[0].study_instance_uid if images else None,
            "images": [_image(each) for each in images],
            "hanging": Hanging.of(protocol.hanging, len(images)).as_json() if images else None,
            "questions": _questions(protocol, shown) if shown else [],
            "answers": _to_copies(protocol, place.answers, images),
            "is_complete": place.is_complete,
            "may_go_back": shown is not None and shown.position > 1,
            "feedback": self._feedback(protocol, shown) if shown and place.is_complete else None,
            "ahead": _ahead(ahead),
        }

    def _feedback(self, protocol: Protocol, complete: Reading) -> dict[str, Any] | None:
        """The truth of a training case."""
        if complete.session != TRAINING:
            return None
        found = self.store().feedback(protocol.name, complete.reader, complete.position)
        by_target = {
            name: truth if protocol.questions[name].per != "case" else {WHOLE_CASE: truth}
            for name, truth in found["truth"].items()
        }
        return found | {"truth": _to_copies(protocol, by_target, self._copies(protocol.name).of(complete))}


def _image(image: BlindedImage) -> dict[str, Any]:
    return {
        "number": image.number,
        "series_instance_uid": image.series_instance_uid,
        "sop_instance_uid": image.sop_instance_uid,
        "laterality": image.image_laterality,
        "view_position": image.view_position,
        "rows": image.rule.rows,
        "columns": image.rule.columns,
    }


def _ahead(images: Sequence[BlindedImage]) -> dict[str, Any] | None:
    if not images:
        return None
    return {
        "study_instance_uid": images[0].study_instance_uid,
        "frames": [frame_url(each) for each in images],
        "metadata": metadata_url(images[0]),
    }


def _questions(protocol: Protocol, reading: Reading) -> list[dict[str, Any]]:
    """What a viewer needs to ask; not what counts as positive, nor how marks are judged."""
    found = []
    for name, question in protocol.questions.items():
        stated = question.model_dump(mode="json")
        told = {key: stated[key] for key in _TOLD_OF_QUESTIONS if key in stated}
        found.append({"name": name, "targets": protocol.targets(name, reading.case, reading.arm), **told})
    return found


def _to_source(protocol: Protocol, answer: Answer, images: Sequence[BlindedImage]) -> Any:
    """An answer's value with marks where they are in the sources."""
    question = protocol.questions.get(answer.question)
    if not isinstance(question, Marks):
        return answer.value
    marks = [_rounded(mark, _COPY_DIGITS) for mark in question.check(answer.value, len(images))]
    for mark in marks:
        rule = images[mark["image"] - 1].rule
        if not (-0.5 <= mark["x"] <= rule.columns and -0.5 <= mark["y"] <= rule.rows):
            raise InvalidParameterError(f"{answer.question}: a mark lies outside image {mark['image']}; move it inside")
    return _moved(marks, images, lambda image: image.placement.mark_to_source, _SOURCE_DIGITS)


def _to_copies(
    protocol: Protocol, values: Mapping[str, Mapping[str, Any]], images: Sequence[BlindedImage]
) -> dict[str, dict[str, Any]]:
    """Values by question and target with marks where they are in the copies."""
    return {
        name: {
            target: _moved(value, images, lambda image: image.placement.mark_to_copy, _COPY_DIGITS)
            if isinstance(protocol.questions[name], Marks)
            else value
            for target, value in by_target.items()
        }
        for name, by_target in values.items()
    }


def _moved(
    marks: Sequence[Mapping[str, Any]],
    images: Sequence[BlindedImage],
    way: Callable[[BlindedImage], Callable[[Mapping[str, Any]], dict[str, Any]]],
    digits: int,
) -> list[dict[str, Any]]:
    return [_rounded(way(images[mark["image"] - 1])(mark), digits) for mark in marks]


def _rounded(mark: Mapping[str, Any], digits: int) -> dict[str, Any]:
    return {name: round(value, digits) if isinstance(value, float) else value for name, value in mark.items()}
