"""How rough the outline of an image is, and how much its grey values ripple along the skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.measure import find_contours

STEP_PX = 0.25
"""Of the profiles across the skin."""


@dataclass(frozen=True)
class SkinLine:
    """Measured on profiles across the skin, one for each pixel of its length.

    Attributes:
        edge_px: Where each profile, from outside, first reaches its level; positive is inside the reference line.
        roughness_px: Standard deviation of `edge_px` without what varies slowly along the skin.
        ripple: Standard deviation of the grey values under the edge, without what varies slowly along the skin, as a
            share of their mean.
    """

    edge_px: np.ndarray
    roughness_px: float
    ripple: float


def measure_skin(
    image: np.ndarray,
    breast: np.ndarray,
    *,
    level: float,
    reach_px: float,
    band_px: tuple[float, float],
    smooth_px: float,
) -> SkinLine:
    """The skin line of an image.

    Args:
        image: (H, W) in [0, 1].
        breast: (H, W) bool, the reference line is its smoothed rim.
        level: The edge is where a profile reaches this share of its value under the skin.
        reach_px: Of the profiles, to either side of the reference line.
        band_px: Where ripple is measured, from the edge inwards.
        smooth_px: Standard deviation along the skin of what counts as slow.
    """
    points, inwards = _line(breast, smooth_px, reach_px + band_px[1])
    offsets = np.arange(-reach_px, reach_px + band_px[1], STEP_PX)
    places = points[:, None] + offsets[None, :, None] * inwards[:, None]
    profiles = ndimage.map_coordinates(image, places.reshape(-1, 2).T, order=1).reshape(len(points), -1)
    plateau = ndimage.gaussian_filter1d(np.median(profiles[:, offsets > reach_px], axis=1), smooth_px)
    reached = profiles >= level * plateau[:, None]
    kept = reached.any(axis=1)
    profiles, reached, plateau = profiles[kept], reached[kept], plateau[kept]
    rows, first = np.arange(len(profiles)), np.maximum(reached.argmax(axis=1), 1)
    below, above = profiles[rows, first - 1], profiles[rows, first]
    share = np.clip((level * plateau - below) / np.maximum(above - below, 1e-6), 0, 1)
    edge = offsets[first - 1] + share * STEP_PX
    columns = first[:, None] + np.arange(int(band_px[0] / STEP_PX), int(band_px[1] / STEP_PX))
    under = np.take_along_axis(profiles, np.minimum(columns, len(offsets) - 1), axis=1).mean(axis=1)
    return SkinLine(edge, float(_fast(edge, smooth_px).std()), float(_fast(under, smooth_px).std() / under.mean()))


def _line(breast: np.ndarray, smooth_px: float, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Points a pixel apart on the rim, away from the image's border, and the unit vectors inwards."""
    soft = ndimage.gaussian_filter(breast.astype(np.float32), smooth_px, mode="nearest")
    line = max(find_contours(soft, 0.5), key=len)
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    points = np.stack([np.interp(np.arange(0, along[-1]), along, line[:, axis]) for axis in (0, 1)], axis=1)
    slope = np.stack(np.gradient(soft), axis=0)
    inwards = np.stack([ndimage.map_coordinates(part, points.T, order=1) for part in slope], axis=1)
    inwards /= np.linalg.norm(inwards, axis=1, keepdims=True)
    far = np.min([points.min(axis=1), (np.array(breast.shape) - 1 - points).min(axis=1)], axis=0) > margin
    return points[far], inwards[far]


def _fast(values: np.ndarray, smooth_px: float) -> np.ndarray:
    return values - ndimage.gaussian_filter1d(values, smooth_px, mode="nearest")
