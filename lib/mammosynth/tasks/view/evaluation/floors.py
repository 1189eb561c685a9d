"""What needs no model: trivial predictors of the other view, fitted to training breasts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mammosynth.tasks.view.evaluation.protocol import Shown
from mammosynth.tasks.view.frame import SIDE, resized

MEDIAN, RIDGE, RANDOM, NEAREST, ITSELF = (
    "median MLO",
    "PCA-ridge",
    "random training MLO",
    "MLO of the nearest CC",
    "CC itself",
)
_COMPONENTS, _STRENGTH = 15, 0.1
_SMALL = 64


class Floors:
    """Fitted once.

    Args:
        pairs: CC and MLO of training breasts.
    """

    def __init__(self, pairs: Sequence[tuple[Shown, Shown]]) -> None:
        self._cc = np.stack([_small(cc) for cc, _ in pairs])
        self._mlo = [mlo for _, mlo in pairs]
        whole = np.stack([mlo.pixels for mlo in self._mlo])
        self._median = Shown(np.median(whole, axis=0))
        self._mean_cc, flat = self._cc.mean(axis=0), whole.reshape(len(whole), -1)
        self._mean = flat.mean(axis=0)
        self._axes = np.linalg.svd(self._cc - self._mean_cc, full_matrices=False)[2][:_COMPONENTS]
        scores = (self._cc - self._mean_cc) @ self._axes.T
        strength = _STRENGTH * scores.var(axis=0).sum() / _COMPONENTS * len(scores)
        gram = scores.T @ scores + strength * np.eye(len(self._axes))
        self._weights = np.linalg.solve(gram, scores.T @ (flat - self._mean))
        self._random = np.random.default_rng(0)

    def of(self, cc: Shown) -> dict[str, Shown]:
        """Every predictor's view of a breast; called in the order of the cases."""
        own = _small(cc)
        ridge = self._mean + (own - self._mean_cc) @ self._axes.T @ self._weights
        nearest = int(((self._cc - own) ** 2).sum(axis=1).argmin())
        return {
            MEDIAN: self._median,
            RIDGE: Shown(np.clip(ridge.reshape(SIDE, SIDE), 0, 1).astype(np.float32)),
            RANDOM: self._mlo[int(self._random.integers(len(self._mlo)))],
            NEAREST: self._mlo[nearest],
            ITSELF: cc,
        }


def _small(shown: Shown) -> np.ndarray:
    return resized(shown.pixels, _SMALL).ravel()
