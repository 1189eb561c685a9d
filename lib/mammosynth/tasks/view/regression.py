"""`ViewRegression`: the view that is expected, by a ridge regression on what the other one shows.

Three things are predicted: grey at every pixel of the frame; the chance of breast there, since where it is low the
least error is not the mean but black; and grey in the box of the breast, stretched to a square, where no outline blurs
what is a woman's own. Fitted in closed form; one for every look.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import nn

from mammosynth.tasks.view.frame import SIDE, resized

GIVEN, MADE = 64, 128
"""Sides in pixels of the frame that is regressed on, and of the one that is predicted."""
BOX, MADE_BOX = 32, 64
"""The same of the box of the breast."""
PERCENTILES = tuple(range(2, 100, 4))
BLOCKS = {
    "frame": (GIVEN**2, 1.0),
    "outline": (GIVEN**2, 0.5),
    "box": (BOX**2, 1.0),
    "profile": (BOX, 1.0),
    "histogram": (len(PERCENTILES), 0.5),
}
"""What is regressed on: how many numbers, and their variance together after scaling."""
MODES = 48
RIDGE = 4.0
"""In units of that variance; these and the weights were chosen by left-out training breasts and on validation ones."""
GAIN = 1.7
"""By which the box deviates from the mean more than the regression says: a ridge shrinks what is a woman's own."""
_PIXELS = 2 * MADE**2


@dataclass(frozen=True, eq=False)
class Prediction:
    """Of one breast.

    Attributes:
        grey: (128, 128) float32, not clipped.
        chance: (128, 128) float32 of breast, about 0 to 1.
        box: (64, 64) float32: grey in the box of the breast, not clipped.
    """

    grey: np.ndarray
    chance: np.ndarray
    box: np.ndarray


class ViewRegression(nn.Module):
    """See this module's text."""

    given_mean: torch.Tensor
    given_modes: torch.Tensor
    mean: torch.Tensor
    weights: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        given, made = sum(size for size, _ in BLOCKS.values()), _PIXELS + MADE_BOX**2
        self.register_buffer("given_mean", torch.zeros(given))
        self.register_buffer("given_modes", torch.zeros(MODES, given))
        self.register_buffer("mean", torch.zeros(made))
        self.register_buffer("weights", torch.zeros(MODES, made))

    def fit(self, given: np.ndarray, made: np.ndarray) -> None:
        """Learn from breasts whose views are both known.

        Args:
            given: (N, 9273) float32, see `given_of`.
            made: (N, 36864) float32, see `made_of`.
        """
        mean, middle = given.mean(axis=0), made.mean(axis=0)
        scale = _scale(given - mean)
        scaled = (given - mean) * scale
        axes = np.linalg.svd(scaled, full_matrices=False)[2][:MODES]
        modes = np.zeros((MODES, given.shape[1]), np.float32)
        modes[: len(axes)] = axes
        scores = scaled @ modes.T
        weights = np.linalg.solve(scores.T @ scores + RIDGE * np.eye(MODES), scores.T @ (made - middle))
        weights[:, _PIXELS:] *= GAIN
        for name, value in (
            ("given_mean", mean),
            ("given_modes", modes * scale),
            ("mean", middle),
            ("weights", weights),
        ):
            getattr(self, name).copy_(torch.from_numpy(np.asarray(value, np.float32)))

    def predict(self, given: np.ndarray) -> Prediction:
        """Of (9273,) numbers of a breast."""
        mean, modes, middle, weights = (
            getattr(self, name).cpu().numpy() for name in ("given_mean", "given_modes", "mean", "weights")
        )
        made = (middle + modes @ (given - mean) @ weights).astype(np.float32)
        grey, chance = made[:_PIXELS].reshape(2, MADE, MADE)
        return Prediction(grey, chance, made[_PIXELS:].reshape(MADE_BOX, MADE_BOX))


def given_of(source: np.ndarray, breast: np.ndarray) -> np.ndarray:
    """(9273,) float32, see `BLOCKS`, of a (512, 512) source in the frame; the breast in it is not empty."""
    box = in_box(source, breast, BOX)
    found = {
        "frame": resized(source, GIVEN),
        "outline": resized(breast.astype(np.float32), GIVEN),
        "box": box,
        "profile": box.mean(axis=0),
        "histogram": np.percentile(source[breast], PERCENTILES),
    }
    return np.concatenate([found[name].ravel() for name in BLOCKS]).astype(np.float32)


def made_of(target: np.ndarray, breast: np.ndarray) -> np.ndarray:
    """(36864,) float32 of a (512, 512) target in the frame: grey and breast in it, grey in the box of the breast."""
    step = SIDE // MADE
    both = np.stack([target, breast.astype(np.float32)])
    means = both.reshape(2, MADE, step, MADE, step).mean(axis=(2, 4), dtype=np.float32)
    return np.concatenate([means.ravel(), in_box(target, breast, MADE_BOX).ravel()])


def in_box(pixels: np.ndarray, breast: np.ndarray, side: int) -> np.ndarray:
    """(side, side) float32: the box of a breast, stretched."""
    box = Image.fromarray(pixels[box_of(breast)].astype(np.float32))
    return np.asarray(box.resize((side, side), Image.Resampling.BOX), np.float32)


def box_of(breast: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of an (N, N) bool mask, not empty."""
    rows, columns = np.flatnonzero(breast.any(axis=1)), np.flatnonzero(breast.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _scale(deviations: np.ndarray) -> np.ndarray:
    """By which each of the numbers is multiplied so that blocks vary as `BLOCKS` says."""
    scales, start = [], 0
    for size, weight in BLOCKS.values():
        variance = np.square(deviations[:, start : start + size]).sum(axis=1).mean()
        scales.append(np.full(size, np.sqrt(weight / max(float(variance), 1e-6)), np.float32))
        start += size
    return np.concatenate(scales)
