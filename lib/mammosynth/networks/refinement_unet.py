"""`RefinementUNet`: what to change in a predicted image, and where there is nothing to be seen.

U-Net: Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28; residual blocks: He et al. 2016,
doi:10.1109/CVPR.2016.90.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

_GROUPS = 4
_STEEPNESS, _MIDDLE = 10.0, 0.4
"""Of the gate, and the chance at which it is half open: below one half, since black errs more than grey."""
_GAIN, _SHIFT = 0.3, 5.0
"""By which the network's outputs change grey and gate: a network near its start changes little."""


class RefinementUNet(nn.Module):
    """For images whose sides are multiples of 2 ** (len(features) - 1).

    Args:
        in_channels: Of the input. The first is the predicted grey, the second the chance that anything is there.
        features: Channels per level, multiples of 4, from the input's resolution down.
        dropout: Chance that a channel of the deepest level is left out in training.
    """

    def __init__(self, in_channels: int, features: Sequence[int], dropout: float = 0.2) -> None:
        super().__init__()
        before = [in_channels + 2, *features[:-1]]
        self.encoder = nn.ModuleList(_Block(i, o) for i, o in zip(before, features, strict=True))
        self.decoder = nn.ModuleList(_Block(own + below, own) for own, below in pairwise(features))
        self.dropout = nn.Dropout2d(dropout)
        self.changes = nn.Conv2d(features[0], 2, 3, padding=1)
        for parameter in self.changes.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, 1, H, W), not bounded; before training, the first channel where the second is high."""
        rows, columns = (torch.linspace(-1, 1, side, device=x.device) for side in x.shape[2:])
        places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None].expand(len(x), -1, -1, -1)
        hidden, skips = torch.cat([x, places.to(x)], dim=1), []
        for level, block in enumerate(self.encoder):
            hidden = block(hidden if level == 0 else F.avg_pool2d(hidden, 2))
            skips.append(hidden)
        hidden = self.dropout(skips.pop())
        for block in reversed(self.decoder):
            larger = F.interpolate(hidden, scale_factor=2, mode="bilinear", align_corners=False)
            hidden = block(torch.cat([skips.pop(), larger], dim=1))
        grey, shift = self.changes(hidden).split(1, dim=1)
        gate = torch.sigmoid((x[:, 1:2] - _MIDDLE) * _STEEPNESS + _SHIFT * shift)
        return (x[:, :1] + _GAIN * grey) * gate


class _Block(nn.Module):
    """Two convolutions beside a short cut."""

    def __init__(self, in_channels: int, features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, features, 3, padding=1)
        self.second = nn.Conv2d(features, features, 3, padding=1)
        self.first_norm, self.second_norm = (nn.GroupNorm(_GROUPS, features) for _ in range(2))
        self.short = nn.Conv2d(in_channels, features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = F.silu(self.first_norm(self.first(x)))
        return F.silu(self.second_norm(self.second(inner)) + self.short(x))
