"""`BreastFrame`: the breast, chest wall on the left, scaled to fit a network's frame; and the exact way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from mammosynth.errors import UnsupportedImageError
from mammosynth.preprocessing.breast import chest_wall_on_left

RELAXATIONS = 24
"""Steps in which `extend_smoothly` spreads values: skin is a few pixels of the frame wide, and they reach as far."""
MARGIN = 3
"""Pixels beyond the frame's border, more than a cubic kernel reaches."""


@dataclass(frozen=True)
class BreastFrame:
    """How one image maps to the frame and back. Free of pixel spacing: the breast's box is scaled to fit.

    Attributes:
        source_shape: (H, W) of the image as stored.
        mirrored: Whether the source has its chest wall on the right.
        box: (top, bottom, left, right) of the breast in the mirrored source, ends exclusive.
        scaled_shape: (H, W) of the box in the frame.
        frame_shape: (H, W) of the network's frame.
    """

    source_shape: tuple[int, int]
    mirrored: bool
    box: tuple[int, int, int, int]
    scaled_shape: tuple[int, int]
    frame_shape: tuple[int, int]

    @classmethod
    def around(cls, breast_mask: np.ndarray, frame_shape: tuple[int, int], source_name: str) -> BreastFrame:
        """The frame around a breast.

        Args:
            breast_mask: (H, W) bool, as stored.
            frame_shape: (H, W) of the network's frame.
            source_name: How the message names the image.

        Raises:
            UnsupportedImageError: If the mask is empty.
        """
        if not breast_mask.any():
            raise UnsupportedImageError(
                f"{source_name}: no breast was found, every pixel is as dark as air; "
                "send one view of one breast whose tissue is brighter than its background"
            )
        mirrored = not chest_wall_on_left(breast_mask)
        mask = breast_mask[:, ::-1] if mirrored else breast_mask
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
        height, width = box[1] - box[0], box[3] - box[2]
        scale = min(frame_shape[0] / height, frame_shape[1] / width)
        scaled = (
            min(frame_shape[0], max(1, round(height * scale))),
            min(frame_shape[1], max(1, round(width * scale))),
        )
        source_shape = (breast_mask.shape[0], breast_mask.shape[1])
        return cls(source_shape, mirrored, box, scaled, (frame_shape[0], frame_shape[1]))

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """The image in the frame: mirrored if needed, cropped, scaled without aliasing, padded with zeros.

        Args:
            pixels: (H, W) of the source's shape, any real or boolean type.

        Returns:
            `frame_shape` float32; chest wall at column 0, centred between top and bottom.
        """
        top, bottom, left, right = self.box
        oriented = pixels[:, ::-1] if self.mirrored else pixels
        scaled = _resize(oriented[top:bottom, left:right], self.scaled_shape)
        framed = np.zeros(self.frame_shape, np.float32)
        framed[self._window()] = scaled
        return framed

    def restore(self, framed: np.ndarray) -> np.ndarray:
        """The inverse of `apply`: the source's matrix and orientation, zero outside the breast's box.

        Enlarged with a cubic kernel: lines between the frame's pixels would show as steps along the skin.

        Args:
            framed: `frame_shape` float32.

        Returns:
            (H, W) float32 of the source's shape.
        """
        top, bottom, left, right = self.box
        restored = np.zeros(self.source_shape, np.float32)
        restored[top:bottom, left:right] = _enlarge(framed[self._window()], (bottom - top, right - left))
        return np.ascontiguousarray(restored[:, ::-1]) if self.mirrored else restored

    def _window(self) -> tuple[slice, slice]:
        top = (self.frame_shape[0] - self.scaled_shape[0]) // 2
        return slice(top, top + self.scaled_shape[0]), slice(0, self.scaled_shape[1])


def fill_outside(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image with everything outside the mask set to the nearest value inside.

    Args:
        pixels: (H, W).
        mask: (H, W) bool; if it is empty, the image is returned as it is.
    """
    if not mask.any():
        return pixels
    rows, columns = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    return pixels[rows, columns]


def extend_smoothly(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image with everything outside the mask as smooth as a membrane that hangs on the mask's rim.

    The nearest values alone would go on as streaks, one for each pixel of the rim.

    Args:
        pixels: (H, W) float32.
        mask: (H, W) bool; if it is empty, the image is returned as it is.
    """
    around = np.pad(fill_outside(pixels, mask), 1, mode="edge")
    extended, outside = around[1:-1, 1:-1], ~mask
    for _ in range(RELAXATIONS if mask.any() else 0):
        mean = around[:-2, 1:-1] + around[2:, 1:-1]
        mean += around[1:-1, :-2]
        mean += around[1:-1, 2:]
        np.copyto(extended, mean / 4, where=outside)
        around[0], around[-1] = around[1], around[-2]
        around[:, 0], around[:, -1] = around[:, 1], around[:, -2]
    return extended.copy()


def _enlarge(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if pixels.shape == shape:
        return pixels
    image = Image.fromarray(np.pad(pixels, MARGIN, mode="edge"))
    box = (MARGIN, MARGIN, MARGIN + pixels.shape[1], MARGIN + pixels.shape[0])
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box))


def _resize(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(np.ascontiguousarray(pixels, np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))
