"""`Bands`: an image as sums of what lies between smoothings within the breast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage


class Bands:
    """How images of one breast are split.

    Args:
        breast: (H, W) bool, not empty; what lies outside has no part in the smoothings.
        sigmas: Smoothings between which the bands lie, in pixels, from the finest.
    """

    def __init__(self, breast: np.ndarray, sigmas: Sequence[float]) -> None:
        rows, columns = np.flatnonzero(breast.any(axis=1)), np.flatnonzero(breast.any(axis=0))
        self.box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        self._sigmas = tuple(sigmas)
        self._weight = breast[self.box].astype(np.float32)
        self._shares = [_smooth(self._weight, sigma) + np.float32(1e-3) for sigma in self._sigmas]

    def split(self, pixels: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """The bands of an image within the breast's box, from the finest, and what is left; their sum is the image.

        Args:
            pixels: (H, W) float32, or its part within `box`.
        """
        finer = (pixels[self.box] if pixels.shape != self._weight.shape else pixels).astype(np.float32)
        weighted, bands = finer * self._weight, []
        for sigma, share in zip(self._sigmas, self._shares, strict=True):
            coarser = _smooth(weighted, sigma) / share
            bands.append(finer - coarser)
            finer = coarser
        return bands, finer


def evenly(band: np.ndarray) -> float:
    """The standard deviation of what is everywhere in a band, as grain is: a few strong edges do not count."""
    return float(1.4826 * np.median(np.abs(band)))


def _smooth(pixels: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(pixels, sigma, truncate=3, mode="constant")
