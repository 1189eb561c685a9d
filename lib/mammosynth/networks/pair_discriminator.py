"""`PairDiscriminator`: are these two images two views of one breast?

Strided convolutions over both images, side by side as channels, and one verdict for the whole: where tissue lies
differs between views, so no patch can be judged alone.
"""

from __future__ import annotations

import torch
from torch import nn

from mammosynth.networks.resnet_generator import initialise

_SLOPE = 0.2
_LAYERS = 6


class PairDiscriminator(nn.Module):
    """For images whose sides are multiples of 64.

    Args:
        features: Channels of the first layer; doubled in the next two.
    """

    def __init__(self, features: int = 32) -> None:
        super().__init__()
        widths = [2, *(features * 2 ** min(layer, 2) for layer in range(_LAYERS))]
        layers: list[nn.Module] = []
        for before, after in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(_SLOPE)]
        self.layers = nn.Sequential(*layers)
        self.verdict = nn.Linear(widths[-1], 1)
        self.apply(initialise)

    def forward(self, source: torch.Tensor, view: torch.Tensor) -> torch.Tensor:
        """(B, 1, H, W) each, in [-1, 1], to (B,) logits, higher for two views of one breast."""
        return self.verdict(self.layers(torch.cat([source, view], dim=1)).mean(dim=(2, 3)))[:, 0]
