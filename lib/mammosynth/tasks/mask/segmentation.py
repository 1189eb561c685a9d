"""How networks learn where lesions are: how their images are changed, what they lose, how they are scored."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from mammosynth.training.processes import sum_over_processes

MOST_TURN, MOST_SHIFT, MOST_SCALE, MOST_CONTRAST = math.radians(15), 0.15, 1.2, 1.2
"""Of changed images: angle, share of the half side, factors."""


def changed(image: torch.Tensor, lesion: torch.Tensor, changes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and masks turned, scaled and shifted alike, and images of another contrast.

    Args:
        image: (B, 1, S, S) in [-1, 1].
        lesion: (B, 1, S, S).
        changes: (5, B) in [-1, 1]: angle, scale, shift to the right, shift down, contrast.

    Returns:
        Likewise; air and nothing beyond the borders.
    """
    angle, scale = changes[0] * MOST_TURN, MOST_SCALE ** changes[1]
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    rows = [[cosine, -sine, MOST_SHIFT * changes[2]], [sine, cosine, MOST_SHIFT * changes[3]]]
    matrices = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    grid = F.affine_grid(matrices, list(image.shape), align_corners=False)
    both = F.grid_sample(torch.cat([image + 1, lesion], dim=1), grid, align_corners=False)
    contrast = MOST_CONTRAST ** changes[4][:, None, None, None]
    return (contrast * both[:, :1] - 1).clamp(-1, 1), both[:, 1:]


def lesion_loss(found: torch.Tensor, lesion: torch.Tensor) -> torch.Tensor:
    """Cross-entropy, and one minus soft Dice of the whole batch, of all processes; `found` are logits."""
    share = found.sigmoid()
    both, pixels = sum_over_processes(torch.stack([(share * lesion).sum(), share.sum() + lesion.sum()]))
    overlap = (2 * both + 1) / (pixels + 1)
    return F.binary_cross_entropy_with_logits(found, lesion) + 1 - overlap


def dice_of_each(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """(N,) Dice of two (N, 1, H, W) bool; NaN where neither has a pixel."""
    both = (first & second).flatten(1).sum(dim=1)
    return 2 * both / (first.flatten(1).sum(dim=1) + second.flatten(1).sum(dim=1))


def dice(first: torch.Tensor, second: torch.Tensor) -> float:
    """Mean Dice of two (N, 1, H, W) bool, over the cases in which at least one of both has a pixel; 0 if none has."""
    mean = dice_of_each(first, second).nanmean()
    return 0.0 if mean.isnan() else float(mean)
