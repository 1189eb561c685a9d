"""`SkipGenerator`: the U-Net generator of pix2pix.

Isola et al. 2017, doi:10.1109/CVPR.2017.632, section 6.1: strided 4x4 convolutions down and transposed ones up, skips
between mirrored layers, leaky ReLU 0.2 down and ReLU up, dropout one half in the first layers up, tanh. Instead of
batch normalisation over the one image of a batch stands what it then is: instance normalisation with learned scale.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from mammosynth.networks.resnet_generator import initialise

SLOPE = 0.2
DROPPED = 3
"""Layers up with dropout."""
WIDEST = 8
"""Times the features of the first layer."""


class SkipGenerator(nn.Module):
    """Image to image, for sides that are multiples of 2 to the power of depth.

    Args:
        in_channels: Of the input.
        features: Channels of the first layer; doubled down to eight times as many.
        depth: Halvings.
    """

    def __init__(self, in_channels: int, features: int = 64, depth: int = 6) -> None:
        super().__init__()
        self.in_channels, self.multiple = in_channels, 2**depth
        widths = [features * min(2**level, WIDEST) for level in range(depth)]
        self.down = nn.ModuleList(
            _down(source, target, is_normalised=0 < level < depth - 1)
            for level, (source, target) in enumerate(zip([in_channels, *widths], widths, strict=False))
        )
        up = [(widths[-1], widths[-2]), *((2 * widths[level], widths[level - 1]) for level in range(depth - 2, 0, -1))]
        self.up = nn.ModuleList(_up(source, target) for source, target in up)
        self.last = nn.ConvTranspose2d(2 * features, 1, 4, stride=2, padding=1)
        self.apply(initialise)

    def forward(self, x: torch.Tensor, noise: torch.Generator | None = None) -> torch.Tensor:
        """(B, C, H, W) to (B, 1, H, W) in [-1, 1].

        Args:
            x: The input.
            noise: Draws what is dropped out, also in evaluation mode; None drops out in training only.

        Raises:
            ValueError: If a side is no multiple of 2 to the power of depth.
        """
        if x.shape[2] % self.multiple or x.shape[3] % self.multiple:
            raise ValueError(f"image is {tuple(x.shape[2:])}, expected sides that are multiples of {self.multiple}")
        skips = []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        skips.pop()
        for number, layer in enumerate(self.up):
            x = layer(F.relu(x))
            if number < DROPPED:
                x = self._dropped_out(x, noise)
            x = torch.cat([x, skips.pop()], dim=1)
        return torch.tanh(self.last(F.relu(x)))

    def _dropped_out(self, x: torch.Tensor, noise: torch.Generator | None) -> torch.Tensor:
        if noise is None:
            return F.dropout(x, 0.5, self.training)
        return x * (2 * torch.randint(2, x.shape, generator=noise)).to(x)


def _down(source: int, target: int, *, is_normalised: bool) -> nn.Sequential:
    norm = [nn.InstanceNorm2d(target, affine=True)] if is_normalised else []
    return nn.Sequential(
        nn.Conv2d(source, target, 4, stride=2, padding=1, bias=not is_normalised), *norm, nn.LeakyReLU(SLOPE)
    )


def _up(source: int, target: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(source, target, 4, stride=2, padding=1, bias=False), nn.InstanceNorm2d(target, affine=True)
    )
