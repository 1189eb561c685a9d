"""The craniocaudal view laid into the outline of the other: nipple on nipple, chest wall on chest wall.

Depth, from the chest wall to the nipple, is kept as a share of the breast's. In every column the extent of one breast
is stretched to that of the other.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_SMOOTHING = 8.0
"""Columns over which extents are smoothed, so that no pixel of an outline makes a streak."""
_INNER = (0.05, 0.95)
"""Shares of the source's height and depth from which tissue comes: skin and the film's border stay where they are."""
_TIP = 0.97
"""Columns nearer to the nipple than this share of the depth take the extent there: there is next to no height."""


def warp_map(breast: np.ndarray, cc_breast: np.ndarray) -> np.ndarray:
    """Where in the craniocaudal view the tissue of every pixel is.

    Args:
        breast: (N, N) bool of the other view, chest wall on the left, not empty.
        cc_breast: (N, N) bool, likewise.

    Returns:
        (2, N, N) float32: row and column, in pixels of the frame.
    """
    left, right, top, bottom = _extents(breast)
    cc_left, cc_right, cc_top, cc_bottom = _extents(cc_breast)
    columns = np.arange(breast.shape[1], dtype=np.float32)
    depth = _within((columns - left) / max(right - left, 1))
    cc_column = cc_left + depth * (cc_right - cc_left)
    upper, lower = (np.interp(cc_column, np.arange(len(edge)), edge) for edge in (cc_top, cc_bottom))
    rows = np.arange(breast.shape[0], dtype=np.float32)[:, None]
    height = (rows - top) / np.maximum(bottom - top, 4)
    cc_row = upper + _within(height) * (lower - upper)
    return np.stack([cc_row, np.broadcast_to(cc_column, cc_row.shape)]).astype(np.float32)


def _within(share: np.ndarray) -> np.ndarray:
    return _INNER[0] + np.clip(share, 0, 1) * (_INNER[1] - _INNER[0])


def carry(pixels: np.ndarray, where: np.ndarray) -> np.ndarray:
    """(N, N) of an (N, N) image of the craniocaudal view: what is at the places of a map."""
    return ndimage.map_coordinates(pixels, where, order=1, mode="nearest")


def _extents(breast: np.ndarray) -> tuple[int, int, np.ndarray, np.ndarray]:
    """First and last column, and upper and lower end of the breast in every column, smoothed."""
    columns = np.flatnonzero(breast.any(axis=0))
    first, last = int(columns[0]), int(columns[-1])
    tip = first + int(_TIP * (last - first))
    top = np.argmax(breast, axis=0).astype(np.float32)
    bottom = (len(breast) - 1 - np.argmax(breast[::-1], axis=0)).astype(np.float32)
    for edge in (top, bottom):
        edge[:first], edge[tip:] = edge[first], edge[tip]
        edge[:] = ndimage.gaussian_filter1d(edge, _SMOOTHING, mode="nearest")
    return first, last, top, bottom
