"""Figures of merit of one reader under one treatment: AUC, sensitivity, specificity, accuracy.

Each takes weights of the cases, one row a resample, so that jackknife and bootstrap are the same few array operations.
Each also tells what every case adds to it, from which covariances in the manner of DeLong follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mammosynth.reading.statistics.estimate import ratio

Values = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
Components = Callable[[np.ndarray, np.ndarray], list[tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True)
class Figure:
    """A figure of merit.

    Attributes:
        name: As in reports.
        values: (K, N) scores, (N,) truth, (B, N) weights of cases -> (B, K).
        components: (K, N) scores, (N,) truth -> by class of cases: their indices (n,) and what each adds (K, n), which
            sums to 0 over the class and is divided by the number of cases.
        needs: The classes of cases without which it is not defined.
        binary: Whether scores are first cut at a threshold.
    """

    name: str
    values: Values
    components: Components
    needs: tuple[bool, ...]
    binary: bool


def auc(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Empirical area under the ROC curve, ties counting one half.

    Args:
        scores: (K, N).
        truth: (N,) bool.
        weights: (B, N), how often each case counts.

    Returns:
        (B, K) in [0, 1]; NaN where a class has no weight.
    """
    positive, negative = weights[:, truth], weights[:, ~truth]
    total = positive.sum(axis=1) * negative.sum(axis=1)
    wins = np.empty((len(weights), len(scores)))
    for k, row in enumerate(scores):
        order = np.argsort(row[~truth], kind="stable")
        below = np.zeros((len(weights), len(order) + 1))
        np.cumsum(negative[:, order], axis=1, out=below[:, 1:])
        left, right = (np.searchsorted(row[~truth][order], row[truth], side) for side in ("left", "right"))
        wins[:, k] = np.einsum("bp,bp->b", positive, below[:, left] + below[:, right]) / 2
    return ratio(wins, total[:, None])


def placements(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each positive case, the share of negative ones below it; of each negative one, of positive ones above it.

    Returns:
        (K, positives) and (K, negatives), both with the AUC as their mean; ties count one half.

    Source: DeLong et al. (1988), doi:10.2307/2531595.
    """
    above = np.empty((len(scores), truth.sum()))
    below = np.empty((len(scores), (~truth).sum()))
    for k, row in enumerate(scores):
        positive, negative = np.sort(row[truth]), np.sort(row[~truth])
        above[k] = _rank(negative, row[truth]) / negative.size
        below[k] = 1 - _rank(positive, row[~truth]) / positive.size
    return above, below


def _rank(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    return (np.searchsorted(values, at, "left") + np.searchsorted(values, at, "right")) / 2


def _auc_components(scores: np.ndarray, truth: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    classes = (np.flatnonzero(truth), np.flatnonzero(~truth))
    return [(cases, _centred(v) / len(cases)) for cases, v in zip(classes, placements(scores, truth), strict=True)]


def _sensitivity(calls: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return ratio(weights[:, truth] @ calls[:, truth].T, weights[:, truth].sum(axis=1)[:, None])


def _specificity(calls: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return _sensitivity(1 - calls, ~truth, weights)


def _accuracy(calls: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return ratio(weights @ (calls == truth).T.astype(float), weights.sum(axis=1)[:, None])


def _sensitivity_components(calls: np.ndarray, truth: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    cases = np.flatnonzero(truth)
    return [(cases, _centred(calls[:, cases]) / len(cases))]


def _specificity_components(calls: np.ndarray, truth: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return _sensitivity_components(1 - calls, ~truth)


def _accuracy_components(calls: np.ndarray, truth: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    right = (calls == truth).astype(float)
    classes = (np.flatnonzero(truth), np.flatnonzero(~truth))
    return [(cases, _centred(right[:, cases]) / truth.size) for cases in classes if cases.size]


def _centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=1, keepdims=True)


AUC = Figure("auc", auc, _auc_components, (True, False), binary=False)
SENSITIVITY = Figure("sensitivity", _sensitivity, _sensitivity_components, (True,), binary=True)
SPECIFICITY = Figure("specificity", _specificity, _specificity_components, (False,), binary=True)
ACCURACY = Figure("accuracy", _accuracy, _accuracy_components, (), binary=True)
FIGURES = {figure.name: figure for figure in (AUC, SENSITIVITY, SPECIFICITY, ACCURACY)}
