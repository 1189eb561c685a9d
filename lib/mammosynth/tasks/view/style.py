"""How a view looks as a whole: grey, and the strength of what is fine and coarse in it; what the other one's may be."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from mammosynth.preprocessing.breast import erode

SIGMAS = (1, 2, 4, 12, 50)
"""Smoothings within the breast between which the bands lie, in pixels of the frame."""
STYLE = 3 + len(SIGMAS)
"""Mean, logarithm of the standard deviation, bounded skewness, logarithm of the strength of each band."""
RIM = 5
_RIDGE, _SHRINK = 8.0, 0.1
_LIMIT = 2.5
"""Standard deviations at which drawn numbers are cut."""


class Bands:
    """How images of one breast are split.

    Args:
        breast: (N, N) bool, not empty; what lies outside has no part in the smoothings.
    """

    def __init__(self, breast: np.ndarray) -> None:
        rows, columns = np.flatnonzero(breast.any(axis=1)), np.flatnonzero(breast.any(axis=0))
        self.box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        self._weight = breast[self.box].astype(np.float32)
        self._shares = [_smooth(self._weight, sigma) + np.float32(1e-3) for sigma in SIGMAS]

    def split(self, pixels: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """The bands of an image within the breast's box, from the finest, and what is left; their sum is the image.

        Args:
            pixels: (N, N) float32, or its part within `box`.
        """
        finer = (pixels[self.box] if pixels.shape != self._weight.shape else pixels).astype(np.float32)
        weighted, bands = finer * self._weight, []
        for sigma, share in zip(SIGMAS, self._shares, strict=True):
            coarser = _smooth(weighted, sigma) / share
            bands.append(finer - coarser)
            finer = coarser
        return bands, finer


def _smooth(pixels: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(pixels, sigma, truncate=3, mode="constant")


def interior(breast: np.ndarray) -> np.ndarray:
    """The breast without its rim, where there is any."""
    inner = erode(breast, RIM)
    return inner if inner.any() else breast


def measure_style(pixels: np.ndarray, breast: np.ndarray) -> np.ndarray:
    """(8,) float64, see `STYLE`, of an image in the frame with a breast in it."""
    inside = interior(breast)
    values = pixels[inside].astype(np.float64)
    deviation = values.std() + 1e-3
    skewness = ((values - values.mean()) ** 3).mean() / deviation**3
    split = Bands(breast)
    bands, _ = split.split(pixels)
    within = [band[inside[split.box]] for band in bands]
    strengths = [np.log(strength + 1e-4) for strength in (evenly(within[0]), *(band.std() for band in within[1:]))]
    return np.array([values.mean(), np.log(deviation), np.tanh(skewness / 2), *strengths])


def evenly(band: np.ndarray) -> float:
    """The standard deviation of what is everywhere in a band, as grain is: a few strong edges do not count."""
    return float(1.4826 * np.median(np.abs(band)))


class StyleModel(nn.Module):
    """A Gaussian about a linear trend: the style of one view, given that of the other."""

    given_scale: torch.Tensor
    made_scale: torch.Tensor
    weights: torch.Tensor
    root: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, shape in (
            ("given_scale", (2, STYLE)),
            ("made_scale", (2, STYLE)),
            ("weights", (STYLE, STYLE)),
            ("root", (STYLE, STYLE)),
        ):
            self.register_buffer(name, torch.zeros(shape))

    def fit(self, given: np.ndarray, made: np.ndarray) -> None:
        """Learn from the styles of both views, (N, 8) each."""
        scales = [np.stack([each.mean(axis=0), each.std(axis=0) + 1e-3]) for each in (given, made)]
        x, y = ((each - scale[0]) / scale[1] for each, scale in zip((given, made), scales, strict=True))
        gram = x.T @ x + _RIDGE * np.eye(STYLE)
        weights = np.linalg.solve(gram, x.T @ y)
        rest = y - x @ weights
        covariance = rest.T @ rest / max(len(rest) - STYLE, 1)
        covariance = (1 - _SHRINK) * covariance + _SHRINK * np.diag(np.diag(covariance)) + 1e-6 * np.eye(STYLE)
        root = np.linalg.cholesky(covariance)
        for name, value in (
            ("given_scale", scales[0]),
            ("made_scale", scales[1]),
            ("weights", weights),
            ("root", root),
        ):
            getattr(self, name).copy_(torch.from_numpy(np.asarray(value, np.float32)))

    def draw(self, given: np.ndarray, random: np.random.Generator, spread: float) -> np.ndarray:
        """(8,) the style of the other view.

        Args:
            given: (8,) of the source.
            random: Draws it.
            spread: 1 as real views vary, 0 for the one that is expected.
        """
        scale, made_scale, weights, root = (
            getattr(self, name).cpu().double().numpy() for name in ("given_scale", "made_scale", "weights", "root")
        )
        scaled = np.clip((given - scale[0]) / scale[1], -3, 3)
        normal = np.clip(random.normal(size=STYLE), -_LIMIT, _LIMIT)
        return made_scale[0] + made_scale[1] * (scaled @ weights + spread * root @ normal)
