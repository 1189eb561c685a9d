"""A small `PhantomView` whose every value is known, for tests of what becomes of views; and a generated one."""

from dataclasses import replace

import numpy as np

from mammosynth.phantom.clinic.case import PhantomView, generate_case
from mammosynth.phantom.imaging.paths import LesionPaths, PathLengths
from mammosynth.phantom.parameters import (
    BreastParameters,
    CaseParameters,
    ImagingParameters,
    LesionKind,
    ParenchymalEnhancement,
)
from mammosynth.terms import ImageLaterality, ViewPosition

SHAPE = (24, 20)


def build_view(
    side: ImageLaterality = ImageLaterality.LEFT,
    position: ViewPosition = ViewPosition.CC,
    *,
    seed: int = 3,
    imaging: ImagingParameters | None = None,
    lesion: bool = True,
) -> PhantomView:
    """Chest wall, 12 columns of breast with skin in the last and muscle (MLO) in the first, then air."""
    imaging = imaging or ImagingParameters(parenchymal_enhancement=ParenchymalEnhancement.C, seed=seed)
    rng = np.random.default_rng(seed)
    zero = np.zeros(SHAPE, np.float32)
    breast, skin, muscle, gland, calcium, mass = (zero.copy() for _ in range(6))
    breast[2:22, :12] = 40
    skin[2:22, 11] = 30
    muscle[2:12, :3] = 25 if position is ViewPosition.MLO else 0
    gland[6:18, 4:9] = 28
    calcium[15, 6] = 0.3
    mass[8:12, 5:8] = 8
    lesions = (
        LesionPaths(LesionKind.SPICULATED, (5.0, -3.0, 30.0), (9.5, 6.0), 2.0, True, mass, mass / 2, zero, mass / 10),
    )
    paths = PathLengths(
        view_position=position,
        pixel_mm=3.6,
        compressed_thickness_mm=41.26,
        nipple_px=(11.5, 11.0),
        adipose_mm=breast - skin - muscle - gland,
        gland_mm=gland,
        skin_mm=skin,
        muscle_mm=muscle,
        calcium_mm=calcium,
        parenchyma_cm=gland / 10,
        vessel_cm=zero,
        lesions=lesions if lesion else (),
    )
    inside = paths.breast_mask
    iodine = np.where(inside, rng.uniform(-0.2, 3, SHAPE), 0).astype(np.float32)
    view = PhantomView(
        image_laterality=side,
        view_position=position,
        pixel_mm=3.6,
        low_energy_processing=np.where(inside, rng.integers(500, 3000, SHAPE), 15000).astype(np.uint16),
        high_energy_processing=np.where(inside, rng.integers(900, 5000, SHAPE), 15500).astype(np.uint16),
        low_energy=np.where(inside, rng.uniform(0.1, 1, SHAPE), 0).astype(np.float32),
        recombined=np.where(inside, 0.2 + iodine / 5, 0).astype(np.float32),
        recombined_mg_cm2=iodine,
        paths=paths,
        iodine_mg_cm2={"lesion": mass / 5, "parenchyma": gland / 40, "vessel": zero},
        lesion_masks=tuple(part.mask for part in paths.lesions),
        volumetric_density=0.31,
        parenchyma_mg_cm2=0.7,
        kvp=(28.0, 49.0),
        exposure_mas=(71.24, 120.0),
        imaging=imaging,
        breast=BreastParameters(2 * seed, lesions=(LesionKind.SPICULATED,) if lesion else ()),
    )
    return view if side is ImageLaterality.LEFT else _mirrored(view)


def left_cc(seed: int, *, pixel_mm: float) -> PhantomView:
    """A generated view with a lesion."""
    (view,) = generate_case(
        CaseParameters(
            seed,
            lesions=(LesionKind.SPICULATED,),
            views=(ViewPosition.CC,),
            sides=(ImageLaterality.LEFT,),
            pixel_mm=pixel_mm,
        )
    )
    return view


def _mirrored(view: PhantomView) -> PhantomView:
    images = ("low_energy_processing", "high_energy_processing", "low_energy", "recombined", "recombined_mg_cm2")
    return replace(
        view,
        paths=view.paths.mirrored(),
        iodine_mg_cm2={name: image[:, ::-1] for name, image in view.iodine_mg_cm2.items()},
        lesion_masks=tuple(mask[:, ::-1] for mask in view.lesion_masks),
        **{name: np.ascontiguousarray(getattr(view, name)[:, ::-1]) for name in images},
    )
