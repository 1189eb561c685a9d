"""What is twice as bright in the real image is told so, rows have constants of the real thing, and chance is told."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.contrast_sampled import ROWS, SpotNumbers, judge_spots, spread_of_auc
from mammosynth.tasks.contrast import sampled
from tests.support.evaluation import phantom_case


def test_a_spot_that_is_half_as_bright_as_in_the_real_image_is_told() -> None:
    case = phantom_case(0.7)
    assert SpotNumbers.of(case, case.recombined).ratios == pytest.approx(1, abs=0.01)
    flat = case.recombined[case.normal].mean()
    halved = np.where(case.lesion, (case.recombined + flat) / 2, case.recombined).astype(np.float32)
    numbers = SpotNumbers.of(case, halved)
    assert numbers.ratios[numbers.areas.argmax()] == pytest.approx(2, abs=0.2), "the lesion is the largest spot"
    told = judge_spots([numbers])
    assert told["real / expected, lesions that readers drew"]["value"] == pytest.approx(2, abs=0.1)


def test_rows_are_drawn_with_constants_that_a_sample_has() -> None:
    for constants in ROWS.values():
        assert all(np.shape(getattr(sampled, name)) == np.shape(value) for name, value in constants.items())


def test_images_of_other_patients_are_not_told_apart_and_brighter_ones_are() -> None:
    rows = np.random.default_rng(0).normal(size=(80, 12))
    ids = [f"P{number // 2}" for number in range(80)]
    assert spread_of_auc(rows, rows, ids, 20, others=True)["mean"] == pytest.approx(0.5, abs=0.1)
    assert spread_of_auc(rows + 1, rows, ids, 20)["mean"] > 0.8
