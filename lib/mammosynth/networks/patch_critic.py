"""`PatchCritic`: does every part of an image look real, for the class that is drawn there?

A mammogram's grain is a hundredth of its grey range, so what varies finely is given beside the image, amplified: else
the classes, which are plain to see, drown it. Strided convolutions as in Isola et al. 2017, doi:10.1109/CVPR.2017.632.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

FINE = ((1.0, 40.0), (3.0, 15.0))
"""Smoothing in pixels, and by how much is amplified what it takes away."""
_LEVEL, _GAIN, _DRAWN = 0.3, 3.0, 0.5
_WIDEST = 96


class PatchCritic(nn.Module):
    """One judge at one scale.

    Args:
        drawn: Channels of the drawing.
        features: Of the first layer; doubled by each of the three that follow, to 96 at most.
    """

    def __init__(self, drawn: int, features: int = 24) -> None:
        super().__init__()
        widths = [min(features * 2**layer, _WIDEST) for layer in range(4)]
        first = nn.Conv2d(1 + len(FINE) + drawn, widths[0], 3, padding=1)
        strided = (nn.Conv2d(i, o, 4, stride=2, padding=1) for i, o in pairwise(widths))
        self.layers = nn.ModuleList([first, *strided])
        self.verdict = nn.Conv2d(widths[-1], 1, 3, padding=1)
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, a=0.2)
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.verdict.weight, std=0.02)

    def forward(self, image: torch.Tensor, drawn: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Verdicts, higher is more real, and the features of every layer.

        Args:
            image: (B, 1, H, W), grey in [0, 1].
            drawn: (B, drawn, H, W).
        """
        fine = [(image - smooth(image, sigma)) * gain for sigma, gain in FINE]
        given = torch.cat([(image - _LEVEL) * _GAIN, *fine, drawn * _DRAWN], dim=1)
        hidden, features = given.contiguous(memory_format=torch.channels_last), []
        for layer in self.layers:
            hidden = F.leaky_relu(layer(hidden), 0.2)
            features.append(hidden)
        return self.verdict(hidden), features


def smooth(image: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian smoothing; the border goes on as it ends.

    Args:
        image: (B, 1, H, W).
        sigma: In pixels.
    """
    reach = int(3 * sigma)
    places = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    weights = torch.exp(-places.square() / (2 * sigma**2))
    weights = weights / weights.sum()
    across = F.conv2d(F.pad(image, (reach, reach, 0, 0), mode="replicate"), weights[None, None, None])
    return F.conv2d(F.pad(across, (0, 0, reach, reach), mode="replicate"), weights[None, None, :, None])
