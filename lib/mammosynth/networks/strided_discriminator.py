"""`StridedDiscriminator`: the discriminator of the published cycle-GAN, which judges overlapping patches.

Zormpas-Petridis et al., Eur Radiol Exp 2026: three strided convolutions, each with instance normalisation (the first
one, too) and leaky ReLU; one more convolution; sigmoid. Where that text is silent, the method that it builds on
decides: Zhu et al. 2017, doi:10.1109/ICCV.2017.244 (64, 128 and 256 channels, 4x4 kernels, slope 0.2, start weights).
"""

from __future__ import annotations

import torch
from torch import nn

from mammosynth.networks.resnet_generator import initialise

KERNEL = 4
SLOPE = 0.2


class StridedDiscriminator(nn.Module):
    """How real each patch of 46 by 46 pixels looks, a patch every 8 pixels.

    Args:
        features: Channels of the first block; doubled in the two after it.
        in_channels: Of what is judged: an image alone, or with what it was made from.
    """

    def __init__(self, features: int = 64, in_channels: int = 1) -> None:
        super().__init__()
        widths = [in_channels, features, 2 * features, 4 * features]
        self.layers = nn.Sequential(
            *(_block(widths[i], widths[i + 1]) for i in range(3)),
            nn.Conv2d(widths[-1], 1, KERNEL, padding=1),
        )
        self.apply(initialise)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) in [-1, 1] to (B, 1, H // 8 - 1, W // 8 - 1) in [0, 1], 1 for real; sides of 24 or more."""
        # In half precision a verdict near 1 would be 1, and nothing could be learned from it.
        return torch.sigmoid(self.layers(x).float())


# The normalisation takes every mean away, so a bias before it would have no effect: there is none.
def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, KERNEL, stride=2, padding=1, bias=False),
        nn.InstanceNorm2d(out_channels),
        nn.LeakyReLU(SLOPE),
    )
