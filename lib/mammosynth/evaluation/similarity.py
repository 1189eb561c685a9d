"""`ssim_map`: likeness of structure at every pixel."""

from __future__ import annotations

import numpy as np
from skimage.metrics import structural_similarity


def ssim_map(a: np.ndarray, b: np.ndarray, *, k1: float = 0.01) -> np.ndarray:
    """SSIM at every pixel: Gauss 11 x 11, sigma 1.5, K1 .01, K2 .03, range 1 (Wang et al. 2004).

    Args:
        a: (H, W) in [0, 1].
        b: Likewise.
        k1: Keeps the luminance term finite; where it is huge that term is 1 and only structure is left.
    """
    _, every = structural_similarity(
        a.astype(np.float64),
        b.astype(np.float64),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        K1=k1,
        full=True,
    )
    return every
