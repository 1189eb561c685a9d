"""`label_map_of`: what is where in a real mammogram, as a person would draw it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.stats import skew
from skimage.filters import threshold_otsu

from mammosynth.errors import UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.breast import chest_wall_on_left, find_edge, segment_breast, skin_distance
from mammosynth.preprocessing.pectoral import find_pectoral_muscle
from mammosynth.tasks.mask.classes import CLASSES, LESIONS, BreastClass
from mammosynth.tasks.mask.labels.drawable import drawable, open_and_close, pixel_mm_of
from mammosynth.terms import ViewPosition

WORKING_SIDE = 512
"""Longest side in pixels of the grid on which classes are found: nothing that may be drawn is finer."""
SKIN_MM = 2.0
NIPPLE_MM = (5.0, 4.5)
"""Half-axes of a nipple: along the skin and across it."""
ROLL_OFF_MM, DEEP_MM = 35.0, 15.0
"""How far under the skin the breast may still become thicker, and where it is surely thick."""
GLAND_SMOOTHING_MM = 3.0
FAT_PERCENTILE = 15
LEAST_CONTRAST, USUAL_SKEW = 1.2, 0.7
"""Gland is brighter than fat by this factor: below lies the unevenness of film. Skew of grey values of a breast of
which Otsu's threshold finds the gland: measured on phantoms, `benchmarks/label_maps.py`."""
FREE_OF_GLAND_MM, BEHIND_NIPPLE_MM, BEFORE_MUSCLE_MM = 4.0, 10.0, 5.0
"""Fat lies under the skin, except behind the nipple, and before the muscle."""
WHITE, CORNER_SHARE, CHEST_WALL_MM = 0.9, 0.2, 12.0
"""Of film that was not black enough to be cut, or chest wall that came into view: grey, rows, reach."""
THICK_SKIN_MM, LEAST_THICK_SKIN_MM2 = 6.0, 100.0
BUMP_MM, LEAST_BUMP_MM2, BUMP_LAG_MM, NIPPLE_SEARCH_MM = 8.0, 8.0, 20.0, 45.0
"""What an octagon of this radius does not fit into is a bump; a nipple's size, and how far it may lie from the place
that is farthest from the chest, towards the chest and in all."""


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
    muscle = np.zeros_like(mask)
    if view is ViewPosition.MLO:
        muscle = find_pectoral_muscle(pixels, mask, pixel_mm)
    nipple = find_nipple(mask, muscle, pixel_mm)
    labels = np.where(mask, BreastClass.ADIPOSE, BreastClass.BACKGROUND).astype(np.uint8)
    labels[nipple] = BreastClass.NIPPLE
    breast = drawable(labels, pixel_mm) > 0
    depth = skin_distance(breast) * pixel_mm
    overhang = _overhang_mm(pixels, breast, depth, pixel_mm)
    gland = _fibroglandular(pixels, breast & ~nipple, muscle, depth - overhang, pixel_mm)
    near = ndimage.distance_transform_edt(~nipple) * pixel_mm < BEHIND_NIPPLE_MM
    under_skin = (depth > overhang + SKIN_MM + 1) & (depth <= overhang + THICK_SKIN_MM)
    thick_skin = _thick_skin(gland & under_skin & ~near, pixel_mm)
    gland &= (depth > overhang + FREE_OF_GLAND_MM) | near
    skin = (depth <= overhang + SKIN_MM) | thick_skin

    labels = np.where(breast, BreastClass.ADIPOSE, BreastClass.BACKGROUND).astype(np.uint8)
    for region, kind in (
        (gland, BreastClass.FIBROGLANDULAR),
        (muscle, BreastClass.PECTORAL_MUSCLE),
        (skin, BreastClass.SKIN),
        (nipple, BreastClass.NIPPLE),
    ):
        labels[region & breast] = kind
    return drawable(labels, pixel_mm)


def _overhang_mm(pixels: np.ndarray, breast: np.ndarray, depth: np.ndarray, pixel_mm: float) -> float:
    """How far the smoothed rim lies in the air, on average along the skin."""
    air = breast & (find_edge(pixels, breast) < 0.5) & (depth < 4 * SKIN_MM)
    rim = breast & (depth <= 1.5 * pixel_mm)
    return min(SKIN_MM / 2, float(air.sum() / max(1, rim.sum() / 1.25)) * pixel_mm)


def find_nipple(breast: np.ndarray, muscle: np.ndarray, pixel_mm: float) -> np.ndarray:
    """The nipple as an ellipse: where something juts out near the place farthest from the chest, else at that place.

    Args:
        breast: (H, W) bool, chest wall on the left.
        muscle: (H, W) bool, pectoral muscle; may be empty.
        pixel_mm: Millimetres per pixel.

    Returns:
        (H, W) bool within the breast.
    """
    rows, columns = np.nonzero(breast & ~ndimage.binary_erosion(breast, border_value=1))
    if not len(rows):
        return np.zeros_like(breast)
    normal = muscle_normal(muscle)
    reach = rows * normal[0] + columns * normal[1]
    far = reach >= reach.max() - 1.0 / pixel_mm
    row, column = float(np.median(rows[far])), float(np.median(columns[far]))
    half, place = np.array(NIPPLE_MM) / pixel_mm, (row, column)
    bumps, count = ndimage.label(breast & ~open_and_close(breast, BUMP_MM / pixel_mm))
    largest = LEAST_BUMP_MM2 / pixel_mm**2
    for number, (r, c) in enumerate(ndimage.center_of_mass(bumps > 0, bumps, range(1, count + 1)), start=1):
        bump = bumps == number
        lag = (reach.max() - (r * normal[0] + c * normal[1])) * pixel_mm
        away = np.hypot(r - row, c - column) * pixel_mm
        if bump.sum() > largest and lag < BUMP_LAG_MM and away < NIPPLE_SEARCH_MM:
            largest = bump.sum()
            half = np.array([np.clip(0.58 * (np.ptp(at) + 1), 3 / pixel_mm, 8 / pixel_mm) for at in np.nonzero(bump)])
            place = r + half[1] / 2 * normal[0], c + half[1] / 2 * normal[1]
    row, column = place
    y, x = np.ogrid[: breast.shape[0], : breast.shape[1]]
    across = (y - row) * normal[0] + (x - column) * normal[1] + half[1] / 2
    along = (y - row) * normal[1] - (x - column) * normal[0]
    return breast & ((along / half[0]) ** 2 + (across / half[1]) ** 2 <= 1)


def muscle_normal(muscle: np.ndarray) -> tuple[float, float]:
    """(row, column) of the direction away from the chest: halfway to the muscle's own, as the nipple hangs."""
    if not muscle.any():
        return 0.0, 1.0
    rows = np.flatnonzero(muscle.any(axis=1))
    height, width = rows[-1] - rows[0] + 1, int(muscle.sum(axis=1).max())
    angle = np.arctan2(width, height) / 2
    return float(np.sin(angle)), float(np.cos(angle))


def _fibroglandular(
    pixels: np.ndarray, breast: np.ndarray, muscle: np.ndarray, depth: np.ndarray, pixel_mm: float
) -> np.ndarray:
    """What is brighter than fat of its depth, away from the muscle."""
    before_muscle = ndimage.distance_transform_edt(~muscle) * pixel_mm > BEFORE_MUSCLE_MM if muscle.any() else ~muscle
    tissue = breast & before_muscle & ~_film_corner(pixels, breast, pixel_mm)
    deep = tissue & (depth > FREE_OF_GLAND_MM)
    if not deep.any():
        return np.zeros_like(breast)
    sigma = GLAND_SMOOTHING_MM / pixel_mm
    weight = ndimage.gaussian_filter(tissue.astype(np.float32), sigma)
    smooth = ndimage.gaussian_filter(pixels * tissue, sigma) / np.maximum(weight, 1e-3)
    even = smooth + _roll_off(smooth, deep, depth)
    values = np.clip(even[deep], *np.percentile(even[deep], [1, 99]))
    if np.ptp(values) < 1e-4:
        return np.zeros_like(breast)
    # Otsu's threshold halves whatever it sees; the skew says whether bright or dark is the rarer.
    lean = np.clip(skew(values) - USUAL_SKEW, -1, 1)
    threshold = threshold_otsu(values) + 0.5 * lean * values.std()
    gland = tissue & (even > max(threshold, LEAST_CONTRAST * np.percentile(values, FAT_PERCENTILE)))
    return gland & ~_on_chest_wall(gland, breast, pixel_mm)


def _film_corner(pixels: np.ndarray, breast: np.ndarray, pixel_mm: float) -> np.ndarray:
    """White film, or chest wall, in the upper or lower corner at the chest wall."""
    pieces, _ = ndimage.label(breast & (pixels > WHITE))
    rows = np.flatnonzero(breast.any(axis=1))
    share = round(CORNER_SHARE * (rows[-1] + 1 - rows[0]))
    left = np.argmax(breast, axis=1)
    corner = np.r_[rows[0] : rows[0] + share, rows[-1] - share : rows[-1] + 1]
    found = np.unique(pieces[corner, left[corner]])
    white = np.isin(pieces, found[found > 0])
    return ndimage.binary_dilation(white, iterations=max(1, round(SKIN_MM / pixel_mm))) if white.any() else white


def _on_chest_wall(gland: np.ndarray, breast: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Pieces that keep to the chest wall: the edge of film or muscle, no gland."""
    pieces, count = ndimage.label(gland)
    if not count:
        return gland
    reach = np.arange(gland.shape[1])[None] - np.argmax(breast, axis=1)[:, None]
    near = np.r_[False, ndimage.maximum(reach, pieces, range(1, count + 1)) * pixel_mm < CHEST_WALL_MM]
    return near[pieces]


def _thick_skin(bright: np.ndarray, pixel_mm: float) -> np.ndarray:
    """What is bright on the rim over a long way: skin that is thickened, not gland."""
    pieces, count = ndimage.label(bright)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1) >= LEAST_THICK_SKIN_MM2 / pixel_mm**2
    sizes[0] = False
    return sizes[pieces]


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
