"""`ViewRegression`: the view that is expected, by a ridge regression on principal components of the craniocaudal one.

Two things are predicted at every pixel, grey and the chance of breast: where the chance is below one half, the least
error is not the mean but black. Fitted in closed form; one for every look.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from mammosynth.tasks.view.frame import SIDE, resized

GIVEN, MADE = 64, 128
"""Sides in pixels of what is regressed on, and of what is predicted."""
MODES = 32
RIDGE = 0.75
"""Of the mean squared distance of two training views; chosen on the validation breasts of both looks, of .5 to 3."""
FOLDS = 5


class ViewRegression(nn.Module):
    """See this module's text."""

    given_mean: torch.Tensor
    given_modes: torch.Tensor
    mean: torch.Tensor
    weights: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("given_mean", torch.zeros(GIVEN**2))
        self.register_buffer("given_modes", torch.zeros(MODES, GIVEN**2))
        self.register_buffer("mean", torch.zeros(2 * MADE**2))
        self.register_buffer("weights", torch.zeros(MODES, 2 * MADE**2))

    def fit(self, given: np.ndarray, made: np.ndarray) -> None:
        """Learn from breasts whose views are both known.

        Args:
            given: (N, 4096) float32 craniocaudal views at 64 pixels.
            made: (N, 2, 128, 128) float32: grey and breast of the other view.
        """
        mean = given.mean(axis=0)
        modes = np.zeros((MODES, given.shape[1]), np.float32)
        axes = np.linalg.svd(given - mean, full_matrices=False)[2][:MODES]
        modes[: len(axes)] = axes
        scores, targets = (given - mean) @ modes.T, made.reshape(len(made), -1)
        middle = targets.mean(axis=0)
        strength = RIDGE * 2 * float(np.square(given - mean).sum(axis=1).mean())
        weights = np.linalg.solve(scores.T @ scores + strength * np.eye(MODES), scores.T @ (targets - middle))
        for name, value in (("given_mean", mean), ("given_modes", modes), ("mean", middle), ("weights", weights)):
            getattr(self, name).copy_(torch.from_numpy(np.asarray(value, np.float32)))

    def scores(self, given: np.ndarray) -> np.ndarray:
        """(N, 32): what is regressed on, of (N, 4096)."""
        return (given - self.given_mean.cpu().numpy()) @ self.given_modes.cpu().numpy().T

    def predict(self, given: np.ndarray) -> np.ndarray:
        """(N, 2, 128, 128) float32 of (N, 4096): grey, not clipped, and the chance of breast, about 0 to 1."""
        made = self.mean.cpu().numpy() + self.scores(given) @ self.weights.cpu().numpy()
        return made.reshape(-1, 2, MADE, MADE).astype(np.float32)


def given_of(cc: np.ndarray) -> np.ndarray:
    """(4096,) float32 of a (512, 512) craniocaudal view in the frame."""
    return resized(cc, GIVEN).ravel()


def made_of(mlo: np.ndarray, breast: np.ndarray) -> np.ndarray:
    """(2, 128, 128) float32 of a (512, 512) view in the frame, and where the breast is in it."""
    step = SIDE // MADE
    both = np.stack([mlo, breast.astype(np.float32)])
    return both.reshape(2, MADE, step, MADE, step).mean(axis=(2, 4), dtype=np.float32)


def predict_left_out(given: np.ndarray, made: np.ndarray, patients: Sequence[str]) -> np.ndarray:
    """(N, 2, 128, 128): predictions of training breasts, each by a regression that has not seen the patient.

    Args:
        given: (N, 4096).
        made: (N, 2, 128, 128).
        patients: (N,) whose they are.
    """
    names = sorted(set(patients))
    fold = np.array([names.index(patient) % FOLDS for patient in patients])
    found = np.zeros_like(made)
    for left_out in set(fold.tolist()):
        others = fold != left_out
        regression = ViewRegression()
        regression.fit(given[others], made[others])
        found[~others] = regression.predict(given[~others])
    return found
