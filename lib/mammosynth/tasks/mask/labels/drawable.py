"""What a person could draw: smooth outlines, no specks, lesions as they are.

A label map that is finer than a drawing carries the image's texture, and whatever is made from it is a copy. Everything
that makes label maps passes them through `drawable`; everything that reports figures can check them with
`is_drawable`.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mammosynth.label_map import LabelMap
from mammosynth.preprocessing.regions import box_around, close, largest
from mammosynth.tasks.mask.classes import BreastClass, is_lesion

OUTLINE_RADIUS_MM = 3.0
"""Outlines are the rims of unions of octagons of this radius: nothing of a drawing is narrower than twice as much."""
NIPPLE_RADIUS_MM = 1.5
LEAST_AREA_MM2 = 25.0
"""Of an island and of a hole."""
ASSUMED_MM, ASSUMED_HEIGHT = 0.5, 512
"""Where no spacing is known, an image of 512 rows has half a millimetre per pixel."""
TOLERANCE = 0.01
"""Share of the breast in which a drawable map may differ from its own smoothing, after it was put on another grid."""
_PASSES = 12

_BACKGROUND, _ADIPOSE, _GLAND, _SKIN, _MUSCLE, _NIPPLE = (BreastClass(number) for number in range(6))


def pixel_mm_of(shape: tuple[int, ...], spacing_mm: tuple[float, float] | None) -> float:
    """Millimetres per pixel; assumed from the number of rows where no spacing is known.

    Args:
        shape: (H, W).
        spacing_mm: (row, column).
    """
    return ASSUMED_MM * ASSUMED_HEIGHT / shape[0] if spacing_mm is None else (spacing_mm[0] + spacing_mm[1]) / 2


def drawable(labels: np.ndarray, pixel_mm: float) -> np.ndarray:
    """The label map as a person could have drawn it; one that is drawable stays as it is, pixel for pixel.

    Outlines of the breast, the inner side of the skin, muscle, fibroglandular tissue and nipple are opened and closed;
    islands and holes under 25 mm2 go to what surrounds them. Lesions are not touched: under them, and beyond the
    image's border, an outline may run as it likes. The breast is one piece without holes.

    Args:
        labels: (H, W) uint8 of `BreastClass`.
        pixel_mm: Millimetres per pixel.

    Returns:
        (H, W) uint8, a new array.
    """
    drawn = labels.copy()
    if not labels.any():
        return drawn
    window = box_around(labels > 0, int(2 * OUTLINE_RADIUS_MM / pixel_mm) + 2)
    inside = drawn[window]
    for _ in range(_PASSES):
        before = inside
        inside = _once(before, pixel_mm)
        if np.array_equal(inside, before):
            break
    drawn[window] = inside
    return drawn


def is_drawable(label_map: LabelMap) -> bool:
    """Whether `drawable` would leave all but a trace of it, 1 % of the breast, as it is."""
    return undrawable_share(label_map) <= TOLERANCE


def undrawable_share(label_map: LabelMap) -> float:
    """The share of the breast that `drawable` would change, 0 to 1."""
    labels = label_map.labels
    smooth = drawable(labels, pixel_mm_of(labels.shape, label_map.pixel_spacing_mm))
    return float((smooth != labels).sum() / max(1, (labels > 0).sum()))


def open_and_close(mask: np.ndarray, radius: float, wild: np.ndarray | None = None) -> np.ndarray:
    """A mask without what is narrower than an octagon, and then without gaps that are narrower.

    Doing it twice is doing it once (Serra 1988, Image Analysis and Mathematical Morphology 2: alternating filters),
    also where `wild` pixels count as either side.

    Args:
        mask: (H, W) bool.
        radius: Of the octagon, in pixels.
        wild: (H, W) bool, where nothing is asked for; False in the result.

    Returns:
        (H, W) bool.
    """
    if not mask.any():
        return np.zeros_like(mask)
    wild = np.zeros_like(mask) if wild is None else wild
    opened = _open(mask | wild, radius) & ~wild
    return ~_open(~opened | wild, radius) & ~wild


def _once(labels: np.ndarray, pixel_mm: float) -> np.ndarray:
    radius, least = OUTLINE_RADIUS_MM / pixel_mm, LEAST_AREA_MM2 / pixel_mm**2
    lesions = is_lesion(labels)
    nipple = open_and_close(labels == _NIPPLE, NIPPLE_RADIUS_MM / pixel_mm, lesions)
    breast = open_and_close(labels > 0, radius, lesions | nipple) | lesions | nipple
    breast = largest(ndimage.binary_fill_holes(breast)) | lesions
    nipple &= breast
    inner = (labels > 0) & (labels != _SKIN) & (labels != _NIPPLE)
    inner = open_and_close(inner, radius, lesions | nipple) & breast
    # What was nothing but is breast now, or was skin but is inside now, is fat.
    muscle = open_and_close(labels == _MUSCLE, radius, lesions | ~inner)
    gland = open_and_close(labels == _GLAND, radius, lesions | ~inner | muscle)

    drawn = np.where(breast, _SKIN, _BACKGROUND).astype(np.uint8)
    for mask, kind in ((inner, _ADIPOSE), (gland, _GLAND), (muscle, _MUSCLE), (nipple, _NIPPLE)):
        drawn[mask] = kind
    drawn[lesions] = labels[lesions]
    return _without_specks(drawn, lesions, least)


def _without_specks(labels: np.ndarray, lesions: np.ndarray, least: float) -> np.ndarray:
    """Small pieces of tissue get the class next to them; what lies among lesions alone stays."""
    small = np.zeros(labels.shape, bool)
    for kind in (_ADIPOSE, _GLAND, _MUSCLE, _SKIN, _NIPPLE):
        pieces, count = ndimage.label(labels == kind)
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)
        sizes[0] = labels.size
        # A nipple may be smaller than a speck: it is one, and drawn on purpose.
        small |= (sizes < (least if kind != _NIPPLE else NIPPLE_RADIUS_MM**2))[pieces]
    if not small.any():
        return labels
    pieces, count = ndimage.label(small)
    settled = ~small & ~lesions & (labels != _BACKGROUND)
    touching = np.unique(pieces[small & ndimage.binary_dilation(settled)])
    chosen = np.zeros(count + 1, bool)
    chosen[touching] = True
    rows, columns = ndimage.distance_transform_edt(~settled, return_distances=False, return_indices=True)
    return np.where(chosen[pieces] & small, labels[rows, columns], labels)


def _open(mask: np.ndarray, radius: float) -> np.ndarray:
    """Beyond the image's border everything goes on."""
    return ~close(~mask, square=round(0.41 * radius), diamond=max(1, round(0.59 * radius)))
