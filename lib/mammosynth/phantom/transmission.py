"""How much of a beam reaches the detector: polyenergetic attenuation along every ray, without scatter and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mammosynth.phantom.beams import Beam, Detector
from mammosynth.phantom.paths import MATERIALS
from mammosynth.phantom.tables import attenuation

_RAYS_AT_ONCE = 1 << 14  # rays times energies stay in the cache of a core
_NEGLIGIBLE = 1e-7  # of all signal in air: what the bins that are left out have together, at most


@dataclass(frozen=True, eq=False)
class Transmission:
    """What arrives, relative to air.

    Attributes:
        signal: (H, W) float32, absorbed energy; 1 in air.
        variance: (H, W) float32, sum of squared photon energies, to which quantum noise is proportional; 1 in air.
    """

    signal: np.ndarray
    variance: np.ndarray


def transmit(material_lengths: np.ndarray, beam: Beam, detector: Detector, *, device: str = "cpu") -> Transmission:
    """Attenuate a beam along every ray and integrate what the detector absorbs of it.

    Args:
        material_lengths: (6, H, W) float32 in the order of `MATERIALS`; millimetres, iodine in mg/cm2.
        beam: Photons by energy.
        detector: Absorption by energy.
        device: A torch device.

    Returns:
        Of the shape of the image; a monoenergetic beam gives exp(-mu t).
    """
    weights, coefficients = _significant(beam, detector)
    weights_on = torch.from_numpy(weights.astype(np.float32)).to(device)
    coefficients_on = torch.from_numpy(-coefficients.astype(np.float32)).to(device)
    rays = material_lengths.reshape(len(MATERIALS), -1)
    occupied = np.flatnonzero(rays.any(axis=0))
    result = np.ones((2, rays.shape[1]), dtype=np.float32)
    for start in range(0, len(occupied), _RAYS_AT_ONCE):
        chosen = occupied[start : start + _RAYS_AT_ONCE]
        lengths = torch.from_numpy(np.ascontiguousarray(rays[:, chosen])).to(device)
        result[:, chosen] = (weights_on @ torch.exp_(coefficients_on @ lengths)).cpu().numpy()
    signal, variance = result.reshape(2, *material_lengths.shape[1:])
    return Transmission(signal, variance)


def absorbed(beam: Beam, detector: Detector) -> tuple[float, float]:
    """What a detector absorbs in air, per mm2 and mAs: energy in keV, and sum of squared photon energies in keV2."""
    energies = attenuation()["energy_kev"]
    photons = beam.photons * detector.absorption
    return float(photons @ energies), float(photons @ energies**2)


def _significant(beam: Beam, detector: Detector) -> tuple[np.ndarray, np.ndarray]:
    """Weights (2, N) of signal and variance and attenuation (N, 6) at the energies that matter."""
    table = attenuation()
    photons, energies = beam.photons * detector.absorption, table["energy_kev"]
    signal = photons * energies
    order = np.argsort(signal)
    kept = np.sort(order[np.cumsum(signal[order]) > _NEGLIGIBLE * signal.sum()])
    coefficients = np.stack([table[name] for name in MATERIALS], axis=1)[kept]
    weights = np.stack([signal[kept], (signal * energies)[kept]])
    return weights / weights.sum(axis=1, keepdims=True), coefficients
