"""`ViewFrame`: a view as models see it: a square of 512 pixels, chest wall on the left.

The whole image, its aspect kept, half of the padding above and half below: the frame of the published numbers. Of a
digital image that shows much air above and below the breast, or whose breast begins at its border, the square around
the breast instead, for the digital images that models learn from were cropped so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from mammosynth.errors import UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.breast import chest_wall_on_left, segment_breast
from mammosynth.preprocessing.look import Look
from mammosynth.terms import ViewPosition

SIDE = 512
FILLED = 0.9
"""Share of the square's height from which a breast counts as cropped already."""
AT_BORDER = 0.02
"""Share of the square's width within which a breast begins at the border, as acquired images have it. Digital images
that models learn from have air there, 8 % of it or more."""
MARGIN = 4 / SIDE
"""Kept above and below a breast that is cropped here, as a share of the square."""
SPARE = 6
"""Columns of the frame that a result shows beyond the nipple."""
VALLEY = 12
"""Pixels of the frame by which an outline has to go in and come out again for a second thing to begin there."""
LEAST_ROWS = 0.03
"""Share of a column that shows breast where it begins."""
SHRUNK = 0.4
"""Smoothing before a result is made smaller than the frame, a standard deviation in its pixels."""


@dataclass(frozen=True)
class ViewFrame:
    """How an image maps to the frame.

    Attributes:
        shape: (H, W) of the image.
        mirrored: True if its chest wall is on the right.
        top: First row of the square in the turned image; it may lie outside of it.
        left: First column, likewise.
        side: Of the square, in pixels of the image.
    """

    shape: tuple[int, int]
    mirrored: bool
    top: int
    left: int
    side: int

    @classmethod
    def of(cls, pixels: np.ndarray, look: Look) -> ViewFrame:
        """The frame of an image.

        Args:
            pixels: (H, W) float32 in [0, 1].
            look: Film is never cropped.
        """
        height, width = pixels.shape
        breast = segment_breast(pixels)
        mirrored = bool(breast.any()) and not chest_wall_on_left(breast)
        side = max(height, width)
        whole = cls((height, width), mirrored, -((side - height) // 2), 0, side)
        if look is Look.FILM or not breast.any():
            return whole
        turned = breast[:, ::-1] if mirrored else breast
        rows, columns = np.flatnonzero(turned.any(axis=1)), np.flatnonzero(turned.any(axis=0))
        tall, wide = int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)
        is_cropped = tall >= FILLED * side and columns[0] > AT_BORDER * side
        if is_cropped or wide > tall:
            return whole
        side = round(tall / (1 - 2 * MARGIN))
        return cls(
            (height, width), mirrored, int(rows[0]) - (side - tall) // 2, int(columns[0]) - (side - wide) // 2, side
        )

    def place_in_image(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row and column in the turned image of places in the frame, in pixels, their middles whole numbers."""
        scale = self.side / SIDE
        return self.top + (rows + 0.5) * scale - 0.5, self.left + (columns + 0.5) * scale - 0.5

    @property
    def is_whole(self) -> bool:
        """Whether the square holds all of the image."""
        return self.side == max(self.shape) and self.left == 0

    def apply(self, pixels: np.ndarray, side: int = SIDE) -> np.ndarray:
        """(side, side) float32 of an (H, W) image; 0 where the square goes beyond it."""
        turned = pixels[:, ::-1] if self.mirrored else pixels
        square = np.zeros((self.side, self.side), np.float32)
        come, go = (
            _overlap(at, self.side, length) for at, length in zip((self.top, self.left), self.shape, strict=True)
        )
        square[come[1], go[1]] = turned[come[0], go[0]]
        return resized(square, side)


@dataclass(frozen=True, eq=False)
class Framed:
    """A mammogram in its frame.

    Attributes:
        frame: How it was laid there.
        pixels: (512, 512) float32 in [0, 1].
        breast: (512, 512) bool, not empty: one breast, without what lies beside it.
    """

    frame: ViewFrame
    pixels: np.ndarray
    breast: np.ndarray

    @classmethod
    def of(cls, source: Mammogram, look: Look) -> Framed:
        """Lay a mammogram into its frame.

        Args:
            source: Any view.
            look: Film is never cropped.

        Raises:
            UnsupportedImageError: If no breast is found.
        """
        frame = ViewFrame.of(source.pixels, look)
        pixels = frame.apply(source.pixels)
        breast = segment_breast(pixels, background=0.0)
        if not breast.any():
            raise UnsupportedImageError(f"{source.source_name}: no breast is found; choose a mammogram")
        return cls(frame, pixels, one_breast(breast, source.view_position))


@dataclass(frozen=True)
class ResultMatrix:
    """How the frame maps to the matrix of a result: as many rows as the source has, chest wall on the same side.

    Attributes:
        shape: (H, W) of the result; wider than the source where the view needs it.
        mirrored: See `ViewFrame`.
        scale: Pixels of the result for one of the frame.
        top: Row of the frame's upper border in the turned result.
        left: Column of its left border, likewise.
    """

    shape: tuple[int, int]
    mirrored: bool
    scale: float
    top: float
    left: float

    @classmethod
    def of(cls, frame: ViewFrame, source_breast: np.ndarray, breast: np.ndarray, view: ViewPosition) -> ResultMatrix:
        """Of a source that was laid into a frame as a whole: as it was. Else the breast is as deep as in the source.

        Two views of a breast are nearly as deep: their distances from nipple to muscle differ by less than a
        centimetre. A view that would then be taller than the matrix is made smaller. An MLO view begins at the upper
        border, which cuts its muscle; a CC view lies in the middle.

        Args:
            frame: Of the source.
            source_breast: (512, 512) bool of the source in the frame.
            breast: (512, 512) bool of the result in the frame.
            view: Of the result.
        """
        height, width = frame.shape
        rows, columns = np.flatnonzero(breast.any(axis=1)), np.flatnonzero(breast.any(axis=0))
        scale, top, left = frame.side / SIDE, float(frame.top), float(frame.left)
        if not frame.is_whole:
            own = np.flatnonzero(source_breast.any(axis=0))
            wall = frame.left + own[0] * scale
            scale *= len(own) / len(columns)
            tall = rows[-1] - rows[0] + 1
            scale = min(scale, height / tall)
            above = 0.0 if view is ViewPosition.MLO else (height - tall * scale) / 2
            top, left = above - rows[0] * scale, max(wall, 0.0) - columns[0] * scale
        needed = int(np.ceil(left + (columns[-1] + 1 + SPARE) * scale)) if columns.size else 0
        return cls((height, min(max(width, needed), max(frame.side, width))), frame.mirrored, scale, top, left)

    def restore(self, pixels: np.ndarray, *, order: int = 1) -> np.ndarray:
        """(H, W) float32 of a (512, 512) image in the frame; 0 beyond it.

        Args:
            pixels: In the frame.
            order: 0 nearest; 1 linear, for what is smooth; 3 for what has grain, which between two pixels of the frame
                is as strong as on one: else its strength would beat along rows and columns.
        """
        if order > 1 and self.scale < 1:  # what the result's pixels cannot show
            pixels = ndimage.gaussian_filter(pixels, SHRUNK * np.sqrt(self.scale**-2 - 1))
        offsets = [(0.5 - at) / self.scale - 0.5 for at in (self.top, self.left)]
        turned = ndimage.affine_transform(
            pixels.astype(np.float32), [1 / self.scale] * 2, offsets, self.shape, order=order, mode="nearest"
        )
        for axis, (at, length) in enumerate(zip((self.top, self.left), self.shape, strict=True)):
            places = np.arange(length) + 0.5
            beyond = (places < at) | (places > at + SIDE * self.scale)
            turned[(beyond, slice(None)) if axis == 0 else (slice(None), beyond)] = 0
        return np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)


def _overlap(start: int, length: int, whole: int) -> tuple[slice, slice]:
    """Where a stretch meets a whole: in the whole, and in the stretch."""
    first, last = max(start, 0), min(start + length, whole)
    return slice(first, last), slice(first - start, last - start)


def one_breast(breast: np.ndarray, view: ViewPosition | None) -> np.ndarray:
    """See `without_neighbours`; an oblique view goes out again towards the axilla, and is left as it is.

    Args:
        breast: (N, N) bool, chest wall on the left, not empty.
        view: Of the image.
    """
    return breast if view is ViewPosition.MLO else without_neighbours(breast)


def without_neighbours(breast: np.ndarray) -> np.ndarray:
    """The breast alone: an outline that has come in from the nipple and goes out again is the other breast, or a fold.

    Args:
        breast: (N, N) bool, chest wall on the left, not empty.
    """
    reach = breast.shape[1] - np.argmax(breast[:, ::-1], axis=1)
    reach = np.where(breast.any(axis=1), reach, 0)
    nipple = int(np.argmax(reach))
    kept = breast.copy()
    for rows in (np.arange(nipple, len(breast)), np.arange(nipple, -1, -1)):
        lowest = np.minimum.accumulate(reach[rows])
        beyond = np.flatnonzero(reach[rows] > lowest + VALLEY)
        if beyond.size:
            valley = np.flatnonzero(reach[rows][: beyond[0]] == lowest[beyond[0]])[0]
            kept[rows[valley:]] = False
    return kept


def chest_wall(breast: np.ndarray) -> int:
    """The first column that shows breast in more than a few rows; 0 without a breast.

    Args:
        breast: (N, N) bool, chest wall on the left.
    """
    columns = np.flatnonzero(breast.mean(axis=0) > LEAST_ROWS)
    return int(columns[0]) if columns.size else 0


def resized(pixels: np.ndarray, side: int) -> np.ndarray:
    """(side, side) float32: means of pixels where it becomes smaller, linear where it becomes larger."""
    if pixels.shape == (side, side):
        return pixels.astype(np.float32)
    how = Image.Resampling.BOX if side <= pixels.shape[0] else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pixels.astype(np.float32)).resize((side, side), how), np.float32)
