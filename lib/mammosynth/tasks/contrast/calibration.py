"""`Calibration`: from how much members disagree to how far off they are.

Members that were trained alike are wrong alike, so their spread alone is far too small. How far off an image is grows
with their spread and with its own grey value: the unknown window of a real image multiplies grey values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NORMAL_90 = 1.645
"""Standard deviations either side of the mean that hold 90 % of a normal distribution."""


@dataclass(frozen=True)
class Calibration:
    """Variance of the error of a pixel: constant + spread * (spread of the members)^2 + grey * (grey value)^2.

    A deviation is so scaled that `NORMAL_90` of it either side hold 90 % of real values, whatever their distribution.

    Attributes:
        constant: Grey values squared.
        spread: Factor of the variance over the members.
        grey: Factor of the squared grey value of the image.
        contrast: Deviation of a lesion's contrast, lesion minus ring, in mean deviations of the lesion's pixels: pixels
            of a lesion err together, so that it is much larger than independent pixels would have it.
    """

    constant: float
    spread: float
    grey: float
    contrast: float

    def deviation(self, image: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """The standard deviation of every pixel, in grey values.

        Args:
            image: float32 in [0, 1].
            spread: Standard deviation over the members, in grey values.

        Returns:
            float32 of the same shape.
        """
        variance = self.constant + self.spread * spread**2 + self.grey * image**2
        return np.sqrt(variance).astype(np.float32)


BARE = Calibration(constant=0.0, spread=1.0, grey=0.0, contrast=1.0)
"""The spread of the members as it is."""
