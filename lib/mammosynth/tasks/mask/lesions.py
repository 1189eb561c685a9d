"""`lesion_form`: what makes a mass look benign or malignant, a smooth rim with a halo, or spicules; and
`calcification_form`: specks, each of a brightness of its own.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mammosynth.tasks.mask.classes import BreastClass

DOME_PX = 12.0
"""Depth over which a mass becomes thick."""
HALO = (0.25, 2.5, 1.5)
"""Of a benign mass: darkness as a share of its contrast, distance from its rim, half-width."""
SPICULES, SPICULE_PX, SPICULE_LENGTH_PX, SPICULE_STRENGTH = (9, 22), 1.3, (5.0, 22.0), 0.55
"""Of a malignant mass: fewest and most, half-width at its rim, lengths, strength as a share of its contrast."""

SPECKS = (0.6, 1.4)
"""Least and greatest brightness of a calcification, of the usual one."""


def lesion_form(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """What masses add to the tissue, 1 for their whole contrast.

    Args:
        labels: (512, W) uint8.
        random: Where spicules come from.

    Returns:
        (512, W) float32.
    """
    total = np.zeros(labels.shape, np.float32)
    for kind in (BreastClass.BENIGN_LESION, BreastClass.MALIGNANT_LESION):
        parts, count = ndimage.label(labels == kind)
        for number in range(1, count + 1):
            mass = parts == number
            inside, outside = (ndimage.distance_transform_edt(each) for each in (mass, ~mass))
            dome = np.sqrt(np.clip(inside / min(DOME_PX, inside.max()), 0, 1))
            if kind is BreastClass.BENIGN_LESION:
                darkness, distance, width = HALO
                total += ndimage.gaussian_filter(dome, 0.8) - darkness * np.exp(-(((outside - distance) / width) ** 2))
            else:
                total += ndimage.gaussian_filter(dome, 1.8) + SPICULE_STRENGTH * _spicules(mass, outside, random)
    return total


def calcification_form(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """What calcifications add to the tissue, 1 in the middle of a usual one.

    Args:
        labels: (512, W) uint8.
        random: Where their brightness comes from.

    Returns:
        (512, W) float32.
    """
    total = np.zeros(labels.shape, np.float32)
    specks, count = ndimage.label(labels == BreastClass.CALCIFICATION)
    for number in range(1, count + 1):
        inside = ndimage.distance_transform_edt(specks == number)
        total += random.uniform(*SPECKS) * np.sqrt(inside / inside.max())
    return ndimage.gaussian_filter(total, 0.6)


def _spicules(mass: np.ndarray, outside: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(512, W): thin straight rays from the rim outwards that fade."""
    middle = ndimage.center_of_mass(mass)
    rows, columns = np.indices(mass.shape, np.float32)
    down, right = rows - middle[0], columns - middle[1]
    distance, angle = np.hypot(down, right), np.arctan2(down, right)
    total = np.zeros(mass.shape)
    for _ in range(int(random.integers(*SPICULES))):
        aside = np.abs((angle - random.uniform(-np.pi, np.pi) + np.pi) % (2 * np.pi) - np.pi) * distance
        aside += 1e3 * (outside == 0)
        length = random.uniform(*SPICULE_LENGTH_PX)
        width = SPICULE_PX * np.clip(1 - outside / (2 * length), 0.35, 1)
        ray = np.exp(-((aside / width) ** 2)) * np.clip(1 - outside / length, 0, 1) * random.uniform(0.4, 1)
        total = np.maximum(total, ray)
    return total
