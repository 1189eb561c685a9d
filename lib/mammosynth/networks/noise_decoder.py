"""`NoiseDecoder`: an image from what is drawn and from noise, coarse to fine.

Every scale sees the drawing at its own resolution, noise of its own, and a vector that says how the image looks as a
whole; it adds to the image of the scale before, so coarse scales can be trained first. Nothing is normalised over the
image, only over the channels of one pixel, so a part of an image is generated as in the whole.

Sources: noise at every scale and images that are sums over scales, Karras et al. 2020 (StyleGAN2,
doi:10.1109/CVPR42600.2020.00813); feature-wise modulation, Perez et al. 2018 (FiLM, doi:10.1609/aaai.v32i1.11671);
normalisation over channels, Karras et al. 2018 (arXiv:1710.10196).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

NOISE = 2
"""Channels of noise at every scale."""
_EMBEDDING = 64
_LEVEL, _SPAN = 0.3, 0.3
"""Grey of an output of zero, and grey per unit of it: about the mean and spread of mammograms."""


class NoiseDecoder(nn.Module):
    """Images whose sides are multiples of 2 ** (len(features) - 1).

    Args:
        in_channels: Of the drawing; the first one is the share of breast.
        style: Length of the vector that says how the image looks.
        features: Channels per scale, from the coarsest to the finest.
    """

    def __init__(self, in_channels: int, style: int, features: Sequence[int]) -> None:
        super().__init__()
        self.embedding = nn.Sequential(
            nn.Linear(style, _EMBEDDING), nn.LeakyReLU(0.2), nn.Linear(_EMBEDDING, _EMBEDDING), nn.LeakyReLU(0.2)
        )
        before = [0, *features[:-1]]
        self.blocks = nn.ModuleList(
            _Block(coarse + in_channels, own) for coarse, own in zip(before, features, strict=True)
        )
        self.to_image = nn.ModuleList(nn.Conv2d(own, 1, 1) for own in features)
        self._initialise()

    @property
    def scales(self) -> int:
        """How many."""
        return len(self.blocks)

    def noise(self, batch: int, shape: tuple[int, int], generator: torch.Generator | None = None) -> list[torch.Tensor]:
        """What a call needs, from the coarsest scale to the finest.

        Args:
            batch: Images.
            shape: (H, W) of them.
            generator: Of the noise, on the CPU.
        """
        steps = range(self.scales - 1, -1, -1)
        return [torch.randn(batch, NOISE, shape[0] >> s, shape[1] >> s, generator=generator) for s in steps]

    def forward(
        self, drawing: torch.Tensor, style: torch.Tensor, noise: Sequence[torch.Tensor], *, skipped: int = 0
    ) -> torch.Tensor:
        """The image.

        Args:
            drawing: (B, in_channels, H, W).
            style: (B, style).
            noise: (B, 2, h, w) per scale, as `noise` gives it.
            skipped: How many of the finest scales are left out.

        Returns:
            (B, 1, H >> skipped, W >> skipped); 0 where no breast is drawn.
        """
        embedded = self.embedding(style)
        pyramid = [drawing]
        for _ in range(self.scales - 1):
            pyramid.append(F.avg_pool2d(pyramid[-1], 2))
        pyramid.reverse()
        features = image = None
        for scale in range(self.scales - skipped):
            given = [pyramid[scale], noise[scale].to(drawing)[:, :1]]
            if features is not None:
                given.insert(0, _doubled(features))
            features = self.blocks[scale](torch.cat(given, dim=1), noise[scale].to(drawing)[:, 1:], embedded)
            added = self.to_image[scale](features)
            image = added if image is None else _doubled(image) + added
        return (_LEVEL + _SPAN * image) * pyramid[self.scales - 1 - skipped][:, :1]

    def _initialise(self) -> None:
        """Every scale adds little at first."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.2)
                nn.init.zeros_(module.bias)
        for layer in self.to_image:
            nn.init.normal_(layer.weight, std=0.05)
        for block in self.blocks:
            nn.init.normal_(block.modulation.weight, std=0.02)
            nn.init.zeros_(block.modulation.bias)


class _Block(nn.Module):
    """Two convolutions, each normalised over channels and modulated by the style, beside a short cut."""

    def __init__(self, in_channels: int, features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels + 1, features, 3, padding=1)
        self.second = nn.Conv2d(features + 1, features, 3, padding=1)
        self.modulation = nn.Linear(_EMBEDDING, 4 * features)
        self.short = nn.Conv2d(in_channels + 1, features, 1)

    def forward(self, given: torch.Tensor, noise: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
        gain_1, bias_1, gain_2, bias_2 = self.modulation(embedded)[:, :, None, None].chunk(4, dim=1)
        inner = F.leaky_relu(_normalised(self.first(given)) * (1 + gain_1) + bias_1, 0.2)
        inner = _normalised(self.second(torch.cat([inner, noise], dim=1)))
        return F.leaky_relu(inner * (1 + gain_2) + bias_2, 0.2) + self.short(given)


def _normalised(features: torch.Tensor) -> torch.Tensor:
    return features * torch.rsqrt(features.square().mean(dim=1, keepdim=True) + 1e-6)


def _doubled(image: torch.Tensor) -> torch.Tensor:
    return F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)
