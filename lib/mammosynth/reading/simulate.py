"""`simulate`: readers of given skill read an open study, so that a protocol can be tried from end to end.

Decisions follow the binormal model: what a reader sees of a case is normal with variance 1, of which part belongs to
the case and part to the reader in that arm; the mean of positive cases is higher by sqrt(2) times the normal quantile
of the area under the ROC curve (Roe and Metz, Acad Radiol 1997, doi:10.1016/S1076-6332(97)80161-3, shortened).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from mammosynth.errors import InvalidParameterError
from mammosynth.reading.answers import Answer
from mammosynth.reading.design import Reading, rank, readings
from mammosynth.reading.protocol import Protocol
from mammosynth.reading.questions import (
    GENERATED,
    NO,
    REAL,
    YES,
    Category,
    Items,
    Likert,
    Marks,
    Question,
    RealOrGenerated,
    Text,
    YesNo,
)
from mammosynth.reading.store import StudyStore

_CASE, _READER = 0.4, 0.05  # shares of the variance; the rest is of the reading itself
_AGREEMENT = 0.8  # share of the variance of ordered answers without truth that is of the case
_JITTER = 0.3  # of marks, in radii of the lesion
_FALSE_MARKS = 0.2  # a reading, on average
_SECONDS, _SPREAD = 20.0, 0.5  # median time for an answer, and standard deviation of its logarithm


@dataclass(frozen=True)
class Skill:
    """What simulated readers can do.

    Attributes:
        auc: By arm: area under the ROC curve, and the share of lesions that are marked; 0.5 to 0.999.
        tell: Area under the curve of generated against real, 0.001 to 0.999; 0.5 is guessing.
        seed: Of all their answers.
    """

    auc: Mapping[str, float]
    tell: float = 0.5
    seed: int = 0

    def check(self, protocol: Protocol) -> None:
        """Refuse a skill that does not fit a protocol.

        Raises:
            InvalidParameterError: If an arm is missing or unknown, or an area is out of range.
        """
        if set(self.auc) != set(protocol.arms):
            raise InvalidParameterError(
                f"the skill is of {', '.join(self.auc) or 'no arm'}, expected one AUC for each of "
                f"{', '.join(protocol.arms)}"
            )
        for name, area in [*self.auc.items(), ("tell", self.tell)]:
            least = 0.001 if name == "tell" else 0.5
            if not least <= area <= 0.999:
                raise InvalidParameterError(f"the skill {name} is {area}, expected {least:g} to 0.999")


def simulate(store: StudyStore, name: str, skill: Skill, by: str, progress: Callable[[int, int, str], None]) -> int:
    """Let simulated readers read a whole study; what was read before an interruption is not read again.

    The study says for good that its readers are simulated.

    Args:
        store: Holds the study.
        name: Of an open study that nobody has read.
        skill: Of all readers.
        by: Who asks for it.
        progress: Called with how many readings are done, how many there are, and the reader.

    Returns:
        How many readings there are.

    Raises:
        ConflictError: If the study is closed, or was read by others.
    """
    protocol = store.study(name).protocol
    skill.check(protocol)
    store.note_simulation(name, asdict(skill), by)
    design = readings(protocol)
    begin = {reader: store.next_reading(name, reader) for reader in protocol.readers}
    for number, reading in enumerate(design):
        first = begin[reading.reader]
        if first is not None and (reading.session, reading.position) >= (first.session, first.position):
            _read(store, name, protocol, reading, skill, by)
        progress(number + 1, len(design), reading.reader)
    return len(design)


def _read(store: StudyStore, name: str, protocol: Protocol, reading: Reading, skill: Skill, by: str) -> None:
    if reading.position == 1:
        if reading.session > 1:
            reason = "simulated readers remember nothing"
            store.override_washout(name, reading.reader, reading.session, by=by, reason=reason)
        store.start_session(name, reading.reader, reading.session)
    store.save(name, reading.reader, reading.session, reading.position, answers_of(protocol, reading, skill))


def answers_of(protocol: Protocol, reading: Reading, skill: Skill) -> list[Answer]:
    """What a simulated reader answers in one reading."""
    found = []
    for name, question in protocol.questions.items():
        for target in protocol.targets(name, reading.case, reading.arm):
            see = _Sight(protocol, reading, skill, name, target)
            value = _value(question, see)
            if value is not None:
                duration = _SECONDS * math.exp(_SPREAD * see.normal("duration", reading.session, reading.position))
                found.append(Answer(name, value, target, round(duration, 1)))
    return found


class _Sight:
    """What a reader sees of a case for a question: normal numbers that are the same whenever they are asked for."""

    def __init__(self, protocol: Protocol, reading: Reading, skill: Skill, question: str, target: str) -> None:
        self.protocol, self.reading, self.skill, self.target = protocol, reading, skill, target
        self.question = question
        self.truth = protocol.truth(question, reading.case, target)
        self.is_generated = protocol.arms[reading.arm].generated

    def normal(self, *words: object) -> float:
        """A standard normal number, by what it belongs to."""
        return float(self.generator(*words).standard_normal())

    def generator(self, *words: object) -> np.random.Generator:
        digest = rank(self.skill.seed, "simulated", self.protocol.name, self.question, *words)
        return np.random.default_rng(int.from_bytes(digest[:8], "big"))

    def noise(self, case: float = _CASE, reader: float = _READER) -> float:
        """Of variance 1, shared between readings of the same case, and of the same reader in the same arm."""
        each = self.reading
        return (
            math.sqrt(case) * self.normal("case", each.case, self.target)
            + math.sqrt(reader) * self.normal("reader", each.reader, each.arm)
            + math.sqrt(1 - case - reader)
            * self.normal("reading", each.reader, each.session, each.position, self.target)
        )

    def separation(self, area: float) -> float:
        """Of the means of two classes with that area under the curve."""
        return math.sqrt(2) * float(norm.ppf(area))


def _value(question: Question, see: _Sight) -> Any:
    match question:
        case YesNo():
            return _yes_no(question, see)
        case Category():
            return _category(question, see)
        case RealOrGenerated():
            return _origin(question, see)
        case Likert():
            return _level(question.levels, see)
        case Items():
            level = _level(question.levels, see)
            return dict.fromkeys(question.items, level)
        case Marks():
            return _marks(question, see)
        case Text():
            return "nothing" if question.required else None


def _yes_no(question: YesNo, see: _Sight) -> Any:
    apart = see.separation(see.skill.auc[see.reading.arm])
    seen = see.noise() + (apart / 2 if see.truth == YES else -apart / 2)
    word = YES if seen > 0 else NO
    return {"answer": word, "suspicion": _percent(seen)} if question.suspicion else word


def _category(question: Category, see: _Sight) -> str:
    count = len(question.categories)
    seen = see.noise(case=_AGREEMENT)
    if see.truth is not None:
        apart = see.separation(see.skill.auc[see.reading.arm])
        place = question.categories.index(see.truth) + seen / max(apart, 0.5)
        return question.categories[min(max(round(place), 0), count - 1)]
    return question.categories[min(int(count * norm.cdf(seen)), count - 1)]


def _origin(question: RealOrGenerated, see: _Sight) -> Any:
    apart = see.separation(see.skill.tell)
    seen = see.noise() + (apart / 2 if see.is_generated else -apart / 2)
    word = GENERATED if seen > 0 else REAL
    return {"answer": word, "confidence": 2 * _percent(abs(seen)) - 100} if question.confidence else word


def _level(levels: int, see: _Sight) -> int:
    apart = see.separation(see.skill.tell)
    seen = see.noise() - (apart / 2 if see.is_generated else -apart / 2)
    return min(1 + int(levels * norm.cdf(seen)), levels)


def _marks(question: Marks, see: _Sight) -> list[dict[str, Any]]:
    each = see.reading
    area = see.skill.auc[each.arm]
    random = see.generator("marks", each.reader, each.session, each.position)
    found = [_mark(question, place, random, area) for place in see.truth or () if random.random() < area]
    images = see.protocol.image_count(each.case, each.arm)
    for _ in range(random.poisson(_FALSE_MARKS)):
        place = {
            "image": int(random.integers(1, images + 1)),
            "x": random.uniform(0, 800),
            "y": random.uniform(0, 2000),
        }
        found.append(_mark(question, place, random, 1 - area))
    return found


def _mark(question: Marks, place: Mapping[str, Any], random: np.random.Generator, area: float) -> dict[str, Any]:
    radius = place.get("radius", question.acceptance_radius)
    x, y = (max(0.0, place[axis] + _JITTER * radius * random.standard_normal()) for axis in ("x", "y"))
    mark = {"shape": question.shapes[0], "image": place["image"], "x": round(x, 1), "y": round(y, 1)}
    if mark["shape"] == "ellipse":
        mark |= {"radius_x": radius, "radius_y": radius, "angle": 0.0}
    return mark | ({"rating": _percent(norm.ppf(area) + random.standard_normal())} if question.rated else {})


def _percent(seen: float) -> int:
    """From 0 to 100; what lies at the border of two classes is 50."""
    return round(100 * float(norm.cdf(seen)))
