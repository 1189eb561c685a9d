"""The source laid behind the outline of the other: nipple on nipple, scaled a little, never bent.

What is pulled long to fill an outline looks like threads. An oblique view shows more than a craniocaudal one, above
all towards the axilla: there its tissue is laid again, in copies that are moved or upside down, chosen one by one so
that each covers most of what is left with tissue that is as deep under the skin. One copy goes softly over into the
next.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import ndimage

from mammosynth.preprocessing.breast import erode, skin_distance

SCALES = (0.8, 1.25)
"""Of the source's depth and height below the nipple to that of the view: what lies beyond is covered or left out."""
RIM_PX, SEAM_PX = 7.0, 14.0
"""Left out along the source's skin, where grey falls; and over how many pixels copies go over into each other."""
DOWN, INWARD = (-2.0, -1.6, -1.3, -1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5), (-0.5, -0.25, -0.1, 0.0, 0.1, 0.25)
"""Shares of the source's height and depth by which copies may be moved, as it is and upside down."""
LEAST_SHARE = 0.05
"""What is covered by less than this is left without detail."""
COPIES, LEAST = 10, 0.002
"""At most so many; and the share of the breast that a copy has to cover."""
FIRST_PX, DEPTH_PX, DEEP_PX = 25.0, 14.0, 70.0
"""How unlike in depth under the skin tissue may be where it lies, and in copies; from where on depth does not count."""
_Move = tuple[int, float, float]
STAY: _Move = (1, 0.0, 0.0)
"""A copy: upside down if negative, and by which shares of height and depth it is moved."""
STEP = 8
"""Of the pixels by which copies are chosen."""


@dataclass(frozen=True, eq=False)
class Laid:
    """Where in the source the tissue of every pixel is.

    Attributes:
        copies: For each (2, N, N) float32 row and column, and (N, N) float32 its weight; the squares of the weights sum
            up to 1 where they cover the breast.
    """

    copies: tuple[tuple[np.ndarray, np.ndarray], ...]

    def carry(self, pixels: np.ndarray) -> np.ndarray:
        """(N, N) of an (N, N) image of the source.

        Args:
            pixels: In the frame; their mean should be 0, for where copies overlap they add up as noise does.
        """
        splines = ndimage.spline_filter(pixels.astype(np.float32), 3, output=np.float32, mode="nearest")
        total = np.zeros(pixels.shape, np.float32)
        for where, weight in self.copies:
            seen = weight > 0
            found = ndimage.map_coordinates(splines, where[:, seen], order=3, mode="nearest", prefilter=False)
            total[seen] += weight[seen] * found
        return total

    @property
    def first(self) -> np.ndarray:
        """(N, N) float32: the weight of the source as it lies."""
        return self.copies[0][1]

    def carry_first(self, pixels: np.ndarray) -> np.ndarray:
        """(N, N) of an (N, N) image of the source as it lies, wherever it is laid again."""
        return ndimage.map_coordinates(pixels, self.copies[0][0], order=1, mode="nearest", output=np.float32)

    @property
    def where(self) -> np.ndarray:
        """(2, N, N) float32: row and column in the copy that weighs most."""
        first = np.argmax(np.stack([weight for _, weight in self.copies]), axis=0)
        return np.take_along_axis(np.stack([where for where, _ in self.copies]), first[None, None], axis=0)[0]


def lay(breast: np.ndarray, source_breast: np.ndarray, hidden: np.ndarray) -> Laid:
    """Lay the source behind an outline.

    Args:
        breast: (N, N) bool of the other view, chest wall on the left, not empty.
        source_breast: (N, N) bool, likewise.
        hidden: (N, N) bool: of the source, what is not laid anywhere.
    """
    table = _Table.of(breast, source_breast, hidden)
    copies, left = [], breast.astype(np.float32)
    for move in _chosen(table, breast):
        where, offer = table.offer(move)
        copies.append((where, left * offer))
        left = left * (1 - offer)
    total = np.sqrt(sum(share**2 for _, share in copies)) + np.float32(LEAST_SHARE) * left + np.float32(1e-6)
    return Laid(tuple((where, share / total) for where, share in copies))


def _chosen(table: _Table, breast: np.ndarray) -> list[_Move]:
    """The source as it lies, then the copies that cover most of what is left, one after the other."""
    moves = [STAY, *(move for move in product((1, -1), DOWN, INWARD) if move != STAY)]
    coarse = (slice(STEP // 2, None, STEP),) * 2
    offers = np.stack([table.offer(move, coarse)[1] for move in moves])
    whole = breast[coarse].astype(np.float32)
    chosen, left = [STAY], whole * (1 - offers[0])
    while len(chosen) < COPIES:
        gains = (offers * left).sum(axis=(1, 2))
        best = int(np.argmax(gains))
        if gains[best] < LEAST * whole.sum():
            break
        chosen.append(moves[best])
        left = left * (1 - offers[best])
    return chosen


@dataclass(frozen=True, eq=False)
class _Table:
    """The view over the source: nipples, scales, and what both are like at every pixel."""

    nipple: tuple[float, float]
    own_nipple: tuple[float, float]
    scales: tuple[float, float]
    size: tuple[float, float]
    depth: np.ndarray
    own_depth: np.ndarray
    reach: np.ndarray
    wall: float

    @classmethod
    def of(cls, breast: np.ndarray, source_breast: np.ndarray, hidden: np.ndarray) -> _Table:
        (nipple, below, deep), (own_nipple, own_below, own_deep) = _measured(breast), _measured(source_breast)
        scales = (
            float(np.clip(own_below / max(below, 1), *SCALES)),
            float(np.clip(own_deep / max(deep, 1), *SCALES)),
        )
        inner = erode(source_breast, RIM_PX)
        inner = (inner if inner.any() else source_breast) & ~hidden
        padded = np.pad(np.pad(inner, ((0, 0), (64, 0)), mode="edge"), 1)
        reach = np.clip(ndimage.distance_transform_edt(padded)[1:-1, 65:-1] / SEAM_PX, 0, 1).astype(np.float32)
        depth, own_depth = (np.minimum(skin_distance(each), DEEP_PX) for each in (breast, source_breast))
        height = float(source_breast.any(axis=1).sum())
        return cls(
            nipple,
            own_nipple,
            scales,
            (height, own_deep),
            depth,
            own_depth,
            reach,
            own_nipple[1] - own_deep,
        )

    def offer(
        self, move: _Move, part: tuple[slice, slice] = (slice(None), slice(None))
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where the tissue of a copy is, (2, h, w), and from 0 to 1 how well it would cover each pixel, (h, w)."""
        row, column = np.indices(self.depth.shape, dtype=np.float32)[(slice(None), *part)]
        side, down, inward = move
        where = np.stack(
            [
                self.own_nipple[0] + side * ((row - self.nipple[0]) * self.scales[0] - down * self.size[0]),
                self.own_nipple[1] + (column - self.nipple[1]) * self.scales[1] - inward * self.size[1],
            ]
        ).astype(np.float32)
        reach = ndimage.map_coordinates(self.reach, where, order=1, mode="constant")
        if move != STAY:  # the frame of a film goes with the chest wall
            reach *= np.clip((where[1] - self.wall - RIM_PX) / SEAM_PX, 0, 1)
        deep = ndimage.map_coordinates(self.own_depth, where, order=1, mode="nearest")
        unlike = (deep - self.depth[part]) / (FIRST_PX if move == STAY else DEPTH_PX)
        return where, reach * np.exp(-(unlike**2)).clip(0.05)


def _measured(breast: np.ndarray) -> tuple[tuple[float, float], float, float]:
    """The nipple, where the breast reaches farthest from the chest wall; height below it, and depth."""
    rows, columns = np.flatnonzero(breast.any(axis=1)), np.flatnonzero(breast.any(axis=0))
    deep = float(columns[-1] - columns[0])
    row = float(np.flatnonzero(breast[:, columns[-1] - int(0.03 * deep)]).mean())
    return (row, float(columns[-1])), float(rows[-1]) - row, deep
