"""`HypercolumnHead`: the fields of `ResidualUNet`, from what a network of photographs sees in the low-energy image.

Features of several depths side by side at every place: hypercolumns, Hariharan et al. 2015,
doi:10.1109/CVPR.2015.7298642. The trunk is frozen: it was trained on a million photographs, and there are too few
mammograms to train it further. What it sees and a network trained on mammograms does not makes them worth averaging.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from mammosynth.networks.efficientnet_lite import STAGES, EfficientNetLite0Trunk, load_pretrained
from mammosynth.networks.residual_unet import (
    GAIN,
    GREY_CHANNELS,
    OFFSET,
    SHUFFLE,
    convolution,
    enlarge_fields,
    flat_fields,
)

TAPS = {0: 16, 2: 24, 4: 40, 7: 80, 10: 112}
"""Channels of the blocks that may be seen: the last ones at a half to a sixteenth of the resolution."""
NORMALISED_SPAN = 3.0
"""Of the normalised grey values, either side of the middle."""


class HypercolumnHead(nn.Module):
    """Fields for frames whose sides are multiples of 16.

    The trunk has random weights until `load_trunk` or a bundle gives it those of photographs.

    Args:
        in_channels: Input channels; the first `GREY_CHANNELS` are grey values, as they are and normalised.
        width: Channels of the head, at a quarter of the frame's resolution.
        depth: Convolutions of the head.
        taps: Blocks of the trunk that are seen, of `TAPS`; none: the input alone.
        seen: Which of the grey channels the trunk sees.
        dropout: Chance that a channel is left out in training.
    """

    def __init__(
        self,
        in_channels: int,
        width: int = 64,
        depth: int = 3,
        *,
        taps: Sequence[int] = tuple(TAPS),
        seen: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.taps, self.seen = tuple(taps), seen
        blocks = max(self.taps, default=-1) + 1
        self.trunk = EfficientNetLite0Trunk(STAGES[:5]) if blocks else None
        self.stem = convolution(GREY_CHANNELS * SHUFFLE**2 + in_channels - GREY_CHANNELS, width)
        self.projections = nn.ModuleList(convolution(TAPS[tap], width, kernel_size=1) for tap in self.taps)
        self.context = nn.Conv2d(width, width, kernel_size=1)
        self.layers = nn.Sequential(
            *(nn.Sequential(nn.Dropout2d(dropout), convolution(width, width)) for _ in range(depth))
        )
        self.fields = flat_fields(width)
        self.base = nn.Parameter(torch.tensor([OFFSET, GAIN]))
        if self.trunk is not None:
            self.trunk.requires_grad_(False)

    def load_trunk(self) -> None:
        """Give the trunk the published weights.

        Raises:
            ModuleNotFoundError: If the package that has them is not installed.
        """
        if self.trunk is not None:
            published = load_pretrained().state_dict()
            self.trunk.load_state_dict({key: published[key] for key in self.trunk.state_dict()})

    def train(self, mode: bool = True) -> HypercolumnHead:
        """As of any module, but the trunk's statistics stay those of photographs."""
        super().train(mode)
        if self.trunk is not None:
            self.trunk.eval()
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, 2, H, W): offset and gain, predicted at half the resolution; not bounded."""
        grey, slow = x[:, :GREY_CHANNELS], x[:, GREY_CHANNELS:]
        z = self.stem(torch.cat([F.pixel_unshuffle(grey, SHUFFLE), F.avg_pool2d(slow, SHUFFLE)], dim=1))
        size = z.shape[2:]
        for project, features in zip(self.projections, self._features(grey), strict=True):
            reduced = F.avg_pool2d(features, 2) if features.shape[2] > size[0] else features
            z = z + F.interpolate(project(reduced), size, mode="bilinear", align_corners=False)
        z = z + self.context(z.mean(dim=(2, 3), keepdim=True))
        return enlarge_fields(self.fields(self.layers(z))) + self.base[None, :, None, None]

    def _features(self, grey: torch.Tensor) -> list[torch.Tensor]:
        if self.trunk is None:
            return []
        seen = grey[:, self.seen : self.seen + 1]
        if self.seen:
            seen = (seen / NORMALISED_SPAN + 1) / 2
        # On a CPU, a batch of six takes three times as long for each image as one image does.
        parts = seen.split(1) if seen.device.type == "cpu" else [seen]
        with torch.no_grad():
            found = [self._of(part) for part in parts]
        return [torch.cat(tap) for tap in zip(*found, strict=True)]

    def _of(self, seen: torch.Tensor) -> list[torch.Tensor]:
        colours = seen.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        trunk: Any = self.trunk
        outputs = enumerate(trunk.block_outputs(colours, max(self.taps) + 1))
        return [hidden for number, hidden in outputs if number in self.taps]
