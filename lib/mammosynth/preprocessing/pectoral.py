"""The pectoral muscle of an MLO view: a line from the upper border to the chest wall, bright behind, dark before it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_SMOOTHING_MM, _STEP_MM = 1.5, 4.0
_WIDTHS, _HEIGHTS = (0.12, 0.95), (0.25, 1.1)
"""Where the line may end: on the upper border in widths, on the chest wall in heights of the breast."""
_LEAST_SCORE = 0.12
"""Mean of the saturated gradient along the line; below, no muscle is seen. Chosen by eye on CDD-CESM's `train`."""
_STEEPNESS = (0.9, 6.0)
_BEND_MM, _SAMPLES = 10.0, 48


def find_pectoral_muscle(pixels: np.ndarray, breast: np.ndarray, pixel_mm: float) -> np.ndarray:
    """The muscle as the region behind a slightly bent line.

    Args:
        pixels: (H, W) float32 in [0, 1], chest wall on the left, upper border on top.
        breast: (H, W) bool, not empty.
        pixel_mm: Millimetres per pixel.

    Returns:
        (H, W) bool, empty if no edge is seen where a muscle's would be.
    """
    rows, columns = np.flatnonzero(breast.any(axis=1)), np.flatnonzero(breast.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    box = breast[top : rows[-1] + 1, left : columns[-1] + 1]
    nothing = np.zeros_like(breast)
    inside = pixels[top : rows[-1] + 1, left : columns[-1] + 1]
    smooth = ndimage.gaussian_filter(inside, _SMOOTHING_MM / pixel_mm, mode="nearest")
    spread = np.subtract(*np.percentile(smooth[box], [90, 10])) + 1e-3
    slopes = np.stack([np.gradient(smooth, axis=axis) for axis in (0, 1)]) * np.float32(8 / pixel_mm / spread)
    slopes *= ndimage.binary_erosion(box, iterations=max(1, round(3 / pixel_mm)), border_value=1)
    line = _best_line(slopes, box, pixel_mm)
    if line is None:
        return nothing
    found = nothing.copy()
    found[top : rows[-1] + 1, left : columns[-1] + 1] = _behind(line, slopes, box.shape, pixel_mm)
    return found & breast


def _best_line(slopes: np.ndarray, box: np.ndarray, pixel_mm: float) -> tuple[float, float] | None:
    """(width, height) in pixels where the best line ends."""
    height, width = box.shape
    step = max(1.0, _STEP_MM / 2 / pixel_mm)
    heights = np.arange(_HEIGHTS[0] * height, _HEIGHTS[1] * height, 2 * step)
    widths = np.arange(_WIDTHS[0] * width, _WIDTHS[1] * width, step)
    h, w = (ends.ravel()[:, None] for ends in np.meshgrid(heights, widths, indexing="ij"))
    steep = (h / w > _STEEPNESS[0]) & (h / w < _STEEPNESS[1])
    h, w = h[steep][:, None], w[steep][:, None]
    if not h.size:
        return None
    along = np.linspace(0.04, 0.96, _SAMPLES)[None]
    seen = _edge(slopes, along * h, (1 - along) * w, (w, h)).mean(axis=1)
    seen *= 0.75 + 0.25 * np.minimum(1, h[:, 0] / height / 0.7)
    best = int(np.argmax(seen))
    return (float(w[best, 0]), float(h[best, 0])) if seen[best] > _LEAST_SCORE else None


def _edge(
    slopes: np.ndarray, rows: np.ndarray, columns: np.ndarray, normal: tuple[np.ndarray | float, np.ndarray | float]
) -> np.ndarray:
    """How much darker it becomes across the line, saturated, so that a few bright vessels count little."""
    y, x = np.rint(rows).astype(int), np.rint(columns).astype(int)
    inside = (y >= 0) & (x >= 0) & (y < slopes.shape[1]) & (x < slopes.shape[2])
    y, x = y * inside, x * inside
    across = -(slopes[0, y, x] * normal[0] + slopes[1, y, x] * normal[1]) / np.hypot(*normal)
    return np.where(inside, np.tanh(across), 0)


def _behind(line: tuple[float, float], slopes: np.ndarray, shape: tuple[int, ...], pixel_mm: float) -> np.ndarray:
    """The region behind the line, bent to where the edge is: a parabola that keeps near the line."""
    w, h = line
    normal = (w / np.hypot(w, h), h / np.hypot(w, h))
    along = np.linspace(0.04, 0.96, _SAMPLES)
    shifts = np.arange(-_BEND_MM, _BEND_MM + 0.1, 1.0) / pixel_mm
    sag, shift = (values.ravel()[:, None] for values in np.meshgrid(shifts, shifts[::2] / 2, indexing="ij"))
    offset = shift + sag * 4 * along * (1 - along)
    seen = _edge(slopes, along * h + offset * normal[0], (1 - along) * w + offset * normal[1], normal).mean(axis=1)
    best = int(np.argmax(seen - 0.02 * np.abs(sag[:, 0]) * pixel_mm / _BEND_MM))
    row, column = np.ogrid[: shape[0], : shape[1]]
    distance = (row * w + column * h - w * h) / np.hypot(w, h)
    position = np.clip((row * h - column * w + w * w) / (w * w + h * h), 0, 1)
    return distance < shift[best, 0] + sag[best, 0] * 4 * position * (1 - position)
