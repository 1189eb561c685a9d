"""Networks that learn from squares around masses: a small U-Net that finds them, and how any is trained and asked.

The U-Net is the judge of whether generated lesions are where they are drawn: one that learned from real images finds in
generated ones what it would find in real ones. As Thambawita et al. 2022 (doi:10.1371/journal.pone.0267976) and the
models of medigan (doi:10.1117/1.JMI.10.6.061403) are judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from monai.networks.nets import BasicUNet
from torch import nn

from mammosynth.tasks.mask.evaluation.lesion_patches import SEEN, SIDE, LesionPatches
from mammosynth.tasks.mask.segmentation import changed, dice_of_each, lesion_loss
from mammosynth.training.objective import own_start_weights

FEATURES = (8, 16, 32, 48, 48, 8)
"""Channels of the U-Net."""
BATCH, LEARNING_RATE, WEIGHT_DECAY, WARM = 16, 2e-3, 1e-3, 20
"""Of every training; the rate rises over the first steps and falls as a cosine."""
CORNERS = (4, 12)
"""Where what is shown of a square begins when it is judged: the mass is off the middle, in four ways."""


@dataclass(frozen=True, eq=False)
class PatchBatch:
    """What one step learns from.

    Attributes:
        image: (B, 1, 48, 48) in [-1, 1].
        lesion: (B, 1, 48, 48) in [0, 1].
        is_malignant: (B,) float32.
    """

    image: torch.Tensor
    lesion: torch.Tensor
    is_malignant: torch.Tensor


Loss = Callable[[PatchBatch], torch.Tensor]


def new_segmenter(seed: int) -> nn.Module:
    """A U-Net that is to find masses: (N, 1, 48, 48) in [-1, 1] to logits of that shape; start weights by the seed."""
    with own_start_weights(seed):
        network = BasicUNet(2, 1, 1, FEATURES, norm=("group", {"num_groups": 4}), upsample="nontrainable")
    return network.to(memory_format=torch.channels_last)  # a fourth faster on CPUs


def train_segmenter(network: nn.Module, pools: Sequence[LesionPatches], *, steps: int, seed: int) -> nn.Module:
    """See `train_on_patches`; by cross-entropy and soft Dice."""
    return train_on_patches(
        network, pools, lambda batch: lesion_loss(network(batch.image), batch.lesion), steps=steps, seed=seed
    )


def train_on_patches(
    network: nn.Module, pools: Sequence[LesionPatches], loss: Loss, *, steps: int, seed: int
) -> nn.Module:
    """The network, trained in place by AdamW, in evaluation mode; the last weights count.

    Args:
        network: What learns.
        pools: What it learns from; every batch has as many squares of each.
        loss: Of a batch.
        steps: Of 16 squares.
        seed: Of the batches.
    """
    random = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / WARM) * (1 + math.cos(math.pi * step / steps)) / 2
    )
    network.train()
    for _ in range(steps):
        batch = draw_batch(pools, random)
        optimizer.zero_grad()
        loss(batch).backward()
        optimizer.step()
        rate.step()
    return network.eval()


def draw_batch(pools: Sequence[LesionPatches], random: torch.Generator) -> PatchBatch:
    """16 squares, as many of each pool, changed and turned over at random, of which 48 x 48 pixels are shown."""
    size = BATCH // len(pools)
    parts = [pool.take(torch.randint(len(pool), (size,), generator=random)) for pool in pools]
    image, lesion, is_malignant = (
        torch.cat([getattr(part, name) for part in parts]) for name in ("image", "lesion", "is_malignant")
    )
    image, lesion = changed(image, lesion, 2 * torch.rand(5, len(image), generator=random) - 1)
    both = torch.cat([image, lesion], dim=1)
    for axis in (-2, -1):
        turned = torch.rand(len(both), generator=random) < 0.5
        both = torch.where(turned[:, None, None, None], both.flip(axis), both)
    corners = torch.randint(SIDE - SEEN + 1, (len(both), 2), generator=random).tolist()
    seen = torch.stack([each[:, y : y + SEEN, x : x + SEEN] for each, (y, x) in zip(both, corners, strict=True)])
    return PatchBatch(seen[:, :1], seen[:, 1:], is_malignant.float())


@torch.inference_mode()
def lesion_dice(segmenter: nn.Module, patches: LesionPatches) -> torch.Tensor:
    """(N,) Dice of what is found with what is drawn, the mean of four places of the square in view.

    Without a mass in the middle: NaN where nothing is found, as it should be, else 0.
    """
    return torch.stack([dice_of_each(segmenter(image) > 0, lesion > 0.5) for image, lesion in _views(patches)]).nanmean(
        dim=0
    )


@torch.inference_mode()
def scores(network: nn.Module, patches: LesionPatches) -> torch.Tensor:
    """(N,) of a network of image and outline, (N, 2, 48, 48), to one number: the mean of four places in view."""
    return torch.stack([network(torch.cat(view, dim=1))[:, 0] for view in _views(patches)]).mean(dim=0)


def _views(patches: LesionPatches) -> list[tuple[torch.Tensor, torch.Tensor]]:
    at = [(slice(None), slice(None), slice(y, y + SEEN), slice(x, x + SEEN)) for y in CORNERS for x in CORNERS]
    return [(patches.image[window], patches.lesion[window]) for window in at]
