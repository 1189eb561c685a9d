"""The outline of a breast as numbers: how far it reaches from the middle of the chest wall in every direction."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.interpolate import CubicSpline

ANGLES = np.linspace(-np.pi / 2, np.pi / 2, 49)
"""From up along the chest wall over straight away from it to down."""


def outline_radii(breast: np.ndarray, pixel_mm: float) -> np.ndarray:
    """How far the breast reaches in each of `ANGLES`.

    Args:
        breast: (H, W) bool with at least one True, chest wall on the left.
        pixel_mm: Millimetres per pixel.

    Returns:
        (49,) in millimetres, at least a pixel.
    """
    (row, column), reach = chest_wall_middle(breast), int(np.hypot(breast.shape[0], breast.shape[1]))
    steps = np.arange(0, reach, 0.5)
    rows = row + np.sin(ANGLES)[:, None] * steps
    columns = column + np.cos(ANGLES)[:, None] * steps
    inside = ndimage.map_coordinates(breast.astype(np.uint8), [rows, columns], order=0, mode="constant") > 0
    last = steps.size - 1 - np.argmax(inside[:, ::-1], axis=1)
    return np.maximum(1.0, np.where(inside.any(axis=1), steps[last], 0)) * pixel_mm


def fill_outline(radii_mm: np.ndarray, pixel_mm: float, shape: tuple[int, int], row: float) -> np.ndarray:
    """The breast with an outline, chest wall at column 0: the inverse of `outline_radii`.

    Args:
        radii_mm: (49,) as of `outline_radii`.
        pixel_mm: Millimetres per pixel.
        shape: (H, W) of the result.
        row: Of the middle of the chest wall.
    """
    angle, distance = polar(shape, row, 0.0)
    return distance * pixel_mm <= CubicSpline(ANGLES, radii_mm)(angle)


def polar(shape: tuple[int, ...], row: float, column: float) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) angle in radians, 0 along the rows, and distance in pixels from a point."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.arctan2(y - row, x - column), np.hypot(y - row, x - column)


def chest_wall_middle(breast: np.ndarray) -> tuple[float, float]:
    """(row, column) of the middle of the box's left side."""
    rows, columns = np.flatnonzero(breast.any(axis=1)), np.flatnonzero(breast.any(axis=0))
    return float(rows[0] + rows[-1]) / 2, float(columns[0])
