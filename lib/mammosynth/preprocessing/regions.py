"""Connected regions and dilations of large masks, exactly as `scipy.ndimage` gives them, in a fraction of its time."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Part = tuple[slice, slice]
"""Rows and columns of an image, with start and stop."""


class Regions:
    """The 4-connected regions of a mask.

    A region is kept as runs of its rows: of a breast there are thousands, where there are millions of pixels.

    Args:
        mask: (H, W) bool.
    """

    def __init__(self, mask: np.ndarray) -> None:
        self._rows, self._pitch = mask.shape[0], mask.shape[1] + 1
        flat = self._flat(mask)
        self._changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        starts, ends = self._changes[::2], self._changes[1::2]
        # Runs of the next row that share a column with a run lie one behind the other.
        first = np.searchsorted(ends, starts + self._pitch, side="right")
        count = np.searchsorted(starts, ends + self._pitch, side="left") - first
        above = np.repeat(np.arange(starts.size), count)
        below = np.arange(above.size) + np.repeat(first - np.cumsum(count) + count, count)
        touching = coo_array((np.ones(above.size, np.int8), (above, below)), shape=(starts.size, starts.size))
        self.count, self._region_of = connected_components(touching, directed=False)

    @cached_property
    def areas(self) -> np.ndarray:
        """(count,) pixels of each region."""
        return np.bincount(self._region_of, self._changes[1::2] - self._changes[::2], minlength=self.count)

    def holding(self, mask: np.ndarray) -> np.ndarray:
        """(count,) bool: whether a region has a pixel of another mask of the same shape."""
        held = np.logical_or.reduceat(self._flat(mask), self._changes)[::2] if self.count else np.zeros(0, bool)
        return np.bincount(self._region_of, held, minlength=self.count) > 0

    def mask(self, wanted: np.ndarray) -> np.ndarray:
        """(H, W) bool: the pixels of the regions that are wanted, (count,) bool."""
        values = np.zeros(self._changes.size + 1, bool)
        values[1::2] = wanted[self._region_of]
        lengths = np.diff(self._changes, prepend=0, append=self._rows * self._pitch + 1)
        return np.repeat(values, lengths)[:-1].reshape(self._rows, self._pitch)[:, 1:]

    def _flat(self, mask: np.ndarray) -> np.ndarray:
        """Row after row, with a False before each and at the end: so no run goes on from one to the next."""
        flat = np.zeros(self._rows * self._pitch + 1, bool)
        flat[:-1].reshape(self._rows, self._pitch)[:, 1:] = mask
        return flat


def dilate(mask: np.ndarray, square: int, diamond: int) -> np.ndarray:
    """The mask dilated by a square, and by a diamond; by an octagon if by both. Beyond the image's border is nothing.

    A line of any length takes a few shifts that double it; the square is two lines, the diamond two slanting ones and a
    cross, since they alone reach every second pixel only.

    Args:
        mask: (H, W) bool.
        square: Steps to the 8 neighbours.
        diamond: Steps to the 4 neighbours.
    """
    reach = square + diamond
    padded = np.pad(mask, ((0, 2 * reach), (reach, reach)))
    flat, pitch = padded.reshape(-1), padded.shape[1]
    if diamond:
        before = flat.copy()
        for shift in (pitch - 1, pitch, pitch + 1, 2 * pitch):
            flat[shift:] |= before[:-shift]
    for stride, steps in ((1, 2 * square), (pitch, 2 * square), (pitch + 1, diamond - 1), (pitch - 1, diamond - 1)):
        length = 1
        while length <= steps:
            shift = min(length, steps + 1 - length)
            flat[shift * stride :] |= flat[: -shift * stride]
            length += shift
    # Everything was shifted down and right only.
    return padded[reach : reach + mask.shape[0], reach + square : reach + square + mask.shape[1]]


def close(mask: np.ndarray, square: int, diamond: int) -> np.ndarray:
    """The mask dilated, then eroded by the same; beyond the image's border it goes on."""
    return ~dilate(~dilate(mask, square, diamond), square, diamond)


def close_round(mask: np.ndarray, radius: float) -> np.ndarray:
    """As `close`, by the octagon that is nearest to a disk of a radius in pixels."""
    return close(mask, square=round(0.41 * radius), diamond=round(0.59 * radius))


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest region of a mask."""
    regions = Regions(mask)
    return mask if regions.count < 2 else regions.mask(np.arange(regions.count) == np.argmax(regions.areas))


def filled(mask: np.ndarray) -> np.ndarray:
    """The mask with its holes: what no way by 4 neighbours leads to from the image's border."""
    air, border = Regions(~mask), np.zeros(mask.shape, bool)
    border[[0, -1]] = border[:, [0, -1]] = True
    return ~air.mask(air.holding(border))


def box_around(mask: np.ndarray, margin: int) -> Part:
    """The rows and columns of a mask with as many more on every side, as far as the image has them.

    Args:
        mask: (H, W) bool with at least one True.
        margin: In pixels.
    """
    found = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    rows, columns = (
        slice(max(0, ends[0] - margin), min(side, ends[-1] + 1 + margin))
        for ends, side in zip(found, mask.shape, strict=True)
    )
    return rows, columns
