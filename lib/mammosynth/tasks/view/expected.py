"""`expect_view`: the view of least error, from what a regression predicts."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from mammosynth.preprocessing.look import Look
from mammosynth.tasks.view.frame import SIDE
from mammosynth.tasks.view.regression import MADE, Prediction, box_of
from mammosynth.tasks.view.sampled import draw_outline, outline_at

BOX_SHARE = 0.3
"""Of the prediction in the box, beside that in the frame, which is blurred where the outline may lie."""
LEAST_CHANCE = {Look.FILM: 0.33, Look.DIGITAL: 0.5}
"""Of breast; below, the view is black. Chosen on validation breasts: of film, black at one half costs .1 dB."""
LEAST_GREY = 4 / 255
"""What is fainter is air."""


def expect_view(predicted: Prediction, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """The expected view without lesions, (512, 512) float32 in [0, 1], and the chance of breast in it, likewise.

    Args:
        predicted: By the regression of that look.
        look: Of the images.
    """
    grey, chance = np.clip(_enlarged(predicted.grey), 0, 1), _enlarged(predicted.chance)
    outline = draw_outline(chance, None)
    if outline.any():
        grey = (1 - BOX_SHARE) * grey + BOX_SHARE * _laid(predicted.box, outline)
    shown = np.clip(grey, 0, 1) * outline_at(chance, LEAST_CHANCE[look])
    return shown * (shown > LEAST_GREY), chance


def _laid(box: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """(512, 512): the box of the breast where the outline lies."""
    rows, columns = place = box_of(outline)
    laid = np.zeros(outline.shape, np.float32)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    laid[place] = np.asarray(Image.fromarray(box).resize(size, Image.Resampling.BICUBIC))
    return laid


def _enlarged(small: np.ndarray) -> np.ndarray:
    """(512, 512) of (128, 128), by splines: no corners of pixels are seen."""
    return ndimage.zoom(small, SIDE / MADE, order=3, grid_mode=True, mode="nearest").astype(np.float32)
