"""Intervals by resampling patients: every statistic takes case weights, one row per resample.

Values are (N,), one a case, NaN where a case has none; weights are (R, N), see `resample_patients`; a statistic is
(R,) float64, NaN where it is not defined.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def resample_patients(patient_ids: Sequence[str], draws: int, seed: int = 0) -> np.ndarray:
    """How often each case counts, first as it is, then in every resample of patients.

    Returns:
        (1 + draws, cases) float64; row 0 is all ones.
    """
    patients, index = np.unique(np.asarray(patient_ids), return_inverse=True)
    random = np.random.default_rng(seed)
    counts = [
        np.bincount(random.integers(0, len(patients), len(patients)), minlength=len(patients)) for _ in range(draws)
    ]
    rows = [np.ones(len(index)), *(count[index].astype(float) for count in counts)]
    return np.stack(rows)


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of every row's resample; NaN values are left out."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weights[:, known] @ values[known]) / weights[:, known].sum(axis=1)


def weighted_correlation(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pearson's r of every row's resample; NaN if either is flat."""
    known = ~(np.isnan(a) | np.isnan(b))
    a, b, weights = a[known], b[known], weights[:, known]
    if a.size < 3 or min(a.std(), b.std()) < 1e-9:
        return np.full(len(weights), np.nan)
    mean_a, mean_b = weighted_mean(a, weights), weighted_mean(b, weights)
    covariance = weighted_mean(a * b, weights) - mean_a * mean_b
    variances = (weighted_mean(a * a, weights) - mean_a**2) * (weighted_mean(b * b, weights) - mean_b**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(variances > 0, covariance / np.sqrt(variances), np.nan)


def weighted_ratio(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of a over mean of b, of every row's resample."""
    known = ~(np.isnan(a) | np.isnan(b))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weights[:, known] @ a[known]) / (weights[:, known] @ b[known])


def weighted_auroc(scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUROC over cases, of every row's resample; NaN if a side is empty.

    `sklearn.metrics.roc_auc_score` gives the same, one resample at a time: 5.6 s instead of 3 ms for 2000 of 200 cases.
    """
    known = ~np.isnan(scores)
    scores, is_positive, weights = scores[known], is_positive[known], weights[:, known]
    positive, negative = scores[is_positive], scores[~is_positive]
    wins = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    w_positive, w_negative = weights[:, is_positive], weights[:, ~is_positive]
    with np.errstate(invalid="ignore", divide="ignore"):
        total = w_positive.sum(axis=1) * w_negative.sum(axis=1)
        return np.einsum("dp,pn,dn->d", w_positive, wins, w_negative, optimize=True) / total


def interval(statistic: np.ndarray) -> dict[str, float | None]:
    """Value and 95 % percentile interval of a statistic; None where it is not defined."""
    value, resampled = float(statistic[0]), statistic[1:][~np.isnan(statistic[1:])]
    low, high = (float(q) for q in np.percentile(resampled, [2.5, 97.5])) if resampled.size else (np.nan, np.nan)
    return {
        key: None if np.isnan(number) else round(number, 6)
        for key, number in (("value", value), ("low", low), ("high", high))
    }
