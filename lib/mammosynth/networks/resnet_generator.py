"""`ResNetGenerator`: the generator of the published cycle-GAN, and how its networks are initialised.

Zormpas-Petridis et al., Eur Radiol Exp 2026, name the layers: reflection-padded convolution, instance normalisation and
ReLU, two strided down blocks, nine residual units, two transposed convolutions, tanh. Where that text is silent, the
method that it builds on decides: Zhu et al. 2017, doi:10.1109/ICCV.2017.244 (widths, kernel sizes, reflection padding
inside the residual units, normalisation without learned scale, start weights).
"""

from __future__ import annotations

import torch
from torch import nn

MULTIPLE = 4
"""Sides of the image are multiples of this: the resolution is halved twice."""
START_DEVIATION = 0.02
"""Of the normal distribution of start weights: Zhu et al. 2017, section 7.2."""


class ResNetGenerator(nn.Module):
    """Image to image, fully convolutional, for sides that are multiples of 4 and at least 8.

    Not translation equivariant: instance normalisation takes mean and deviation over the whole image or window, so an
    image and its windows give different grey values.

    Args:
        features: Channels at full resolution; doubled at each halving.
        residual_units: At a quarter of the resolution.
    """

    def __init__(self, features: int = 64, residual_units: int = 9) -> None:
        super().__init__()
        self.features, self.residual_units = features, residual_units
        self.layers = nn.Sequential(
            _convolution(1, features, 7),
            _convolution(features, 2 * features, 3, stride=2),
            _convolution(2 * features, 4 * features, 3, stride=2),
            *(_ResidualUnit(4 * features) for _ in range(residual_units)),
            _transposed(4 * features, 2 * features),
            _transposed(2 * features, features),
            nn.Conv2d(features, 1, kernel_size=7, padding=3, padding_mode="reflect"),
            nn.Tanh(),
        )
        self.apply(initialise)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 1, H, W) in [-1, 1] to (B, 1, H, W) in [-1, 1].

        Raises:
            ValueError: If a side is no multiple of 4.
        """
        if x.shape[2] % MULTIPLE or x.shape[3] % MULTIPLE:
            raise ValueError(f"image is {tuple(x.shape[2:])}, expected sides that are multiples of {MULTIPLE}; pad it")
        return self.layers(x)


class _ResidualUnit(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _convolution(channels, channels, 3),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1, padding_mode="reflect", bias=False),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)


def initialise(module: nn.Module) -> None:
    """Start weights of a convolution: normal, deviation 0.02; bias 0. Other modules are left as they are."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=START_DEVIATION)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


# The normalisation takes every mean away, so a bias before it would have no effect: there is none.
def _convolution(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride,
        padding=kernel_size // 2,
        padding_mode="reflect" if stride == 1 else "zeros",
        bias=False,
    )
    return nn.Sequential(convolution, nn.InstanceNorm2d(out_channels), nn.ReLU())


def _transposed(in_channels: int, out_channels: int) -> nn.Sequential:
    convolution = nn.ConvTranspose2d(
        in_channels, out_channels, kernel_size=3, stride=2, padding=1, output_padding=1, bias=False
    )
    return nn.Sequential(convolution, nn.InstanceNorm2d(out_channels), nn.ReLU())
