"""Painted breasts in both views, with a lesion at the same depth, for tests of view models."""

import numpy as np
from scipy import ndimage

from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.look import Look
from mammosynth.preprocessing.pairs import ViewPair
from mammosynth.tasks.view.cases import ViewCase
from mammosynth.terms import ImageLaterality, ViewPosition

SIDE = 512


def view_case(number: int, look: Look = Look.FILM, *, lesion: bool = True, mirrored: bool = False) -> ViewCase:
    """The breast of one woman; every other one has another size, density and tissue."""
    random = np.random.default_rng(number)
    width, grey = 200 + 12 * (number % 7), 0.35 + 0.03 * (number % 5)
    cc, cc_lesion = _view(random, width, (256, 210), grey, 256 + random.integers(-60, 60), width * 0.5, lesion)
    mlo, mlo_lesion = _view(random, width, (280, 225), grey, 290 + random.integers(-60, 60), width * 0.5, lesion)
    side = ImageLaterality.RIGHT if mirrored else ImageLaterality.LEFT
    images = [each[:, ::-1].copy() if mirrored else each for each in (cc, cc_lesion, mlo, mlo_lesion)]
    views = ViewPair(
        Mammogram(images[0], f"{number}_CC.png", ViewPosition.CC, side),
        Mammogram(images[2], f"{number}_MLO.png", ViewPosition.MLO, side),
        f"P{number}",
        images[1],
        images[3],
    )
    return ViewCase(views, look)


def _view(
    random: np.random.Generator,
    width: int,
    vertical: tuple[int, int],
    grey: float,
    lesion_row: float,
    lesion_column: float,
    lesion: bool,
) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:SIDE, :SIDE]
    middle, half = vertical
    inside = ((y - middle) / half) ** 2 + (x / width) ** 2 < 1
    tissue = grey + 0.5 * ndimage.gaussian_filter(random.normal(size=(SIDE, SIDE)), 3)
    mask = (np.hypot(y - lesion_row, x - lesion_column) < 14) & lesion
    pixels = np.clip(tissue + 0.2 * ndimage.gaussian_filter(mask * 1.0, 2), 0.08, 1) * inside
    return pixels.astype(np.float32), mask
