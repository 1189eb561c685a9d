"""The classes of a label map of the breast: one table for drawing, files, networks and metrics."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class BreastClass(IntEnum):
    """What a pixel of a label map is."""

    BACKGROUND = 0
    ADIPOSE = 1
    FIBROGLANDULAR = 2
    SKIN = 3
    PECTORAL_MUSCLE = 4
    NIPPLE = 5
    BENIGN_LESION = 6
    MALIGNANT_LESION = 7
    CALCIFICATION = 8


CLASSES: dict[int, str] = {
    int(each): each.name.lower().replace("_", " ") for each in BreastClass if each is not BreastClass.BACKGROUND
}
"""Number to name, as slots, DICOM Segmentations and messages tell them."""

LESION_CLASSES = {
    "benign": BreastClass.BENIGN_LESION,
    "malignant": BreastClass.MALIGNANT_LESION,
    "calcification": BreastClass.CALCIFICATION,
}
"""As files, commands and parameters name them."""
LESIONS = tuple(LESION_CLASSES.values())

COLOURS = np.array(
    [
        (0, 0, 0),
        (110, 80, 50),
        (235, 210, 140),
        (250, 150, 150),
        (150, 70, 70),
        (230, 80, 230),
        (90, 220, 90),
        (240, 60, 60),
        (255, 255, 255),
    ],
    np.uint8,
)
"""Of background and the eight classes."""


def is_lesion(labels: np.ndarray) -> np.ndarray:
    """Which pixels are of any lesion.

    Args:
        labels: (H, W) uint8.

    Returns:
        (H, W) bool.
    """
    return np.isin(labels, LESIONS)
