"""What a generated recombined image is trained for: grey values, local structure, and where enhancement lies."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from mammosynth.training.recipe import TrainingRecipe

SMOOTHING = 1.0
"""Standard deviation in frame pixels before correlating."""
BACKGROUND = 15.0
"""Standard deviation in frame pixels of what counts as background enhancement."""


def contrast_loss(
    generated: torch.Tensor,
    recombined: torch.Tensor,
    scored: torch.Tensor,
    lesion: torch.Tensor,
    recipe: TrainingRecipe,
) -> torch.Tensor:
    """Mean absolute error + weighted (1 - SSIM) + weighted (1 - correlation).

    Args:
        generated: (B, 1, H, W), not clipped.
        recombined: (B, 1, H, W) in [0, 1].
        scored: (B, 1, H, W), 1 where pixels count.
        lesion: (B, 1, H, W) in [0, 1].
        recipe: The weights.

    Returns:
        A scalar.
    """
    weight = scored * (1 + recipe.lesion_weight * lesion)
    loss = (weight * (generated - recombined).abs()).sum() / weight.sum().clamp_min(1)
    if recipe.ssim_weight:
        loss = loss + recipe.ssim_weight * (1 - masked_ssim(generated, recombined, scored))
    if recipe.correlation_weight:
        loss = loss + recipe.correlation_weight * (1 - enhancement_correlation(generated, recombined, scored)).mean()
    return loss


def masked_ssim(generated: torch.Tensor, recombined: torch.Tensor, scored: torch.Tensor) -> torch.Tensor:
    """SSIM averaged over the scored pixels: Gauss sigma 1.5, K1 .01, K2 .03, range 1 (Wang et al. 2004)."""
    a, b = generated * scored, recombined * scored
    mean_a, mean_b = _gauss(a, 1.5), _gauss(b, 1.5)
    var_a = _gauss(a * a, 1.5) - mean_a**2
    var_b = _gauss(b * b, 1.5) - mean_b**2
    covariance = _gauss(a * b, 1.5) - mean_a * mean_b
    c1, c2 = 1e-4, 9e-4
    ssim = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    ssim = ssim / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return (ssim * scored).sum() / scored.sum().clamp_min(1)


def enhancement_correlation(generated: torch.Tensor, recombined: torch.Tensor, scored: torch.Tensor) -> torch.Tensor:
    """(B,) correlation with the real image over the scored pixels: mean of the smoothed and of the high-passed image.

    Free of each image's own window, which 8-bit images do not tell.
    """
    a, b = _smooth(generated, scored, SMOOTHING), _smooth(recombined, scored, SMOOTHING)
    # The background is wide, so a quarter of the resolution is enough for it.
    small = F.avg_pool2d(scored, 4)
    high_a, high_b = (image - _background(image, scored, small) for image in (a, b))
    return (_correlation(a, b, scored) + _correlation(high_a, high_b, scored)) / 2


def _background(image: torch.Tensor, scored: torch.Tensor, small: torch.Tensor) -> torch.Tensor:
    total = _gauss(F.avg_pool2d(image * scored, 4), BACKGROUND / 4)
    background = total / _gauss(small, BACKGROUND / 4).clamp_min(1e-3)
    return F.interpolate(background, scale_factor=4, mode="bilinear", align_corners=False)


def _smooth(image: torch.Tensor, scored: torch.Tensor, sigma: float) -> torch.Tensor:
    return _gauss(image * scored, sigma) / _gauss(scored, sigma).clamp_min(1e-3)


def _correlation(a: torch.Tensor, b: torch.Tensor, scored: torch.Tensor) -> torch.Tensor:
    count = scored.sum(dim=(1, 2, 3)).clamp_min(1)

    def centred(image: torch.Tensor) -> torch.Tensor:
        mean = (image * scored).sum(dim=(1, 2, 3)) / count
        return (image - mean[:, None, None, None]) * scored

    a, b = centred(a), centred(b)
    product = (a * b).sum(dim=(1, 2, 3))
    # The small constant keeps the gradient of a flat image finite.
    norm = torch.sqrt((a * a).sum(dim=(1, 2, 3)) * (b * b).sum(dim=(1, 2, 3)) + (1e-4 * count) ** 2)
    return product / norm


def _gauss(image: torch.Tensor, sigma: float) -> torch.Tensor:
    radius = max(1, round(3.4 * sigma))
    x = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-(x**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    padded = F.pad(image, (radius, radius, radius, radius), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel[None, None, None, :]), kernel[None, None, :, None])
