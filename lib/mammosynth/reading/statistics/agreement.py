"""Do readers agree, and does a reader agree with herself? Kappa and its kin, with intervals from resampled patients.

Answers are category numbers 0 ... k - 1 in their order, -1 where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import combinations

import krippendorff
import numpy as np

from mammosynth.errors import DataError
from mammosynth.reading.statistics.estimate import DEFAULT, Bootstrap, Estimate, Statistic, patient_index, ratio

MISSING = -1


class Weights(StrEnum):
    """What an answer near to another one is worth."""

    IDENTITY = "identity"
    LINEAR = "linear"
    QUADRATIC = "quadratic"


class Measurement(StrEnum):
    """What the distance of two categories is, for Krippendorff's alpha."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    INTERVAL = "interval"


def cohen_kappa(
    first: np.ndarray,
    second: np.ndarray,
    categories: int,
    *,
    weights: Weights = Weights.IDENTITY,
    patients: np.ndarray | None = None,
    bootstrap: Bootstrap = DEFAULT,
) -> Estimate:
    """Kappa of two series of answers to the same cases; cases without both are left out.

    Args:
        first: (N,) category numbers.
        second: (N,).
        categories: k.
        weights: Quadratic for ordered categories.
        patients: (N,) labels; without them, each case is a patient.
        bootstrap: How patients are resampled.

    Returns:
        NaN if both always give the same one answer.

    Raises:
        DataError: If a number is not of a category.

    Source: Cohen (1960), doi:10.1177/001316446002000104; Cohen (1968), doi:10.1037/h0026256.
    """
    return mean_kappa([(first, second)], categories, weights=weights, patients=patients, bootstrap=bootstrap)


def mean_kappa(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    categories: int,
    *,
    weights: Weights = Weights.IDENTITY,
    patients: np.ndarray | None = None,
    bootstrap: Bootstrap = DEFAULT,
) -> Estimate:
    """Mean of the kappas of several pairs of series, as of every reader's two sessions; see `cohen_kappa`."""
    tables = [_pair_tables(_checked(np.stack(pair), categories), categories) for pair in pairs]

    def statistic(case_weights: np.ndarray) -> np.ndarray:
        return np.mean([_kappa(case_weights, table, categories, weights) for table in tables], axis=0)

    return _interval(statistic, len(tables[0]), patients, bootstrap)


def light_kappa(
    answers: np.ndarray,
    categories: int,
    *,
    weights: Weights = Weights.IDENTITY,
    patients: np.ndarray | None = None,
    bootstrap: Bootstrap = DEFAULT,
) -> Estimate:
    """Mean kappa of all pairs of readers; arguments as `fleiss_kappa` and `cohen_kappa`.

    Source: Light (1971), doi:10.1037/h0031643.
    """
    pairs = list(combinations(answers, 2))
    return mean_kappa(pairs, categories, weights=weights, patients=patients, bootstrap=bootstrap)


def fleiss_kappa(
    answers: np.ndarray,
    categories: int,
    *,
    patients: np.ndarray | None = None,
    bootstrap: Bootstrap = DEFAULT,
) -> Estimate:
    """Kappa of several readers, categories without order.

    Args:
        answers: (R, N) category numbers, none missing.
        categories: k.
        patients: (N,) labels; without them, each case is a patient.
        bootstrap: How patients are resampled.

    Raises:
        DataError: If an answer is missing or not of a category.

    Source: Fleiss (1971), doi:10.1037/h0031619.
    """
    counts = _case_counts(answers, categories)
    readers = len(answers)
    if counts.sum() != answers.size:
        raise DataError(
            "answers are missing, expected one by every reader of every case; Krippendorff's alpha takes gaps"
        )
    agreeing = (counts * (counts - 1)).sum(axis=1) / (readers * (readers - 1))

    def statistic(case_weights: np.ndarray) -> np.ndarray:
        shares = case_weights / case_weights.sum(axis=1, keepdims=True)
        expected = ((shares @ counts / readers) ** 2).sum(axis=1)
        return _beyond_chance(shares @ agreeing, expected)

    return _interval(statistic, len(counts), patients, bootstrap)


def gwet_ac2(
    answers: np.ndarray,
    categories: int,
    *,
    weights: Weights = Weights.QUADRATIC,
    patients: np.ndarray | None = None,
    bootstrap: Bootstrap = DEFAULT,
) -> Estimate:
    """Gwet's AC2 of two or more readers, AC1 with identity weights; arguments as `fleiss_kappa`, gaps are taken.

    Unlike kappa, it does not fall when nearly all cases belong to one category.

    Source: Gwet (2008), doi:10.1348/000711006X126600; Gwet (2014), Handbook of Inter-Rater Reliability, ch. 5.
    """
    counts = _case_counts(answers, categories)
    worth = _worth(categories, weights)
    raters = counts.sum(axis=1)
    twice, once = raters > 1, raters > 0
    pairs = np.where(twice, raters * (raters - 1), 1)
    agreeing = np.where(twice, (counts * (counts @ worth - 1)).sum(axis=1) / pairs, 0)
    shares = counts / np.maximum(raters, 1)[:, None]

    def statistic(case_weights: np.ndarray) -> np.ndarray:
        observed = ratio(case_weights @ agreeing, case_weights @ twice.astype(float))
        used = ratio(case_weights @ shares, (case_weights @ once.astype(float))[:, None])
        chance = worth.sum() / (categories * (categories - 1)) * (used * (1 - used)).sum(axis=1)
        return _beyond_chance(observed, chance)

    return _interval(statistic, len(counts), patients, bootstrap)


def krippendorff_alpha(
    answers: np.ndarray,
    categories: int,
    *,
    measurement: Measurement = Measurement.ORDINAL,
    patients: np.ndarray | None = None,
    bootstrap: Bootstrap = DEFAULT,
) -> Estimate:
    """Krippendorff's alpha of two or more readers; arguments as `fleiss_kappa`, gaps are taken.

    Source: Krippendorff (2011), Computing Krippendorff's alpha-reliability; the package `krippendorff`.
    """
    counts = _case_counts(answers, categories).astype(int)

    def statistic(case_weights: np.ndarray) -> np.ndarray:
        return np.array([_alpha(np.repeat(counts, row.astype(int), axis=0), measurement) for row in case_weights])

    return _interval(statistic, len(counts), patients, bootstrap)


def percent_agreement(
    first: np.ndarray,
    second: np.ndarray,
    *,
    patients: np.ndarray | None = None,
    bootstrap: Bootstrap = DEFAULT,
) -> Estimate:
    """Share of cases with the same answer in both series, of those with both."""
    known = (first != MISSING) & (second != MISSING)
    same = (known & (first == second)).astype(float)

    def statistic(case_weights: np.ndarray) -> np.ndarray:
        return ratio(case_weights @ same, case_weights @ known.astype(float))

    return _interval(statistic, len(same), patients, bootstrap)


def _interval(statistic: Statistic, cases: int, patients: np.ndarray | None, bootstrap: Bootstrap) -> Estimate:
    return bootstrap.estimate(statistic, patient_index(patients, cases))


def _checked(answers: np.ndarray, categories: int) -> np.ndarray:
    answers = np.asarray(answers)
    if answers.min(initial=MISSING) < MISSING or answers.max(initial=MISSING) >= categories:
        raise DataError(
            f"answers from {answers.min()} to {answers.max()}, expected 0 to {categories - 1}, or -1 for none"
        )
    return answers


def _pair_tables(pair: np.ndarray, categories: int) -> np.ndarray:
    """(N, k * k): of every case, the cell of the table of both answers; 0 everywhere if one is missing."""
    tables = np.zeros((pair.shape[1], categories * categories))
    known = np.flatnonzero((pair != MISSING).all(axis=0))
    tables[known, pair[0, known] * categories + pair[1, known]] = 1
    return tables


def _case_counts(answers: np.ndarray, categories: int) -> np.ndarray:
    """(N, k): how many readers gave each answer."""
    return (_checked(answers, categories)[:, :, None] == np.arange(categories)).sum(axis=0).astype(float)


def _worth(categories: int, weights: Weights) -> np.ndarray:
    """(k, k), 1 on the diagonal."""
    if weights is Weights.IDENTITY:
        return np.eye(categories)
    distance = np.abs(np.subtract.outer(np.arange(categories), np.arange(categories))) / (categories - 1)
    return 1 - distance ** (2 if weights is Weights.QUADRATIC else 1)


def _kappa(case_weights: np.ndarray, tables: np.ndarray, categories: int, weights: Weights) -> np.ndarray:
    cells = (case_weights @ tables).reshape(-1, categories, categories)
    cells = ratio(cells, cells.sum(axis=(1, 2), keepdims=True))
    worth = _worth(categories, weights)
    expected = np.einsum("bi,ij,bj->b", cells.sum(axis=2), worth, cells.sum(axis=1))
    return _beyond_chance(np.einsum("bij,ij->b", cells, worth), expected)


def _beyond_chance(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    room = np.where(np.isclose(expected, 1, rtol=0, atol=1e-12), 0, 1 - expected)
    return ratio(observed - expected, room)


def _alpha(counts: np.ndarray, measurement: Measurement) -> float:
    if np.count_nonzero(counts[counts.sum(axis=1) > 1].sum(axis=0)) < 2:
        return np.nan
    return krippendorff.alpha(value_counts=counts, level_of_measurement=measurement.value)
