from itertools import product

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from mammosynth.errors import DataError
from mammosynth.reading.statistics.agreement import (
    MISSING,
    Measurement,
    Weights,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac2,
    krippendorff_alpha,
    light_kappa,
    mean_kappa,
    percent_agreement,
)
from mammosynth.reading.statistics.estimate import Bootstrap, Percentiles

DENSITY = np.array([[3, 3, 1, 0], [4, 7, 3, 1], [2, 4, 5, 2], [0, 1, 3, 1]])
"""BPE a to d of 40 patients, clinical (rows) against synthetic, with the kappa of the contrast study, 0.43."""
FLEISS = np.fromstring(
    "0 0 0 0 14  0 2 6 4 2  0 0 3 5 6  0 3 9 2 0  2 2 8 1 1  7 7 0 0 0  3 2 6 3 0  2 5 3 2 2  6 5 2 1 0  0 2 2 3 7",
    dtype=int,
    sep=" ",
).reshape(10, 5)
"""Fourteen raters, ten cases, five categories: the worked example of Fleiss' kappa, 0.210."""
FOUR_READERS = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""
"""Four observers, twelve units, gaps: the example of Krippendorff (2011) and of Gwet's irrCAC."""


def answers_of(table: np.ndarray) -> np.ndarray:
    """Two series of answers with a table."""
    cells = np.array(list(product(range(len(table)), range(len(table)))))
    return np.repeat(cells, table.ravel(), axis=0).T


def four_readers() -> np.ndarray:
    rows = FOUR_READERS.strip().splitlines()
    return np.array([[MISSING if word == "." else int(word) - 1 for word in row.split()] for row in rows])


def fleiss_answers() -> np.ndarray:
    return np.stack([np.repeat(np.arange(5), row) for row in FLEISS], axis=1)


@pytest.mark.parametrize("weights", Weights)
def test_kappa_is_scikit_learns(weights: Weights) -> None:
    first, second = answers_of(DENSITY)
    name = None if weights is Weights.IDENTITY else weights.value
    expected = cohen_kappa_score(first, second, weights=name)
    assert cohen_kappa(first, second, 4, weights=weights).value == pytest.approx(expected)


@pytest.mark.parametrize("percentiles", Percentiles)
def test_the_interval_of_kappa_has_the_width_of_its_standard_error(percentiles: Percentiles) -> None:
    """Large-sample standard error of weighted kappa: Fleiss, Cohen & Everitt (1969), doi:10.1037/h0028106."""
    first, second = answers_of(DENSITY * 10)
    worth = 1 - (np.subtract.outer(np.arange(4), np.arange(4)) / 3) ** 2
    cells = DENSITY / DENSITY.sum()
    rows, columns = cells.sum(axis=1), cells.sum(axis=0)
    observed, expected = (cells * worth).sum(), rows @ worth @ columns
    spread = worth * (1 - expected) - ((worth @ columns)[:, None] + (rows @ worth)[None]) * (1 - observed)
    variance = (cells * spread**2).sum() - (observed * expected - 2 * expected + observed) ** 2
    error = np.sqrt(variance / (400 * (1 - expected) ** 4))
    bootstrap = Bootstrap(draws=4000, percentiles=percentiles)
    found = cohen_kappa(first, second, 4, weights=Weights.QUADRATIC, bootstrap=bootstrap)
    assert found.standard_error == pytest.approx(error, rel=0.05)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.05)


def test_forty_patients_and_a_kappa_of_043() -> None:
    """Plain percentiles, as papers have them, and the default, which reaches farther."""
    first, second = answers_of(DENSITY)
    plain, found = (
        cohen_kappa(first, second, 4, weights=Weights.QUADRATIC, bootstrap=Bootstrap(percentiles=percentiles))
        for percentiles in (Percentiles.PLAIN, Percentiles.BCA)
    )
    assert round(found.value, 2) == 0.43
    assert (plain.low, plain.high) == pytest.approx((0.19, 0.61), abs=0.03)
    assert found.high > plain.high
    assert found.draws == 1000


def test_kappa_of_one_answer_is_not_defined() -> None:
    found = cohen_kappa(np.zeros(10, int), np.zeros(10, int), 2)
    assert np.isnan([found.value, found.low, found.high]).all()
    assert found.draws == 0


def test_cases_without_both_answers_are_left_out() -> None:
    first, second = answers_of(DENSITY)
    longer = np.append(first, [0, MISSING]), np.append(second, [MISSING, 3])
    assert cohen_kappa(*longer, 4).value == cohen_kappa(first, second, 4).value
    assert percent_agreement(*longer).value == pytest.approx(16 / 40)


def test_fleiss_kappa_of_the_worked_example() -> None:
    assert fleiss_kappa(fleiss_answers(), 5).value == pytest.approx(0.210, abs=5e-4)


def test_fleiss_kappa_takes_no_gaps() -> None:
    with pytest.raises(DataError, match="answers are missing, .* Krippendorff's alpha takes gaps"):
        fleiss_kappa(four_readers(), 5)


@pytest.mark.parametrize(
    ("measurement", "expected"),
    [(Measurement.NOMINAL, 0.743), (Measurement.ORDINAL, 0.815), (Measurement.INTERVAL, 0.849)],
)
def test_alpha_of_the_worked_example(measurement: Measurement, expected: float) -> None:
    found = krippendorff_alpha(four_readers(), 5, measurement=measurement)
    assert found.value == pytest.approx(expected, abs=5e-4)
    assert found.low < expected < found.high


def test_gwet_of_the_worked_example() -> None:
    """irrCAC's documentation prints AC1 = 0.77544 for these data."""
    assert gwet_ac2(four_readers(), 5, weights=Weights.IDENTITY).value == pytest.approx(0.77544, abs=5e-6)


def test_gwet_does_not_fall_with_prevalence() -> None:
    answers = answers_of(np.array([[118, 5], [2, 0]]))
    assert cohen_kappa(*answers, 2).value < 0
    assert gwet_ac2(answers, 2).value > 0.9


def test_light_kappa_is_the_mean_over_pairs() -> None:
    answers = fleiss_answers()[:3]
    pairs = [cohen_kappa_score(answers[a], answers[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert light_kappa(answers, 5).value == pytest.approx(np.mean(pairs))
    sessions = [(answers[0], answers[1]), (answers[1], answers[2])]
    assert mean_kappa(sessions, 5).value == pytest.approx((pairs[0] + pairs[2]) / 2)


def test_agreement_ends_at_one() -> None:
    answers = np.tile(np.arange(12) % 3, (3, 1))
    for found in (
        fleiss_kappa(answers, 3),
        gwet_ac2(answers, 3),
        krippendorff_alpha(answers, 3),
        light_kappa(answers, 3),
    ):
        assert found.value == pytest.approx(1)
        assert found.low == pytest.approx(1)


def test_cases_of_one_patient_are_drawn_together() -> None:
    answers = np.repeat(answers_of(DENSITY), 4, axis=1)
    patients = np.repeat(np.arange(40), 4)
    together, apart = (cohen_kappa(*answers, 4, patients=p).standard_error for p in (patients, None))
    assert together == pytest.approx(2 * apart, rel=0.15)


def test_unknown_answers_are_refused() -> None:
    with pytest.raises(DataError, match="answers from 0 to 4, expected 0 to 3"):
        cohen_kappa(np.array([0, 4]), np.array([0, 1]), 4)
