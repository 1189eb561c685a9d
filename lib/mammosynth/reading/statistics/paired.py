"""Tests of paired answers with their effect sizes, and the correction for several endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mammosynth.reading.statistics.estimate import DEFAULT, Bootstrap, Estimate, patient_index


@dataclass(frozen=True)
class PairedTest:
    """A two-sided test of pairs.

    Attributes:
        p: 1 if no pair differs.
        effect: Its size with an interval; see the function that made it.
        pairs: Of answers.
        different: Pairs whose answers differ.
    """

    p: float
    effect: Estimate
    pairs: int
    different: int


def wilcoxon(
    first: np.ndarray,
    second: np.ndarray,
    *,
    patients: np.ndarray | None = None,
    bootstrap: Bootstrap = DEFAULT,
) -> PairedTest:
    """Wilcoxon's signed-rank test of first less second; equal pairs are left out.

    Exact for few pairs without ties, else from the normal distribution: SciPy's choice. It takes pairs as independent.

    Args:
        first: (N,).
        second: (N,).
        patients: (N,) labels for the interval of the effect; without them, each pair is a patient.
        bootstrap: How patients are resampled.

    Returns:
        The effect is the matched-pairs rank-biserial correlation in [-1, 1]: the share of the rank sum that favours
        first less the share that favours second; 0 if no pair differs.
    """
    difference = np.asarray(first, float) - np.asarray(second, float)
    p = float(stats.wilcoxon(difference).pvalue) if difference.any() else 1.0
    index = patient_index(patients, difference.size)
    effect = bootstrap.estimate(lambda weights: _rank_biserial(weights, difference), index)
    return PairedTest(p, effect, difference.size, int(np.count_nonzero(difference)))


def _rank_biserial(weights: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """Of every row of weights (B, N)."""
    levels, of_pair = np.unique(np.abs(difference[difference != 0]), return_inverse=True)
    if not levels.size:
        return np.zeros(len(weights))
    weights, sign = weights[:, difference != 0], np.sign(difference[difference != 0])
    counts = weights @ np.eye(len(levels))[of_pair]
    ranks = np.cumsum(counts, axis=1) - counts / 2 + 0.5  # mean rank of every level in the resample
    sums = weights * ranks[:, of_pair]
    total = sums.sum(axis=1)
    return np.divide(sums @ sign, total, out=np.zeros_like(total), where=total > 0)


def mcnemar(
    first: np.ndarray,
    second: np.ndarray,
    *,
    patients: np.ndarray | None = None,
    bootstrap: Bootstrap = DEFAULT,
) -> PairedTest:
    """McNemar's exact test of two yes/no answers to the same cases. It takes cases as independent.

    Args:
        first: (N,) bool.
        second: (N,) bool.
        patients: (N,) labels for the interval of the effect; without them, each case is a patient.
        bootstrap: How patients are resampled.

    Returns:
        The effect is the difference of the two proportions, first less second.
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    discordant = only_first + only_second
    p = float(stats.binomtest(only_first, discordant).pvalue) if discordant else 1.0
    difference = first.astype(float) - second
    index = patient_index(patients, first.size)
    effect = bootstrap.estimate(lambda weights: weights @ difference / weights.sum(axis=1), index)
    return PairedTest(p, effect, first.size, discordant)


def benjamini_hochberg(p: Mapping[str, float]) -> dict[str, float]:
    """P values corrected for the false discovery rate over all declared endpoints.

    Args:
        p: By endpoint; NaN where a test was not possible: it stays NaN and counts as declared, as if it were 1.

    Source: Benjamini & Hochberg (1995), doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    values = np.array(list(p.values()), float)
    if not values.size:
        return {}
    corrected = stats.false_discovery_control(np.nan_to_num(values, nan=1.0))
    return {name: float(c) if known else np.nan for name, c, known in zip(p, corrected, ~np.isnan(values), strict=True)}
