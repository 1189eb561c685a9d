"""How a mammogram looks as a whole, in 23 numbers: grey and detail of each tissue, rim, wall, skin, lesions.

A label map does not say them: they are the patient, the exposure and the window. Of a real image they are measured; for
a new one they are drawn from what real images have, given what the label map shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy import ndimage

from mammosynth.preprocessing.look import DENSITIES, Density, Look
from mammosynth.tasks.mask.bands import SIGMAS, Bands
from mammosynth.tasks.mask.classes import BreastClass, is_lesion
from mammosynth.tasks.mask.drawing import Drawing
from mammosynth.terms import ViewPosition

RING, AIR = (5, 25), 0.02
LEAST_LESION, LEAST_RING = 50, 200
"""Lesions and rings of fewer pixels are not measured."""
RIM_PX = (0.0, 2.0, 4.0, 7.0, 12.0, 20.0, 32.0)
"""Depths between which the grey towards the skin is measured."""
LEAST_ZONE, LEAST_RIM = 30, 0.1
"""Of adipose tissue and skin at such a depth; with fewer pixels all of the breast counts there. Detail is measured
where the slope to the skin is divided out, but not by less than this."""
_BANDS, _ZONES = len(SIGMAS), len(RIM_PX) - 1
WALL_PX = (2, 8, 16)
"""Columns at the chest wall that are compared with those between the other two."""
LENGTH = 2 * (1 + _BANDS) + _ZONES + 3
KNOWN = (
    "one",
    "dense_share",
    "lesion_share",
    "breast_share",
    "is_mlo",
    "is_film",
    *(f"density_{density}" for density in DENSITIES),
)
"""Numbers that are known of a label map: see `about`."""
IS_FILM = KNOWN.index("is_film")


@dataclass(frozen=True)
class Style:
    """The numbers, by name.

    Attributes:
        adipose: Mean grey of adipose tissue, without the slope to the skin.
        adipose_bands: Natural logarithm of the standard deviation of each band in it, from the finest.
        dense: Mean grey of fibroglandular tissue and lesions.
        dense_bands: As of adipose tissue.
        rim: Mean grey at each depth of `RIM_PX` over that deeper inside, from the skin: how much of the thin edge was
            made up for.
        wall: Mean grey at the chest wall over that a little farther inside: the frame of a film, the detector's edge.
        skin: Mean grey of the skin.
        lesion: Mean grey of the lesions minus that of their ring; NaN where there is none.
    """

    adipose: float
    adipose_bands: tuple[float, ...]
    dense: float
    dense_bands: tuple[float, ...]
    rim: tuple[float, ...]
    wall: float
    skin: float
    lesion: float

    @classmethod
    def of(cls, numbers: np.ndarray) -> Style:
        """From (23,), in the order of the attributes."""
        values, at = [float(number) for number in numbers], 1 + _BANDS
        bands, rim = slice(at + 1, at + at), slice(2 * at, 2 * at + _ZONES)
        return cls(values[0], tuple(values[1:at]), values[at], tuple(values[bands]), tuple(values[rim]), *values[-3:])

    def numbers(self) -> np.ndarray:
        """(23,) float32, in the order of the attributes."""
        return np.array(
            [self.adipose, *self.adipose_bands, self.dense, *self.dense_bands, *self.rim]
            + [self.wall, self.skin, self.lesion],
            np.float32,
        )


def measure_style(pixels: np.ndarray, drawing: Drawing) -> Style:
    """The style of a real image.

    Args:
        pixels: (512, W) float32 in [0, 1], in the drawing's frame.
        drawing: Of the same image.
    """
    rim = measure_rim(pixels, drawing)
    wall = wall_share(pixels, drawing)
    flat = pixels / np.maximum(rim_profile(rim, drawing), LEAST_RIM) * drawing.breast
    bands, _ = Bands(torch.from_numpy(drawing.breast.astype(np.float32))).split(torch.from_numpy(flat))
    means, strengths = [], []
    for dense in (False, True):
        within = drawing.measured(dense=dense)
        means.append(float(flat[within].mean()))
        strengths.append(tuple(float(np.log(band.numpy()[within].std() + 1e-4)) for band in bands))
    skin = drawing.labels == BreastClass.SKIN
    skin_grey = float(pixels[skin if skin.any() else drawing.breast].mean())
    lesion = lesion_contrast(pixels, is_lesion(drawing.labels))
    return Style(means[0], strengths[0], means[1], strengths[1], rim, wall, skin_grey, lesion)


def measure_rim(pixels: np.ndarray, drawing: Drawing) -> tuple[float, ...]:
    """Mean grey at each depth of `RIM_PX` over that deeper inside.

    Args:
        pixels: (512, W) float32 in [0, 1].
        drawing: Of the same image.
    """
    usual = (drawing.labels == BreastClass.ADIPOSE) | (drawing.labels == BreastClass.SKIN)
    greys = []
    for outer, inner in (*pairwise(RIM_PX), (RIM_PX[-1], np.inf)):
        here = (drawing.depth > outer) & (drawing.depth <= inner)
        zones = here & usual, here, drawing.breast
        greys.append(
            float(pixels[next(zone for zone in zones if zone.sum() >= min(LEAST_ZONE, zones[-1].sum()))].mean())
        )
    return tuple(grey / max(greys[-1], 1e-3) for grey in greys[:-1])


def rim_profile(shares: Sequence[float], drawing: Drawing) -> np.ndarray:
    """(512, W) float32: shares at the depths of `RIM_PX`, between them in proportion; 1 deeper inside."""
    places = [*((outer + inner) / 2 for outer, inner in pairwise(RIM_PX)), RIM_PX[-1] + 8]
    return np.interp(drawing.depth.astype(np.float32), places, [*shares, 1.0]).astype(np.float32)


def about(drawing: Drawing, view: ViewPosition | None, look: Look, density: Density | None) -> np.ndarray:
    """What is known before an image is made.

    Returns:
        (10,) float32: 1; shares of dense tissue and of lesions in the breast, breast in the frame; MLO; film; density
        a to d, zeros if it is not known.
    """
    breast = max(int(drawing.breast.sum()), 1)
    dense = (drawing.labels == BreastClass.FIBROGLANDULAR).sum() / breast
    lesion = is_lesion(drawing.labels).sum() / breast
    densities = [float(density == each) for each in DENSITIES]
    frame = breast / drawing.labels.shape[0] ** 2
    return np.array(
        [1.0, dense, lesion, frame, float(view is ViewPosition.MLO), float(look is Look.FILM), *densities], np.float32
    )


def look_of(known: np.ndarray) -> Look:
    """The look that (10,) numbers of `about` tell."""
    return Look.FILM if known[IS_FILM] > 0 else Look.DIGITAL


def wall_share(pixels: np.ndarray, drawing: Drawing) -> float:
    """Mean grey in the first columns of the breast over that a little farther inside; 1 if there is none.

    Args:
        pixels: (512, W) float32 in [0, 1].
        drawing: Of the same image.
    """
    column = drawing.column
    edge, inner = (column <= WALL_PX[0]) & drawing.breast, (column > WALL_PX[1]) & (column <= WALL_PX[2])
    return float(pixels[edge].mean() / max(pixels[inner].mean(), 1e-3)) if edge.any() and inner.any() else 1.0


def lesion_contrast(pixels: np.ndarray, lesion: np.ndarray) -> float:
    """D: mean grey of the lesions minus that of the tissue around them; NaN without enough of either.

    Args:
        pixels: (512, W) float32 in [0, 1].
        lesion: (512, W) bool.
    """
    if lesion.sum() < LEAST_LESION:
        return float("nan")
    distance = ndimage.distance_transform_edt(~lesion)
    ring = (distance > RING[0]) & (distance <= RING[1]) & (pixels > AIR)
    return float(pixels[lesion].mean() - pixels[ring].mean()) if ring.sum() >= LEAST_RING else float("nan")
