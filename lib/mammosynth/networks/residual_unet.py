"""`ResidualUNet`: predicts what to change in a base of the low-energy image, as two smooth fields.

The recombined image is offset + gain * low_energy at every pixel, a local linear model of the source as in the guided
filter (He et al. 2013, doi:10.1109/TPAMI.2012.213) and in learned local-affine fields (Gharbi et al. 2017,
doi:10.1145/3072959.3073592). The fields vary slowly, so they may be enlarged and applied to the source at any
resolution: fine detail comes from the source alone, never from the network.

Pixel (un)shuffle: Shi et al. 2016, doi:10.1109/CVPR.2016.207. U-Net: Ronneberger et al. 2015,
doi:10.1007/978-3-319-24574-4_28. A quarter of the resolution is a sixteenth of the cost: it can be trained on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.blocks import Convolution
from torch import nn
from torch.nn import functional as F

SHUFFLE = 4
"""The network's own grid is this many times coarser than the frame."""
GREY_CHANNELS = 2
"""The first channels of the input hold detail and are unshuffled; the others vary slowly and are averaged."""
OFFSET, GAIN = 0.174, 0.272
"""Start: least squares of recombined on low-energy grey values over the training pairs of CDD-CESM."""


class ResidualUNet(nn.Module):
    """Fields for frames whose sides are multiples of 4 * 2 ** (len(features) - 1).

    Args:
        in_channels: Input channels; the first `GREY_CHANNELS` are grey values.
        features: Channels per level, from a quarter of the frame's resolution down.
        dropout: Chance that a channel of the two deepest levels is left out in training.
        learn_gain: False leaves the gain at one number for all: the network then changes grey values only.
        ignored: Input channels that the network does not see.
    """

    def __init__(
        self,
        in_channels: int,
        features: Sequence[int],
        dropout: float = 0.0,
        *,
        learn_gain: bool = True,
        ignored: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.ignored = list(ignored)
        levels = len(features)
        stem = GREY_CHANNELS * SHUFFLE**2 + in_channels - GREY_CHANNELS
        widths = [features[0], *features]
        self.stem = convolution(stem, features[0])
        self.encoder = nn.ModuleList(_two_convolutions(widths[i], widths[i + 1]) for i in range(levels))
        self.decoder = nn.ModuleList(
            _two_convolutions(features[i] + features[i + 1], features[i]) for i in range(levels - 1)
        )
        self.dropout = nn.Dropout2d(dropout)
        # The mean over the whole breast, fed back at the bottom: a window level belongs to the image, not to a place.
        self.context = nn.Conv2d(features[-1], features[-1], kernel_size=1)
        self.learn_gain = learn_gain
        self.fields = flat_fields(features[0])
        self.base = nn.Parameter(torch.tensor([OFFSET, GAIN]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, 2, H, W): offset and gain, predicted at half the resolution; not bounded."""
        if self.ignored:
            x = x.clone()
            x[:, self.ignored] = 0
        grey, slow = x[:, :GREY_CHANNELS], x[:, GREY_CHANNELS:]
        z = self.stem(torch.cat([F.pixel_unshuffle(grey, SHUFFLE), F.avg_pool2d(slow, SHUFFLE)], dim=1))
        skips = []
        for level, block in enumerate(self.encoder):
            z = block(z if level == 0 else F.avg_pool2d(z, 2))
            skips.append(z)
        z = self.dropout(skips.pop())
        z = z + self.context(z.mean(dim=(2, 3), keepdim=True))
        for level in reversed(range(len(self.decoder))):
            skip = skips.pop()
            z = F.interpolate(z, scale_factor=2, mode="bilinear", align_corners=False)
            z = self.decoder[level](torch.cat([self.dropout(skip) if level else skip, z], dim=1))
        fields = enlarge_fields(self.fields(z))
        if not self.learn_gain:
            fields = torch.cat([fields[:, :1], torch.zeros_like(fields[:, 1:])], dim=1)
        return fields + self.base[None, :, None, None]


def flat_fields(channels: int) -> nn.Conv2d:
    """The last layer, which starts at zero: both fields are their base."""
    layer = nn.Conv2d(channels, (SHUFFLE // 2) ** 2 * 2, kernel_size=3, padding=1)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def enlarge_fields(folded: torch.Tensor) -> torch.Tensor:
    """(B, 8, H / 4, W / 4) of the last layer to (B, 2, H, W)."""
    fields = F.pixel_shuffle(folded, SHUFFLE // 2)
    return F.interpolate(fields, scale_factor=2, mode="bilinear", align_corners=False)


def convolution(in_channels: int, out_channels: int, kernel_size: int = 3) -> nn.Module:
    """Convolution, batch normalisation, ReLU."""
    return Convolution(
        2, in_channels, out_channels, kernel_size=kernel_size, adn_ordering="NA", act="relu", norm="batch", bias=False
    )


def _two_convolutions(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(convolution(in_channels, out_channels), convolution(out_channels, out_channels))
