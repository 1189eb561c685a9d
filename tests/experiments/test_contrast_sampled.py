"""A spot's share is added to that spot alone, what is twice as bright is told so, and chance tells nothing."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.contrast_sampled import GAINS, SpotNumbers, Spots, judge_spots, plans, spread_of_auc
from tests.support.evaluation import phantom_case


def test_a_spot_that_is_half_as_bright_as_in_the_real_image_is_told_and_gets_its_share_alone() -> None:
    case = phantom_case(0.7)
    spots = Spots.of(case, case.recombined)
    assert np.nanmean(spots.ratios) == pytest.approx(1, abs=0.01)
    flat = case.recombined[case.normal].mean()
    halved = np.where(case.lesion, (case.recombined + flat) / 2, case.recombined).astype(np.float32)
    found = Spots.of(case, halved)
    number = np.bincount(found.labels[case.interior_lesion]).argmax()
    assert number > 0, "the lesion is the spot"
    assert found.ratios[number - 1] == pytest.approx(2, abs=0.2)
    told = judge_spots([SpotNumbers.of(case, halved)])
    assert told["real / expected, lesions that readers drew"]["value"] == pytest.approx(2, abs=0.1)
    shares = np.zeros(len(found.ratios))
    shares[number - 1] = 0.5
    added = found.brighter(shares)
    assert added[found.labels == number].max() > 0
    assert not added[found.labels != number].any()


def test_what_is_drawn_for_spots_is_what_real_ones_differ_by() -> None:
    shares = plans(np.array([0.5, 2.0, np.nan, 50.0, -9.0]))
    random = np.random.default_rng(0)
    assert set(shares["every spot as real ones vary"](random, 200)) == {-0.5, 1.0, *GAINS}
    assert not shares["today"](random, 3).any()


def test_images_of_other_patients_are_not_told_apart_and_brighter_ones_are() -> None:
    rows = np.random.default_rng(0).normal(size=(80, 12))
    ids = [f"P{number // 2}" for number in range(80)]
    assert spread_of_auc(rows, rows, ids, 20, others=True)["mean"] == pytest.approx(0.5, abs=0.1)
    assert spread_of_auc(rows + 1, rows, ids, 20)["mean"] > 0.8
