"""What can be asked of the phantom: the breast, how it is imaged, and which images of it are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mammosynth.terms import ImageLaterality, ViewPosition

DETECTOR_MM = (229.4, 191.4)  # height, width of the active area; 2294 x 1914 pixels of 0.1 mm


def patient_id_of(seed: int) -> str:
    """Patient ID of the phantom patient of a seed."""
    return f"PHANTOM-{seed}"


class Density(StrEnum):
    """BI-RADS breast composition category."""

    A = "a"
    B = "b"
    C = "c"
    D = "d"


class ParenchymalEnhancement(StrEnum):
    """Background parenchymal enhancement: a minimal, b mild, c moderate, d marked."""

    A = "a"
    B = "b"
    C = "c"
    D = "d"


class LesionKind(StrEnum):
    """A family of lesions in the words of BI-RADS: shape and margin of a mass, or what it is instead of a mass."""

    SPICULATED = "spiculated"
    CIRCUMSCRIBED = "circumscribed"
    MICROLOBULATED = "microlobulated"
    INDISTINCT = "indistinct"
    NON_MASS = "non-mass"
    CALCIFICATIONS = "calcifications"


class Vendor(StrEnum):
    """A pair of beams with a detector; see `mammosynth.phantom.imaging.beams`."""

    A = "A"
    B = "B"


@dataclass(frozen=True)
class BreastParameters:
    """One breast, whatever it is imaged with. Left and right are the same here: only images are mirrored.

    Attributes:
        seed: Everything that is not given below is drawn from it, 0 or more.
        density: None: drawn.
        lesions: In this order, none if empty.
        patient_seed: What shape, pattern and display style are drawn from, which both breasts of a woman share; None:
            `seed`.
    """

    seed: int
    density: Density | None = None
    lesions: tuple[LesionKind, ...] = ()
    patient_seed: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot seed a generator."""
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, expected 0 or more")


@dataclass(frozen=True)
class ImagingParameters:
    """How one breast is imaged. Twins are two of these for the same breast.

    Attributes:
        vendor: Beams, filters and detector.
        parenchymal_enhancement: How much iodine the fibroglandular tissue takes up.
        halo: 0: scatter and thickness are known exactly; 1: a third of the scatter is left in and the thickness is
            estimated, which makes the bright rim ("breast in breast") of many recombined images.
        iodine_in_low_energy: False: the low-energy image is made as if before injection. The high-energy image and
            the recombined image are the same either way.
        with_lesions: False: the same breast before it had lesions.
        lesion_iodine: Factor on the iodine of every lesion; 0 leaves the lesion without enhancement.
        dose: Factor on the exposure of both images.
        noise: False: no noise of any kind.
        seed: Of the noise only; twins with the same seed share it, the views of a case have one each.
    """

    vendor: Vendor = Vendor.A
    parenchymal_enhancement: ParenchymalEnhancement = ParenchymalEnhancement.B
    halo: float = 0.5
    iodine_in_low_energy: bool = True
    with_lesions: bool = True
    lesion_iodine: float = 1.0
    dose: float = 1.0
    noise: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        if not 0 <= self.halo <= 1:
            raise ValueError(f"halo is {self.halo}, expected 0 to 1")
        if self.lesion_iodine < 0:
            raise ValueError(f"lesion_iodine is {self.lesion_iodine}, expected 0 or more")
        if not 0.05 <= self.dose <= 20:
            raise ValueError(f"dose is {self.dose}, expected a factor from 0.05 to 20")


@dataclass(frozen=True)
class CaseParameters:
    """One phantom patient: two breasts drawn from one seed, and the images wanted of them.

    Attributes:
        seed: 0 or more; the same seed with other settings is the same patient.
        density: None: drawn, as often as in women of screening age.
        lesions: In one breast, drawn from the seed; None: kinds drawn, too; empty: none.
        parenchymal_enhancement: None: drawn.
        vendor: None: drawn.
        halo: See `ImagingParameters`.
        iodine_in_low_energy: See `ImagingParameters`.
        views: Order of the result within a side.
        sides: Order of the result.
        pixel_mm: Pixel spacing, 0.05 to 8.
    """

    seed: int
    density: Density | None = None
    lesions: tuple[LesionKind, ...] | None = None
    parenchymal_enhancement: ParenchymalEnhancement | None = None
    vendor: Vendor | None = None
    halo: float = 0.5
    iodine_in_low_energy: bool = True
    views: tuple[ViewPosition, ...] = (ViewPosition.CC, ViewPosition.MLO)
    sides: tuple[ImageLaterality, ...] = (ImageLaterality.RIGHT, ImageLaterality.LEFT)
    pixel_mm: float = 0.4

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, expected 0 or more")
        if not 0.05 <= self.pixel_mm <= 8:
            raise ValueError(f"pixel_mm is {self.pixel_mm}, expected 0.05 to 8")
        if not self.views or not self.sides:
            raise ValueError("views or sides are empty, expected at least one of each")
