"""`StyledUNet`: residual U-Net whose levels are told by a vector what the image is like as a whole.

U-Net: Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28; residual blocks: He et al. 2016,
doi:10.1109/CVPR.2016.90; feature-wise modulation: Perez et al. 2018 (FiLM), doi:10.1609/aaai.v32i1.11671.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

_GROUPS = 8
_EMBEDDING = 96


class StyledUNet(nn.Module):
    """For images whose sides are multiples of 2 ** (len(features) - 1).

    Args:
        in_channels: Of the input.
        style: Length of the vector.
        features: Channels per level, multiples of 8, from the input's resolution down.
        dropout: Chance that a number of the embedded vector, or a channel of the deepest level, is left out in
            training.
    """

    def __init__(self, in_channels: int, style: int, features: Sequence[int], dropout: float = 0.1) -> None:
        super().__init__()
        self.embedding = nn.Sequential(
            nn.Linear(style, _EMBEDDING), nn.SiLU(), nn.Dropout(dropout), nn.Linear(_EMBEDDING, _EMBEDDING), nn.SiLU()
        )
        before = [features[0], *features[:-1]]
        self.stem = nn.Conv2d(in_channels, features[0], 3, padding=1)
        self.encoder = nn.ModuleList(_Block(i, o) for i, o in zip(before, features, strict=True))
        self.decoder = nn.ModuleList(_Block(own + below, own) for own, below in pairwise(features))
        self.dropout = nn.Dropout2d(dropout)
        self.to_image = nn.Conv2d(features[0], 1, 3, padding=1)
        for parameter in self.to_image.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) and (B, style) to (B, 1, H, W), not bounded; 0 before training."""
        embedded = self.embedding(style)
        hidden, skips = self.stem(x), []
        for level, block in enumerate(self.encoder):
            hidden = block(hidden if level == 0 else F.avg_pool2d(hidden, 2), embedded)
            skips.append(hidden)
        hidden = self.dropout(skips.pop())
        for block in reversed(self.decoder):
            hidden = F.interpolate(hidden, scale_factor=2, mode="bilinear", align_corners=False)
            hidden = block(torch.cat([skips.pop(), hidden], dim=1), embedded)
        return self.to_image(hidden)


class _Block(nn.Module):
    """Two convolutions beside a short cut; the vector scales and shifts between them."""

    def __init__(self, in_channels: int, features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, features, 3, padding=1, bias=False)
        self.second = nn.Conv2d(features, features, 3, padding=1)
        self.first_norm, self.second_norm = (nn.GroupNorm(_GROUPS, features) for _ in range(2))
        self.modulation = nn.Linear(_EMBEDDING, 2 * features)
        self.short = nn.Conv2d(in_channels, features, 1)
        nn.init.normal_(self.modulation.weight, std=0.02)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
        gain, bias = self.modulation(embedded)[:, :, None, None].chunk(2, dim=1)
        inner = F.silu(self.first_norm(self.first(x)) * (1 + gain) + bias)
        return F.silu(self.second_norm(self.second(inner)) + self.short(x))
