"""What a generated recombined image is trained for: grey values, local structure, and where enhancement lies.

Every loss is a mean over images, not over the pixels of a batch, so that a batch may be split over processes.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from mammosynth.tasks.contrast.objectives.residual_recipe import ResidualRecipe
from mammosynth.training.similarity import masked_mean, ssim_map

REDUCTION = 4
"""Correlation is taken on means of so many by so many pixels: enhancement is wider than noise and misregistration."""
BACKGROUND = 30 / 512
"""Standard deviation, in frame heights, of what counts as background enhancement."""
RING = (1, 6)
"""Tissue around a lesion, in pixels of the reduced frame: as in the evaluation, 5 to 25 pixels at 512."""
LEAST = 5
"""Pixels of the reduced frame that lesion and ring must both have for their contrast to count."""


def contrast_loss(
    generated: torch.Tensor,
    recombined: torch.Tensor,
    scored: torch.Tensor,
    lesion: torch.Tensor,
    recipe: ResidualRecipe,
) -> torch.Tensor:
    """Mean absolute error + weighted (1 - SSIM) + weighted (1 - correlation) + weighted error of lesion contrast.

    Args:
        generated: (B, 1, H, W), not clipped.
        recombined: (B, 1, H, W) in [0, 1].
        scored: (B, 1, H, W), 1 where pixels count.
        lesion: (B, 1, H, W) in [0, 1].
        recipe: The weights.

    Returns:
        A scalar: the mean over the images.
    """
    weight = scored * (1 + recipe.lesion_weight * lesion)
    loss = masked_mean((generated - recombined).abs(), weight)
    if recipe.ssim_weight:
        loss = loss + recipe.ssim_weight * (1 - masked_ssim(generated, recombined, scored))
    if recipe.correlation_weight:
        loss = loss + recipe.correlation_weight * (1 - enhancement_correlation(generated, recombined, scored))
    if recipe.contrast_weight:
        loss = loss + recipe.contrast_weight * lesion_contrast_error(generated, recombined, scored, lesion)
    return loss.mean()


def lesion_contrast_error(
    generated: torch.Tensor, recombined: torch.Tensor, scored: torch.Tensor, lesion: torch.Tensor
) -> torch.Tensor:
    """(B,) absolute error of lesion minus ring, in grey values; 0 for images without a usable lesion.

    A pixel's expected value is dim where a lesion might be or not be; the contrast of the lesions that are there must
    still be right on average, or the model would show all of them too dim.
    """
    small, inside = F.avg_pool2d(scored, REDUCTION), F.avg_pool2d(lesion * scored, REDUCTION)
    difference = F.avg_pool2d((generated - recombined) * scored, REDUCTION) / small.clamp_min(1e-3)
    inner, outer = (F.max_pool2d(inside, 2 * width + 1, stride=1, padding=width) for width in RING)
    ring = (outer - inner).clamp_min(0) * small
    usable = (inside.sum(dim=(1, 2, 3)) >= LEAST) & (ring.sum(dim=(1, 2, 3)) >= LEAST)
    return (masked_mean(difference, inside) - masked_mean(difference, ring)).abs() * usable


def masked_ssim(generated: torch.Tensor, recombined: torch.Tensor, scored: torch.Tensor) -> torch.Tensor:
    """(B,) SSIM over the scored pixels: Gauss sigma 1.5, K1 .01, K2 .03, range 1 (Wang et al. 2004)."""
    alike = ssim_map(generated * scored, recombined * scored, lambda images: _gauss(images, 1.5))
    return masked_mean(alike, scored)


def enhancement_correlation(generated: torch.Tensor, recombined: torch.Tensor, scored: torch.Tensor) -> torch.Tensor:
    """(B,) correlation with the real image over the scored pixels: mean of the smoothed and of the high-passed image.

    Free of each image's own window, which 8-bit images do not tell.
    """
    small = F.avg_pool2d(scored, REDUCTION)
    both = torch.cat([generated, recombined], dim=1) * scored
    reduced = F.avg_pool2d(both, REDUCTION) / small.clamp_min(1e-3)
    sigma = BACKGROUND * small.shape[2]
    high = reduced - _gauss(reduced * small, sigma) / _gauss(small, sigma).clamp_min(1e-3)
    return (_correlation(reduced, small) + _correlation(high, small)) / 2


def _correlation(both: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(B,) weighted correlation of the two channels."""
    count = weight.sum(dim=(1, 2, 3)).clamp_min(1)
    mean = (both * weight).sum(dim=(2, 3), keepdim=True) / count[:, None, None, None]
    a, b = ((both - mean) * weight).unbind(dim=1)
    # The small constant keeps the gradient of a flat image finite.
    norm = torch.sqrt((a * a).sum(dim=(1, 2)) * (b * b).sum(dim=(1, 2)) + (1e-4 * count) ** 2)
    return (a * b).sum(dim=(1, 2)) / norm


def _gauss(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """(B, C, H, W), every channel smoothed on its own."""
    channels = images.shape[1]
    radius = max(1, round(3.4 * sigma))
    x = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-(x**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(channels, 1, 1, -1)
    padded = F.pad(images, (radius, radius, radius, radius), mode="replicate")
    rows = F.conv2d(padded, kernel, groups=channels)
    return F.conv2d(rows, kernel.transpose(2, 3), groups=channels)
