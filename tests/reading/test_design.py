"""Designs, thousands of them: balanced, separated, drawn again from the seed, and silent about arms."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammosynth.errors import ProtocolError
from mammosynth.reading.design import TRAINING, Reading, design_sha256, readings
from mammosynth.reading.protocol import Protocol, arms_by_patient
from tests.support.studies import case, protocol

THREE = {arm: {"title": arm, "generated": arm != "real"} for arm in ("real", "model-a", "model-b")}


@st.composite
def protocols(draw: Any) -> Protocol:
    """Studies of every shape: arms, readers, groups, sessions, several cases a patient, unpaired cases, repeats."""
    arms = list(THREE)[: draw(st.integers(1, 3))]
    readers = draw(st.integers(1, 7))
    groups = draw(st.integers(1, min(readers, 3)))
    patients = draw(st.lists(st.tuples(st.integers(1, 2), st.integers(1, len(arms)), st.booleans()), min_size=6))
    cases: dict[str, Any] = {}
    for number, (count, of_arms, truth) in enumerate(patients):
        start = draw(st.integers(0, len(arms) - 1))
        own = sorted({arms[(start + place) % len(arms)] for place in range(of_arms)})
        for breast in range(count):
            cases[f"{number}-{breast}"] = case(
                f"P{number}", own, tag=breast, breasts=["RL"[breast]], truth={"lesion": "yes" if truth else "no"}
            )
    for number in range(draw(st.integers(0, 3))):
        cases[f"t-{number}"] = case(f"T{number}", arms, training=True)
    when = draw(st.sampled_from(["own_session", "same_session", None]))
    repeats = {"cases": draw(st.integers(1, 2)), "when": when} if when else None
    return protocol(
        reading_unit="breast",
        arms={arm: THREE[arm] for arm in arms},
        reference_arm=arms[0],
        readers=[f"reader-{number}" for number in range(readers)],
        endpoints={"agreement": {"title": "k", "question": "lesion", "statistic": "reader_agreement"}},
        design={
            "kind": "split_plot" if groups > 1 else "fully_crossed",
            "groups": groups,
            "sessions": draw(st.integers(len(arms), len(arms) + 2)),
            "repeats": repeats,
            "seed": draw(st.integers(0, 2**63 - 1)),
        },
        cases=cases,
    )


def design_of(study: Protocol) -> tuple[Reading, ...] | None:
    """The design; None if the study is too small for its repeats, or a breast would follow itself."""
    try:
        return readings(study)
    except ProtocolError as error:
        assert "to repeat; ask for fewer" in str(error) or "must follow each other" in str(error)  # noqa: PT017
        return None


def by_session(design: tuple[Reading, ...]) -> dict[tuple[str, int], list[Reading]]:
    found: dict[tuple[str, int], list[Reading]] = defaultdict(list)
    for each in design:
        found[each.reader, each.session].append(each)
    return found


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(protocols())
def test_any_design_is_complete_separated_and_balanced(study: Protocol) -> None:
    design = design_of(study)
    if design is None:
        return
    assert design == readings(study)
    check_completeness(study, design)
    check_separation(study, design)
    check_balance(study, design)


def check_completeness(study: Protocol, design: tuple[Reading, ...]) -> None:
    """Each reader reads each case of their group once in each of its arms; each patient belongs to one group."""
    groups = defaultdict(list)
    for reader in study.readers:
        own = [each for each in design if each.reader == reader and each.session != TRAINING]
        first = Counter((each.case, each.arm) for each in own if each.occasion == 1)
        assert set(first.values()) <= {1}
        read = {name for name, _ in first}
        assert set(first) == {(name, arm) for name in read for arm in study.cases[name].images}
        again = [(each.case, each.arm) for each in own if each.occasion == 2]
        assert len(again) == len(set(again)) == (study.design.repeats.cases if study.design.repeats else 0)
        assert set(again) <= set(first)
        groups[frozenset(study.cases[name].patient for name in read)].append(reader)
    patients = [patient for group in groups for patient in group]
    assert sorted(patients) == sorted(arms_by_patient(study))
    assert len(groups) == study.design.groups
    assert max(map(len, groups.values())) - min(map(len, groups.values())) <= 1
    assert max(map(len, groups)) - min(map(len, groups)) <= 1


def check_separation(study: Protocol, design: tuple[Reading, ...]) -> None:
    """No two kinds of a patient in a session, no breast twice in a row, training apart and before."""
    for (_, session), own in by_session(design).items():
        arms = defaultdict(set)
        for each in own:
            assert study.cases[each.case].training == (session == TRAINING)
            arms[study.cases[each.case].patient].add(each.arm)
        assert all(len(found) == 1 for found in arms.values())
        breasts = [(study.cases[each.case].patient, *study.cases[each.case].breasts) for each in own]
        assert all(one != other for one, other in pairwise(breasts))
        assert [each.position for each in own] == list(range(1, len(own) + 1))
        check_repeats_are_late(own)


def check_repeats_are_late(own: list[Reading]) -> None:
    first = {each.case: each.position for each in own if each.occasion == 1}
    count = len(first)
    for each in own:
        if each.occasion == 2 and each.case in first:
            assert first[each.case] <= count // 3
            assert each.position > count // 2


def check_balance(study: Protocol, design: tuple[Reading, ...]) -> None:
    """Patients alike in cases, arms and truth are dealt so evenly that no two sessions differ by more than one."""
    arms = arms_by_patient(study)
    counts = Counter(each.patient for each in study.test_cases.values())
    truth = {each.patient: each.truth["lesion"] for each in study.test_cases.values()}
    kinds = defaultdict(set)
    for patient in arms:
        kinds[counts[patient], tuple(arms[patient]), truth[patient]].add(patient)
    for reader in study.readers:
        own = [each for each in design if each.reader == reader and each.occasion == 1 and each.session != TRAINING]
        sessions = range(1, study.design.sessions + 1)
        for patients in kinds.values():
            for arm in study.arms:
                seen = {(study.cases[e.case].patient, e.session) for e in own if e.arm == arm}
                found = Counter(session for patient, session in seen if patient in patients)
                dealt = [found[session] for session in sessions]
                assert max(dealt) - min(dealt) <= 1


@pytest.mark.slow
def test_each_patient_is_seen_first_in_each_arm_by_as_many_readers() -> None:
    for seed in range(200):
        study = protocol(readers=["a", "b", "c", "d"], design={"sessions": 2, "seed": seed})
        first = Counter((each.case, each.arm) for each in readings(study) if each.session == 1)
        assert set(first.values()) == {2}


@pytest.mark.slow
def test_no_position_tells_the_arm() -> None:
    """Over 3000 seeds, each arm is at each position of each session in half of the designs, after either arm."""
    seeds, cases = 3000, 8
    at, after = np.zeros((2, cases)), np.zeros((2, 2))
    people = {f"case-{n}": case(f"P{n}", truth={"lesion": "yes" if n % 2 else "no"}) for n in range(cases)}
    base = protocol(readers=["ann"], cases=people)
    for seed in range(seeds):
        study = base.model_copy(update={"design": base.design.model_copy(update={"seed": seed})})
        for (_, session), own in by_session(readings(study)).items():
            arms = [each.arm == "synthesized" for each in own]
            at[session - 1] += arms
            for one, other in pairwise(arms):
                after[int(one), int(other)] += session == 1
    sd = np.sqrt(seeds / 4)
    assert np.abs(at - seeds / 2).max() < 4.5 * sd  # 16 positions: beyond 4.5 once in 9000 runs
    same = np.trace(after) / after.sum()  # half of the cases in each arm, without replacement: 3 of 7
    assert same == pytest.approx(3 / 7, abs=4.5 * np.sqrt(0.25 / after.sum()))


@pytest.mark.slow
def test_repeats_do_not_tell_the_arm_either() -> None:
    study = protocol(
        readers=["ann"],
        cases={f"case-{n}": case(f"P{n}") for n in range(12)},
        design={"sessions": 2, "seed": 0, "repeats": {"cases": 2, "when": "same_session"}},
    )
    counts = Counter()
    for seed in range(2000):
        drawn = study.model_copy(update={"design": study.design.model_copy(update={"seed": seed})})
        counts.update(each.arm for each in readings(drawn) if each.occasion == 2 and each.session == 1)
    assert counts["clinical"] == pytest.approx(1000, abs=4.5 * np.sqrt(500))


def test_the_seed_alone_decides_and_the_hash_tells_any_change() -> None:
    study = protocol()
    design = readings(study)
    assert design == readings(protocol())
    assert readings(protocol(design={"sessions": 2, "seed": 2})) != design
    first = design[0]
    changes = [replace(first, **{name: value}) for name, value in vars(replace(first, arm="x", case="y")).items()]
    changed = [each for each in changes if each != first] + [replace(first, position=9), replace(first, occasion=2)]
    hashes = {design_sha256(design), *(design_sha256((each, *design[1:])) for each in changed)}
    assert len(hashes) == 5


def test_orders_can_be_drawn_without_this_package() -> None:
    """The first session of a reader: cases by SHA-256 of a JSON list that names what is drawn."""
    import hashlib
    import json

    study = protocol(readers=["ann"])
    own = [each for each in readings(study) if each.session == 1]
    items = sorted(
        ((each.case, each.arm) for each in own),
        key=lambda item: hashlib.sha256(json.dumps([1, "order", "ann", "1", str(item)]).encode()).digest(),
    )
    assert items == [(each.case, each.arm) for each in own]


def test_too_many_images_of_one_breast_are_refused() -> None:
    cases = {f"case-{n}": case("P1", ["clinical"], tag=n) for n in range(4)} | {"case-9": case("P2", ["clinical"])}
    study = protocol(reading_unit="image", cases=cases)
    with pytest.raises(ProtocolError, match=r"so many of one breast \(P1 R\) that two must follow each other"):
        readings(study)
