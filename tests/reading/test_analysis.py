"""Endpoints from answers: the reference study's printed results, split plots, marks, and whatever is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mammosynth.reading.analysis.analyse import analyse_study
from mammosynth.reading.analysis.closed_study import ClosedStudy
from mammosynth.reading.analysis.comparisons import compare_arms, decisions_of, groups_of
from mammosynth.reading.analysis.table import answer_table
from mammosynth.reading.answers import Answer
from mammosynth.reading.new_protocol import new_protocol
from mammosynth.reading.protocol import Protocol, parse_protocol
from mammosynth.reading.report.write import write_results
from mammosynth.reading.simulate import Skill, simulate
from mammosynth.reading.statistics.estimate import Bootstrap
from mammosynth.reading.store import StudyStore
from tests.support.studies import case, protocol, yes

CEM = parse_protocol(new_protocol("cem-s3"))
# Zormpas-Petridis et al. (2026), Table 3: of each reader, found of 37 positive, right of 26 negative breasts.
PRINTED = {
    "clinical": {"hits": (34, 32, 31), "right": (23, 24, 25), "means": (0.874, 0.923, 0.894)},
    "synthesized": {"hits": (26, 28, 26), "right": (23, 23, 24), "means": (0.721, 0.897, 0.794)},
}


def decisions() -> pd.DataFrame:
    """Decisions with the printed counts."""
    rows = []
    for arm, counts in PRINTED.items():
        for reader, hits, right in zip(CEM.readers, counts["hits"], counts["right"], strict=True):
            calls = [True] * hits + [False] * (37 - hits) + [False] * right + [True] * (26 - right)
            for number, call in enumerate(calls):
                row = {"reader": reader, "arm": arm, "case": f"{number}", "item": f"{number}", "patient": f"{number}"}
                rows.append({**row, "is_positive": number < 37, "decision": call, "rating": float(call)})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("name", "place"), [("sensitivity", 0), ("specificity", 1), ("accuracy", 2)])
def test_the_printed_results_of_the_reference_study_come_out(name: str, place: int) -> None:
    """Specificity of synthesized images is 70 / 78 = 0.897; the paper prints 90.0 % in its text."""
    found = compare_arms(CEM, CEM.endpoints[name], decisions())
    for arm, counts in PRINTED.items():
        assert found["arms"][arm].value == pytest.approx(counts["means"][place], abs=5e-4)
    difference = found["differences"]["synthesized"]
    expected = PRINTED["synthesized"]["means"][place] - PRINTED["clinical"]["means"][place]
    assert difference["value"] == pytest.approx(expected, abs=1e-3)
    assert difference["low"] < difference["value"] < difference["high"]


def test_each_reader_has_the_printed_confusion() -> None:
    found = decisions_of(CEM, decisions(), Bootstrap(draws=100))
    counts = {(row["arm"], row["reader"]): row["confusion"] for row in found}
    for arm, printed in PRINTED.items():
        for reader, hits, right in zip(CEM.readers, printed["hits"], printed["right"], strict=True):
            assert counts[arm, reader]["true_positive"] == hits
            assert counts[arm, reader]["true_negative"] == right


def simulated(folder: Path, study: Protocol, skill: Skill) -> dict[str, Any]:
    store = StudyStore(folder / "s.sqlite")
    store.open_study(study, "owner")
    simulate(store, study.name, skill, "owner", lambda *_: None)
    store.close_study(study.name, by="owner")
    content = store.content(study.name)
    store.close()
    return content


@pytest.mark.slow
def test_a_split_plot_with_marks_is_analysed_by_groups(tmp_path: Path) -> None:
    study = parse_protocol(new_protocol("lesion-marks"))
    content = simulated(tmp_path, study, Skill({"clinical": 0.95, "synthesized": 0.75}, seed=2))
    table = answer_table(study, content)
    groups = list(groups_of(study, table[table["question"] == "lesion"]))
    assert [group["reader"].nunique() for group in groups] == [2, 2]
    assert not set(groups[0]["case"]) & set(groups[1]["case"])
    results = analyse_study(ClosedStudy.of(content))
    marks, auc = results["endpoints"]["marks"], results["endpoints"]["auc"]
    assert marks["arms"]["clinical"]["value"] > marks["arms"]["synthesized"]["value"]
    by_reader = [row["value"] for row in auc["readers"] if row["treatment"] == "clinical"]
    assert auc["arms"]["clinical"]["value"] == pytest.approx(np.mean(by_reader))
    assert auc["differences"]["synthesized"]["test"]["margin"] == 0.1
    one_sided = auc["differences"]["synthesized"]["test"]["p"]
    assert results["tests"]["auc: synthesized"]["p"] == pytest.approx(min(1, 2 * one_sided))
    assert (auc["positive"], auc["negative"]) == (23, 25)


@pytest.mark.slow
def test_readers_who_can_tell_generated_images_are_found_out_and_guessing_ones_are_not(tmp_path: Path) -> None:
    study = parse_protocol(new_protocol("realism"))
    skill = {"real": 0.9, "generated": 0.9}
    for tell, is_told in ((0.95, True), (0.5, False)):
        content = simulated(tmp_path / str(tell), study, Skill(skill, tell, seed=1))
        results = analyse_study(ClosedStudy.of(content))
        found = results["endpoints"]["origin"]["all"]["auc"]
        assert found["value"] == pytest.approx(tell, abs=0.15)
        assert (found["low"] > 0.5) == is_told
        assert results["tests"]["origin: auc"]["is_significant"] == is_told
        assert not [name for name, result in results["endpoints"].items() if "problem" in result]


@pytest.mark.slow
def test_a_study_that_hardly_began_is_reported_with_the_reasons_why_nothing_can_be_computed(tmp_path: Path) -> None:
    store = StudyStore(tmp_path / "s.sqlite")
    store.open_study(protocol(), "owner")
    store.start_session("small", "ann", 1)
    store.save("small", "ann", 1, 1, [Answer("lesion", yes())])
    store.close_study("small", by="owner", reason="no money")
    content = store.content("small")
    store.close()
    results = analyse_study(ClosedStudy.of(content))
    assert "no case has its truth and the answers of all readers in all arms" in results["endpoints"]["auc"]["problem"]
    assert results["flow"]["readings_unfinished"] == 35
    write_results(ClosedStudy.of(content), tmp_path / "results")
    page = (tmp_path / "results" / "report.html").read_text()
    assert "not computed: no case has its truth" in page
    assert "no money" in page


def test_only_the_last_answer_counts_and_training_does_not(tmp_path: Path) -> None:
    store = StudyStore(tmp_path / "s.sqlite")
    store.open_study(protocol(), "owner")
    store.start_session("small", "ann", 1)
    for suspicion in (10, 90, 30):
        store.save("small", "ann", 1, 1, [Answer("lesion", yes(suspicion))])
    table = answer_table(protocol(), store.content("small"))
    store.close()
    assert table[["rating", "revision"]].to_numpy().tolist() == [[30.0, 3]]


def test_words_of_a_protocol_are_text_in_the_report(tmp_path: Path) -> None:
    """Titles with markup and with dollar signs, which the drawing library takes for formulas."""
    title = "<script>alert(1)</script> $\\frac{1}{2$ & more"
    store = StudyStore(tmp_path / "s.sqlite")
    store.open_study(protocol(title=title), "owner")
    store.close_study("small", by="owner", reason=title)
    write_results(ClosedStudy.of(store.content("small")), tmp_path / "results")
    store.close()
    page = (tmp_path / "results" / "report.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


THREE = {arm: {"title": arm, "generated": arm != "real"} for arm in ("real", "a", "b")}
QUESTIONS = {
    "lesion": {"type": "yes_no", "title": "Lesion?", "suspicion": True},
    "like": {"type": "likert", "title": "Realism"},
    "items": {"type": "items", "title": "Quality", "items": {"noise": "Noise", "texture": "Texture"}},
    "origin": {"type": "real_or_generated", "title": "Origin"},
}


def endpoint(question: str, statistic: str, **settings: Any) -> dict[str, Any]:
    return {"title": f"{question} {statistic}", "question": question, "statistic": statistic, **settings}


ENDPOINTS = {
    "auc": endpoint("lesion", "auc", covariance="delong"),
    "fixed": endpoint("lesion", "sensitivity", readers="fixed"),
    "equivalent": endpoint("lesion", "auc", comparison="equivalence", margin=0.1),
    "like": endpoint("like", "rating"),
    "quality": endpoint("items", "visual_grading"),
    "arms": endpoint("lesion", "arm_agreement"),
    "readers": endpoint("like", "reader_agreement"),
    "origin": endpoint("origin", "realism"),
    "repeated": endpoint("like", "intra_reader_agreement"),
}
RANDOM_READERS = {"auc", "equivalent", "quality", "readers", "origin"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("readers", "design", "not_computed"),
    [
        (["ann", "bob"], {"sessions": 4, "repeats": {"cases": 6, "when": "own_session"}}, set()),
        (["ann"], {"sessions": 3, "repeats": {"cases": 6, "when": "same_session"}}, RANDOM_READERS),
        (
            ["ann", "bob", "eve", "joe"],
            {"kind": "split_plot", "groups": 2, "sessions": 3, "repeats": {"cases": 3, "when": "same_session"}},
            set(),
        ),
    ],
    ids=["crossed", "one reader", "split plot"],
)
def test_every_statistic_is_computed_of_three_arms(
    tmp_path: Path, readers: list[str], design: dict[str, Any], not_computed: set[str]
) -> None:
    cases = {f"case-{n}": case(f"P{n}", list(THREE), truth={"lesion": "yes" if n % 2 else "no"}) for n in range(24)}
    study = protocol(
        arms=THREE,
        reference_arm="real",
        readers=readers,
        questions=QUESTIONS,
        endpoints=ENDPOINTS,
        design={**design, "seed": 3},
        cases=cases,
        bootstrap_samples=100,
    )
    content = simulated(tmp_path, study, Skill(dict.fromkeys(THREE, 0.85), 0.7, seed=1))
    write_results(ClosedStudy.of(content), tmp_path / "results")
    results = analyse_study(ClosedStudy.of(content))
    assert {name for name, found in results["endpoints"].items() if "problem" in found} == not_computed
    compared = {name.partition(":")[0] for name in results["tests"]}
    assert compared == {"auc", "fixed", "equivalent", "like", "quality", "origin"} - not_computed
    page = (tmp_path / "results" / "report.html").read_text()
    assert ("group 2" in page) == ("groups" in design)
    assert "expected two or more to conclude on other readers" in page or not not_computed
