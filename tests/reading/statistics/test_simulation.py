"""Promises of level and coverage on simulated studies; `benchmarks/reading.py` counts more of them, more exactly."""

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.reading import PARTS, STRUCTURES, Row, compare_null
from mammosynth.reading.statistics.figures import AUC
from mammosynth.reading.statistics.roe_metz import RoeMetz

FAR = 4  # Monte-Carlo errors


def rows_within(rows: Iterator[Row]) -> list[Row]:
    return [row for row in rows if abs(row.share - row.expected) > FAR * row.error]


@pytest.mark.slow
def test_obuchowski_rockette_keeps_its_level() -> None:
    rows = compare_null("HH", STRUCTURES["HH"], 5, (50, 50), studies=200, seed=1)
    assert not rows_within(rows)


@pytest.mark.slow
def test_power_comes_out_as_predicted() -> None:
    assert not rows_within(PARTS["power"](100, 1))


@pytest.mark.slow
def test_other_intervals_cover() -> None:
    assert not rows_within(PARTS["coverage"](40, 1))


def test_expected_auc_of_simulated_studies_is_the_one_asked_for() -> None:
    model = STRUCTURES["LH"]
    ratings = model.simulate((0.7, 0.9), 300, 300, 300, np.random.default_rng(0))
    found = AUC.values(ratings.scores.reshape(600, -1), ratings.truth, np.ones((1, 600))).reshape(2, -1).mean(axis=1)
    assert found == pytest.approx([0.7, 0.9], abs=0.015)


def test_variances_of_cases_and_error_add_up() -> None:
    with pytest.raises(ValueError, match=r"add up to 1\.1, expected 1"):
        RoeMetz(0.0, 0.0, 0.3, 0.3, 0.3, 0.2)


def test_the_seed_decides() -> None:
    first, second = (STRUCTURES["HH"].simulate((0.8, 0.8), 2, 3, 4, np.random.default_rng(7)) for _ in range(2))
    assert (first.scores == second.scores).all()
    assert first.truth.tolist() == [False] * 4 + [True] * 3
