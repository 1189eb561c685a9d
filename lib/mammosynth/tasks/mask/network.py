"""`MaskNetwork`: the networks and the numbers of one mask model, which are trained and kept together."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from mammosynth.networks.noise_decoder import NoiseDecoder
from mammosynth.tasks.mask.drawing import CHANNELS
from mammosynth.tasks.mask.style import ABOUT, LENGTH, StyleModel


class MaskNetwork(nn.Module):
    """What a model of the task holds.

    Args:
        features: Channels per scale of the sampled image, from the coarsest of six.
        expected_features: Likewise of the expected one.
    """

    def __init__(self, features: Sequence[int], expected_features: Sequence[int]) -> None:
        super().__init__()
        self.sampled = NoiseDecoder(CHANNELS, LENGTH + ABOUT, features)
        self.expected = NoiseDecoder(CHANNELS, LENGTH + ABOUT, expected_features)
        self.styles = StyleModel()
