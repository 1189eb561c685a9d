"""What the network of the expected image sees: the drawing at half the frame's resolution, for it is smooth."""

from __future__ import annotations

import numpy as np

from mammosynth.tasks.mask.classes import CLASSES
from mammosynth.tasks.mask.drawing import Drawing
from mammosynth.tasks.mask.style import KNOWN

HALVING = 2
DEPTHS_PX = (6.0, 20.0, 60.0)
"""How fast three of the channels fall with the distance from the skin."""


class ExpectedPreprocessing:
    """From a label map to what the network sees.

    Attributes:
        CHANNELS: Their names, in order.
        frame_shape: Rows and columns of the network's input; the columns are as many as the breast needs.
    """

    CHANNELS = (
        *(name.replace(" ", "_") for name in CLASSES.values()),
        *(f"depth_{fall:g}" for fall in DEPTHS_PX),
        "nipple_row",
        "nipple_column",
        *KNOWN,
    )
    frame_shape = (256, "16*n")

    def channels(self, drawing: Drawing, known: np.ndarray) -> np.ndarray:
        """Shares of the eight classes, three depths, place from the nipple, and what is known, everywhere alike.

        Args:
            drawing: The label map in the frame.
            known: (10,), see `style.about`.

        Returns:
            (23, 256, W / 2) float32; 0 in air.
        """
        row, column = drawing.nipple
        y, x = np.mgrid[: drawing.labels.shape[0], : drawing.labels.shape[1]].astype(np.float32)
        shares = [(drawing.labels == number).astype(np.float32) for number in CLASSES]
        depths = [np.exp(-drawing.depth.astype(np.float32) / fall) for fall in DEPTHS_PX]
        places = [(y - row) / 256, (column - x) / 256]
        channels = np.stack([*shares, *depths, *places, *(np.full_like(y, number) for number in known)])
        return halved(channels * drawing.breast)


def halved(image: np.ndarray) -> np.ndarray:
    """(..., H, W) to (..., H / 2, W / 2): means of four pixels."""
    *rest, height, width = image.shape
    return image.reshape(*rest, height // HALVING, HALVING, width // HALVING, HALVING).mean(axis=(-3, -1))
