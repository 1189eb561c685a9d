"""How much of a beam reaches the detector: polyenergetic attenuation along every ray, without scatter and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mammosynth.phantom.imaging.beams import Beam, Detector
from mammosynth.phantom.imaging.paths import MATERIALS
from mammosynth.phantom.imaging.tables import attenuation

# On the CPU few enough that torch does not split them over threads, whose number would then decide on last bits.
_RAYS_AT_ONCE = {"cpu": 1 << 14, "cuda": 1 << 22}
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
    rays = material_lengths.reshape(len(MATERIALS), -1)
    occupied = np.flatnonzero(rays.any(axis=0))
    result = np.ones((2, rays.shape[1]), dtype=np.float32)
    step = _RAYS_AT_ONCE.get(torch.device(device).type, _RAYS_AT_ONCE["cpu"])
    for start in range(0, len(occupied), step):
        chosen = occupied[start : start + step]
        lengths = rays[:, chosen]
        present = np.flatnonzero(lengths.any(axis=1))
        on_device = torch.from_numpy(lengths[present]).to(device)
        result[:, chosen] = _integrate(on_device, weights, coefficients[:, present]).cpu().numpy()
    signal, variance = result.reshape(2, *material_lengths.shape[1:])
    return Transmission(signal, variance)


def _integrate(lengths: torch.Tensor, weights: np.ndarray, coefficients: np.ndarray) -> torch.Tensor:
    """(2, N) weighted sums over energies behind (M, N) lengths.

    No matrix product and no exp: both use several threads even for few rays, exp2 does not.
    """
    totals = torch.zeros((2, lengths.shape[1]), device=lengths.device)
    halvings = coefficients / np.log(2)
    for (of_signal, of_variance), attenuations in zip(weights.T.tolist(), halvings.tolist(), strict=True):
        transmitted = lengths[0] * -attenuations[0]
        for length, per_length in zip(lengths[1:], attenuations[1:], strict=True):
            transmitted.sub_(length, alpha=per_length)
        transmitted.exp2_()
        totals[0].add_(transmitted, alpha=of_signal)
        totals[1].add_(transmitted, alpha=of_variance)
    return totals


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
