"""The experiment's own parts: who is drawn, what is planned, what a table says."""

from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.mask_usefulness import (
    ADDED,
    BEFORE,
    GENERATED,
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
    runs = plan((25, 100), (0, 1))
    assert len({run.file for run in runs}) == len(runs) == 2 * (1 + 2 * 3)
    assert [run.seed for run in runs] == [0] * 7 + [1] * 7
    assert Run(BEFORE, 25, 1).file == "generated-then-real-25-1.json"


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


@pytest.mark.parametrize("way", [REAL, ADDED, BEFORE, GENERATED])
def test_every_way_of_training_scores_every_mass(way: str, tmp_path: Path) -> None:
    networks = train(Run(way, 4, 0), squares(4), squares(3), 1, tmp_path)
    scored = networks.score(squares(5).patches)
    assert len(scored["dice"]) == len(scored["scores"]) == 10
    assert 0 <= scored["false_alarms"] <= 1


def test_networks_that_learned_from_generated_ones_are_kept_and_trained_on(tmp_path: Path) -> None:
    val = squares(2).patches
    alone = train(Run(GENERATED, 0, 0), squares(4), squares(3), 2, tmp_path)
    again = train(Run(GENERATED, 0, 0), squares(4), squares(1), 2, tmp_path)  # of others, had they not been kept
    later = train(Run(BEFORE, 4, 0), squares(4), squares(1), 2, tmp_path)
    assert alone.score(val) == again.score(val)
    assert alone.score(val)["scores"] != later.score(val)["scores"]


def test_gain_is_told_with_its_interval_and_generated_ones_alone_as_a_share_of_the_most_real_ones() -> None:
    val = squares(6)
    right = [0.0, 0.0, 1.0, 1.0] * 3  # two masses of a benign patient, two of a malignant one

    def scored(dice: float, scores: list[float]) -> dict:
        return {"dice": [dice] * 12, "scores": scores, "false_alarms": 0.5}

    runs = {
        Run(REAL, 4, 0): scored(0.4, [0.0] * 12),
        Run(REAL, 8, 0): scored(0.5, right),
        Run(ADDED, 4, 0): scored(0.5, right),
        Run(ADDED, 4, 1): scored(0.7, right),
        Run(GENERATED, 0, 0): scored(0.45, right),
    }
    rows = {(row["way"], row["real masses"]): row for row in summarise(runs, val)}
    added = rows[ADDED, 4]
    assert added["seeds"] == 2
    assert added["dice"]["more"] == pytest.approx({"value": 0.2, "low": 0.2, "high": 0.2})
    assert (added["auc"]["value"], added["auc"]["more"]["value"]) == (1, 0.5)
    assert rows[GENERATED, 0]["dice"]["share"]["value"] == pytest.approx(0.9)
    assert "+0.200 [+0.200, +0.200]" in format_rows([*rows.values()])
