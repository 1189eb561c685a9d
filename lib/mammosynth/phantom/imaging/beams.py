"""The imaging systems: which beam and which detector make a low-energy and a high-energy image of a vendor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType

import numpy as np

from mammosynth.phantom.imaging.tables import attenuation, spectra
from mammosynth.phantom.parameters import Vendor


class Energy(StrEnum):
    """One of the two exposures of a contrast-enhanced mammogram."""

    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True)
class BeamSettings:
    """What is set at the tube.

    Attributes:
        kvp: Tube voltage, in kilovolt.
        anode: Symbol of its element.
        filter_material: Symbol of its element.
        filter_mm: Its thickness.
        window_mm: Beryllium of the tube.
        aluminium_mm: What the tube filters besides, as aluminium: fitted, see `tools/bake_phantom_tables.py`.
    """

    kvp: float
    anode: str
    filter_material: str
    filter_mm: float
    window_mm: float
    aluminium_mm: float

    @property
    def name(self) -> str:
        """Heading of its column in the table of spectra."""
        return f"{self.anode}{self.kvp:g}{self.filter_material}{round(1000 * self.filter_mm)}um"


@dataclass(frozen=True, eq=False)
class Beam:
    """A spectrum at the entrance of the breast.

    Attributes:
        settings: Where it comes from.
        photons: (42,) float64 per mm2, mAs and keV at the detector if there were no breast; see `tables.spectra`.
    """

    settings: BeamSettings
    photons: np.ndarray


@dataclass(frozen=True)
class Detector:
    """An energy-integrating flat-panel detector.

    Attributes:
        material: "caesium_iodide" or "selenium"; a column of `tables.attenuation`.
        thickness_mm: Of the converter.
        swank: Swank factor of its conversion gain, 0 to 1; noise variance is divided by it.
        electronic_noise_kev: Standard deviation per 0.1 mm pixel, as absorbed energy.
        mtf_frequency: Spatial frequency in 1/mm at which the converter passes half; None: no blur but the pixel's.
        mtf_exponent: How steeply it falls; the converter passes 1 / (1 + (f / mtf_frequency) ** mtf_exponent).
    """

    material: str
    thickness_mm: float
    swank: float
    electronic_noise_kev: float
    mtf_frequency: float | None = None
    mtf_exponent: float = 2.0

    @property
    def absorption(self) -> np.ndarray:
        """(42,) share of photons that interact, by energy; fluorescence that escapes is not modelled."""
        return 1 - np.exp(-attenuation()[self.material] * self.thickness_mm)

    def converter_mtf(self, frequency: np.ndarray) -> np.ndarray:
        """Modulation that the converter passes, without the aperture of the pixel; frequency in 1/mm."""
        if self.mtf_frequency is None:
            return np.ones_like(frequency)
        return 1 / (1 + (frequency / self.mtf_frequency) ** self.mtf_exponent)


@dataclass(frozen=True, eq=False)
class ImagingSystem:
    """Two beams and the detector that they share.

    Attributes:
        beams: By energy.
        detector: Of both exposures.
    """

    beams: MappingProxyType[Energy, Beam]
    detector: Detector


# 2.66 / 1.89: with the aperture of a 0.1 mm pixel .85, .59, .24 at 1, 2, 4 lp/mm, as Ghetti et al. (2008) measured on a
# Senographe Essential, doi:10.1118/1.2828185. Thickness, Swank factor and electronic noise are assumed.
_CAESIUM_IODIDE = Detector(
    "caesium_iodide", 0.25, swank=0.92, electronic_noise_kev=300.0, mtf_frequency=2.66, mtf_exponent=1.89
)
# Numbers of the detector of VICTRE (MC-GPU 1.5b, github.com/DIDSR/VICTRE_MCGPU): 5200 electrons at 50 eV are 260 keV.
_SELENIUM = Detector("selenium", 0.20, swank=0.99, electronic_noise_kev=260.0)

# Voltages and filters as asked for in contrast-enhanced mammography: 45 to 49 kVp with copper, doi:10.1007/s00330-015-
# 4007-6. The inherent filtration in aluminium is fitted to published half-value layers of the low-energy beams.
SETTINGS = MappingProxyType(
    {
        (Vendor.A, Energy.LOW): BeamSettings(29, "Rh", "Rh", 0.025, window_mm=0.8, aluminium_mm=0.081),
        (Vendor.A, Energy.HIGH): BeamSettings(49, "Rh", "Cu", 0.3, window_mm=0.8, aluminium_mm=0.081),
        (Vendor.B, Energy.LOW): BeamSettings(30, "W", "Rh", 0.050, window_mm=0.63, aluminium_mm=0.132),
        (Vendor.B, Energy.HIGH): BeamSettings(49, "W", "Cu", 0.3, window_mm=0.63, aluminium_mm=0.132),
    }
)
_DETECTORS = MappingProxyType({Vendor.A: _CAESIUM_IODIDE, Vendor.B: _SELENIUM})


@cache
def imaging_system(vendor: Vendor) -> ImagingSystem:
    """Beams and detector of a vendor."""
    beams = {energy: Beam(settings := SETTINGS[vendor, energy], spectra()[settings.name]) for energy in Energy}
    return ImagingSystem(MappingProxyType(beams), _DETECTORS[vendor])
