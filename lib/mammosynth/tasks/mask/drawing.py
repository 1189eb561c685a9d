"""A label map in a frame of 512 rows, chest wall on the left: where images are measured and made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image
from scipy import ndimage

from mammosynth.preprocessing.breast import chest_wall_on_left, skin_distance
from mammosynth.tasks.mask.classes import BreastClass, is_lesion

ROWS = 512
MULTIPLE = 32
"""Of the frame's width, for networks of five halvings."""
MARGIN_PX = 4
"""Kept on both sides of the breast."""
BEHIND_NIPPLE_PX = 20.0
"""Strands meet in front of the nipple."""
RIM, THIN = 16, 16
"""Not measured: along the outline, where films have frames; and where the breast becomes thin."""
LEAST = 200
"""Tissue of fewer pixels is not measured by itself."""


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
    def column(self) -> np.ndarray:
        """(512, W) int: in a row the how-manieth pixel of the breast from the chest wall, 0 outside."""
        return np.cumsum(self.breast, axis=1) * self.breast

    @cached_property
    def nipple(self) -> tuple[float, float]:
        """Row and column of it in the frame; where none is drawn, the outermost place of the breast."""
        rows, columns = np.nonzero(self.labels == BreastClass.NIPPLE)
        if not rows.size:
            rows, columns = np.nonzero(self.breast)
            outermost = columns >= columns.max() - 1
            rows, columns = rows[outermost], columns[outermost]
        return float(rows.mean()), float(columns.mean())

    def tissue(self, *, dense: bool) -> np.ndarray:
        """(512, W) bool: adipose tissue, or fibroglandular tissue and lesions."""
        if dense:
            return (self.labels == BreastClass.FIBROGLANDULAR) | is_lesion(self.labels)
        return self.labels == BreastClass.ADIPOSE

    def measured(self, *, dense: bool) -> np.ndarray:
        """(512, W) bool: the same where the breast is thick; where that is too little, anywhere, or all tissue."""
        inner = ndimage.binary_erosion(self.breast, iterations=RIM)
        own, thick = self.tissue(dense=dense) & inner, self.depth > THIN
        return next((each for each in (own & thick, own, inner & thick) if each.sum() >= LEAST), inner)

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
