"""Shapes of breasts, with nothing in them that a test does not know."""

import numpy as np


def half_ellipse(height: int, width: int) -> np.ndarray:
    """True on a breast with its chest wall on the left edge."""
    y, x = np.mgrid[:height, :width]
    return ((y - height / 2) / (0.45 * height)) ** 2 + (x / (0.7 * width)) ** 2 < 1


def breast_image(height: int, width: int, *, mirrored: bool = False) -> np.ndarray:
    """A smooth, asymmetric breast."""
    y, x = np.mgrid[:height, :width] / height
    pixels = np.where(half_ellipse(height, width), 0.4 + 0.3 * y + 0.2 * x, 0).astype(np.float32)
    return np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels
