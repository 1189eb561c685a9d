"""`expose`: from what is on every ray to one exposure, low-energy or high-energy, as the detector reads it out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mammosynth.phantom.imaging.beams import BeamSettings, Energy, ImagingSystem, imaging_system
from mammosynth.phantom.imaging.detector import detect, electronic_noise_kev
from mammosynth.phantom.imaging.paths import MATERIALS
from mammosynth.phantom.imaging.scatter import GRID_PRIMARY_TRANSMISSION, scatter
from mammosynth.phantom.imaging.transmission import Transmission, absorbed, transmit
from mammosynth.phantom.parameters import ImagingParameters, Vendor

# Photons that exposure control asks for behind dense tissue, absorbed in 0.01 mm2: about 100 uGy at low energy and a
# third of that at high energy. Assumed.
TARGET_PHOTONS = {Energy.LOW: 5200.0, Energy.HIGH: 6500.0}
_NOISE_STREAM = {Energy.LOW: 50, Energy.HIGH: 51}  # purpose numbers of the random draws
_TARGET_AREA_MM2 = 0.01
_CONTROL_PERCENTILE = 20  # of the signal where the breast is thick: dense tissue, not its densest speck
_THICK = 0.8  # of the greatest thickness
STORED_PER_PHOTON = 0.08  # stored value per absorbed photon in 0.01 mm2: some 400 behind dense tissue
_LARGEST_STORED = (1 << 14) - 1


@dataclass(frozen=True, eq=False)
class Exposure:
    """One exposure, flat-fielded (so that no heel effect is left) and relative to air.

    Attributes:
        energy: Which of the two.
        settings: Of the tube.
        exposure_mas: Tube load that exposure control chose, times the dose that was asked for.
        signal: (H, W) float32 as read out, with scatter, blur and noise; 1 in air without scatter.
        primary: (H, W) float32, what came straight through, without blur and noise.
        scatter: (H, W) float32, what did not, behind the grid.
    """

    energy: Energy
    settings: BeamSettings
    exposure_mas: float
    signal: np.ndarray
    primary: np.ndarray
    scatter: np.ndarray

    @property
    def kvp(self) -> float:
        """Tube voltage."""
        return self.settings.kvp


def expose(
    material_lengths: np.ndarray,
    imaging: ImagingParameters,
    *,
    energy: Energy,
    pixel_mm: float,
    device: str = "cpu",
) -> Exposure:
    """Expose once.

    Args:
        material_lengths: (6, H, W) float32, means over pixels in the order of `MATERIALS`, chest wall at column 0;
            millimetres, iodine in mg/cm2.
        imaging: Vendor, dose, noise and its seed.
        energy: Which exposure. Both draw independent noise from the same seed.
        pixel_mm: Spacing at the detector.
        device: A torch device; on "cpu" the same arguments give the same bits.

    Raises:
        ValueError: If `material_lengths` is not of that shape.
    """
    if material_lengths.ndim != 3 or len(material_lengths) != len(MATERIALS):
        raise ValueError(f"material_lengths has shape {material_lengths.shape}, expected ({len(MATERIALS)}, H, W)")
    system = imaging_system(imaging.vendor)
    beam = system.beams[energy]
    thickness_mm = tissue_thickness_mm(material_lengths)
    through = transmit(material_lengths, beam, system.detector, device=device)
    scattered = scatter(through.signal, thickness_mm, energy=energy, pixel_mm=pixel_mm)
    exposure_mas = imaging.dose * _controlled_mas(through.signal, thickness_mm, system, energy)
    signal = _read_out(through, scattered, exposure_mas, imaging, system, energy, pixel_mm)
    return Exposure(energy, beam.settings, exposure_mas, signal, through.signal, scattered)


def for_processing(exposure: Exposure, vendor: Vendor) -> np.ndarray:
    """Stored values of an exposure as a unit hands them to processing.

    Returns:
        (H, W) uint16, 14 bits, proportional to the energy that the detector absorbed; air is mostly saturated.
    """
    photons = exposure.exposure_mas * _photons_per_mas(imaging_system(vendor), exposure.energy)
    return np.clip(np.rint(exposure.signal * (photons * STORED_PER_PHOTON)), 0, _LARGEST_STORED).astype(np.uint16)


def tissue_thickness_mm(material_lengths: np.ndarray) -> np.ndarray:
    """(H, W) float32 of breast on the ray; calcifications and iodine take no room of their own."""
    return material_lengths[: MATERIALS.index("calcium")].sum(axis=0)


def _controlled_mas(primary: np.ndarray, thickness_mm: np.ndarray, system: ImagingSystem, energy: Energy) -> float:
    """What automatic exposure control sets: a number of photons behind the denser part of the thick breast."""
    thick = thickness_mm > _THICK * thickness_mm.max()
    transmitted = float(np.percentile(primary[thick], _CONTROL_PERCENTILE)) if thick.any() else 1.0
    return TARGET_PHOTONS[energy] / (transmitted * _photons_per_mas(system, energy))


def _photons_per_mas(system: ImagingSystem, energy: Energy) -> float:
    """Effective photons absorbed in 0.01 mm2 behind air, per mAs."""
    first, second = absorbed(system.beams[energy], system.detector)
    return GRID_PRIMARY_TRANSMISSION * first**2 / second * _TARGET_AREA_MM2


def _read_out(
    through: Transmission,
    scattered: np.ndarray,
    exposure_mas: float,
    imaging: ImagingParameters,
    system: ImagingSystem,
    energy: Energy,
    pixel_mm: float,
) -> np.ndarray:
    """Signal of primary and scattered radiation with its noise, relative to air."""
    first, second = absorbed(system.beams[energy], system.detector)
    load = GRID_PRIMARY_TRANSMISSION * exposure_mas * pixel_mm**2
    quantum = None
    if imaging.noise:
        hardened = through.variance * (1 + scattered / through.signal)  # scatter as hard as what comes through
        quantum = hardened * np.float32(second / (first**2 * load * system.detector.swank))
    electronic = (electronic_noise_kev(system.detector, pixel_mm) / (first * load)) ** 2
    rng = np.random.default_rng([imaging.seed, _NOISE_STREAM[energy]])
    total = through.signal + scattered
    return detect(total, quantum, electronic, detector=system.detector, pixel_mm=pixel_mm, rng=rng)
