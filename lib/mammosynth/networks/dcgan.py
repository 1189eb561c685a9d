"""`DcganGenerator`, `DcganCritic`: noise and a drawn condition to a small square image, and who judges it.

Radford et al. 2016, arXiv:1511.06434: transposed 4x4 convolutions up with batch normalisation and ReLU, tanh; strided
4x4 convolutions down with leaky ReLU 0.2; start weights of deviation 0.02. The condition is an image, so it stands at
every resolution of the generator beside what is made, and beside the image that is judged. The critic has neither
normalisation nor sigmoid: its gradient is penalised for each image by itself (Gulrajani et al. 2017, arXiv:1704.00028,
section 4).
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from mammosynth.networks.resnet_generator import initialise

SMALLEST = 4
"""Side in pixels from which images grow, and to which the critic reduces them."""
SLOPE = 0.2


class DcganGenerator(nn.Module):
    """Noise and condition to an image.

    Args:
        size: Side of the image, a power of two from 8.
        in_channels: Of the condition.
        noise: Numbers of the noise vector.
        features: Channels at half the size; doubled at each halving.
        widest: Channels at most.
    """

    def __init__(self, size: int, in_channels: int, noise: int = 100, features: int = 64, widest: int = 512) -> None:
        super().__init__()
        self.size, self.in_channels, self.noise = size, in_channels, noise
        widths = _widths(size, features, widest)[::-1]
        self.first = nn.Sequential(
            nn.ConvTranspose2d(noise, widths[0], SMALLEST, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(source + in_channels, target, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(target),
                nn.ReLU(),
            )
            for source, target in zip(widths, widths[1:], strict=False)
        )
        self.last = nn.ConvTranspose2d(widths[-1] + in_channels, 1, 4, stride=2, padding=1)
        self.apply(initialise)

    def forward(self, noise: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """(B, Z) normal noise and (B, C, size, size) to (B, 1, size, size) in [-1, 1]."""
        x = self.first(noise[:, :, None, None])
        for layer in self.up:
            x = layer(self._beside(x, condition))
        return torch.tanh(self.last(self._beside(x, condition)))

    def _beside(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, F.avg_pool2d(condition, self.size // x.shape[-1]).to(x)], dim=1)


class DcganCritic(nn.Module):
    """How real an image with its condition is, as a number without bounds.

    Args:
        size: Side of the image, a power of two from 8.
        in_channels: Of image and condition together.
        features: Channels at half the size; doubled at each halving.
        widest: Channels at most.
    """

    def __init__(self, size: int, in_channels: int, features: int = 64, widest: int = 512) -> None:
        super().__init__()
        widths = [in_channels, *_widths(size, features, widest)]
        down = [
            layer
            for source, target in zip(widths, widths[1:], strict=False)
            for layer in (nn.Conv2d(source, target, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE))
        ]
        self.layers = nn.Sequential(*down, nn.Conv2d(widths[-1], 1, SMALLEST))
        self.apply(initialise)

    def forward(self, image: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """(B, 1, size, size) in [-1, 1] and (B, C, size, size) to (B,)."""
        return self.layers(torch.cat([image, condition], dim=1)).flatten()


def _widths(size: int, features: int, widest: int) -> list[int]:
    """Channels at half the size, a quarter of it, and so on down to the smallest."""
    halvings = round(math.log2(size / SMALLEST))
    if halvings < 1 or size != SMALLEST * 2**halvings:
        raise ValueError(f"size is {size}, expected a power of two from {2 * SMALLEST}")
    return [min(features * 2**level, widest) for level in range(halvings)]
