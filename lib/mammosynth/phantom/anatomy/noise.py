"""Periodic Gaussian fields with a power-law spectrum: the texture of everything in the phantom.

A field has the same large structures at every resolution: its lowest frequencies come from a small generator of their
own, so that a small tile is the large one without its detail.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

_LOW = 32  # voxels a side of the smallest tile
_NOMINAL = 128  # voxels a side of the full tile; scales are given for it


@dataclass(frozen=True, eq=False)
class NoiseTiles:
    """Some periodic fields that share their size.

    Attributes:
        values: (1, C, n + 1, n + 1, n + 1) float32, the first layer of each axis repeated at its end.
    """

    values: torch.Tensor

    def __call__(self, points: torch.Tensor, mm_per_voxel: float, channels: slice = slice(None)) -> torch.Tensor:
        """Sample the fields.

        Args:
            points: (N, 3) float32 in mm.
            mm_per_voxel: Size of a voxel of the full tile of 128 voxels; a smaller tile covers as many millimetres.
            channels: Which fields.

        Returns:
            (C, N) float32.
        """
        period = _NOMINAL * mm_per_voxel
        grid = points * (1 / period)
        grid.sub_(torch.floor(grid)).mul_(2).sub_(1)
        values = self.values[:, channels]
        sampled = F.grid_sample(values, grid.view(1, -1, 1, 1, 3), mode="bilinear", align_corners=True)
        return sampled.view(values.shape[1], -1)


def draw_tiles(
    seed: int, slopes: tuple[float, ...], lowest_cycles: tuple[float, ...], *, size: int = _NOMINAL
) -> NoiseTiles:
    """Draw one field per slope.

    Args:
        seed: 0 or more.
        slopes: Exponent of each three-dimensional power spectrum, 1/f^slope.
        lowest_cycles: Per field, cycles per tile below which the spectrum falls off.
        size: 32 or 128 voxels a side.
    """
    fields = [
        _draw_field(np.random.default_rng([seed, number]), slope, lowest, size)
        for number, (slope, lowest) in enumerate(zip(slopes, lowest_cycles, strict=True))
    ]
    return NoiseTiles(F.pad(torch.stack(fields)[None], (0, 1, 0, 1, 0, 1), mode="circular"))


def _draw_field(rng: np.random.Generator, slope: float, lowest: float, size: int) -> torch.Tensor:
    low = torch.fft.rfftn(torch.from_numpy(rng.standard_normal((_LOW,) * 3, dtype=np.float32)))
    if size == _LOW:
        spectrum = _kept(low) * (_LOW**-1.5) * size**3
    else:
        high = torch.fft.rfftn(torch.from_numpy(rng.standard_normal((size,) * 3, dtype=np.float32)))
        spectrum = _embed(_kept(low) * (_LOW**-1.5), high * (size**-1.5)) * size**3
    field = torch.fft.irfftn(spectrum * _amplitudes(size, slope, lowest), s=(size,) * 3)
    return (field / _deviation(slope, lowest)).contiguous()


@lru_cache
def _deviation(slope: float, lowest: float) -> float:
    """Of the full tile."""
    power = _amplitudes(_NOMINAL, slope, lowest).square() * _multiplicity(_NOMINAL)
    return float(power.sum().sqrt())


@lru_cache(maxsize=8)
def _amplitudes(size: int, slope: float, lowest: float) -> torch.Tensor:
    """(size, size, size // 2 + 1) square root of the power spectrum."""
    axis, half = torch.fft.fftfreq(size) * size, torch.fft.rfftfreq(size) * size
    cycles = torch.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + half[None, None, :] ** 2)
    cycles[0, 0, 0] = 1
    amplitudes = cycles ** (-slope / 2) * (1 - torch.exp(-((cycles / lowest) ** 4)))
    amplitudes[0, 0, 0] = 0
    return amplitudes


def _multiplicity(size: int) -> torch.Tensor:
    """How often each half-spectrum plane stands for a frequency and its mirror."""
    counts = torch.full((size // 2 + 1,), 2.0)
    counts[0] = counts[-1] = 1
    return counts


def _kept(low: torch.Tensor) -> torch.Tensor:
    """Without the Nyquist planes, which cannot be told apart from their mirrors."""
    low = low.clone()
    nyquist = _LOW // 2
    low[nyquist], low[:, nyquist], low[:, :, nyquist] = 0, 0, 0
    return low


def _embed(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """`high` with its lowest frequencies replaced by those of `low`."""
    nyquist, result = _LOW // 2, high.clone()
    index = torch.cat([torch.arange(nyquist), torch.arange(-nyquist + 1, 0)])
    result[index[:, None, None], index[None, :, None], torch.arange(nyquist)[None, None, :]] = low[
        index[:, None, None], index[None, :, None], torch.arange(nyquist)[None, None, :]
    ]
    return result
