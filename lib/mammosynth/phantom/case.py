"""`generate_case`: a phantom patient from a seed, imaged, with the truth about her."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mammosynth.phantom.parameters import (
    BreastParameters,
    CaseParameters,
    Density,
    ImagingParameters,
    LesionKind,
    ParenchymalEnhancement,
    Vendor,
)
from mammosynth.phantom.paths import PathLengths
from mammosynth.terms import ImageLaterality, ViewPosition


@dataclass(frozen=True, eq=False)
class PhantomView:
    """One view as it is hung (the chest wall of a right breast is at the last column), with its truth.

    Attributes:
        image_laterality: L or R.
        view_position: CC or MLO.
        pixel_mm: Spacing at the detector, rows and columns.
        low_energy_processing: (H, W) uint16, 14 bits, linear in the detector's signal.
        high_energy_processing: (H, W) uint16, likewise.
        low_energy: (H, W) float32 in [0, 1], display values, MONOCHROME2, air 0.
        recombined: (H, W) float32 in [0, 1], display values of `recombined_mg_cm2`.
        recombined_mg_cm2: (H, W) float32, iodine as recombination estimates it, air 0.
        paths: What was on every ray, in this view's orientation.
        iodine_mg_cm2: True iodine on the ray by where it is: "lesion", "parenchyma", "vessel"; each (H, W) float32.
        lesion_masks: One (H, W) bool per lesion, empty for a breast imaged without its lesions.
        volumetric_density: Glandular share of the breast's volume without skin and muscle, as realised, 0 to 1.
        parenchyma_mg_cm2: Mean true iodine over the densest glandular areas, as realised.
        kvp: Low energy, high energy.
        exposure_mas: Low energy, high energy.
        imaging: What it was made with.
        breast: What it was made of.
    """

    image_laterality: ImageLaterality
    view_position: ViewPosition
    pixel_mm: float
    low_energy_processing: np.ndarray
    high_energy_processing: np.ndarray
    low_energy: np.ndarray
    recombined: np.ndarray
    recombined_mg_cm2: np.ndarray
    paths: PathLengths
    iodine_mg_cm2: dict[str, np.ndarray]
    lesion_masks: tuple[np.ndarray, ...]
    volumetric_density: float
    parenchyma_mg_cm2: float
    kvp: tuple[float, float]
    exposure_mas: tuple[float, float]
    imaging: ImagingParameters
    breast: BreastParameters


@dataclass(frozen=True)
class CaseDescription:
    """What a seed and the settings became, before any pixel is computed.

    Attributes:
        parameters: What was asked for.
        density: Of both breasts.
        breasts: Per side.
        imaging: Per side and view.
        lesion_side: Where the lesions are; None without lesions.
    """

    parameters: CaseParameters
    density: Density
    breasts: dict[ImageLaterality, BreastParameters]
    imaging: dict[tuple[ImageLaterality, ViewPosition], ImagingParameters]
    lesion_side: ImageLaterality | None


def describe_case(parameters: CaseParameters) -> CaseDescription:
    """Draw what is not given; the same seed draws the same, whatever else is given."""
    rng = np.random.default_rng([parameters.seed, 0])
    density = rng.choice(list(Density), p=[0.12, 0.42, 0.36, 0.10])
    enhancement = rng.choice(list(ParenchymalEnhancement), p=[0.40, 0.35, 0.17, 0.08])
    vendor = rng.choice(list(Vendor))
    side = rng.choice(list(ImageLaterality))
    kinds = tuple(
        LesionKind(kind) for kind in rng.choice(list(LesionKind), size=rng.choice([1, 2], p=[0.8, 0.2]), replace=False)
    )
    density = parameters.density or Density(density)
    lesions = kinds if parameters.lesions is None else parameters.lesions
    side = ImageLaterality(side) if len(parameters.sides) > 1 else parameters.sides[0]
    imaging = ImagingParameters(
        vendor=parameters.vendor or Vendor(vendor),
        parenchymal_enhancement=parameters.parenchymal_enhancement or ParenchymalEnhancement(enhancement),
        halo=parameters.halo,
        iodine_in_low_energy=parameters.iodine_in_low_energy,
        seed=parameters.seed,
    )
    return CaseDescription(
        parameters=parameters,
        density=density,
        breasts={
            s: BreastParameters(2 * parameters.seed + n, density, lesions if s == side else ())
            for n, s in enumerate(ImageLaterality)
        },
        imaging={(s, v): imaging for s in parameters.sides for v in parameters.views},
        lesion_side=side if lesions else None,
    )


def generate_case(parameters: CaseParameters, *, device: str = "cpu") -> Iterator[PhantomView]:
    """Image a phantom patient, view by view in the order of sides and views.

    Args:
        parameters: What to image.
        device: A torch device; on "cpu" the same parameters give the same bits.
    """
    raise NotImplementedError  # being written by the lead; see the shared interfaces


def render_view(
    paths: PathLengths, imaging: ImagingParameters, image_laterality: ImageLaterality, breast: BreastParameters
) -> PhantomView:
    """Image path lengths once more, in another way: a twin, without projecting again."""
    raise NotImplementedError  # being written by the lead; see the shared interfaces
