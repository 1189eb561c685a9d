"""Sensitivity, specificity, accuracy and predictive values of yes/no answers, by reader and as means over readers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from mammosynth.reading.statistics.estimate import DEFAULT, LEVEL, Bootstrap, Estimate, patient_index, ratio

PROPORTIONS = ("sensitivity", "specificity", "accuracy", "ppv", "npv")


@dataclass(frozen=True)
class Confusion:
    """Counts of yes/no answers.

    Attributes:
        true_positive: Positive cases called positive.
        false_negative: Positive cases called negative.
        true_negative: Negative cases called negative.
        false_positive: Negative cases called positive.
    """

    true_positive: int
    false_negative: int
    true_negative: int
    false_positive: int

    def counts(self) -> dict[str, tuple[int, int]]:
        """Of each of `PROPORTIONS`: how many, of how many."""
        tp, fn, tn, fp = self.true_positive, self.false_negative, self.true_negative, self.false_positive
        pairs = ((tp, tp + fn), (tn, tn + fp), (tp + tn, tp + fn + tn + fp), (tp, tp + fp), (tn, tn + fn))
        return dict(zip(PROPORTIONS, pairs, strict=True))

    def estimates(self, level: float = LEVEL) -> dict[str, Estimate]:
        """Each of `PROPORTIONS` with Wilson's interval, which takes cases as independent."""
        return {name: wilson(*pair, level=level) for name, pair in self.counts().items()}


def confusion(truth: np.ndarray, calls: np.ndarray) -> Confusion:
    """Counts of one reader.

    Args:
        truth: (N,) bool.
        calls: (N,) bool, True where the reader says positive.
    """
    truth, calls = np.asarray(truth, bool), np.asarray(calls, bool)
    pairs = ((truth, calls), (truth, ~calls), (~truth, ~calls), (~truth, calls))
    return Confusion(*(int((a & b).sum()) for a, b in pairs))


def wilson(successes: int, trials: int, level: float = LEVEL) -> Estimate:
    """A proportion with Wilson's score interval; NaN without trials.

    Source: Wilson (1927), doi:10.1080/01621459.1927.10502953.
    """
    if not trials:
        return Estimate(np.nan, np.nan, np.nan, level=level)
    interval = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    return Estimate(successes / trials, float(interval.low), float(interval.high), level=level)


def clustered_proportions(
    truth: np.ndarray,
    calls: np.ndarray,
    *,
    patients: np.ndarray | None = None,
    bootstrap: Bootstrap = DEFAULT,
) -> dict[str, tuple[list[Estimate], Estimate]]:
    """Each of `PROPORTIONS` with an interval from resampled patients.

    Args:
        truth: (N,) bool.
        calls: (R, N) bool, a row a reader.
        patients: (N,) labels; without them, each case is a patient.
        bootstrap: How patients are resampled.

    Returns:
        By name: of each reader, and of their mean. Readers are taken as they are; an interval for other readers is
        Obuchowski-Rockette's. A proportion of 0 or 1, which resampling cannot move, has Wilson's interval for as many
        trials as there are patients.
    """
    truth, calls = np.asarray(truth, bool), np.asarray(calls, bool)
    index = patient_index(patients, truth.size)

    masks = _masks(truth, calls)

    def statistics(weights: np.ndarray) -> np.ndarray:
        shares = [ratio(weights @ hits.T, weights @ trials.T) for hits, trials in masks.values()]
        return np.hstack([np.column_stack((share, share.mean(axis=1))) for share in shares])

    found = np.reshape(np.array(bootstrap.estimates(statistics, index), object), (len(masks), -1))
    result = {}
    for (name, (_, trials)), row in zip(masks.items(), found, strict=True):
        of = [*trials, trials.any(axis=0)]
        estimates = [_with_width(e, index[asked > 0], bootstrap.level) for e, asked in zip(row, of, strict=True)]
        result[name] = estimates[:-1], estimates[-1]
    return result


def _with_width(estimate: Estimate, patients: np.ndarray, level: float) -> Estimate:
    """Wilson's interval for a proportion of 0 or 1, with as many trials as there are patients."""
    if estimate.value not in (0, 1):
        return estimate
    trials = len(np.unique(patients))
    return wilson(round(estimate.value * trials), trials, level)


def _masks(truth: np.ndarray, calls: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of each of `PROPORTIONS`: which answers count as hits, and which count at all; (R, N) of 0 and 1 each."""
    positive = np.broadcast_to(truth, calls.shape)
    right, everything = calls == positive, np.ones_like(calls)
    trials = (positive, ~positive, everything, calls, ~calls)
    return {
        name: ((right & mask).astype(float), mask.astype(float)) for name, mask in zip(PROPORTIONS, trials, strict=True)
    }
