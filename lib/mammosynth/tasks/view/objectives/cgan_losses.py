"""The terms of the published conditional GAN that judge by discriminators, a function each.

Least squares for patches (Mao et al. 2017, doi:10.1109/ICCV.2017.304), cross-entropy for the verdict on a pair of
views; the other four terms of the generator are errors, see `cgan`.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


def patch_loss(verdicts: torch.Tensor) -> torch.Tensor:
    """Of the generator: how far patches of generated images are from 1, which is real; a scalar."""
    return (verdicts - 1).square().mean()


def view_loss(logits: torch.Tensor) -> torch.Tensor:
    """Of the generator: cross-entropy of "two views of one breast" for generated pairs; a scalar."""
    return F.softplus(-logits).mean()


def patch_discriminator_loss(real: torch.Tensor, generated: torch.Tensor) -> torch.Tensor:
    """Half the squared distance of real patches from 1 and of generated ones from 0; a scalar."""
    return ((real - 1).square().mean() + generated.square().mean()) / 2


def view_discriminator_loss(own: torch.Tensor, another: torch.Tensor, generated: torch.Tensor) -> torch.Tensor:
    """Cross-entropy: the real pair of a breast is one, the real view of another and the generated one are none."""
    return F.softplus(-own).mean() + (F.softplus(another).mean() + F.softplus(generated).mean()) / 2
