"""`readings`: who reads which case in which arm when, from the protocol and its seed alone.

Every choice is an order by SHA-256 of the seed and of what is chosen, so that anybody can draw the same with any
language. Patients are dealt to sessions in turn, those alike (as many cases, the same arms, the same truth) one after
another, and each reader begins one place further on: arms are balanced within sessions, and over readers each patient
is seen first in each arm equally often.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from mammosynth.counts import count_of
from mammosynth.errors import ProtocolError
from mammosynth.reading.protocol import Protocol, arms_by_patient

TRAINING = 0
"""The session of training cases, before the first."""
_REPEATS_AFTER, _REPEATED_BEFORE = 2, 3  # repeats come in the later half, of cases of the first third
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Reading:
    """One case before one reader.

    Attributes:
        session: From 1; `TRAINING` for training cases.
        position: In the session, from 1.
        occasion: 1, or 2 where the same reader reads the case again in the same arm.
    """

    reader: str
    session: int
    position: int
    case: str
    arm: str
    occasion: int = 1


def readings(protocol: Protocol) -> tuple[Reading, ...]:
    """Every reading of a study, by reader, session and position.

    Raises:
        ProtocolError: If no order keeps images of one breast apart, or there are too few cases to repeat.
    """
    patients = _dealt(protocol)
    starts = {reader: place for place, reader in enumerate(_drawn(protocol, protocol.readers, "readers"))}
    found: list[Reading] = []
    for reader in protocol.readers:
        group = starts[reader] % protocol.design.groups
        mine = [patient for number, patient in enumerate(patients) if number % protocol.design.groups == group]
        found += _training(protocol, reader)
        found += _sessions(protocol, reader, mine, starts[reader] // protocol.design.groups)
    return tuple(found)


def design_sha256(design: Iterable[Reading]) -> str:
    """The hash of all readings, in their order."""
    text = json.dumps([asdict(each) for each in design], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def rank(seed: int, *words: object) -> bytes:
    """Where something comes in a random order: SHA-256 of a JSON list of the seed and the words that name it."""
    return hashlib.sha256(json.dumps([seed, *map(str, words)], ensure_ascii=False).encode()).digest()


def _drawn(protocol: Protocol, items: Iterable[_Item], *purpose: object) -> list[_Item]:
    """Items in the random order of a purpose."""
    return sorted(items, key=lambda item: rank(protocol.design.seed, *purpose, item))


def _dealt(protocol: Protocol) -> list[str]:
    """Patients in the order in which they are dealt: alike ones together, most cases first, random among themselves."""
    arms = arms_by_patient(protocol)
    cases = Counter(case.patient for case in protocol.test_cases.values())
    truths: dict[str, list[str]] = {}
    for case in protocol.test_cases.values():
        truths.setdefault(case.patient, []).append(json.dumps(case.truth, sort_keys=True, default=str))

    def kind(patient: str) -> tuple[Any, ...]:
        return -cases[patient], arms[patient], sorted(_coarse(truth) for truth in truths[patient])

    return sorted(_drawn(protocol, arms, "patients"), key=kind)


def _coarse(truth: str) -> str:
    """Truth without what hardly two cases share: where exactly lesions lie."""
    return json.dumps(
        {name: bool(value) if isinstance(value, list) else value for name, value in json.loads(truth).items()}
    )


def _training(protocol: Protocol, reader: str) -> list[Reading]:
    """Each training case once, in one of its arms, arms in turn."""
    cases = [name for name, case in protocol.cases.items() if case.training]
    chosen: dict[str, str] = {}
    for number, case in enumerate(_drawn(protocol, cases, "training arms", reader)):
        arms = [arm for arm in protocol.arms if arm in protocol.cases[case].images]
        chosen[case] = arms[number % len(arms)]
    order = _apart(_drawn(protocol, cases, "training", reader), lambda case: _breast(protocol, case), None)
    return _numbered(reader, TRAINING, [(case, chosen[case], 1) for case in order])


def _sessions(protocol: Protocol, reader: str, patients: Sequence[str], start: int) -> list[Reading]:
    """All sessions of a reader."""
    found: list[Reading] = []
    content = _dealt_to_sessions(protocol, patients, start)
    repeats = protocol.design.repeats
    for session, cases in content.items():
        order = _apart(_drawn(protocol, cases, "order", reader, session), lambda item: _breast(protocol, item[0]), None)
        items = [(case, arm, 1) for case, arm in order]
        if repeats and repeats.when == "same_session":
            share = _shares(repeats.cases, len(content), start)[session - 1]
            items = _with_repeats(protocol, reader, session, items, share)
        found += _numbered(reader, session, items)
    if repeats and repeats.when == "own_session":
        found += _repeat_session(protocol, reader, found, repeats.cases)
    return found


def _dealt_to_sessions(protocol: Protocol, patients: Sequence[str], start: int) -> dict[int, list[tuple[str, str]]]:
    """Cases and arms by session: a patient's arms go to sessions in a row, from one that moves on with each patient."""
    count = protocol.design.sessions
    arms = arms_by_patient(protocol)
    session_of = {
        (patient, arm): (start + number + place) % count + 1
        for number, patient in enumerate(patients)
        for place, arm in enumerate(arms[patient])
    }
    content: dict[int, list[tuple[str, str]]] = {session: [] for session in range(1, count + 1)}
    for name, case in protocol.test_cases.items():
        for arm in case.images:
            if (case.patient, arm) in session_of:
                content[session_of[case.patient, arm]].append((name, arm))
    return content


def _with_repeats(
    protocol: Protocol, reader: str, session: int, items: Sequence[tuple[str, str, int]], count: int
) -> list[tuple[str, str, int]]:
    """A session in whose later half some cases of its first third come again."""
    early = items[: len(items) // _REPEATED_BEFORE]
    again = _balanced(protocol, early, count, "repeats", reader, session)
    first = list(items[: -(-len(items) // _REPEATS_AFTER)])
    rest = _drawn(protocol, [*items[len(first) :], *again], "order with repeats", reader, session)
    last = _breast(protocol, first[-1][0]) if first else None
    return [*first, *_apart(rest, lambda item: _breast(protocol, item[0]), last)]


def _repeat_session(protocol: Protocol, reader: str, before: Sequence[Reading], count: int) -> list[Reading]:
    """A last session with some cases again, each patient in one arm only."""
    chosen: dict[str, tuple[str, str, int]] = {}
    for each in _drawn(protocol, before, "repeats", reader):
        chosen.setdefault(protocol.cases[each.case].patient, (each.case, each.arm, 1))
    again = _balanced(protocol, list(chosen.values()), count, "repeats", reader)
    session = protocol.design.sessions + 1
    order = _apart(_drawn(protocol, again, "order", reader, session), lambda item: _breast(protocol, item[0]), None)
    return _numbered(reader, session, order)


def _balanced(
    protocol: Protocol, items: Sequence[tuple[str, str, int]], count: int, *purpose: object
) -> list[tuple[str, str, int]]:
    """That many of the items as second readings, arms in turn from a random one."""
    by_arm = [
        [item for item in _drawn(protocol, items, *purpose) if item[1] == arm]
        for arm in _drawn(protocol, protocol.arms, "arms of", *purpose)
    ]
    turns = [row for row in by_arm if row]
    found: list[tuple[str, str, int]] = []
    while turns and len(found) < count:
        found += [(case, arm, 2) for case, arm, _ in (row.pop(0) for row in turns[: count - len(found)])]
        turns = [row for row in turns if row]
    if len(found) < count:
        raise ProtocolError(
            f"design.repeats.cases asks for {count} in a session that has {count_of(len(items), 'case')} to repeat; "
            "ask for fewer"
        )
    return found


def _shares(total: int, parts: int, start: int) -> list[int]:
    """A number in nearly equal parts, the larger ones at another place for each start."""
    return [total // parts + ((part + start) % parts < total % parts) for part in range(parts)]


def _breast(protocol: Protocol, case: str) -> tuple[str, ...]:
    """What must not be seen twice in a row: a breast, or a patient where a case is a patient."""
    found = protocol.cases[case]
    return (found.patient, *(() if protocol.reading_unit == "patient" else map(str, found.breasts)))


def _apart(items: Sequence[_Item], breast: Callable[[_Item], Any], last: Any) -> list[_Item]:
    """Items in their order, but never two of a breast in a row: each time the first that may come.

    Where one breast has so many left that they would not fit otherwise, it comes first.

    Args:
        items: In a random order.
        breast: Of an item.
        last: The breast before the first.

    Raises:
        ProtocolError: If there is no such order.
    """
    left = list(items)
    counts = Counter(breast(item) for item in left)
    bound = max(counts.values(), default=0)
    order: list[_Item] = []
    while left:
        most, count = counts.most_common(1)[0] if 2 * bound > len(left) else ((), 0)
        must = most if 2 * count > len(left) else None
        place = next((n for n, item in enumerate(left) if _may_come(breast(item), last, must)), None)
        if place is None:
            raise ProtocolError(
                f"a session has {len(items)} cases, so many of one breast ({' '.join(map(str, most or last))}) that "
                "two must follow each other; use more sessions, or fewer images of a breast"
            )
        item = left.pop(place)
        last = breast(item)
        counts[last] -= 1
        order.append(item)
    return order


def _may_come(breast: Any, last: Any, must: Any) -> bool:
    return breast != last and must in (None, breast)


def _numbered(reader: str, session: int, items: Sequence[tuple[str, str, int]]) -> list[Reading]:
    return [
        Reading(reader, session, position, case, arm, occasion)
        for position, (case, arm, occasion) in enumerate(items, start=1)
    ]
