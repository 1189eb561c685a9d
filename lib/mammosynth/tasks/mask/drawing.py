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
OUTLINE_PX = 1.2
"""The breast's outline is smoothed by this much, so that pixels of the map's matrix do not show."""
SOFT_PX = {
    BreastClass.ADIPOSE: 5.0,
    BreastClass.FIBROGLANDULAR: 5.0,
    BreastClass.SKIN: 1.2,
    BreastClass.PECTORAL_MUSCLE: 3.0,
    BreastClass.NIPPLE: 1.2,
    BreastClass.BENIGN_LESION: 2.5,
    BreastClass.MALIGNANT_LESION: 2.5,
    BreastClass.CALCIFICATION: 1.0,
}
"""How surely a line is where it is drawn: nobody draws the border of gland and fat to the pixel."""
DEPTHS_PX = (6.0, 20.0, 60.0)
"""How fast three of the channels fall with the distance from the skin."""
BEHIND_NIPPLE_PX = 20.0
"""Strands meet in front of the nipple."""
STRANDS = ((1 / 60, 7.0), (1 / 30, 14.0), (1 / 14, 26.0))
"""Per field: cycles per pixel towards the nipple, cycles per radian across."""
_TABLE = (64, 128)
_WAVE_PX, _WAVES = 50, (0.6, 0.12)
CHANNELS = 1 + len(CLASSES) + len(DEPTHS_PX) + 3 + len(STRANDS)


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
        """(512, W) float16: distance from the skin in pixels, 0 outside."""
        return skin_distance(self.breast).astype(np.float16)

    @cached_property
    def nipple(self) -> tuple[float, float]:
        """Row and column of it in the frame; where none is drawn, the outermost place of the breast."""
        rows, columns = np.nonzero(self.labels == BreastClass.NIPPLE)
        if not rows.size:
            rows, columns = np.nonzero(self.breast)
            outermost = columns >= columns.max() - 1
            rows, columns = rows[outermost], columns[outermost]
        return float(rows.mean()), float(columns.mean())

    def channels(self, random: np.random.Generator | None, at: tuple[slice, slice] | None = None) -> np.ndarray:
        """What the network sees: shares of the breast and of its eight classes, depths, where the nipple is, strands.

        Args:
            random: Where the strands come from; None leaves them at zero.
            at: Rows and columns of the frame; None takes all.

        Returns:
            (18, h, w) float32.
        """
        rows, columns = at or (slice(0, self.labels.shape[0]), slice(0, self.labels.shape[1]))
        distance, angle = self._polar(rows, columns)
        breast = self.breast[rows, columns]
        depths = [np.exp(-self.depth[rows, columns].astype(np.float32) / fall) for fall in DEPTHS_PX]
        places = [np.cos(angle), np.sin(angle), distance / 256]
        strands = _strands(random, distance, angle) if random is not None else np.zeros((len(STRANDS), *breast.shape))
        inside = np.stack([*depths, *places, *strands]) * breast
        return np.concatenate([self._shares(rows, columns), inside]).astype(np.float32)

    def _shares(self, rows: slice, columns: slice) -> np.ndarray:
        """As if the whole frame had been smoothed."""
        reach = int(np.ceil(4 * max(SOFT_PX.values())))
        top, left = max(rows.start - reach, 0), max(columns.start - reach, 0)
        wide = self.labels[top : rows.stop + reach, left : columns.stop + reach]
        inner = np.s_[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        masks = [(wide > BreastClass.BACKGROUND, OUTLINE_PX), *((wide == each, soft) for each, soft in SOFT_PX.items())]
        return np.stack([ndimage.gaussian_filter(mask.astype(np.float32), sigma)[inner] for mask, sigma in masks])

    def _polar(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Distance in pixels and angle of every pixel, seen from before the nipple."""
        row, column = self.nipple
        y, x = np.mgrid[rows, columns].astype(np.float32)
        down, inwards = y - row, column + BEHIND_NIPPLE_PX - x
        return np.hypot(down, inwards), np.arctan2(down, inwards)

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


def _strands(random: np.random.Generator, distance: np.ndarray, angle: np.ndarray) -> list[np.ndarray]:
    wave = _smooth_noise(random, distance.shape)
    fields = []
    for along, across in STRANDS:
        table = random.normal(size=_TABLE).astype(np.float32)
        places = distance * along + _WAVES[0] * wave, (angle + _WAVES[1] * wave) * across
        fields.append(ndimage.map_coordinates(table, places, order=1, mode="grid-wrap"))
    return fields


def _smooth_noise(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    coarse = random.normal(size=[max(side // _WAVE_PX, 2) for side in shape]).astype(np.float32)
    factors = [side / few for side, few in zip(shape, coarse.shape, strict=True)]
    return ndimage.zoom(coarse, factors, order=3)[: shape[0], : shape[1]]
