"""`Answer`: what a reader says about a reading, and the check that its question takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mammosynth.errors import InvalidParameterError
from mammosynth.reading.design import Reading
from mammosynth.reading.protocol import Protocol

_LONGEST_S = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Answer:
    """What a reader says.

    Attributes:
        question: Of the protocol.
        value: As the question takes it.
        target: What it is about: "case", a breast (R, L) or an image (1, 2, ...).
        duration_s: Time that the reader looked at the question, as the viewer measured it.
    """

    question: str
    value: Any
    target: str = "case"
    duration_s: float | None = None


@dataclass(frozen=True)
class Receipt:
    """What the store gives for an answer.

    Attributes:
        number: Of the record, from 1.
        revision: 1 for the first answer, 2 for the next to the same question, and so on.
        at: When the store took it, ISO 8601 in UTC.
        sha256: Of the record, and so of all before it.
    """

    number: int
    revision: int
    at: str
    sha256: str


def check_answer(protocol: Protocol, reading: Reading, answer: Answer) -> Any:
    """An answer's value as it is stored.

    Raises:
        InvalidParameterError: If there is no such question or target, or the question does not take the value.
    """
    if answer.question not in protocol.questions:
        known = ", ".join(protocol.questions)
        raise InvalidParameterError(f"the question is {answer.question[:64]!r}, expected one of {known}")
    targets = protocol.targets(answer.question, reading.case, reading.arm)
    if answer.target not in targets:
        raise InvalidParameterError(
            f"{answer.question} is asked about {', '.join(targets)}; the answer is about {answer.target[:64]!r}"
        )
    duration = answer.duration_s
    if duration is not None and not (0 <= duration <= _LONGEST_S):
        raise InvalidParameterError(f"duration_s is {duration}, expected 0 to {_LONGEST_S:g}")
    try:
        images = protocol.image_count(reading.case, reading.arm)
        return protocol.questions[answer.question].check(answer.value, images)
    except InvalidParameterError as error:
        raise InvalidParameterError(f"{answer.question}: {error}") from None
