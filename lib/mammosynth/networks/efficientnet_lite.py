"""`EfficientNetLite0`: a classifier of photographs whose features say how alike images look.

Tan and Le 2019, arXiv:1905.11946; the Lite variant has ReLU6 and no squeeze-and-excitation. Layers have the names that
they have in the published weights, so that these load strictly.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192))
LAST_STAGE = (1, 3, 1, 6, 320)
"""Blocks, kernel, stride of the first block, expansion, channels."""
MIDDLE_BLOCKS = 11
"""Those of the first five stages."""
STEM, HEAD, CLASSES = 32, 1280, 1000
EPSILON = 1e-3
"""Of the batch normalisation, as the weights were trained."""
MIDDLE, SPAN = 127 / 255, 128 / 255
"""Colours are scaled to about [-1, 1], as in training."""


class EfficientNetLite0(nn.Module):
    """With random weights."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv2d(3, STEM, kernel_size=3, stride=2, bias=False)
        self._bn0 = _norm(STEM)
        blocks: list[nn.Module] = []
        before = STEM
        for count, kernel_size, stride, expansion, channels in (*STAGES, LAST_STAGE):
            for number in range(count):
                blocks.append(_Block(before, channels, kernel_size, 1 if number else stride, expansion))
                before = channels
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = nn.Conv2d(before, HEAD, kernel_size=1, bias=False)
        self._bn1 = _norm(HEAD)
        self._fc = nn.Linear(HEAD, CLASSES)

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """What the eleventh of the sixteen blocks sees, the last one at a sixteenth of the resolution.

        Args:
            image: (B, 3, H, W) in [0, 1].

        Returns:
            (B, 112, ceil(H / 16), ceil(W / 16)).
        """
        return self._blocks[:MIDDLE_BLOCKS](F.relu6(self._bn0(self._conv_stem((image - MIDDLE) / SPAN))))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [0, 1] to (B, 1000): logits of the classes of ImageNet."""
        hidden = self._blocks[MIDDLE_BLOCKS:](self.features(image))
        return self._fc(F.relu6(self._bn1(self._conv_head(hidden))).mean(dim=(2, 3)))


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
