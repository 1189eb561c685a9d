"""The map with a gradient is scikit-image's where their means see the same pixels."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mammosynth.evaluation import similarity
from mammosynth.tasks.contrast.objectives.losses import masked_ssim
from mammosynth.tasks.view.objectives.losses import ssim
from mammosynth.training.similarity import ssim_map

REACH = 5


def images() -> tuple[torch.Tensor, torch.Tensor]:
    one, other = torch.rand((2, 1, 1, 40, 36), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return one, (one + other) / 2


def gauss(pixels: torch.Tensor) -> torch.Tensor:
    weights = torch.exp(-(torch.arange(-REACH, REACH + 1, dtype=pixels.dtype) ** 2) / (2 * 1.5**2))
    kernel = (torch.outer(weights, weights) / weights.sum() ** 2).expand(pixels.shape[1], 1, -1, -1)
    return F.conv2d(pixels, kernel, groups=pixels.shape[1])


def test_it_is_that_of_scikit_image() -> None:
    one, two = images()
    wanted = similarity.ssim_map(one[0, 0].numpy(), two[0, 0].numpy())[REACH:-REACH, REACH:-REACH]
    np.testing.assert_allclose(ssim_map(one, two, gauss)[0, 0], wanted, rtol=1e-9)


def test_the_losses_of_both_tasks_are_its_mean() -> None:
    one, two = images()
    around = torch.zeros_like(one)
    around[..., 2 * REACH : -2 * REACH, 2 * REACH : -2 * REACH] = (
        1  # nothing but zeros near the border, for all paddings
    )
    one, two = one * around, two * around
    wanted = similarity.ssim_map(one[0, 0].numpy(), two[0, 0].numpy()).mean()
    assert float(ssim(one, two)) == pytest.approx(wanted, rel=1e-6)
    assert float(masked_ssim(one, two, torch.ones_like(one))) == pytest.approx(wanted, rel=1e-6)
