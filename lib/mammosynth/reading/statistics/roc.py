"""The empirical ROC curve of one reader, its area with DeLong's interval, and the difference of two."""

from __future__ import annotations

import numpy as np
from scipy import stats

from mammosynth.reading.statistics.covariance import delong
from mammosynth.reading.statistics.estimate import LEVEL, Estimate, patient_index
from mammosynth.reading.statistics.figures import AUC, auc
from mammosynth.reading.statistics.obuchowski_rockette import Comparison, compare
from mammosynth.reading.statistics.proportions import wilson


def roc_curve(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive fractions from (0, 0) to (1, 1), one point a rating that was given.

    Args:
        scores: (N,), higher is more suspicious.
        truth: (N,) bool.
    """
    levels = np.unique(scores)[::-1]
    fractions = [np.concatenate(([0], [(scores[of] >= level).mean() for level in levels])) for of in (~truth, truth)]
    return fractions[0], fractions[1]


def auc_interval(
    scores: np.ndarray,
    truth: np.ndarray,
    *,
    patients: np.ndarray | None = None,
    logit: bool = True,
    level: float = LEVEL,
) -> Estimate:
    """The empirical AUC of one reader with DeLong's standard error.

    Args:
        scores: (N,), higher is more suspicious.
        truth: (N,) bool.
        patients: (N,) labels; without them, each case is a patient.
        logit: Whether the interval is symmetric on the scale of log-odds, where it stays within [0, 1] and holds its
            level near 1; else value and standard error as they are, cut at 0 and 1.
        level: Of the interval.

    Returns:
        If the AUC is 0 or 1, its standard error is 0 and the interval is Wilson's for as many independent pairs as the
        smaller class has cases.

    Raises:
        DataError: If a class has fewer than two patients.

    Source: DeLong et al. (1988), doi:10.2307/2531595; log-odds: Pepe (2003), The Statistical Evaluation of Medical
    Tests, ch. 5.
    """
    scores, truth = np.asarray(scores, float)[None], np.asarray(truth, bool)
    error = float(np.sqrt(delong(AUC, scores, truth, patient_index(patients, truth.size))[0, 0]))
    value = float(auc(scores, truth, np.ones((1, truth.size)))[0, 0])
    if value in (0, 1):
        pairs = int(min(truth.sum(), (~truth).sum()))
        edge = wilson(round(value * pairs), pairs, level)
        return Estimate(value, edge.low, edge.high, error, level)
    half = stats.norm.ppf((1 + level) / 2) * error
    if not logit:
        return Estimate(value, max(value - half, 0.0), min(value + half, 1.0), error, level)
    low, high = compare(value, error, np.inf, level=level).log_odds(level)
    return Estimate(value, low, high, error, level)


def auc_difference(
    first: np.ndarray,
    second: np.ndarray,
    truth: np.ndarray,
    *,
    patients: np.ndarray | None = None,
    level: float = LEVEL,
) -> Comparison:
    """AUC of one rating of the same cases less that of another, with DeLong's test.

    Args:
        first: (N,), higher is more suspicious.
        second: (N,).
        truth: (N,) bool.
        patients: (N,) labels; without them, each case is a patient.
        level: Of the interval.

    Raises:
        DataError: If a class has fewer than two patients.
    """
    scores, truth = np.stack((first, second)).astype(float), np.asarray(truth, bool)
    covariance = delong(AUC, scores, truth, patient_index(patients, truth.size))
    values = auc(scores, truth, np.ones((1, truth.size)))[0]
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return compare(float(values[0] - values[1]), float(np.sqrt(max(variance, 0))), np.inf, level=level)
