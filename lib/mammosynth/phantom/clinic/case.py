"""`generate_case`: a phantom patient from a seed, imaged, with the truth about her."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mammosynth.phantom.anatomy.breast import build_anatomy
from mammosynth.phantom.anatomy.compression import compress
from mammosynth.phantom.imaging.beams import Energy
from mammosynth.phantom.imaging.exposure import Exposure, expose, for_processing
from mammosynth.phantom.imaging.paths import PathLengths
from mammosynth.phantom.imaging.presentation import draw_style, present_low_energy, present_recombined
from mammosynth.phantom.imaging.projection import project
from mammosynth.phantom.imaging.recombination import recombine
from mammosynth.phantom.parameters import (
    BreastParameters,
    CaseParameters,
    Density,
    ImagingParameters,
    LesionKind,
    ParenchymalEnhancement,
    Vendor,
)
from mammosynth.terms import ImageLaterality, ViewPosition

PARENCHYMA_MG_ML = {  # in gland; assumed, no published iodine mass per BPE category was found
    ParenchymalEnhancement.A: 0.03,
    ParenchymalEnhancement.B: 0.12,
    ParenchymalEnhancement.C: 0.26,
    ParenchymalEnhancement.D: 0.50,
}
VESSEL_MG_ML = 0.9  # assumed
_DENSITY_SHARE = (0.12, 0.42, 0.36, 0.10)  # a to d, assumed near those of screening
_ENHANCEMENT_SHARE = (0.40, 0.35, 0.17, 0.08)  # a to d, assumed
_VOXEL_PER_PIXEL = 1.4
_FINEST_VOXEL_MM = 1.2
_SPREAD_STREAM = 41  # purpose number of the random draw
_FINEST_NODE_MM = 0.5  # of the column map; coarser ones give the skin line teeth


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
    density = rng.choice(list(Density), p=_DENSITY_SHARE)
    enhancement = rng.choice(list(ParenchymalEnhancement), p=_ENHANCEMENT_SHARE)
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
    )
    return CaseDescription(
        parameters=parameters,
        density=density,
        breasts={
            s: BreastParameters(2 * parameters.seed + n, density, lesions if s == side else (), parameters.seed)
            for n, s in enumerate(ImageLaterality)
        },
        imaging={
            (s, v): replace(imaging, seed=_noise_seed(parameters.seed, s, v))
            for s in parameters.sides
            for v in parameters.views
        },
        lesion_side=side if lesions else None,
    )


def _noise_seed(seed: int, side: ImageLaterality, view: ViewPosition) -> int:
    """Another one for every exposure of every woman, whichever of them are asked for."""
    views, sides = list(ViewPosition), list(ImageLaterality)
    return (seed * len(sides) + sides.index(side)) * len(views) + views.index(view)


def generate_case(parameters: CaseParameters, *, device: str = "cpu") -> Iterator[PhantomView]:
    """Image a phantom patient, view by view in the order of sides and views.

    Args:
        parameters: What to image.
        device: A torch device; on "cpu" the same parameters give the same bits.
    """
    description = describe_case(parameters)
    for side in parameters.sides:
        for paths in project_breast(description.breasts[side], parameters.views, parameters.pixel_mm, device=device):
            imaging = description.imaging[side, paths.view_position]
            yield render_view(paths, imaging, side, description.breasts[side], device=device)


def project_breast(
    breast: BreastParameters, views: Sequence[ViewPosition], pixel_mm: float, *, device: str = "cpu"
) -> Iterator[PathLengths]:
    """Path lengths of one breast; all of its twins come from them by `render_view`.

    Args:
        breast: Which.
        views: Order of the result.
        pixel_mm: Spacing at the detector; large pixels are made from a coarser breast, which is quick.
        device: A torch device.
    """
    anatomy = build_anatomy(breast, voxel_mm=max(_FINEST_VOXEL_MM, _VOXEL_PER_PIXEL * pixel_mm))
    for view in views:
        column_map = compress(anatomy.shape, view, step_mm=max(_FINEST_NODE_MM, pixel_mm))
        yield project(anatomy, column_map, pixel_mm=pixel_mm, device=device)


def render_view(
    paths: PathLengths,
    imaging: ImagingParameters,
    image_laterality: ImageLaterality,
    breast: BreastParameters,
    *,
    device: str = "cpu",
) -> PhantomView:
    """Image path lengths once more, in another way: a twin, without projecting again.

    Noise comes from the seed of `imaging` alone, so twins share it; the display's style comes from the patient.

    Args:
        paths: Of one view, chest wall at column 0.
        imaging: How.
        image_laterality: R is mirrored, so that its chest wall is at the last column.
        breast: What `paths` are of.
        device: A torch device.
    """
    iodine = iodine_of(paths, imaging, breast)
    total = sum(iodine.values(), start=np.zeros_like(paths.adipose_mm))
    low = _expose(paths, imaging, total, Energy.LOW, device)
    high = _expose(paths, imaging, total, Energy.HIGH, device)
    recombined = recombine(
        low, high, paths.thickness_mm, vendor=imaging.vendor, halo=imaging.halo, pixel_mm=paths.pixel_mm
    )
    shown = low if imaging.iodine_in_low_energy else _expose(paths, imaging, None, Energy.LOW, device)
    style = draw_style(breast.seed if breast.patient_seed is None else breast.patient_seed)
    display = present_low_energy(shown.signal, pixel_mm=paths.pixel_mm, style=style)

    def hang(image: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(image[:, ::-1]) if image_laterality is ImageLaterality.RIGHT else image

    return PhantomView(
        image_laterality=image_laterality,
        view_position=paths.view_position,
        pixel_mm=paths.pixel_mm,
        low_energy_processing=hang(for_processing(shown, imaging.vendor)),
        high_energy_processing=hang(for_processing(high, imaging.vendor)),
        low_energy=hang(display),
        recombined=hang(present_recombined(recombined, paths.breast_mask, style=style)),
        recombined_mg_cm2=hang(recombined),
        paths=paths.mirrored() if image_laterality is ImageLaterality.RIGHT else paths,
        iodine_mg_cm2={name: hang(image) for name, image in iodine.items()},
        lesion_masks=tuple(hang(lesion.mask) for lesion in paths.lesions) if imaging.with_lesions else (),
        volumetric_density=float(paths.gland_mm.sum() / (paths.gland_mm.sum() + paths.adipose_mm.sum())),
        parenchyma_mg_cm2=_mean_in_gland(paths, iodine["parenchyma"]),
        kvp=(shown.kvp, high.kvp),
        exposure_mas=(shown.exposure_mas, high.exposure_mas),
        imaging=imaging,
        breast=breast,
    )


def iodine_of(paths: PathLengths, imaging: ImagingParameters, breast: BreastParameters) -> dict[str, np.ndarray]:
    """True iodine on the ray by where it is: "lesion", "parenchyma", "vessel"; each (H, W) float32, mg/cm2."""
    spread = np.random.default_rng([breast.seed, _SPREAD_STREAM]).uniform(0.85, 1.15)
    concentration = PARENCHYMA_MG_ML[imaging.parenchymal_enhancement] * spread
    lesion, remaining = np.zeros_like(paths.adipose_mm), np.ones_like(paths.adipose_mm)
    for part in paths.lesions if imaging.with_lesions else ():
        lesion = lesion + np.float32(part.uptake_mg_ml * imaging.lesion_iodine) * part.iodine_cm
        if part.replaces_tissue:
            remaining = remaining - part.displaced_gland_mm / np.maximum(paths.gland_mm, 1e-3)
    return {
        "lesion": lesion,
        "parenchyma": np.float32(concentration) * paths.parenchyma_cm * np.clip(remaining, 0, 1),
        "vessel": np.float32(VESSEL_MG_ML) * paths.vessel_cm,
    }


def _expose(
    paths: PathLengths, imaging: ImagingParameters, iodine: np.ndarray | None, energy: Energy, device: str
) -> Exposure:
    lengths = paths.material_lengths(with_lesions=imaging.with_lesions, iodine_mg_cm2=iodine)
    return expose(lengths, imaging, energy=energy, pixel_mm=paths.pixel_mm, device=device)


def _mean_in_gland(paths: PathLengths, iodine: np.ndarray) -> float:
    """Where the path through gland is more than half of its 95th percentile; 0 without any gland."""
    gland = paths.gland_mm[paths.breast_mask]
    if gland.size == 0:
        return 0.0
    chosen = paths.gland_mm > 0.5 * np.percentile(gland, 95)
    return float(iodine[chosen].mean()) if chosen.any() else 0.0
