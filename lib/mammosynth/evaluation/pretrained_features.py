"""How images look to a network that has seen a million photographs: features of a Fréchet distance.

The network is not Inception, its images are not photographs and there are few of them: what is measured is no FID, and
means nothing without what real images differ by.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from mammosynth.networks.efficientnet_lite import load_pretrained


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
        maps = load_pretrained().features(image.contiguous(memory_format=torch.channels_last))
        weights = F.adaptive_avg_pool2d(torch.from_numpy(mask)[None, None].float(), (maps.shape[2], maps.shape[3]))
        return ((maps * weights).sum(dim=(2, 3)) / weights.sum()).double().numpy()[0]
