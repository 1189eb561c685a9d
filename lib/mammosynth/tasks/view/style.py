"""How a view looks as a whole: grey, and the strength of what is fine and coarse in it; what the other one's may be."""

from __future__ import annotations

import numpy as np

from mammosynth.networks.gaussian_trend import GaussianTrend
from mammosynth.preprocessing.bands import Bands, evenly
from mammosynth.preprocessing.breast import erode

SIGMAS = (1, 2, 4, 12, 50)
"""Smoothings within the breast between which the bands lie, in pixels of the frame."""
STYLE = 3 + len(SIGMAS)
"""Mean, logarithm of the standard deviation, bounded skewness, logarithm of the strength of each band."""
RIM = 5


def interior(breast: np.ndarray) -> np.ndarray:
    """The breast without its rim, where there is any."""
    inner = erode(breast, RIM)
    return inner if inner.any() else breast


def measure_style(pixels: np.ndarray, breast: np.ndarray) -> np.ndarray:
    """(8,) float64, see `STYLE`, of an image in the frame with a breast in it."""
    inside = interior(breast)
    values = pixels[inside].astype(np.float64)
    deviation = values.std() + 1e-3
    skewness = ((values - values.mean()) ** 3).mean() / deviation**3
    split = Bands(breast, SIGMAS)
    bands, _ = split.split(pixels)
    within = [band[inside[split.box]] for band in bands]
    strengths = [np.log(strength + 1e-4) for strength in (evenly(within[0]), *(band.std() for band in within[1:]))]
    return np.array([values.mean(), np.log(deviation), np.tanh(skewness / 2), *strengths])


class StyleModel(GaussianTrend):
    """The style of one view, given that of the other."""

    def __init__(self) -> None:
        super().__init__(STYLE, STYLE)
