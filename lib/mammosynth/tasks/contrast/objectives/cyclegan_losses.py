"""The losses of the published cycle-GAN, one function each. All are means over images and pixels."""

from __future__ import annotations

import torch
from monai.losses.ssim_loss import SSIMLoss
from torch.nn import functional as F

REAL, GENERATED = 1.0, 0.0
"""What a discriminator should say: Mao et al. 2017, doi:10.1109/ICCV.2017.304."""


def perceptual_loss(generated: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Half the mean absolute error and half of 1 - SSIM: the published cycle loss, "equal weights of MAE and SSIM".

    SSIM: Gauss 11x11, sigma 1.5, K1 .01, K2 .03 (Wang et al. 2004). It compares means, so it is taken on values in
    [0, 1]; the mean absolute error is that of the values as they are.

    Args:
        generated: (B, 1, H, W) in [-1, 1], sides of 11 or more.
        real: Likewise.
    """
    # Variances of nearly equal numbers need single precision.
    with torch.autocast(generated.device.type, enabled=False):
        a, b = generated.float(), real.float()
        return (F.l1_loss(a, b) + SSIMLoss(spatial_dims=2)((a + 1) / 2, (b + 1) / 2)) / 2


def adversarial_loss(of_generated: torch.Tensor) -> torch.Tensor:
    """Least squares: how far a discriminator's scores of generated images are from `REAL`."""
    return ((of_generated.float() - REAL) ** 2).mean()


def discriminator_loss(of_real: torch.Tensor, of_generated: torch.Tensor) -> torch.Tensor:
    """Least squares: half for the scores of real and half for those of generated images, as Zhu et al. 2017."""
    return (((of_real.float() - REAL) ** 2).mean() + ((of_generated.float() - GENERATED) ** 2).mean()) / 2


def identity_loss(generated: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Mean absolute change of an image that is already of the generator's target kind: Zhu et al. 2017, section 5.2."""
    return F.l1_loss(generated.float(), real.float())
