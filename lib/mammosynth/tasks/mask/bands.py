"""`Bands`: an image as sums of what lies between smoothings within the breast."""

from __future__ import annotations

import torch
from torch.nn import functional as F

SIGMAS = (0.6, 1, 2, 4, 8, 16)
"""Smoothings between which the bands lie, in pixels of the frame."""


class Bands:
    """How images of one breast are split.

    Args:
        breast: (H, W) float32, 0 or 1; what lies outside has no part in the smoothings.
    """

    def __init__(self, breast: torch.Tensor) -> None:
        self._breast = breast
        self._shares = [smooth(breast, sigma) + 1e-3 for sigma in SIGMAS]

    def split(self, image: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """The bands, from the finest, and what is left; their sum is the image.

        Args:
            image: (H, W) float32.
        """
        bands, finer = [], image
        for sigma, share in zip(SIGMAS, self._shares, strict=True):
            coarser = smooth(image * self._breast, sigma) / share
            bands.append(finer - coarser)
            finer = coarser
        return bands, finer


def smooth(image: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian, as `scipy.ndimage.gaussian_filter` with mode "nearest" and truncate 3.

    Args:
        image: (H, W) float32.
        sigma: In pixels.
    """
    reach = max(1, round(3 * sigma))
    places = torch.arange(-reach, reach + 1, dtype=torch.float32)
    weights = torch.exp(-places.square() / (2 * sigma**2))
    weights = (weights / weights.sum())[None, None]
    padded = F.pad(image[None, None], (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(padded, weights[:, :, None]), weights[..., None])[0, 0]
