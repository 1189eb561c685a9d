"""A report says what was done, and of the plan no more than what was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mammosynth.reading.analysis.analyse import analyse_study
from mammosynth.reading.analysis.closed_study import ClosedStudy
from mammosynth.reading.analysis.conduct import conduct_of
from mammosynth.reading.answers import Answer
from mammosynth.reading.protocol import Protocol, protocol_from_canonical
from mammosynth.reading.report.words import flow, methods
from mammosynth.reading.store import StudyStore
from tests.support.studies import case, protocol, yes

REPEATED = {"sessions": 2, "seed": 1, "repeats": {"cases": 2}}


class Study:
    """A study under way, at a time that tests set."""

    def __init__(self, place: Path, protocol: Protocol) -> None:
        self.now = datetime(2026, 3, 1, 9, tzinfo=UTC)
        self.store = StudyStore(place, lambda: self.now)
        self.store.open_study(protocol, "owner")
        self.name = protocol.name

    def read(self, reader: str, session: int, count: int) -> None:
        self.store.start_session(self.name, reader, session)
        for position in range(1, count + 1):
            self.store.save(self.name, reader, session, position, [Answer("lesion", yes(10 * position))])

    def content(self, reason: str = "") -> dict[str, Any]:
        self.store.close_study(self.name, by="owner", reason=reason)
        return self.store.content(self.name)


def told(content: dict[str, Any]) -> tuple[str, dict[str, str]]:
    study = ClosedStudy.of(content)
    results = analyse_study(study)
    return methods(study.protocol, results), dict(flow(study.protocol, results))


@pytest.mark.parametrize("arm", ["clinical", "synthesized"])
def test_no_agreement_between_arms_is_told_of_a_study_that_was_closed_before_a_second_arm_was_read(
    tmp_path: Path, arm: str
) -> None:
    agreement = {"title": "Agreement of arms", "question": "lesion", "statistic": "arm_agreement"}
    study = Study(tmp_path / "s.sqlite", protocol(endpoints={"arms": agreement}))
    reader = next(
        each["reader"]
        for each in study.store.content(study.name)["readings"]
        if (each["session"], each["position"], each["arm"]) == (1, 1, arm)
    )
    study.read(reader, 1, 1)
    content = study.content("no money")
    result = analyse_study(ClosedStudy.of(content))["endpoints"]["arms"]
    assert result["problem"] == f"lesion was answered in {arm} alone, expected clinical, and synthesized"
    sentences, _ = told(content)
    assert "kappa" not in sentences
    assert "this could not be computed: Agreement of arms." in sentences


def test_a_study_that_was_closed_early_says_who_read_how_much_and_plans_are_told_as_plans(tmp_path: Path) -> None:
    study = Study(tmp_path / "s.sqlite", protocol(design=REPEATED))
    study.read("ann", 1, 6)
    study.read("bob", 1, 1)
    sentences, steps = told(study.content("no money"))
    assert "It was planned that 3 readers read 6 cases (a patient each) of 6 patients in 2 arms" in sentences
    assert (
        "Each reader was to read each case in each arm, in 2 sessions at least 14 days apart, in an order" in sentences
    )
    assert "closed early (reason: no money), after 7 of 42 planned readings" in sentences
    assert "42 planned readings (ann: 6 of 14; bob: 1 of 14; eve: 0 of 14)" in sentences
    assert "2 of 3 readers had read 6 of 6 cases, of 6 patients, in at least one arm" in sentences
    assert "Of 6 second readings, 0 took place" in sentences
    assert "Of what was declared, this could not be computed: AUC." in sentences
    for untrue in ("Each reader read", "were read twice", "was shown in two arms", "adjusted", "Obuchowski"):
        assert untrue not in sentences
    assert steps["Readings complete"].startswith("7 (ann: 6 of 14; bob: 1 of 14; eve: 0 of 14); closed before the rest")
    assert steps["Analysed"] == "AUC: not computed"


def test_a_reading_that_was_begun_only_is_not_one_that_was_read(tmp_path: Path) -> None:
    study = Study(tmp_path / "s.sqlite", protocol())
    study.store.start_session("small", "ann", 1)
    study.store.show("small", "ann", 1, 1)
    content = study.content("wrong images")
    found = conduct_of(protocol_from_canonical(content["study"]["protocol"]), content)
    assert (found["readings_planned"], found["readings_begun"], found["readings_complete"]) == (36, 1, 0)
    assert (found["readers_read"], found["cases_read"], found["patients_read"]) == (0, 0, 0)
    assert found["by_reader"]["ann"] == {"planned": 12, "begun": 1, "complete": 0}


def test_a_study_that_was_read_as_planned_says_so_and_not_that_it_was_planned(tmp_path: Path) -> None:
    study = Study(tmp_path / "s.sqlite", protocol(readers=["ann"], design=REPEATED))
    for session, count in ((1, 6), (2, 6), (3, 2)):
        study.read("ann", session, count)
        study.now += timedelta(days=14)
    sentences, steps = told(study.content())
    assert "1 reader read 6 cases (a patient each)" in sentences
    assert "Each reader read each case in each arm, in 2 sessions at least 14 days apart, in an order" in sentences
    assert "no patient was shown in two arms in one session" in sentences
    assert "2 cases were read twice by each reader." in sentences
    assert "was planned" not in sentences
    assert "closed early" not in sentences
    assert steps["Readings complete"] == "14"
    assert steps["Wash-out cut short"] == "never"


def test_a_wash_out_that_was_cut_short_is_told_with_its_length_and_reason_and_one_that_was_not_used_is_none(
    tmp_path: Path,
) -> None:
    study = Study(tmp_path / "s.sqlite", protocol(readers=["ann", "bob", "eve"]))
    for reader, days in (("ann", 3.5), ("bob", 14), ("eve", 0)):
        study.read(reader, 1, 6)
        study.store.override_washout("small", reader, 2, by="owner", reason="leaves the hospital")
        study.store.override_washout("small", reader, 2, by="owner", reason="leaves the hospital soon")
        study.now += timedelta(days=days)
        if days:
            study.read(reader, 2, 6)
    content = study.content("eve is ill")
    sentences, steps = told(content)
    assert "1 session began before the wash-out was over, the earliest after 3.5 days (reason: leaves the" in sentences
    assert steps["Wash-out cut short"] == "session 2 of ann after 3.5 days, leaves the hospital soon"
    found = conduct_of(protocol_from_canonical(content["study"]["protocol"]), content)["early_sessions"]
    assert found == [{"reader": "ann", "session": 2, "days": 3.5, "by": "owner", "reason": "leaves the hospital soon"}]


@pytest.mark.parametrize("count", [1, 2])
def test_cases_that_some_arms_do_not_show_are_not_said_to_be_read_in_each(count: int, tmp_path: Path) -> None:
    cases = {f"case-{n}": case(f"P{n}", ("clinical",), truth={"lesion": "yes"}) for n in range(count)}
    study = Study(tmp_path / "s.sqlite", protocol(readers=["ann"], cases=cases, design={"sessions": 1, "seed": 1}))
    study.read("ann", 1, count)
    sentences, steps = told(study.content())
    words = "1 case (a patient each) of 1 patient" if count == 1 else "2 cases (a patient each) of 2 patients"
    assert f"1 reader read {words} in 2 arms" in sentences
    assert "Each reader read each case in each arm that shows it, in 1 session, in an order" in sentences
    assert steps["Cases"].startswith(f"{words.replace(' (a patient each)', '')} (Clinical: {count}; Synthesized: 0)")
