"""`PerceptualDistance`: how alike two images look to a network that has seen photographs; for training only.

Johnson et al. 2016, doi:10.1007/978-3-319-46475-6_43, with the first eight blocks of EfficientNet-Lite0.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from mammosynth.networks.efficientnet_lite import EfficientNetLite0

SHOWN = (0, 2, 4, 7)
"""Blocks whose outputs are compared."""


class PerceptualDistance(nn.Module):
    """Mean squared difference of features, every place of which is scaled to unit length.

    Args:
        network: Frozen.
    """

    def __init__(self, network: EfficientNetLite0) -> None:
        super().__init__()
        self.network = network

    def forward(self, one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
        """A scalar.

        Args:
            one: (B, 1, H, W), grey in [0, 1].
            two: Likewise; no gradient flows into it.
        """
        with torch.no_grad():
            wanted = self._features(two)
        distances = [(a - b).square().sum(dim=1).mean() for a, b in zip(self._features(one), wanted, strict=True)]
        return torch.stack(distances).mean()

    def _features(self, image: torch.Tensor) -> list[torch.Tensor]:
        outputs = enumerate(self.network.block_outputs(image.expand(-1, 3, -1, -1), SHOWN[-1] + 1))
        return [F.normalize(hidden, dim=1, eps=1e-3) for number, hidden in outputs if number in SHOWN]
