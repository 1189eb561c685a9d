"""`LesionPatches`: squares of mammograms around masses, and squares without, for networks that find or classify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.dcgan import MASSES
from mammosynth.tasks.mask.evaluation.protocol import Shown
from mammosynth.tasks.mask.style import AIR, LEAST_LESION

SIDE = 64
"""Pixels of a kept square: so many millimetres, where 512 rows are 256 mm."""
SEEN = 48
"""Pixels of what a network is shown of it, so that a mass is not always in the middle."""
PIXEL = 2
"""Pixels of the frame that one of a square stands for, each way."""
FREE_PX = 80
"""From the middle of a square without a mass to the nearest mass, in pixels of the frame."""
STRETCH = (1, 99)
"""Percentiles of a square's tissue that become -1 and 1."""


@dataclass(frozen=True, eq=False)
class LesionPatches:
    """Squares with a mass in the middle, and squares without any.

    Attributes:
        image: (N, 1, 64, 64) float32 in [-1, 1]: tissue from its 1st to its 99th percentile; air -1.
        lesion: (N, 1, 64, 64) float32: how much of each pixel is mass.
        has_lesion: (N,) bool: whether a mass is in the middle.
        is_malignant: (N,) bool: whether that one is.
        case: (N,) int64: which of the mammograms it is of.
    """

    image: torch.Tensor
    lesion: torch.Tensor
    has_lesion: torch.Tensor
    is_malignant: torch.Tensor
    case: torch.Tensor

    def __len__(self) -> int:
        """How many squares."""
        return len(self.image)

    def take(self, chosen: torch.Tensor) -> Self:
        """Some of them, by index or by a mask."""
        return type(self)(**{each.name: getattr(self, each.name)[chosen] for each in fields(self)})

    def with_lesion(self) -> Self:
        """Those with a mass in the middle."""
        return self.take(self.has_lesion)


def cut_patches(shown: Sequence[Shown], seed: int = 0) -> LesionPatches:
    """A square around every mass of 50 pixels of the frame and more, and one of each mammogram far from them.

    Args:
        shown: In the frame. Calcifications are not masses.
        seed: Of the places without a mass.
    """
    cuts = [cut for case, each in enumerate(shown) for cut in _cut(each, case, np.random.default_rng([seed, case]))]
    images, lesions, *about = zip(*cuts, strict=True) if cuts else ((), (), (), (), ())
    pixels = [torch.from_numpy(np.array(each, np.float32).reshape(-1, 1, SIDE, SIDE)) for each in (images, lesions)]
    has_lesion, is_malignant, case = (torch.tensor(each) for each in about)
    return LesionPatches(pixels[0], pixels[1], has_lesion.bool(), is_malignant.bool(), case.long())


_Cut = tuple[np.ndarray, np.ndarray, bool, bool, int]


def _cut(shown: Shown, case: int, random: np.random.Generator) -> list[_Cut]:
    mass = np.isin(shown.labels, MASSES)
    parts, count = ndimage.label(mass)
    cuts = []
    for part in range(1, count + 1):
        own = parts == part
        if own.sum() >= LEAST_LESION:
            rows, columns = np.nonzero(own)
            middle = round((rows.min() + rows.max()) / 2), round((columns.min() + columns.max()) / 2)
            is_malignant = bool((shown.labels[own] == BreastClass.MALIGNANT_LESION).mean() > 0.5)
            cuts.append((*_square(shown.pixels, mass, middle), True, is_malignant, case))
    free = shown.interior & (ndimage.distance_transform_edt(~mass) > FREE_PX) if count else shown.interior
    rows, columns = np.nonzero(free)
    if rows.size:
        chosen = int(random.integers(rows.size))
        cuts.append((*_square(shown.pixels, mass, (rows[chosen], columns[chosen])), False, False, case))
    return cuts


def _square(pixels: np.ndarray, mass: np.ndarray, middle: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    half = SIDE * PIXEL // 2
    at = tuple(slice(place, place + 2 * half) for place in middle)
    image, lesion = (_reduced(np.pad(each.astype(np.float32), half)[at]) for each in (pixels, mass))
    tissue = image > AIR
    if not tissue.any():
        return np.full_like(image, -1), lesion
    low, high = np.percentile(image[tissue], STRETCH)
    return np.where(tissue, np.clip(2 * (image - low) / max(high - low, 1e-3) - 1, -1, 1), -1), lesion


def _reduced(square: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(square).reduce(PIXEL))
