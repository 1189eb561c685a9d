"""A label map as a network sees it: in a frame of 512 rows, chest wall on the left, with places and strands.

The strands are structure that is drawn, not learned: smooth noise, stretched towards the nipple, as ducts and Cooper's
ligaments run. A network that sees them need not invent what is longer than its own reach.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image
from scipy import ndimage

from mammosynth.preprocessing.breast import chest_wall_on_left, skin_distance
from mammosynth.tasks.mask.classes import CLASSES, BreastClass

ROWS = 512
MULTIPLE = 32
"""Of the frame's width, for six scales."""
MARGIN_PX = 4
"""Kept on both sides of the breast."""
SOFT_PX = 1.2
"""Edges of classes are smoothed by this much, so that pixels of the map's matrix do not show."""
DEPTHS_PX = (6.0, 20.0, 60.0)
"""How fast three of the channels fall with the distance from the skin."""
BEHIND_NIPPLE_PX = 20.0
"""Strands meet in front of the nipple."""
STRANDS = ((1 / 60, 7.0), (1 / 30, 14.0), (1 / 14, 26.0))
"""Per field: cycles per pixel towards the nipple, cycles per radian across."""
_TABLE = (64, 128)
_WAVE_PX, _WAVES = 50, (0.6, 0.12)
CHANNELS = len(CLASSES) + len(DEPTHS_PX) + 3 + len(STRANDS)


@dataclass(frozen=True, eq=False)
class Drawing:
    """A label map in the frame.

    Attributes:
        labels: (512, W) uint8, chest wall on the left, W a multiple of 32: the columns that hold the breast.
        shape: (H, W) of the label map.
        mirrored: Whether that was mirrored to get here.
        left: Which column of the turned map of 512 rows is the frame's first; negative if before it.
    """

    labels: np.ndarray
    shape: tuple[int, int]
    mirrored: bool
    left: int

    @classmethod
    def of(cls, labels: np.ndarray) -> Drawing:
        """The drawing of a label map.

        Args:
            labels: (H, W) uint8 with a breast.
        """
        columns = np.flatnonzero(labels.any(axis=0))
        mirrored = not chest_wall_on_left(labels > 0)
        if mirrored:
            columns = labels.shape[1] - 1 - columns[::-1]
        scale = ROWS / labels.shape[0]
        left, right = int(columns[0] * scale) - MARGIN_PX, int(np.ceil((columns[-1] + 1) * scale)) + MARGIN_PX
        box = left, right + (left - right) % MULTIPLE
        frame = cls(np.zeros((ROWS, box[1] - box[0]), np.uint8), (labels.shape[0], labels.shape[1]), mirrored, left)
        return replace(frame, labels=frame.take(labels, Image.Resampling.NEAREST))

    def take(self, whole: np.ndarray, resampling: Image.Resampling = Image.Resampling.BOX) -> np.ndarray:
        """An array of the label map's matrix in the frame; zeros where the frame goes beyond it.

        Args:
            whole: (H, W).
            resampling: How it is reduced.
        """
        turned = np.ascontiguousarray(whole[:, ::-1] if self.mirrored else whole)
        small = np.asarray(Image.fromarray(turned).resize((self._width, ROWS), resampling))
        columns = self.labels.shape[1]
        before, after = max(-self.left, 0), max(self.left + columns - self._width, 0)
        return np.pad(small[:, max(self.left, 0) : self.left + columns], ((0, 0), (before, after)))

    @cached_property
    def breast(self) -> np.ndarray:
        """(512, W) bool."""
        return self.labels > BreastClass.BACKGROUND

    @cached_property
    def depth(self) -> np.ndarray:
        """(512, W) float32: distance from the skin in pixels, 0 outside."""
        return skin_distance(self.breast).astype(np.float32)

    @cached_property
    def polar(self) -> tuple[np.ndarray, np.ndarray]:
        """(512, W) float32: distance in pixels and angle of every pixel, seen from before the nipple."""
        row, column = self._nipple
        y, x = np.mgrid[: self.labels.shape[0], : self.labels.shape[1]].astype(np.float32)
        column += BEHIND_NIPPLE_PX
        return np.hypot(y - row, x - column), np.arctan2(y - row, column - x)

    @cached_property
    def fixed(self) -> np.ndarray:
        """(14, 512, W) float32: soft shares of the eight classes, three depths, where the nipple is."""
        distance, angle = self.polar
        shares = [ndimage.gaussian_filter((self.labels == number).astype(np.float32), SOFT_PX) for number in CLASSES]
        depths = [np.exp(-self.depth / fall) for fall in DEPTHS_PX]
        places = [np.cos(angle), np.sin(angle), distance / 256]
        return np.stack([*shares, *(each * self.breast for each in (*depths, *places))]).astype(np.float32)

    def channels(self, random: np.random.Generator, at: tuple[slice, slice] = np.s_[:, :]) -> np.ndarray:
        """What the network sees: `fixed`, and strands that are drawn anew.

        Args:
            random: Where the strands come from.
            at: Rows and columns of the frame.

        Returns:
            (17, h, w) float32.
        """
        distance, angle = (each[at] for each in self.polar)
        wave = _smooth_noise(random, distance.shape)
        fields = []
        for along, across in STRANDS:
            table = random.normal(size=_TABLE).astype(np.float32)
            u = distance * along + _WAVES[0] * wave
            v = (angle + _WAVES[1] * wave) * across
            fields.append(ndimage.map_coordinates(table, [u, v], order=1, mode="grid-wrap") * self.breast[at])
        return np.concatenate([self.fixed[(slice(None), *at)], np.stack(fields)]).astype(np.float32)

    def restore(self, pixels: np.ndarray) -> np.ndarray:
        """An image of the frame in the matrix and orientation of the label map.

        Args:
            pixels: (512, W) float32.

        Returns:
            (H, W) float32.
        """
        whole = np.zeros((ROWS, self._width), np.float32)
        kept = pixels[:, max(-self.left, 0) :][:, : self._width - max(self.left, 0)]
        whole[:, max(self.left, 0) :][:, : kept.shape[1]] = kept
        enlarged = np.asarray(Image.fromarray(whole).resize(self.shape[::-1], Image.Resampling.BICUBIC))
        return np.ascontiguousarray(enlarged[:, ::-1]) if self.mirrored else enlarged

    @property
    def _width(self) -> int:
        return max(1, round(self.shape[1] * ROWS / self.shape[0]))

    @property
    def _nipple(self) -> tuple[float, float]:
        rows, columns = np.nonzero(self.labels == BreastClass.NIPPLE)
        if not rows.size:
            rows, columns = np.nonzero(self.breast)
            outermost = columns >= columns.max() - 1
            rows, columns = rows[outermost], columns[outermost]
        return float(rows.mean()), float(columns.mean())


def _smooth_noise(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    coarse = random.normal(size=[max(side // _WAVE_PX, 2) for side in shape]).astype(np.float32)
    factors = [side / few for side, few in zip(shape, coarse.shape, strict=True)]
    return ndimage.zoom(coarse, factors, order=3)[: shape[0], : shape[1]]
