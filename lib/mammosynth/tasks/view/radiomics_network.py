"""`RadiomicGenerator`: the published way's network, from craniocaudal view, lesion and radiomic vector to the view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from mammosynth.networks.styled_unet import StyledUNet
from mammosynth.radiomics import COUNT, RadiomicScaling

_START = -2.0
"""Logit of the grey of the first output, about the mean of the padded frame."""


class RadiomicGenerator(nn.Module):
    """For images whose sides are multiples of 2 ** (len(features) - 1).

    Args:
        features: Channels per level, from the image's resolution down.
        side: Of the square images in pixels.
    """

    scaling: torch.Tensor

    def __init__(self, features: Sequence[int], side: int = 256) -> None:
        super().__init__()
        self.side = side
        self.unet = StyledUNet(2, COUNT + 1, features)
        self.register_buffer("scaling", torch.zeros(2, COUNT))

    def set_scaling(self, scaling: RadiomicScaling) -> None:
        """Keep with the weights how radiomic features are scaled."""
        self.scaling.copy_(torch.from_numpy(np.stack([scaling.mean, scaling.deviation])))

    def scaled(self, features: np.ndarray | None) -> np.ndarray:
        """(103,) float32: radiomic features as the network takes them; zeros without a lesion."""
        mean, deviation = self.scaling.cpu().double().numpy()
        return RadiomicScaling(mean, deviation)(features)

    def forward(self, given: torch.Tensor, radiomics: torch.Tensor) -> torch.Tensor:
        """(B, 1, H, W), grey in [0, 1].

        Args:
            given: (B, 2, H, W): craniocaudal view in [0, 1], lesion.
            radiomics: (B, 103), see `scaled`.
        """
        return torch.sigmoid(4 * self.unet(given, radiomics) + _START)
