"""How a recombined image looks as a whole, in 13 numbers; what those of a new one may be, given what is known of it.

Window, noise and the strength of detail are the exposure's and the display's: no low-energy image tells them, so they
are drawn from what real images have.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from mammosynth.networks.ensemble import Ensemble
from mammosynth.networks.gaussian_trend import GaussianTrend
from mammosynth.preprocessing.bands import Bands, evenly
from mammosynth.preprocessing.breast import erode, skin_distance

SIGMAS = (1, 2, 4, 8, 16)
"""Smoothings within the breast between which the bands lie, in pixels of a frame of 512 rows, as all widths here."""
RIM_PX = (1.5, 3, 5, 8, 13, 20)
"""Depths between which the grey towards the skin is measured."""
DEEPER_PX, SKIN_PX = 32, 6
"""Depth to which it is compared with what lies deeper; skin that is left out where the breast itself is measured."""
DARK = 0.01
"""Added to a mean before its logarithm is taken."""
LOOK = 3 + len(SIGMAS) + len(RIM_PX) - 1
MEAN, DEVIATION = 0, 1
BANDS, RIM = slice(3, 3 + len(SIGMAS)), slice(3 + len(SIGMAS), LOOK)
GIVEN = 2 * LOOK + 1


class Zones:
    """The parts of a breast that a look is measured in.

    Args:
        breast: (H, W) bool, not empty, chest wall on the left, about 512 rows.
    """

    def __init__(self, breast: np.ndarray) -> None:
        self.breast = breast
        self.split = Bands(breast, SIGMAS)
        inner = erode(breast, SKIN_PX)
        self.inside = inner if inner.any() else breast

    @cached_property
    def within(self) -> np.ndarray:
        """The inside, in the breast's box."""
        return self.inside[self.split.box]

    @cached_property
    def depth(self) -> np.ndarray:
        """(H, W) float32: distance to the skin."""
        return skin_distance(self.breast)

    @cached_property
    def rims(self) -> list[np.ndarray]:
        """Places at the depths of `RIM_PX`, and those a little deeper; none where a breast is not that deep."""
        zones = [np.flatnonzero((self.depth > low) & (self.depth <= high)) for low, high in pairwise(RIM_PX)]
        deeper = np.flatnonzero((self.depth > RIM_PX[-1]) & (self.depth <= DEEPER_PX))
        return [*zones, deeper] if all(zone.size for zone in (*zones, deeper)) else []

    def rim(self, pixels: np.ndarray) -> np.ndarray:
        """(5,) grey at the depths of `RIM_PX` minus that a little deeper."""
        if not self.rims:
            return np.zeros(len(RIM_PX) - 1)
        greys = np.array([pixels.ravel()[zone].mean() for zone in self.rims])
        return greys[:-1] - greys[-1]

    def at_rim(self, change: np.ndarray) -> np.ndarray:
        """(H, W) float32: numbers at the depths of `RIM_PX`, between them in proportion, 0 deeper."""
        middles = [(low + high) / 2 for low, high in pairwise(RIM_PX)]
        return np.interp(self.depth, [*middles, (RIM_PX[-1] + DEEPER_PX) / 2], [*change, 0.0]).astype(np.float32)


def measure_look(pixels: np.ndarray, zones: Zones) -> tuple[np.ndarray, list[np.ndarray]]:
    """The look of an image.

    Args:
        pixels: (H, W) float32 in [0, 1].
        zones: Of the breast in it.

    Returns:
        (13,) float64: logarithms of the mean and of the standard deviation, and bounded skewness, the latter two of
        what is coarser than all bands; logarithm of the strength that each band has everywhere; see `Zones.rim`. And
        the bands, in the breast's box.
    """
    bands, coarse = zones.split.split(pixels)
    values = coarse[zones.within].astype(np.float64)
    deviation = values.std() + 1e-3
    skewness = ((values - values.mean()) ** 3).mean() / deviation**3
    level = np.log(pixels[zones.inside].mean() + DARK)
    strengths = [np.log(evenly(band[zones.within]) + 1e-4) for band in bands]
    return np.array([level, np.log(deviation), np.tanh(skewness / 2), *strengths, *zones.rim(pixels)]), bands


class ContrastStyle(nn.Module):
    """What a sampled rendering draws from; fitted in closed form, all zero before.

    Attributes:
        looks: Of real images, given `given_of` the expected and the low-energy one.
        factor: Standard deviations of the members by which samples differ where the members do.
    """

    factor: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.looks = GaussianTrend(GIVEN, LOOK)
        self.register_buffer("factor", torch.zeros(1))


class StyledEnsemble(Ensemble):
    """An ensemble, and what was measured of how real images look; its answer is that of the ensemble.

    Args:
        members: One or more networks.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__(members)
        self.style = ContrastStyle()


def given_of(expected: np.ndarray, low_energy: np.ndarray, is_mlo: bool) -> np.ndarray:
    """(27,) float64: what is known of a look before it is drawn.

    Args:
        expected: (13,), the look of the expected image.
        low_energy: (13,), that of the low-energy image.
        is_mlo: Of the view.
    """
    return np.array([*expected, *low_energy, float(is_mlo)])
