"""Does a set of images look like another? Moments, power-law exponent, 34 features of texture, Fréchet distance.

All widths are in pixels of a frame of 512 rows. Both sets must have gone through the same 8 bits and the same codec, or
these measures see the codec and not the breast: see `through_codec`.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy import linalg, ndimage, stats
from skimage.feature import graycomatrix, graycoprops, local_binary_pattern

from mammosynth.preprocessing.breast import erode, segment_breast

RIM = 3
"""Left out along the outline."""
MOMENTS = ("mean", "variance", "skewness", "kurtosis", "fifth moment")
SQUARE, SQUARES = 128, 4
"""Side of the regions whose power spectrum is averaged, and how many at most."""
BAND = (0.03, 0.25)
"""Cycles per pixel between which the exponent is fitted."""
GREY_LEVELS, DISTANCES, ANGLES = 32, (1, 4), (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
GRADIENT_SIGMAS = (1, 2, 4)
PERCENTILES = (5, 25, 50, 75, 95)
COMPONENTS = 10
"""Principal components of the features in which a Fréchet distance is taken."""
SLOPE = 10
"""Index of the power-law exponent among the features."""


def through_codec(pixels: np.ndarray, quality: int) -> np.ndarray:
    """An image as 8-bit JPEG gives it back.

    Args:
        pixels: (H, W) float32 in [0, 1].
        quality: Of JPEG: 75 for the images of CDD-CESM as published, 91 for CBIS-DDSM's.

    Returns:
        (H, W) float32 in [0, 1].
    """
    coded = io.BytesIO()
    Image.fromarray(np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)).save(coded, "JPEG", quality=quality)
    return np.asarray(Image.open(coded), np.float32) / 255


def interior(pixels: np.ndarray) -> np.ndarray:
    """The breast without its rim, whose air is black.

    Args:
        pixels: (512, W) float32 in [0, 1].

    Returns:
        (512, W) bool.
    """
    return erode(segment_breast(pixels, background=0.0), RIM)


def moments(values: np.ndarray) -> np.ndarray:
    """Mean, variance, skewness, kurtosis (3 for a Gaussian) and fifth standardised moment (0 for a Gaussian).

    Args:
        values: Of any shape; of equal ones, all but the mean are 0.

    Returns:
        (5,) float64.
    """
    values = values.astype(np.float64)
    mean, deviation = values.mean(), values.std()
    z = (values - mean) / max(deviation, 1e-9)
    return np.array([mean, deviation**2, (z**3).mean(), (z**4).mean(), (z**5).mean()])


def power_law_exponent(pixels: np.ndarray, mask: np.ndarray) -> float:
    """Beta of power ~ 1 / frequency ** beta, over the deepest squares that lie in the mask.

    Each square has its mean removed and is windowed (Hann); the power is averaged over squares, then over rings.

    Args:
        pixels: (H, W) float32.
        mask: (H, W) bool.

    Returns:
        NaN if no square lies in the mask.

    Source: Burgess (1999), doi:10.1117/12.349652.
    """
    window = np.outer(np.hanning(SQUARE), np.hanning(SQUARE))
    powers = []
    for at in _squares(mask):
        region = pixels[at]
        powers.append(np.abs(np.fft.fft2((region - region.mean()) * window)) ** 2)
    if not powers:
        return float("nan")
    axis = np.fft.fftfreq(SQUARE)
    ring = np.round(np.hypot(*np.meshgrid(axis, axis)) * SQUARE).astype(int).ravel()
    power = np.bincount(ring, np.mean(powers, axis=0).ravel()) / np.bincount(ring)
    frequency = np.arange(len(power)) / SQUARE
    inside = (frequency >= BAND[0]) & (frequency <= BAND[1])
    return -float(np.polyfit(np.log(frequency[inside]), np.log(power[inside]), 1)[0])


def features(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """34 numbers of grey values, power spectrum, co-occurrence, local binary patterns and gradients.

    Args:
        pixels: (H, W) float32 in [0, 1].
        mask: (H, W) bool: the pixels that count.

    Returns:
        (34,) float64; the exponent, at `SLOPE`, may be NaN.
    """
    values = pixels[mask].astype(np.float64)
    mean, variance, skewness, kurtosis, fifth = moments(values)
    grey = [mean, variance**0.5, skewness, kurtosis, np.arcsinh(fifth), *np.percentile(values, PERCENTILES)]
    gradients = [ndimage.gaussian_gradient_magnitude(pixels, sigma)[mask] for sigma in GRADIENT_SIGMAS]
    return np.array(
        [
            *grey,
            power_law_exponent(pixels, mask),
            *_co_occurrence(pixels, mask),
            *_binary_patterns(pixels, mask),
            *(number for each in gradients for number in (each.mean(), each.std())),
        ]
    )


class Whitener:
    """Features in the principal components of a pool of real images, each of unit variance there.

    Args:
        pool: (N, F) float64.
        standardised: Whether features are numbers of different kinds, which are first given equal spread.
    """

    def __init__(self, pool: np.ndarray, *, standardised: bool = True) -> None:
        self._mean = np.nanmean(pool, axis=0)
        self._deviation = np.nanstd(pool, axis=0) + 1e-9 if standardised else np.ones(pool.shape[1])
        _, singular, axes = np.linalg.svd(self._scaled(pool), full_matrices=False)
        self._axes = axes[:COMPONENTS].T / (singular[:COMPONENTS] / len(pool) ** 0.5)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(N, F) to (N, 10)."""
        return self._scaled(rows) @ self._axes

    def _scaled(self, rows: np.ndarray) -> np.ndarray:
        return np.nan_to_num((rows - self._mean) / self._deviation)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared 2-Wasserstein distance of two normal distributions fitted to rows; it grows as rows become fewer.

    Args:
        a: (N, F) float64.
        b: (M, F) float64.
    """
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = np.real(linalg.sqrtm(cov_a @ cov_b))
    return float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() + np.trace(cov_a + cov_b - 2 * root))


def halves_distances(pool: np.ndarray, count: int, draws: int, seed: int = 0) -> np.ndarray:
    """Fréchet distances of real images from real images: what cannot be told apart from equal.

    Args:
        pool: (N, F) float64, whitened.
        count: Images in each of two disjoint sets.
        draws: How many pairs of sets.
        seed: Of the draws.

    Returns:
        (draws,) float64.
    """
    return np.array([frechet_distance(*pair) for pair in _disjoint(pool, count, draws, seed)])


def halves_gaps(pool: np.ndarray, count: int, draws: int, seed: int = 0) -> np.ndarray:
    """The two-sample Kolmogorov-Smirnov D of real images from real images, per column.

    Args:
        pool: (N, F) float64.
        count: Images in each of two disjoint sets.
        draws: How many pairs of sets.
        seed: Of the draws.

    Returns:
        (draws, F) float64.
    """
    return np.array([gaps(*pair) for pair in _disjoint(pool, count, draws, seed)])


def gaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The two-sample Kolmogorov-Smirnov D per column.

    Args:
        a: (N, F) float64.
        b: (M, F) float64.

    Returns:
        (F,) float64.
    """
    return np.array([stats.ks_2samp(first, second).statistic for first, second in zip(a.T, b.T, strict=True)])


def _disjoint(pool: np.ndarray, count: int, draws: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(seed)
    orders = [random.permutation(len(pool)) for _ in range(draws)]
    return [(pool[order[:count]], pool[order[count : 2 * count]]) for order in orders]


def _squares(mask: np.ndarray) -> list[tuple[slice, slice]]:
    """Squares that do not overlap and lie wholly in the mask, the deepest first."""
    left, found = mask.copy(), []
    for _ in range(SQUARES):
        fits = ndimage.uniform_filter(left.astype(np.float32), SQUARE, mode="constant") > 1 - 0.5 / SQUARE**2
        if not fits.any():
            break
        depth = ndimage.distance_transform_cdt(np.pad(left, 1), "chessboard")[1:-1, 1:-1] * fits
        row, column = (int(i) for i in np.unravel_index(depth.argmax(), depth.shape))
        top, side = row - SQUARE // 2, column - SQUARE // 2
        at = slice(top, top + SQUARE), slice(side, side + SQUARE)
        if min(top, side) < 0 or top + SQUARE > mask.shape[0] or side + SQUARE > mask.shape[1]:
            left[row, column] = False
            continue
        left[at] = False
        found.append(at)
    return found


def _co_occurrence(pixels: np.ndarray, mask: np.ndarray) -> list[float]:
    """Pixels that do not count are a level of their own, which is left out."""
    levels = np.where(mask, 1 + np.clip((pixels * GREY_LEVELS).astype(int), 0, GREY_LEVELS - 1), 0).astype(np.uint8)
    counts = graycomatrix(levels, list(DISTANCES), list(ANGLES), GREY_LEVELS + 1, symmetric=True)[1:, 1:].astype(float)
    counts /= counts.sum(axis=(0, 1), keepdims=True)
    properties = ("contrast", "homogeneity", "energy", "correlation")
    return [float(value) for name in properties for value in graycoprops(counts, name).mean(axis=1)]


def _binary_patterns(pixels: np.ndarray, mask: np.ndarray) -> list[float]:
    codes = local_binary_pattern((pixels * 255).astype(np.uint8), 8, 1, "uniform")[mask].astype(int)
    return [float(share) for share in np.bincount(codes, minlength=10)[:9] / mask.sum()]
