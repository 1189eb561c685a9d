"""`ssim_map`, `masked_mean`: likeness of structure at every pixel, and means of each image, with gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch

_C1, _C2 = 1e-4, 9e-4  # (K1 * range)^2, (K2 * range)^2


def ssim_map(one: torch.Tensor, two: torch.Tensor, smoothed: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """SSIM at every pixel: K1 .01, K2 .03, range 1 (Wang et al. 2004); how local means are taken is the caller's.

    Args:
        one: (B, 1, H, W) in [0, 1].
        two: Likewise.
        smoothed: The local means of (B, C, H, W), which decide about the border.

    Returns:
        (B, 1, H, W), or less where `smoothed` gives less.
    """
    both = torch.cat([one, two, one * one, two * two, one * two], dim=1)
    mean_1, mean_2, square_1, square_2, product = smoothed(both).split(1, dim=1)
    var_1, var_2, covariance = square_1 - mean_1**2, square_2 - mean_2**2, product - mean_1 * mean_2
    top = (2 * mean_1 * mean_2 + _C1) * (2 * covariance + _C2)
    return top / ((mean_1**2 + mean_2**2 + _C1) * (var_1 + var_2 + _C2))


def masked_mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(B,) weighted mean of each image; 0 where nothing has weight.

    Args:
        values: (B, 1, H, W).
        weight: Likewise, 0 where a pixel does not count; a sum below 1 is taken for 1.
    """
    return (values * weight).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3)).clamp_min(1)
