"""`ShiftTolerantDistance`: how alike people find two images, whatever lies some pixels off; for training and judging.

ST-LPIPS, Ghildyal and Liu 2022, doi:10.1007/978-3-031-19797-0_6, with its published weights, which are read from the
package `stlpips-pytorch` (BSD-2). The package itself is not imported: it needs torchvision and a notebook's shell.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

PACKAGE = "stlpips_pytorch"
MISSING = "stlpips-pytorch is not installed; install it with `pip install stlpips-pytorch`"
Trunk = Literal["alex", "vgg"]


class ShiftTolerantDistance(nn.Module):
    """Frozen.

    Args:
        trunk: Of AlexNet's shape, or of VGG16's, which is slower.

    Raises:
        ModuleNotFoundError: If the package with the weights is not installed.
    """

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.scaling_layer = _Scaling()
        self.net = nn.ModuleDict({f"slice{number}": part for number, part in enumerate(_SLICES[trunk](), start=1)})
        channels = [part[_last_convolution(part)].out_channels for part in self.net.values()]
        for number, width in enumerate(channels):
            setattr(self, f"lin{number}", _Weights(width))
        state = torch.load(_weights(trunk), map_location="cpu", weights_only=True)
        self.load_state_dict(state, strict=True)
        self.eval().requires_grad_(False)

    def forward(self, one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
        """(B,) distances, 0 for the same image.

        Args:
            one: (B, 1, H, W), grey in [0, 1].
            two: Likewise; no gradient flows into it.
        """
        with torch.no_grad():
            wanted = self._features(two)
        distances = [
            getattr(self, f"lin{number}")((a - b).square()).mean(dim=(1, 2, 3))
            for number, (a, b) in enumerate(zip(self._features(one), wanted, strict=True))
        ]
        return torch.stack(distances).sum(dim=0)

    def _features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Of every slice, each place scaled to unit length."""
        hidden = self.scaling_layer(2 * image.expand(-1, 3, -1, -1) - 1)
        found = []
        for part in self.net.values():
            hidden = part(hidden)
            found.append(hidden / (torch.sqrt((hidden * hidden).sum(dim=1, keepdim=True) + 1e-12) + 1e-10))
        return found


class _Scaling(nn.Module):
    """Colours in [-1, 1] to the mean and deviation of photographs; both are published with the weights."""

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(1, 3, 1, 1))
        self.register_buffer("scale", torch.ones(1, 3, 1, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return (image - self.shift) / self.scale


class _Weights(nn.Module):
    """What each channel's squared difference counts; fitted to people's judgement."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # The first layer is dropout, which had no part after training.
        self.model = nn.Sequential(nn.Identity(), nn.Conv2d(channels, 1, kernel_size=1, bias=False))

    def forward(self, squares: torch.Tensor) -> torch.Tensor:
        return self.model(squares)


class _Halved(nn.Module):
    """Every other pixel of a blurred image: no pixel's weight depends on where the grid lies."""

    filt: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", torch.zeros(channels, 1, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), self.filt, stride=2, groups=x.shape[1])


class _Numbered(nn.Sequential):
    """Layers under the numbers that they have in the published weights."""

    def __init__(self, first: int, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        for number, layer in enumerate(layers, start=first):
            self.add_module(str(number), layer)


def _alex() -> list[_Numbered]:
    pool = nn.MaxPool2d(kernel_size=3, stride=1)
    slices: list[list[nn.Module]] = [
        [nn.Conv2d(3, 64, kernel_size=11, padding=2), _Halved(64), nn.ReLU()],
        [pool, _Halved(64), nn.Conv2d(64, 192, kernel_size=5, padding=2), nn.ReLU()],
        [pool, _Halved(192), nn.Conv2d(192, 384, kernel_size=3, padding=1), nn.ReLU()],
        [nn.Conv2d(384, 256, kernel_size=3, padding=1), nn.ReLU()],
        [nn.Conv2d(256, 256, kernel_size=3, padding=1), nn.ReLU()],
    ]
    return _numbered(slices)


def _vgg() -> list[_Numbered]:
    slices: list[list[nn.Module]] = []
    before = 3
    for level, (width, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))):
        layers: list[nn.Module] = [nn.MaxPool2d(kernel_size=2, stride=1), _Halved(before)] if level else []
        for _ in range(count):
            layers += [nn.Conv2d(before, width, kernel_size=3, padding=1), nn.ReLU()]
            before = width
        slices.append(layers)
    return _numbered(slices)


_SLICES = {"alex": _alex, "vgg": _vgg}


def _numbered(slices: Sequence[Sequence[nn.Module]]) -> list[_Numbered]:
    starts = [sum(map(len, slices[:number])) for number in range(len(slices))]
    return [_Numbered(start, layers) for start, layers in zip(starts, slices, strict=True)]


def _last_convolution(part: nn.Module) -> int:
    return max(place for place, layer in enumerate(part.children()) if isinstance(layer, nn.Conv2d))


def are_weights_installed() -> bool:
    """Whether the package with the published weights is there."""
    return find_spec(PACKAGE) is not None


def _weights(trunk: Trunk) -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(MISSING)
    return Path(spec.submodule_search_locations[0], "weights", "vST0.0", f"{trunk}_shift_tolerant.pth")
