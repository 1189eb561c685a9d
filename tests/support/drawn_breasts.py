"""Label maps of breasts that are drawn by formula, and images that fit them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.look import Look
from mammosynth.tasks.mask.cases import MaskCase
from mammosynth.tasks.mask.classes import CLASSES, BreastClass
from mammosynth.terms import ImageLaterality, ViewPosition


def drawn_breast(rows: int = 512, *, mirrored: bool = False, lesion: bool = True, size: float = 1.0) -> np.ndarray:
    """(rows, 3/4 rows) uint8: half an ellipse with skin, a glandular disk, a nipple and a malignant lesion."""
    columns = rows * 3 // 4
    y, x = np.mgrid[:rows, :columns] / rows
    y = (y - 0.5) / size

    def ellipse(height: float, width: float, at: float = 0.0) -> np.ndarray:
        return (y / height) ** 2 + ((x - at) / (width * size)) ** 2 < 1

    labels = np.zeros((rows, columns), np.uint8)
    labels[ellipse(0.45, 0.55)] = BreastClass.SKIN
    labels[ellipse(0.44, 0.54)] = BreastClass.ADIPOSE
    labels[ellipse(0.25, 0.25, 0.22)] = BreastClass.FIBROGLANDULAR
    if lesion:
        labels[ellipse(0.06, 0.06, 0.2)] = BreastClass.MALIGNANT_LESION
    labels[ellipse(0.02, 0.02, 0.54 * size) & (labels > 0)] = BreastClass.NIPPLE
    return np.ascontiguousarray(labels[:, ::-1]) if mirrored else labels


def painted(labels: np.ndarray, seed: int = 0, grain: float = 0.03) -> np.ndarray:
    """(H, W) float32: every class at its own grey, with smooth grain; black in air."""
    grey = np.array([0.0, 0.2, 0.5, 0.12, 0.4, 0.3, 0.6, 0.7, 0.9], np.float32)
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=labels.shape), 1.5)
    image = ndimage.gaussian_filter(grey[labels], 1.0) + grain * noise / noise.std()
    return (np.clip(image, 0.05, 1) * (labels > 0)).astype(np.float32)


def mask_case(number: int, *, rows: int = 512, lesion: bool = True) -> MaskCase:
    """One patient's view; sizes and sides differ."""
    labels = drawn_breast(rows, mirrored=number % 2 == 1, lesion=lesion, size=0.8 + 0.04 * (number % 5))
    side, view = (ImageLaterality.RIGHT if number % 2 else ImageLaterality.LEFT), ViewPosition.CC
    name = f"case {number}"
    image = Mammogram(painted(labels, number, 0.02 + 0.005 * (number % 4)), name, view, side)
    return MaskCase(image, LabelMap(labels, name, CLASSES, None, view, side), f"patient {number}", Look.DIGITAL, "b")
