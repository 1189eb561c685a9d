"""`ShuffleUNet`: a U-Net that works at half resolution and returns to full resolution by pixel shuffle.

Pixel (un)shuffle: Shi et al. 2016, doi:10.1109/CVPR.2016.207. U-Net: Ronneberger et al. 2015,
doi:10.1007/978-3-319-24574-4_28. Half the resolution is a quarter of the cost, which lets it be trained on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.blocks import Convolution
from torch import nn
from torch.nn import functional as F


class ShuffleUNet(nn.Module):
    """Image-to-image network for frames whose sides are multiples of 2 ** len(features).

    Args:
        in_channels: Input channels.
        features: Channels per level, from half resolution down.
        head_features: Channels at full resolution.
        bias: Start value of the output everywhere.
    """

    def __init__(self, in_channels: int, features: Sequence[int], head_features: int = 8, bias: float = 0.3) -> None:
        super().__init__()
        levels = len(features)
        widths = [4 * in_channels, *features]
        self.encoder = nn.ModuleList(_two_convolutions(widths[i], widths[i + 1]) for i in range(levels))
        self.decoder = nn.ModuleList(
            _two_convolutions(features[i] + features[i + 1], features[i]) for i in range(levels - 1)
        )
        # The mean over the whole breast, fed back at the bottom: a window level belongs to the image, not to a place.
        self.context = nn.Conv2d(features[-1], features[-1], kernel_size=1)
        self.expand = nn.Conv2d(features[0], 4 * head_features, kernel_size=1)
        last = nn.Conv2d(head_features, 1, kernel_size=3, padding=1)
        self.head = nn.Sequential(
            nn.Conv2d(head_features + in_channels, head_features, kernel_size=3, padding=1),
            nn.ReLU(),
            last,
        )
        nn.init.zeros_(last.weight)
        last.bias = nn.Parameter(torch.full((1,), bias))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, 1, H, W); the output is not bounded."""
        z = F.pixel_unshuffle(x, 2)
        skips = []
        for level, block in enumerate(self.encoder):
            z = block(z if level == 0 else F.avg_pool2d(z, 2))
            skips.append(z)
        z = skips.pop()
        z = z + self.context(z.mean(dim=(2, 3), keepdim=True))
        for block in reversed(self.decoder):
            z = F.interpolate(z, scale_factor=2, mode="bilinear", align_corners=False)
            z = block(torch.cat([skips.pop(), z], dim=1))
        return self.head(torch.cat([F.pixel_shuffle(self.expand(z), 2), x], dim=1))


def _two_convolutions(in_channels: int, out_channels: int) -> nn.Sequential:
    def convolution(channels: int) -> nn.Module:
        return Convolution(
            2, channels, out_channels, kernel_size=3, adn_ordering="NA", act="relu", norm="batch", bias=False
        )

    return nn.Sequential(convolution(in_channels), convolution(out_channels))
