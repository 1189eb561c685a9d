"""What needs no model: trivial predictors of the other view, fitted to training breasts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mammosynth.tasks.view.evaluation.protocol import Shown
from mammosynth.tasks.view.frame import SIDE, resized

MEDIAN, RIDGE, RANDOM, NEAREST, ITSELF = (
    "median view",
    "PCA-ridge",
    "random training view",
    "view of the nearest source",
    "source itself",
)
_COMPONENTS, _STRENGTH = 15, 0.1
_SMALL = 64


class Floors:
    """Fitted once.

    Args:
        pairs: Source and target of training breasts.
    """

    def __init__(self, pairs: Sequence[tuple[Shown, Shown]]) -> None:
        self._sources = np.stack([_small(source) for source, _ in pairs])
        self._targets = [target for _, target in pairs]
        whole = np.stack([target.pixels for target in self._targets])
        self._median = Shown(np.median(whole, axis=0))
        self._mean_source, flat = self._sources.mean(axis=0), whole.reshape(len(whole), -1)
        self._mean = flat.mean(axis=0)
        self._axes = np.linalg.svd(self._sources - self._mean_source, full_matrices=False)[2][:_COMPONENTS]
        scores = (self._sources - self._mean_source) @ self._axes.T
        strength = _STRENGTH * scores.var(axis=0).sum() / _COMPONENTS * len(scores)
        gram = scores.T @ scores + strength * np.eye(len(self._axes))
        self._weights = np.linalg.solve(gram, scores.T @ (flat - self._mean))
        self._random = np.random.default_rng(0)

    def of(self, source: Shown) -> dict[str, Shown]:
        """Every predictor's view of a breast; called in the order of the cases."""
        own = _small(source)
        ridge = self._mean + (own - self._mean_source) @ self._axes.T @ self._weights
        nearest = int(((self._sources - own) ** 2).sum(axis=1).argmin())
        return {
            MEDIAN: self._median,
            RIDGE: Shown(np.clip(ridge.reshape(SIDE, SIDE), 0, 1).astype(np.float32)),
            RANDOM: self._targets[int(self._random.integers(len(self._targets)))],
            NEAREST: self._targets[nearest],
            ITSELF: source,
        }


def _small(shown: Shown) -> np.ndarray:
    return resized(shown.pixels, _SMALL).ravel()
