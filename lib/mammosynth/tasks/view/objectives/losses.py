"""Losses of this task: local structure, and the texture of a lesion in numbers that have a gradient."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from mammosynth.training.processes import sum_over_processes
from mammosynth.training.similarity import masked_mean, ssim_map

_SIGMA, _REACH = 1.5, 5
_LEAST = 8.0
"""Pixels of a lesion whose texture is compared."""


def ssim(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    """(B,) mean SSIM: Gauss sigma 1.5 in 11 x 11 pixels, K1 .01, K2 .03, range 1 (Wang et al. 2004).

    Args:
        one: (B, 1, H, W) float32.
        two: Likewise.
    """
    return ssim_map(one, two, _smoothed).mean(dim=(1, 2, 3))


def lesion_radiomics(image: torch.Tensor, lesion: torch.Tensor) -> torch.Tensor:
    """(B, 8) radiomic features of a lesion that need no bins, so that a network can be trained by them.

    Mean, standard deviation, skewness and kurtosis (both bounded); and of the co-occurrence of neighbours, across and
    down together: contrast, dissimilarity, inverse difference moment, correlation. All are about between -1 and 3.

    Args:
        image: (B, 1, H, W) float32 in [0, 1].
        lesion: (B, 1, H, W) in [0, 1].
    """
    mean = masked_mean(image, lesion)
    centred = image - mean[:, None, None, None]
    deviation = (masked_mean(centred.square(), lesion) + 1e-5).sqrt()
    scaled = centred / deviation[:, None, None, None]
    third, fourth = masked_mean(scaled**3, lesion), masked_mean(scaled**4, lesion)
    pairs = [
        (scaled[..., :, 1:], scaled[..., :, :-1], torch.minimum(lesion[..., :, 1:], lesion[..., :, :-1])),
        (scaled[..., 1:, :], scaled[..., :-1, :], torch.minimum(lesion[..., 1:, :], lesion[..., :-1, :])),
    ]
    told = [4 * mean, 10 * deviation, torch.tanh(third / 2), torch.tanh((fourth - 3) / 4)]
    for measure in (
        lambda a, b: (a - b).square(),
        lambda a, b: (a - b).abs(),
        lambda a, b: 1 / (1 + (a - b).square()),
        lambda a, b: a * b,
    ):
        told.append(torch.stack([masked_mean(measure(a, b), weight) for a, b, weight in pairs]).mean(dim=0))
    return torch.stack([each.clamp(-4, 4) for each in told], dim=1)


def lesion_radiomics_error(made: torch.Tensor, real: torch.Tensor, lesion: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the lesion's features over the images that have one; a scalar."""
    there = (lesion.sum(dim=(1, 2, 3)) >= _LEAST).float()
    error = (lesion_radiomics(made, lesion) - lesion_radiomics(real, lesion)).abs().mean(dim=1)
    wrong, count = sum_over_processes(torch.stack([(error * there).sum(), there.sum()]))
    return wrong / count.clamp_min(1)


def _smoothed(images: torch.Tensor) -> torch.Tensor:
    """By sums of shifted images: convolutions may round to short floats, and variances are differences of squares."""
    weights = [math.exp(-((place - _REACH) ** 2) / (2 * _SIGMA**2)) for place in range(2 * _REACH + 1)]
    smoothed = F.pad(images, (_REACH,) * 4, mode="reflect")
    for dim in (2, 3):
        length = smoothed.shape[dim] - 2 * _REACH
        parts = [smoothed.narrow(dim, place, length) * (w / sum(weights)) for place, w in enumerate(weights)]
        smoothed = torch.stack(parts).sum(dim=0)
    return smoothed
