"""How sharp an image is, without a registered twin: the power of its detail, band by band of spatial frequency."""

from __future__ import annotations

import numpy as np

BAND_EDGES = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Octaves up to the Nyquist frequency, in cycles per pixel."""
TILE = 128
"""Side in pixels of the squares whose spectra are averaged; chosen: two periods of the lowest frequency."""


def band_powers(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Power spectral density of an image, averaged in the bands between `BAND_EDGES`.

    The image is cut into half-overlapping squares that lie wholly in the mask; each is freed of its mean and windowed
    (Welch 1967, doi:10.1109/TAU.1967.1161901).

    Args:
        pixels: (H, W) grey values.
        mask: (H, W) bool; leave out the rim, where skin and air make power at all frequencies.

    Returns:
        One number per band, in squared grey values times squared pixels.

    Raises:
        ValueError: If no square fits into the mask.
    """
    half = TILE // 2
    corners = [
        (top, left)
        for top in range(0, mask.shape[0] - TILE + 1, half)
        for left in range(0, mask.shape[1] - TILE + 1, half)
        if mask[top : top + TILE, left : left + TILE].all()
    ]
    if not corners:
        raise ValueError(f"no square of {TILE} pixels fits into the mask")
    window = np.outer(np.hanning(TILE), np.hanning(TILE))
    density = np.zeros((TILE, TILE))
    for top, left in corners:
        tile = pixels[top : top + TILE, left : left + TILE].astype(np.float64)
        density += np.abs(np.fft.fft2((tile - tile.mean()) * window)) ** 2
    density /= len(corners) * (window**2).sum()
    frequencies = np.fft.fftfreq(TILE)
    frequency = np.hypot(frequencies[:, None], frequencies[None, :])
    bands = zip(BAND_EDGES, BAND_EDGES[1:], strict=False)
    return np.array([density[(frequency >= low) & (frequency < high)].mean() for low, high in bands])
