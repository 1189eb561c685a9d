"""Where the breast is: its mask, the side of its chest wall, and how deep each pixel lies under the skin."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

REFERENCE_SIDE = 512
"""Longest side in pixels of the grid on which a breast is segmented; the filters below are sized for it."""
THRESHOLD = 4 / 255
"""Grey above background that counts as tissue; Otsu's threshold was not used because it cuts dark fat and skin."""
SMOOTHING_PX = 2.0
OPENING_PX = 2
NO_BACKGROUND = 0.25
"""A darkest corner brighter than this is tissue: the image shows no air."""


def segment_breast(
    pixels: np.ndarray, valid: np.ndarray | None = None, *, background: float | None = None
) -> np.ndarray:
    """The largest connected region that is brighter than air, holes filled.

    Images larger than 512 pixels are segmented on a reduced grid. Labels and markers are dropped unless they touch the
    breast. The pectoral muscle belongs to the mask.

    Args:
        pixels: (H, W) float32 in [0, 1], MONOCHROME2.
        valid: (H, W) bool, False on padding; None if every pixel is valid.
        background: Grey value of air. None: the darkest corner of the image.

    Returns:
        (H, W) bool; all False if nothing is brighter than air.
    """
    shown = pixels if valid is None else np.where(valid, pixels, np.float32(0))
    small = _reduce(shown)
    unit = max(small.shape) / REFERENCE_SIDE
    smooth = ndimage.gaussian_filter(small, max(0.5, SMOOTHING_PX * unit))
    level = _air_level(smooth) if background is None else background + THRESHOLD
    mask = smooth > level
    if opening := round(OPENING_PX * unit):
        mask = ndimage.binary_opening(mask, iterations=opening)
    labels, count = ndimage.label(mask)
    if count > 1:
        mask = labels == 1 + np.argmax(ndimage.sum_labels(mask, labels, range(1, count + 1)))
    mask = _enlarge(ndimage.binary_fill_holes(mask), pixels.shape)
    return mask if valid is None else mask & valid


def chest_wall_on_left(breast_mask: np.ndarray) -> bool:
    """Whether the chest wall is on the left, decided from the outline: the breast narrows towards the nipple.

    The laterality attribute is not used, because publishers and viewers mirror images.

    Args:
        breast_mask: (H, W) bool with at least one True.
    """
    columns = np.flatnonzero(breast_mask.any(axis=0))
    box = breast_mask[:, columns[0] : columns[-1] + 1]
    half = box.shape[1] // 2
    return int(box[:, :half].sum()) >= int(box[:, box.shape[1] - half :].sum())


def skin_distance(breast_mask: np.ndarray) -> np.ndarray:
    """Distance of every breast pixel to the skin; chest wall, upper and lower image edge do not count as skin.

    Args:
        breast_mask: (H, W) bool, chest wall on the left.

    Returns:
        (H, W) float32 in pixels, 0 outside the breast.
    """
    distance = np.zeros(breast_mask.shape, np.float32)
    rows = np.flatnonzero(breast_mask.any(axis=1))
    if rows.size == 0:
        return distance
    top, bottom = rows[0], rows[-1] + 1
    # Every row is filled from the chest wall to its outermost breast pixel; rows above and below go on as they end.
    filled = np.cumsum(breast_mask[top:bottom, ::-1], axis=1)[:, ::-1] > 0
    margin = 64
    padded = np.pad(filled, ((margin, margin), (margin, 0)), mode="edge")
    # The image's outer edge is air, also where the breast reaches it.
    padded = np.pad(padded, ((0, 0), (0, 1)))
    distance[top:bottom] = ndimage.distance_transform_edt(padded)[margin:-margin, margin:-1]
    return distance * breast_mask


def erode(mask: np.ndarray, width: float) -> np.ndarray:
    """The mask without its rim; the image's border, where breast or chest wall go on, is no rim.

    Args:
        mask: (H, W) bool.
        width: Of the rim, in pixels.
    """
    margin = int(width) + 1
    padded = np.pad(mask, margin, mode="edge")
    return (ndimage.distance_transform_edt(padded) > width)[margin:-margin, margin:-margin]


def _reduce(pixels: np.ndarray) -> np.ndarray:
    longest = max(pixels.shape)
    if longest <= REFERENCE_SIDE:
        return pixels
    height, width = (max(1, round(side * REFERENCE_SIDE / longest)) for side in pixels.shape)
    reduced = Image.fromarray(np.ascontiguousarray(pixels, np.float32)).resize((width, height), Image.Resampling.BOX)
    return np.asarray(reduced)


def _enlarge(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if mask.shape == shape:
        return mask
    # A slightly smoothed mask has its half-way contour where the steps were, without the steps.
    smooth = ndimage.gaussian_filter(mask.astype(np.float32), 1.0, mode="nearest")
    return np.asarray(Image.fromarray(smooth).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)) > 0.5


def _air_level(smooth: np.ndarray) -> float:
    side = max(2, min(smooth.shape) // 32)
    corners = [
        smooth[rows, columns]
        for rows in (slice(side), slice(-side, None))
        for columns in (slice(side), slice(-side, None))
    ]
    darkest = min(corners, key=np.median)
    air = float(np.median(darkest))
    if air > NO_BACKGROUND:
        return THRESHOLD
    return air + max(THRESHOLD, 4 * float(darkest.std()))
