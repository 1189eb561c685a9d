"""Scattered radiation: what every ray loses to its neighbourhood, by superposition of kernels on a coarse grid."""

from __future__ import annotations

import numpy as np
import scipy.fft

from mammosynth.phantom.imaging.beams import Energy
from mammosynth.phantom.imaging.coarse import coarsen, refine

# Scatter to primary in an endless slab, per mm of tissue and without grid. Low energy: .25 to .6 at 3 to 7 cm. High
# energy: .78 of it, between .72 and .82 as uncorrected ratios of dual-energy mammography go (33.4 and 26.2 % in Chen et
# al. 2009, doi:10.1117/12.813466; 36.0 and 29.6 % by others). Composition and spectrum change it little.
SCATTER_PER_MM = {Energy.LOW: 0.0087, Energy.HIGH: 0.0068}
GRID_PRIMARY_TRANSMISSION = 0.72  # assumed
GRID_SELECTIVITY = 0.30  # share of scatter that passes a grid, relative to that of primary radiation; assumed
_KERNEL = ((0.6, 8.0), (0.4, 25.0))  # share, mm: a sum of exp(-r / mm), assumed; one kernel for all thicknesses
_CELL_MM = 1.6  # of the coarse grid: a fifth of the narrower kernel
_REACH_MM = 90.0  # padding on each side, 3.6 of the wider kernel


def scatter(
    primary: np.ndarray, thickness_mm: np.ndarray, *, energy: Energy, pixel_mm: float, grid: bool = True
) -> np.ndarray:
    """Scatter that reaches the detector.

    Args:
        primary: (H, W) signal without scatter, relative to air; chest wall at column 0.
        thickness_mm: (H, W) of tissue.
        energy: Which exposure.
        pixel_mm: Spacing.
        grid: Whether an anti-scatter grid is in place.

    Returns:
        (H, W) float32 in the unit of `primary`. Beyond the chest wall the body goes on as its mirror image, beyond the
        other borders there is air.
    """
    cell = max(1, round(_CELL_MM / pixel_mm))
    source = coarsen(primary * thickness_mm, cell) * slab_scatter_ratio(1.0, energy=energy, grid=grid)
    return refine(_convolve(source, cell * pixel_mm), cell, primary.shape)


def slab_scatter_ratio(thickness_mm: float, *, energy: Energy, grid: bool = True) -> float:
    """Scatter to primary in the middle of an endless slab."""
    return thickness_mm * (SCATTER_PER_MM[energy] * (GRID_SELECTIVITY if grid else 1.0))


def _convolve(source: np.ndarray, cell_mm: float) -> np.ndarray:
    """Superpose kernels around every cell, the mirror image of the chest included."""
    rows, columns = source.shape
    reach = int(np.ceil(_REACH_MM / cell_mm))
    mirrored = np.concatenate((source[:, :reach][:, ::-1], source), axis=1)
    size = [scipy.fft.next_fast_len(n + reach, real=True) for n in mirrored.shape]
    across, along = np.fft.fftfreq(size[0], cell_mm), np.fft.rfftfreq(size[1], cell_mm)
    squared = (2 * np.pi) ** 2 * (across[:, None] ** 2 + along**2)
    kernel = sum(share * (1 + squared * mm**2) ** -1.5 for share, mm in _KERNEL)  # transform of exp(-r / mm)
    spread = scipy.fft.irfft2(scipy.fft.rfft2(mirrored, size) * kernel, size)
    return spread[:rows, min(reach, columns) : min(reach, columns) + columns]
