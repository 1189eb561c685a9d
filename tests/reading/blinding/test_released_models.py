"""What the released models paint, blinded, against what it stands for: 30 phantoms or more patients, 512 x 416."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest

from benchmarks.blinding import MODELS, Pair, attack_pairs, phantom_pairs
from mammosynth.bundle import default_model_zoo, load_bundle
from mammosynth.files.read import read_image
from mammosynth.reading.blinding.attack import CLASSIFIER, Attack
from mammosynth.reading.blinding.traces import EDGE
from mammosynth.task import Rendering
from tests.support.real_data import CDD_CESM

CASES, FIRST_SEED = 30, 9000  # phantoms on which nothing of the rule, the attack or the models was settled
BLINDINGS = 3


@cache
def attacks() -> dict[str, list[Attack]]:
    """Of each task, blindings with other noise."""
    pairs = phantom_pairs(CASES, FIRST_SEED)
    return {task: [attack_pairs(own, seed=seed) for seed in range(BLINDINGS)] for task, own in pairs.items()}


@pytest.mark.slow
@pytest.mark.parametrize("task", MODELS)
def test_no_single_score_tells_a_model_but_its_edge(task: str) -> None:
    told = Counter(kind for each in attacks()[task] for kind in {leak.kind for leak in each.leaks})
    often = {kind for kind, times in told.items() if times > 1}  # what other noise hides was chance
    assert often <= {EDGE, CLASSIFIER}


@pytest.mark.slow
@pytest.mark.parametrize("task", ["contrast", "mask"])
def test_all_scores_together_tell_a_model_but_by_chance(task: str) -> None:
    assert sum(each.classifier[1] <= 0.5 for each in attacks()[task]) >= BLINDINGS - 1


@pytest.mark.slow
def test_all_scores_together_tell_views_of_phantoms_weakly() -> None:
    assert max(each.classifier[1] for each in attacks()["view"]) < 0.65


@pytest.mark.slow
def test_contrast_is_not_told_by_its_edge() -> None:
    assert EDGE not in {leak.kind for each in attacks()["contrast"] for leak in each.leaks}


def views_of_patients(split: str, count: int) -> Iterator[Pair]:
    """The acquired MLO of a breast of each patient, and what `view` makes of its CC."""
    bundle = load_bundle(default_model_zoo() / MODELS["view"])
    patients: set[str] = set()
    with (CDD_CESM / "breasts_cc_mlo.csv").open() as table:
        for row in csv.DictReader(table):
            if row["split"] != split or row["patient"] in patients or len(patients) == count:
                continue
            patients.add(row["patient"])
            cc, mlo = (
                read_image(CDD_CESM / "512" / "images" / row[f"{view}_low_energy"], accept_generated=True)
                for view in ("cc", "mlo")
            )
            made = bundle.synthesize({"source": cc}, rendering=Rendering.SAMPLED, seed=len(patients)).image
            yield row["patient"], mlo, made


@pytest.mark.slow
@pytest.mark.skipif(not CDD_CESM.is_dir(), reason=f"no real data in {CDD_CESM.name}; set MAMMOSYNTH_CDD_CESM")
def test_view_is_not_told_from_acquired_mlo_views_but_by_chance() -> None:
    pairs = list(views_of_patients("train", 40))
    found = [attack_pairs(pairs, seed=seed) for seed in range(BLINDINGS)]
    assert not [leak.what for each in found for leak in each.leaks if leak.kind != CLASSIFIER]
    assert sum(each.classifier[1] <= 0.5 for each in found) >= BLINDINGS - 1
