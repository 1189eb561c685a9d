"""`label_map_of`: what is where in a real mammogram, as a person would draw it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.filters import threshold_otsu

from mammosynth.errors import UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.breast import chest_wall_on_left, segment_breast, skin_distance
from mammosynth.tasks.mask.classes import CLASSES, LESIONS, BreastClass
from mammosynth.tasks.mask.labels.drawable import drawable, pixel_mm_of
from mammosynth.tasks.mask.labels.pectoral import find_pectoral_muscle
from mammosynth.terms import ViewPosition

WORKING_SIDE = 512
"""Longest side in pixels of the grid on which classes are found: nothing that may be drawn is finer."""
SKIN_MM = 2.0
NIPPLE_MM = (5.0, 4.5)
"""Half-axes of a nipple: along the skin and across it."""
ROLL_OFF_MM, DEEP_MM = 25.0, 12.0
"""How far under the skin the breast may still become thicker, and where it is surely thick."""
GLAND_SMOOTHING_MM = 2.0
FAT_PERCENTILE = 15


def label_map_of(image: Mammogram, lesions: Mapping[BreastClass, np.ndarray] | None = None) -> LabelMap:
    """The nine classes on the image's own matrix, smoothed to what a person could draw.

    Skin and nipple are drawn where they must be (a rim of 2 mm; an ellipse where the breast reaches farthest from
    chest wall or muscle), muscle and fibroglandular tissue where they are seen.

    Args:
        image: One view; without a view position, no muscle is looked for.
        lesions: (H, W) bool for a class of lesion, taken as they are as far as they lie in the breast; calcifications
            lie above malignant lesions above benign ones.

    Returns:
        In matrix and orientation of the image.

    Raises:
        UnsupportedImageError: If no breast is found.
    """
    breast = segment_breast(image.pixels, image.valid)
    if not breast.any():
        raise UnsupportedImageError(
            f"{image.source_name}: no breast was found, every pixel is as dark as air; send one view of one breast."
        )
    mirrored = not chest_wall_on_left(breast)
    oriented = image.pixels[:, ::-1] if mirrored else image.pixels
    pixels, mask = _reduced(oriented), _reduced((breast[:, ::-1] if mirrored else breast).astype(np.float32)) > 0.5
    pixel_mm = pixel_mm_of(image.pixels.shape, image.pixel_spacing_mm) * image.pixels.shape[0] / pixels.shape[0]

    labels = enlarged(_find_classes(pixels, mask, pixel_mm, image.view_position), image.pixels.shape)
    labels = np.ascontiguousarray(labels[:, ::-1]) if mirrored else labels
    return LabelMap(
        with_lesions(labels, lesions or {}),
        image.source_name,
        CLASSES,
        image.pixel_spacing_mm,
        image.view_position,
        image.image_laterality,
    )


def with_lesions(labels: np.ndarray, lesions: Mapping[BreastClass, np.ndarray]) -> np.ndarray:
    """The label map with lesions on it, as far as they lie in the breast.

    Args:
        labels: (H, W) uint8.
        lesions: (H, W) bool for a class.

    Raises:
        ValueError: If a mask has another shape, or a class is no lesion.
    """
    drawn = labels.copy()
    for kind, mask in sorted(lesions.items()):
        if kind not in LESIONS or mask.shape != labels.shape:
            raise ValueError(f"class {kind} with shape {mask.shape}, expected a lesion on {labels.shape}")
        drawn[mask & (labels > 0)] = kind
    return drawn


def enlarged(labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A label map on a finer grid, its outlines without steps.

    Args:
        labels: (h, w) uint8.
        shape: (H, W), no smaller.
    """
    if labels.shape == shape[:2]:
        return labels
    # Nested regions, from the outermost: where two of them share an outline, it stays one.
    result = np.zeros(shape[:2], np.uint8)
    order = (BreastClass.SKIN, BreastClass.ADIPOSE, BreastClass.FIBROGLANDULAR, BreastClass.PECTORAL_MUSCLE)
    regions = [
        (labels > 0, BreastClass.SKIN),
        (np.isin(labels, order[1:]), BreastClass.ADIPOSE),
        *((labels == kind, kind) for kind in (*order[2:], BreastClass.NIPPLE, *LESIONS)),
    ]
    for region, kind in regions:
        if region.any():
            smooth = ndimage.gaussian_filter(region.astype(np.float32), 1.0, mode="nearest")
            grown = np.asarray(Image.fromarray(smooth).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)) > 0.5
            result[grown] = kind
    return result


def _find_classes(pixels: np.ndarray, mask: np.ndarray, pixel_mm: float, view: ViewPosition | None) -> np.ndarray:
    """(H, W) uint8 without lesions; the chest wall is on the left."""
    labels = np.where(mask, BreastClass.ADIPOSE, BreastClass.BACKGROUND).astype(np.uint8)
    breast = drawable(labels, pixel_mm) > 0
    depth = skin_distance(breast) * pixel_mm
    skin = breast & (depth <= SKIN_MM)
    muscle = np.zeros_like(breast)
    if view is ViewPosition.MLO:
        muscle = find_pectoral_muscle(pixels, breast, pixel_mm) & ~skin
    nipple = _nipple(breast, muscle, pixel_mm)
    gland = _fibroglandular(pixels, breast & ~skin & ~nipple & ~muscle, depth, pixel_mm)
    labels = np.where(breast, BreastClass.ADIPOSE, BreastClass.BACKGROUND).astype(np.uint8)
    for region, kind in (
        (gland, BreastClass.FIBROGLANDULAR),
        (muscle, BreastClass.PECTORAL_MUSCLE),
        (skin, BreastClass.SKIN),
        (nipple, BreastClass.NIPPLE),
    ):
        labels[region] = kind
    return drawable(labels, pixel_mm)


def _nipple(breast: np.ndarray, muscle: np.ndarray, pixel_mm: float) -> np.ndarray:
    """An ellipse where the outline is farthest from the chest wall, or from the edge of the muscle."""
    rows, columns = np.nonzero(breast & ~ndimage.binary_erosion(breast, border_value=1))
    if not len(rows):
        return np.zeros_like(breast)
    normal = _muscle_normal(muscle)
    reach = rows * normal[0] + columns * normal[1]
    far = reach >= reach.max() - 1.0 / pixel_mm
    row, column = float(np.median(rows[far])), float(np.median(columns[far]))
    y, x = np.ogrid[: breast.shape[0], : breast.shape[1]]
    across = (y - row) * normal[0] + (x - column) * normal[1] + NIPPLE_MM[1] / 2 / pixel_mm
    along = (y - row) * normal[1] - (x - column) * normal[0]
    half = np.array(NIPPLE_MM) / pixel_mm
    return breast & ((along / half[0]) ** 2 + (across / half[1]) ** 2 <= 1)


def _muscle_normal(muscle: np.ndarray) -> tuple[float, float]:
    """(row, column) of the direction away from the chest: halfway to the muscle's own, as the nipple hangs."""
    if not muscle.any():
        return 0.0, 1.0
    rows = np.flatnonzero(muscle.any(axis=1))
    height, width = rows[-1] - rows[0] + 1, int(muscle.sum(axis=1).max())
    angle = np.arctan2(width, height) / 2
    return float(np.sin(angle)), float(np.cos(angle))


def _fibroglandular(pixels: np.ndarray, tissue: np.ndarray, depth: np.ndarray, pixel_mm: float) -> np.ndarray:
    """What is brighter than fat of its depth."""
    if not tissue.any():
        return tissue
    weight = ndimage.gaussian_filter(tissue.astype(np.float32), GLAND_SMOOTHING_MM / pixel_mm)
    smooth = ndimage.gaussian_filter(pixels * tissue, GLAND_SMOOTHING_MM / pixel_mm) / np.maximum(weight, 1e-3)
    even = smooth + _roll_off(smooth, tissue, depth)
    values = even[tissue]
    fat = np.percentile(values, FAT_PERCENTILE)
    spread = np.median(values[values <= np.median(values)]) - np.percentile(values, 2)
    return tissue & (even > max(threshold_otsu(values), fat + 2 * spread))


def _roll_off(smooth: np.ndarray, tissue: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """(H, W): how much darker fat is under the skin than deep in the breast, where it is thicker."""
    deep = tissue & (depth > DEEP_MM)
    reference = np.percentile(smooth[deep if deep.any() else tissue], FAT_PERCENTILE)
    edges = np.arange(0, ROLL_OFF_MM + 1)
    levels = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        ring = smooth[tissue & (depth > low - 0.5) & (depth <= high + 0.5)]
        levels.append(np.percentile(ring, FAT_PERCENTILE) if ring.size > 20 else np.nan)
    known = np.isfinite(levels)
    if not known.any():
        return np.zeros_like(smooth)
    middle = (edges[:-1] + edges[1:]) / 2
    lacking = np.maximum(0, reference - np.interp(middle, middle[known], np.asarray(levels)[known]))
    return np.interp(depth, middle, ndimage.gaussian_filter1d(lacking, 1.0), right=0.0).astype(np.float32)


def _reduced(pixels: np.ndarray) -> np.ndarray:
    scale = WORKING_SIDE / max(pixels.shape)
    if scale >= 1:
        return np.ascontiguousarray(pixels, np.float32)
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels, np.float32)).resize(size, Image.Resampling.BOX))
