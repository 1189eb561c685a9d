"""`ResidualUpsampler`: a light super-resolution network.

Lim et al. 2017 (EDSR), doi:10.1109/CVPRW.2017.151: residual blocks without normalisation at the low resolution, then
sub-pixel convolutions. What is learned is added to the bilinear enlargement.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

LEAST_FEATURES = 8
"""Channels at the highest resolutions, where they cost most."""


class ResidualUpsampler(nn.Module):
    """(B, 1, H, W) to (B, 1, S H, S W), S a power of 2; fully convolutional.

    Args:
        features: Channels at the low resolution; halved at each doubling, down to 8.
        blocks: Residual blocks at the low resolution.
        doublings: Of the resolution.
    """

    def __init__(self, features: int = 32, blocks: int = 4, doublings: int = 3) -> None:
        super().__init__()
        self.scale = 2**doublings
        widths = [max(features // 2**level, LEAST_FEATURES) for level in range(doublings + 1)]
        self.first = nn.Conv2d(1, features, 3, padding=1)
        self.blocks = nn.ModuleList(_block(features) for _ in range(blocks))
        self.doubling = nn.ModuleList(
            nn.Sequential(nn.Conv2d(source, 4 * target, 3, padding=1), nn.PixelShuffle(2), nn.LeakyReLU(0.1))
            for source, target in zip(widths, widths[1:], strict=False)
        )
        self.last = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class; values in and out in [-1, 1], not clipped."""
        learned = self.first(x)
        for block in self.blocks:
            learned = learned + block(learned)
        for doubling in self.doubling:
            learned = doubling(learned)
        enlarged = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return enlarged + self.last(learned)


def _block(features: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(features, features, 3, padding=1), nn.ReLU(), nn.Conv2d(features, features, 3, padding=1)
    )
