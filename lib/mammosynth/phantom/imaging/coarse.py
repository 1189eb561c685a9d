"""Smooth maps on coarse cells and back to pixels, aligned: a cell's value stands at its centre."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline


def coarsen(image: np.ndarray, cell: int) -> np.ndarray:
    """Means over cells of `cell` x `cell` pixels; what the last ones lack counts as 0. (H, W) to float64."""
    coarse = image.astype(np.float64) if cell == 1 else image
    for axis in (0, 1) if cell > 1 else ():
        coarse = np.add.reduceat(coarse, np.arange(0, image.shape[axis], cell), axis=axis, dtype=np.float64) / cell
    return coarse


def refine(coarse: np.ndarray, cell: int, shape: tuple[int, ...]) -> np.ndarray:
    """Inverse of `coarsen` for smooth maps: a spline through the cells' values, so that no ribs are left; float32."""
    if cell == 1:
        return coarse.astype(np.float32)
    return _along_rows(_along_rows(coarse, cell, shape[0]).T, cell, shape[1]).T.astype(np.float32)


def _along_rows(coarse: np.ndarray, cell: int, rows: int) -> np.ndarray:
    if len(coarse) == 1:
        return np.repeat(coarse, rows, axis=0)
    centres = (np.arange(len(coarse)) + 0.5) * cell
    return CubicSpline(centres, coarse, axis=0)(np.arange(rows) + 0.5)
