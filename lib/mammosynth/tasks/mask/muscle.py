"""`draw_muscle`: the pectoral muscle, a soft-edged wedge that is thicker upwards, of fibres along its border."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mammosynth.preprocessing.look import Look
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.drawing import Drawing

EDGE = {Look.DIGITAL: 2.0, Look.FILM: 7.0}
"""Softness of the border, a standard deviation in pixels of the frame, after the mean profile across it in training
images of each look: digital ones are sharpened for the display."""
LEVEL = {Look.DIGITAL: (0.85, 0.3), Look.FILM: (0.68, 0.18)}
"""Brightness, of the grey of adipose tissue, and by how much its natural logarithm differs from image to image."""
EDGE_SPREAD = 0.35
"""By how much the logarithm of softness differs from image to image."""
THICKER, THICKER_SPREAD = 0.3, 0.25
"""How much brighter the upper end is than the lower one, of the whole: mean and standard deviation."""
FIBRE_PX, FIBRES = (1.3, 16.0), 0.05
"""Width and length of fibres, standard deviations; their strength, of the muscle's brightness."""


def draw_muscle(drawing: Drawing, look: Look, random: np.random.Generator) -> np.ndarray:
    """What the muscle adds, of the grey of adipose tissue; zeros, and nothing random is taken, where none is drawn.

    Args:
        drawing: The label map in the frame.
        look: Of the image.
        random: Where its looks come from.

    Returns:
        (512, W) float32.
    """
    muscle = drawing.labels == BreastClass.PECTORAL_MUSCLE
    if not muscle.any():
        return np.zeros(muscle.shape, np.float32)
    usual, spread = LEVEL[look]
    edge, level = EDGE[look] * np.exp(EDGE_SPREAD * random.normal()), usual * np.exp(spread * random.normal())
    wedge = _smooth_in_breast(muscle, drawing.breast, float(edge))
    rows = np.flatnonzero(muscle.any(axis=1))
    upwards = 0.5 - (np.arange(len(muscle)) - rows[0]) / (rows[-1] - rows[0] + 1)
    thickness = 1 + (THICKER + THICKER_SPREAD * random.normal()) * np.clip(upwards, -0.5, 0.5)
    fibres = 1 + FIBRES * _fibres(muscle.shape, _direction(muscle, drawing.breast), random)
    return (level * wedge * np.maximum(thickness, 0)[:, None] * fibres).astype(np.float32)


def _smooth_in_breast(muscle: np.ndarray, breast: np.ndarray, softness: float) -> np.ndarray:
    """Its share of the breast nearby: the chest wall, the skin and the edge of the image are no borders of it."""
    nearby, own = (ndimage.gaussian_filter(part.astype(np.float32), softness, truncate=3) for part in (breast, muscle))
    return own / np.maximum(nearby, 1e-3) * breast


def _direction(muscle: np.ndarray, breast: np.ndarray) -> float:
    """Degrees from the horizontal of the line along which muscle borders on the rest of the breast."""
    rest = breast & ~muscle
    rows, columns = np.nonzero(muscle & ndimage.binary_dilation(rest))
    if len(rows) < 2:
        return 90.0
    main = np.linalg.svd(np.stack([rows - rows.mean(), columns - columns.mean()], axis=1), full_matrices=False)[2][0]
    return float(np.degrees(np.arctan2(main[0], main[1])))


def _fibres(shape: tuple[int, int], degrees: float, random: np.random.Generator) -> np.ndarray:
    """(H, W): long thin noise of unit spread in that direction."""
    side = int(np.ceil(np.hypot(*shape)))
    straight = ndimage.gaussian_filter(random.standard_normal((side, side), np.float32), FIBRE_PX, mode="wrap")
    turned = ndimage.rotate(straight, -degrees, reshape=False, order=1, mode="grid-wrap")
    top, left = (side - shape[0]) // 2, (side - shape[1]) // 2
    return turned[top : top + shape[0], left : left + shape[1]] / (straight.std() + 1e-6)
