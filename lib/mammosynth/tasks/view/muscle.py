"""The pectoral muscle of oblique views: found in a source, since craniocaudal views have none; drawn in a result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mammosynth.preprocessing.look import Look
from mammosynth.preprocessing.pectoral import find_pectoral_muscle
from mammosynth.terms import ViewPosition

FRAME_MM = 0.5
"""Of a pixel of the frame, about."""
FOUND_MARGIN_PX = 4
"""By which a muscle that is found is widened: its edge is no tissue of the breast."""


@dataclass(frozen=True)
class MuscleShape:
    """Pectoral muscles of real views: mean and standard deviation.

    Attributes:
        width: Where it ends on the upper border, as a share of the breast's depth.
        height: Where it ends on the chest wall, as a share of the breast's height.
        contrast: Its grey minus that of the tissue before it.
    """

    width: tuple[float, float]
    height: tuple[float, float]
    contrast: tuple[float, float]


MUSCLES = {
    Look.FILM: MuscleShape((0.46, 0.16), (0.57, 0.16), (0.275, 0.07)),
    Look.DIGITAL: MuscleShape((0.38, 0.13), (0.53, 0.17), (0.19, 0.1)),
}
"""As `find_pectoral_muscle` sees them in 38 training views of each look."""
MUSCLE_TEXTURE, MUSCLE_FINE_PX = 0.7, 12.0
"""Of the strength that other tissue has, in what is finer than this: .64 to .73 in real digital views."""
MUSCLE_RISE, MUSCLE_RISE_PX = 0.4, 10.0
"""Share of its contrast that a muscle lacks at its edge, and the depth over which that fades, as in real views."""
MUSCLE_DRAWS = 20
MUSCLE_BRIGHTEST = 0.9
MUSCLE_BULGE = 0.05
MUSCLE_SOFT_PX = 3.0


def source_muscle(pixels: np.ndarray, breast: np.ndarray, view: ViewPosition | None) -> np.ndarray:
    """(N, N) bool: the muscle that a source shows; empty in a craniocaudal view.

    Args:
        pixels: (N, N) float32 in the frame, chest wall on the left.
        breast: (N, N) bool, not empty.
        view: Of the source.
    """
    if view is not ViewPosition.MLO:
        return np.zeros_like(breast)
    found = find_pectoral_muscle(pixels, breast, FRAME_MM)
    return ndimage.binary_dilation(found, iterations=FOUND_MARGIN_PX) & breast if found.any() else found


def draw_muscle(
    breast: np.ndarray, shape: MuscleShape, random: np.random.Generator, kept_free: np.ndarray
) -> tuple[np.ndarray, float]:
    """(N, N) float32 share of muscle in every pixel, and its contrast: the first of several that leaves a place free.

    Where none does, that which covers least of it.

    Args:
        breast: (N, N) bool of the oblique view, not empty.
        shape: As real ones are.
        random: Draws it.
        kept_free: (N, N) bool: where no muscle should be.
    """
    drawn = [_muscle(breast, shape, random)]
    while drawn[-1][0][kept_free].sum() > 0 and len(drawn) < MUSCLE_DRAWS:
        drawn.append(_muscle(breast, shape, random))
    return min(drawn, key=lambda each: float(each[0][kept_free].sum()))


def _muscle(breast: np.ndarray, shape: MuscleShape, random: np.random.Generator) -> tuple[np.ndarray, float]:
    """(N, N) share of muscle in every pixel, behind a line that is slightly bent; and its contrast."""
    rows, columns = np.flatnonzero(breast.any(axis=1)), np.flatnonzero(breast.any(axis=0))
    width, height, contrast = (
        mean + deviation * float(np.clip(random.normal(), -1.5, 1.5))
        for mean, deviation in (shape.width, shape.height, shape.contrast)
    )
    width, height = max(width, 0.1) * len(columns), max(height, 0.2) * len(rows)
    row, column = np.ogrid[: breast.shape[0], : breast.shape[1]]
    along = np.clip((row - rows[0]) / height, 0, 1)
    line = columns[0] + width * (1 - along + MUSCLE_BULGE * np.sin(np.pi * along))
    share = 1 / (1 + np.exp(np.clip((column - line) / MUSCLE_SOFT_PX, -30, 30)))
    return (share * (row < rows[0] + height) * breast).astype(np.float32), max(contrast, 0.02)


def with_muscle(
    tissue: np.ndarray, base: np.ndarray, fine: np.ndarray, breast: np.ndarray, muscle: np.ndarray, contrast: float
) -> np.ndarray:
    """The tissue with the muscle over it, as bright before what is in front of it as it should be.

    Args:
        tissue: (N, N) float32.
        base: (N, N) float32: what is coarse in it.
        fine: (N, N) float32: what is fine.
        breast: (N, N) bool.
        muscle: (N, N) float32, see `draw_muscle`.
        contrast: Likewise.
    """
    solid = muscle > 0.5
    distance = ndimage.distance_transform_edt(~solid)
    front = breast & (distance > 4) & (distance < 30)
    if not solid.any() or not front.any():
        return tissue
    before = tissue[front].mean()
    contrast = min(contrast, MUSCLE_BRIGHTEST - before)
    deep = ndimage.distance_transform_edt(solid | ~breast)
    own = (
        before
        + contrast * (1 - MUSCLE_RISE * np.exp(-deep / MUSCLE_RISE_PX))
        + 0.3 * (base - base[solid].mean())
        + MUSCLE_TEXTURE * (fine - ndimage.gaussian_filter(fine, MUSCLE_FINE_PX))
    )
    return tissue + muscle * (own - tissue)
