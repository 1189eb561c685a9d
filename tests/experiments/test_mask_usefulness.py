"""The experiment's own parts: who is drawn, what is planned, what a table says."""

from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.mask_usefulness import (
    ADDED,
    BEFORE,
    GENERATED,
    LEARNERS,
    REAL,
    Run,
    Squares,
    format_rows,
    plan,
    read_squares,
    some_patients,
    summarise,
    train,
)
from mammosynth.errors import DataError
from mammosynth.tasks.mask.evaluation.lesion_patches import SIDE, LesionPatches
from tests.support.drawn_set import write_drawn_set


def squares(count: int) -> Squares:
    """Every patient has two masses and a square without; every other patient is malignant."""
    patients = np.repeat([f"P{number}" for number in range(count)], 3)
    has_lesion = torch.tensor([True, True, False] * count)
    is_malignant = has_lesion & torch.tensor([number % 2 == 1 for number in range(count) for _ in range(3)])
    image = torch.rand(3 * count, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    lesion = torch.zeros_like(image)
    lesion[has_lesion, :, 28:36, 28:36] = 1
    return Squares(LesionPatches(image, lesion, has_lesion, is_malignant, torch.arange(3 * count)), patients)


def test_a_plan_has_every_way_at_every_size_and_finishes_a_seed_before_the_next() -> None:
    runs = plan((25, 100), (0, 1), [*LEARNERS])
    assert len({run.file for run in runs}) == len(runs) == 2 * 2 * (1 + 2 * 3)
    assert [run.seed for run in runs] == [0] * 14 + [1] * 14
    assert Run("segmenter", BEFORE, 25, 1).file == "segmenter-generated-then-real-25-1.json"


def test_patients_are_drawn_whole_and_by_the_seed() -> None:
    subject = squares(10)
    few = some_patients(subject, 5, seed=1)
    assert few.patches.has_lesion.sum() == 6  # three patients of two
    assert len(few.patients) == 3 * len(set(few.patients)) == 9
    assert list(few.patients) == list(some_patients(subject, 5, seed=1).patients)
    assert list(few.patients) != list(some_patients(subject, 5, seed=2).patients)
    with pytest.raises(DataError, match="21 real masses were asked for, the training split has 20"):
        some_patients(subject, 21, seed=1)


def test_squares_are_cut_once(tmp_path: Path) -> None:
    place, cache = write_drawn_set(tmp_path / "set", train=2), tmp_path / "kept" / "train.pt"
    first = read_squares(place, "train", cache, generated=False)
    again = read_squares(tmp_path / "gone", "train", cache, generated=False)
    assert torch.equal(first.patches.image, again.patches.image)
    assert list(first.patients) == list(again.patients)
    assert first.patches.with_lesion().is_malignant.all()


@pytest.mark.slow
@pytest.mark.parametrize("way", [REAL, ADDED, BEFORE, GENERATED])
@pytest.mark.parametrize("learner", LEARNERS)
def test_every_way_of_training_scores_every_mass(learner: str, way: str, tmp_path: Path) -> None:
    network = train(Run(learner, way, 4, 0), squares(4), squares(3), 1, tmp_path)
    scored = LEARNERS[learner].score(network, squares(5).patches)
    assert len(scored.get("dice") or scored["scores"]) == 10
    assert 0 <= scored.get("false_alarms", 0) <= 1


@pytest.mark.slow
def test_networks_that_learned_from_generated_ones_are_kept_and_trained_on(tmp_path: Path) -> None:
    def score(way: str, generated: Squares) -> dict:
        network = train(Run("classifier", way, 4, 0), squares(4), generated, 2, tmp_path)
        return LEARNERS["classifier"].score(network, squares(2).patches)

    alone = score(GENERATED, squares(3))
    assert score(GENERATED, squares(1)) == alone  # of others, had they not been kept
    assert score(BEFORE, squares(1)) != alone


def test_gain_is_told_with_its_interval_and_generated_ones_alone_as_a_share_of_the_most_real_ones() -> None:
    def found(dice: float) -> dict:
        return {"dice": [dice] * 12}

    runs = {
        Run("segmenter", GENERATED, 0, 0): found(0.45),
        Run("segmenter", REAL, 4, 0): found(0.4),
        Run("segmenter", REAL, 8, 0): found(0.5),
        Run("segmenter", ADDED, 4, 0): found(0.5),
        Run("segmenter", ADDED, 4, 1): found(0.7),
        Run("classifier", REAL, 4, 0): {"scores": [0.0] * 12},
        Run("classifier", ADDED, 4, 0): {"scores": [0.0, 0.0, 1.0, 1.0] * 3},
    }
    rows = summarise(runs, squares(6))  # of every two patients one is malignant
    told = {(row["learner"], row["way"], row["size"]): row for row in rows}
    added = told["segmenter", ADDED, 4]
    assert added["seeds"] == 2
    assert added["more"] == pytest.approx({"value": 0.2, "low": 0.2, "high": 0.2})
    assert told["segmenter", GENERATED, 0]["share"]["value"] == pytest.approx(0.9)
    assert told["classifier", ADDED, 4]["more"]["value"] == 0.5
    assert "+0.200 [+0.200, +0.200]" in format_rows(rows)
