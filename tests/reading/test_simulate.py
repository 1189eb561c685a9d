"""Simulated readers have the skill that was asked for, are told from people for good, and go on where they stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mammosynth.errors import ConflictError, InvalidParameterError
from mammosynth.reading.answers import Answer, check_answer
from mammosynth.reading.design import readings
from mammosynth.reading.new_protocol import TEMPLATES, new_protocol
from mammosynth.reading.protocol import Protocol, parse_protocol
from mammosynth.reading.simulate import Skill, answers_of, simulate
from mammosynth.reading.store import StudyStore
from mammosynth.reading.verify import problems_of
from tests.support.studies import case, protocol, yes

SKILL = Skill({"clinical": 0.95, "synthesized": 0.75}, seed=1)


class StoppedError(Exception):
    """Somebody pressed Ctrl-C."""


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_question_of_every_template_takes_their_answers(template: str) -> None:
    study = parse_protocol(new_protocol(template))
    skill = Skill(dict.fromkeys(study.arms, 0.9), 0.6, 3)
    for reading in readings(study)[:40]:
        answers = answers_of(study, reading, skill)
        assert answers == answers_of(study, reading, skill)
        for answer in answers:
            check_answer(study, reading, answer)


@pytest.mark.slow
def test_their_skill_is_what_was_asked_for() -> None:
    """Mean AUC of 2 readers over 10 seeds, 200 cases each."""
    cases = {f"case-{n}": case(f"P{n}", truth={"lesion": "yes" if n % 2 else "no"}) for n in range(200)}
    study = protocol(cases=cases, readers=["ann", "bob"])
    design = readings(study)
    found: dict[str, list[float]] = {arm: [] for arm in study.arms}
    for seed in range(10):
        skill = Skill(SKILL.auc, seed=seed)
        for arm in study.arms:
            own = [each for each in design if each.arm == arm]
            truth = [study.truth("lesion", each.case, "case") == "yes" for each in own]
            ratings = [answers_of(study, each, skill)[0].value["suspicion"] for each in own]
            found[arm].append(roc_auc_score(truth, ratings))
    for arm, areas in found.items():
        assert np.mean(areas) == pytest.approx(SKILL.auc[arm], abs=0.03)


def small(folder: Path) -> tuple[StudyStore, Protocol]:
    store = StudyStore(folder / "s.sqlite")
    store.open_study(protocol(), "owner")
    return store, protocol()


@pytest.mark.slow
def test_an_interrupted_simulation_goes_on_and_gives_the_same_answers(tmp_path: Path) -> None:
    def answers(store: StudyStore) -> list[tuple]:
        names = ("reader", "session", "position", "content")
        records = store.content("small")["records"]
        return [tuple(record[name] for name in names) for record in records if record["kind"] == "answered"]

    def stop(done: int, total: int, reader: str) -> None:
        if done == 20:
            raise StoppedError

    (tmp_path / "one").mkdir()
    whole, _ = small(tmp_path / "one")
    simulate(whole, "small", SKILL, "owner", lambda *_: None)
    store, _ = small(tmp_path)
    with pytest.raises(StoppedError):
        simulate(store, "small", SKILL, "owner", stop)
    simulate(store, "small", SKILL, "owner", lambda *_: None)
    assert answers(store) == answers(whole)
    assert store.study("small").is_simulated
    assert problems_of(store.content("small")) == []
    store.close()
    whole.close()


def test_nobody_is_simulated_in_a_study_that_people_read(tmp_path: Path) -> None:
    store, _ = small(tmp_path)
    store.start_session("small", "ann", 1)
    store.save("small", "ann", 1, 1, [Answer("lesion", yes())])
    with pytest.raises(ConflictError, match="small has readers already; simulate readers in a study that was just"):
        simulate(store, "small", SKILL, "owner", lambda *_: None)
    store.close()


@pytest.mark.parametrize(
    ("skill", "words"),
    [
        (Skill({"clinical": 0.9}), "the skill is of clinical, expected one AUC for each of clinical, synthesized"),
        (Skill({"clinical": 0.9, "synthesized": 0.4}), "the skill synthesized is 0.4, expected 0.5 to 0.999"),
        (Skill({"clinical": 0.9, "synthesized": 0.9}, tell=float("nan")), "the skill tell is nan, expected 0.001"),
    ],
)
def test_a_skill_that_none_has_is_refused(skill: Skill, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=words):
        skill.check(protocol())
