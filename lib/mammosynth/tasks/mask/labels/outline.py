"""The outline of a breast as numbers: how far it reaches from the middle of the chest wall in every direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.interpolate import CubicSpline

ANGLES = np.linspace(-np.pi / 2, np.pi / 2, 49)
"""From up along the chest wall over straight away from it to down."""
NARROW_MM = 12.0
"""Rows of less breast are its end, or a strip of film at the chest wall; a border with more cuts the breast."""


@dataclass(frozen=True, eq=False)
class Outline:
    """A breast with its chest wall on the left.

    Attributes:
        radii_mm: (49,) from the middle of the chest wall in `ANGLES`; where the upper border cuts the breast, as if it
            went on upwards as it is there.
        above_mm: From the middle to the upper border, or to where the breast begins.
        row: Of the middle.
    """

    radii_mm: np.ndarray
    above_mm: float
    row: float


def outline_of(breast: np.ndarray, pixel_mm: float) -> Outline:
    """The outline of a breast.

    Args:
        breast: (H, W) bool with at least one True, chest wall on the left.
        pixel_mm: Millimetres per pixel.
    """
    left = int(np.flatnonzero(breast.any(axis=0))[0])
    reach = breast.shape[1] - np.argmax(breast[:, ::-1], axis=1) - left
    reach = np.where(breast.any(axis=1), reach, 0)
    wide = np.flatnonzero(reach * pixel_mm >= NARROW_MM)
    if not wide.size:
        wide = np.flatnonzero(reach)
    top, bottom = int(wide[0]), int(wide[-1]) + 1
    height, row = bottom - top, (wide[0] + wide[-1]) / 2
    goes_on = reach[top] * pixel_mm >= 2 * NARROW_MM
    # Rows from the chest wall to the outermost pixel; above, as many again where the breast goes on.
    filled = np.arange(breast.shape[1])[None] < reach[top:bottom, None]
    filled = np.pad(filled, ((height if goes_on else 0, 0), (0, 1)), mode="edge")
    filled[:, -1] = False
    middle = row - top + (height if goes_on else 0)
    steps = np.arange(0, np.hypot(filled.shape[0], filled.shape[1]), 0.5)
    rows, columns = middle + np.sin(ANGLES)[:, None] * steps, np.cos(ANGLES)[:, None] * steps
    inside = ndimage.map_coordinates(filled.astype(np.uint8), [rows, columns], order=0, mode="constant") > 0
    last = steps.size - 1 - np.argmax(inside[:, ::-1], axis=1)
    radii = np.maximum(1.0, np.where(inside.any(axis=1), steps[last], 0)) * pixel_mm
    return Outline(radii, float(row - top) * pixel_mm, float(row))


def fill_outline(outline: Outline, pixel_mm: float, shape: tuple[int, int]) -> np.ndarray:
    """The breast with an outline, chest wall at column 0, cut at its upper border: the inverse of `outline_of`.

    Args:
        outline: With its row in pixels of the result.
        pixel_mm: Millimetres per pixel.
        shape: (H, W) of the result.
    """
    angle, distance = polar(shape, outline.row, 0.0)
    inside = distance * pixel_mm <= np.exp(CubicSpline(ANGLES, np.log(outline.radii_mm))(angle))
    inside[: max(0, round(outline.row - outline.above_mm / pixel_mm))] = False
    return inside


def polar(shape: tuple[int, ...], row: float, column: float) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) angle in radians, 0 along the rows, and distance in pixels from a point."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.arctan2(y - row, x - column), np.hypot(y - row, x - column)
