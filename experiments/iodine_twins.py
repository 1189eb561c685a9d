"""Twins of one lesion that differ in its iodine only, each with and without iodine in the low-energy image.

A breast is projected once and kept as rendered images, one file per patient, so that a run can be interrupted.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import ndimage

from mammosynth.atomic import atomic_path
from mammosynth.mammogram import Mammogram
from mammosynth.phantom.anatomy.lesions import FAMILIES
from mammosynth.phantom.clinic.case import describe_case, project_breast, render_view
from mammosynth.phantom.clinic.manifest import split_of
from mammosynth.phantom.imaging.paths import PathLengths
from mammosynth.phantom.imaging.presentation import PresentationStyle, present_recombined
from mammosynth.phantom.parameters import BreastParameters, CaseParameters, ImagingParameters, LesionKind, patient_id_of
from mammosynth.preprocessing.breast import skin_distance
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.terms import ImageLaterality, PresentationIntentType, ViewPosition

NATURAL, DECORRELATED, ZERO, LOW, HIGH = TWINS = ("natural", "decorrelated", "zero", "low", "high")
LEVELS = {ZERO: 0.0, LOW: 0.5, HIGH: 1.5}  # mg/ml, whatever the lesion looks like
FREE = "iodine-free"  # a low-energy image as if before injection; the same for all twins
WINDOW = PresentationStyle()  # of all recombined images here, so that a grey value is an amount of iodine
SKIN_MM = 5.0  # lesions and rings are measured deeper than this
INTERIOR_MM = 10.0  # deeper than this, and farther than this from the lesion, other enhancement is measured
RING_MM = (2.0, 10.0)  # distance to the lesion
LEAST_MM2 = (20.0, 60.0)  # area of a lesion and a ring that can be measured
PATCH_MM = 48.0  # edge of the piece of raw signal around a lesion
_SIDE = ImageLaterality.LEFT
_AGAIN = 1 << 20  # added to the seed of the noise for a second exposure
_UPTAKE_STREAM = 61  # purpose number of the drawn uptake
_NO_UPTAKE_SHARE, _UPTAKE_RANGE = 1 / 3, (0.1, 2.0)  # of decorrelated twins, mg/ml


@dataclass(frozen=True)
class TwinSettings:
    """What is generated.

    Attributes:
        breasts: How many per split; kinds of lesion take turns.
        pixel_mm: Pixel spacing.
        views: Of every breast.
    """

    breasts: dict[str, int]
    pixel_mm: float = 1.0
    views: tuple[ViewPosition, ...] = (ViewPosition.CC, ViewPosition.MLO)

    def patients(self, split: str) -> list[tuple[int, LesionKind]]:
        """Seed and kind of lesion; seeds belong to their split in every cohort of phantoms."""
        seeds = (seed for seed in range(10 * self.breasts[split] + 10) if split_of(seed) == split)
        kinds = list(LesionKind)
        return [(next(seeds), kinds[index % len(kinds)]) for index in range(self.breasts[split])]


@dataclass(frozen=True, eq=False)
class TwinView:
    """One view of one lesion, chest wall at column 0.

    Attributes:
        seed: Of the patient.
        kind: Of the lesion.
        view_position: CC or MLO.
        pixel_mm: Pixel spacing.
        breast: (H, W) bool.
        lesion: (H, W) bool.
        iodine_cm: (H, W) float32; times a concentration in mg/ml it is the lesion's iodine in mg/cm2.
        uptake_mg_ml: Per twin.
        low_energy: (H, W) float32 in [0, 1] per twin, and under `FREE`.
        iodine_mg_cm2: (H, W) float32 per twin, as recombination estimates it.
        again_mg_cm2: The same, exposed once more; empty where only training looks.
        log_signal: (H, W) float32 per twin: -log of the low-energy image for processing, up to a constant; exposed once
            more under the twin's name and " again".
    """

    seed: int
    kind: LesionKind
    view_position: ViewPosition
    pixel_mm: float
    breast: np.ndarray
    lesion: np.ndarray
    iodine_cm: np.ndarray
    uptake_mg_ml: dict[str, float]
    low_energy: dict[str, np.ndarray]
    iodine_mg_cm2: dict[str, np.ndarray]
    again_mg_cm2: dict[str, np.ndarray]
    log_signal: dict[str, np.ndarray]

    @cached_property
    def depth_mm(self) -> np.ndarray:
        """(H, W) float32 under the skin."""
        return skin_distance(self.breast) * np.float32(self.pixel_mm)

    @cached_property
    def lesion_distance_mm(self) -> np.ndarray:
        """(H, W), 0 in the lesion."""
        return ndimage.distance_transform_edt(~self.lesion) * self.pixel_mm

    @cached_property
    def lesion_core(self) -> np.ndarray:
        """(H, W) bool: the lesion where it is measured."""
        return self.lesion & (self.depth_mm > SKIN_MM)

    @cached_property
    def ring(self) -> np.ndarray:
        """(H, W) bool: tissue around the lesion."""
        near = (self.lesion_distance_mm > RING_MM[0]) & (self.lesion_distance_mm <= RING_MM[1])
        return near & (self.depth_mm > SKIN_MM)

    @cached_property
    def interior(self) -> np.ndarray:
        """(H, W) bool: the breast without its rim."""
        return self.depth_mm > INTERIOR_MM

    @cached_property
    def elsewhere(self) -> np.ndarray:
        """(H, W) bool: the interior far from the lesion."""
        return self.interior & (self.lesion_distance_mm > INTERIOR_MM)

    @property
    def is_measurable(self) -> bool:
        """Whether lesion and ring are large enough."""
        areas = np.array([self.lesion_core.sum(), self.ring.sum()]) * self.pixel_mm**2
        return bool((areas >= LEAST_MM2).all())

    @property
    def expected_uptake_mg_ml(self) -> float:
        """Mean of the uptake that lesions of this kind are coded to have."""
        family = FAMILIES[self.kind]
        return (1 - family.no_uptake) * sum(family.uptake_mg_ml) / 2

    def contrast(self, image: np.ndarray) -> float:
        """Mean over the lesion minus mean over its ring."""
        return float(image[self.lesion_core].mean(dtype=float) - image[self.ring].mean(dtype=float))

    def source(self, name: str) -> Mammogram:
        """The low-energy image of a twin, or the one under `FREE`."""
        return Mammogram(
            pixels=self.low_energy[name],
            source_name=f"phantom {self.seed} {self.view_position} {name}",
            view_position=self.view_position,
            image_laterality=_SIDE,
            pixel_spacing_mm=(self.pixel_mm, self.pixel_mm),
            presentation_intent_type=PresentationIntentType.FOR_PRESENTATION,
        )

    def pair(self, twin: str, *, iodine_in_low_energy: bool) -> ContrastPair:
        """What a network is trained on; without iodine in the low-energy image the target stays as it is."""
        return ContrastPair(
            low_energy=self.source(twin if iodine_in_low_energy else FREE),
            recombined=present_recombined(self.iodine_mg_cm2[twin], self.breast, style=WINDOW),
            patient_id=patient_id_of(self.seed),
            recombined_breast=self.breast,
            lesion=self.lesion,
            low_energy_lesion=self.lesion,
        )


def to_mg_cm2(grey: np.ndarray) -> np.ndarray:
    """Iodine of a recombined image that is shown in `WINDOW`: the inverse of `present_recombined` inside the breast."""
    shown = np.clip(grey.astype(np.float32), 0.01, 0.99)
    start = WINDOW.iodine_grey
    slope = WINDOW.iodine_gain / (start * (1 - start))
    return (np.log(shown / (1 - shown)) - np.float32(np.log(start / (1 - start)))) / np.float32(slope)


def write_patient(folder: Path, settings: TwinSettings, job: tuple[str, int, LesionKind]) -> None:
    """Generate all twins of a patient and keep them; nothing is done if they are there.

    Args:
        folder: Of all patients.
        settings: What to generate.
        job: Split, seed, kind of lesion.
    """
    split, seed, kind = job
    path = _path(folder, seed)
    if path.is_file():
        return
    description = describe_case(
        CaseParameters(seed, lesions=(kind,), sides=(_SIDE,), views=settings.views, pixel_mm=settings.pixel_mm)
    )
    breast = description.breasts[_SIDE]
    arrays: dict[str, np.ndarray] = {}
    for paths in project_breast(breast, settings.views, settings.pixel_mm):
        imaging = description.imaging[_SIDE, paths.view_position]
        rendered = _render(paths, breast, imaging, second_exposure=split != "train")
        arrays |= {f"{paths.view_position}/{name}": image for name, image in rendered.items()}
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays)


def read_views(folder: Path, settings: TwinSettings, split: str) -> Iterator[TwinView]:
    """Every view of a split whose lesion can be measured, patient by patient."""
    for seed, kind in settings.patients(split):
        yield from read_patient_views(folder, settings, seed, kind)


def read_patient_views(folder: Path, settings: TwinSettings, seed: int, kind: LesionKind) -> Iterator[TwinView]:
    """Every view of a patient whose lesion can be measured."""
    with np.load(_path(folder, seed)) as arrays:
        views = [_view(arrays, position, seed, kind, settings.pixel_mm) for position in settings.views]
    yield from (view for view in views if view.is_measurable)


def missing_patients(folder: Path, settings: TwinSettings) -> list[tuple[str, int, LesionKind]]:
    """What `write_patient` has still to do; damaged files count as missing and are removed."""
    jobs = [(split, *patient) for split in settings.breasts for patient in settings.patients(split)]
    for _, seed, _ in jobs:
        path = _path(folder, seed)
        if path.is_file() and not zipfile.is_zipfile(path):
            path.unlink()
    return [job for job in jobs if not _path(folder, job[1]).is_file()]


def _path(folder: Path, seed: int) -> Path:
    return folder / f"{seed:05d}.npz"


def _render(
    paths: PathLengths, breast: BreastParameters, imaging: ImagingParameters, *, second_exposure: bool
) -> dict[str, np.ndarray]:
    """Images of one view by name, in half precision where that is enough."""
    (lesion,) = paths.lesions
    uptake = {
        NATURAL: lesion.uptake_mg_ml,
        DECORRELATED: draw_uptake(np.random.default_rng([breast.seed, _UPTAKE_STREAM])),
        **LEVELS,
    }
    images = {
        "breast": paths.breast_mask,
        "lesion": lesion.mask,
        "iodine_cm": lesion.iodine_cm,
        "uptake": np.array([uptake[twin] for twin in TWINS]),
    }
    for twin, concentration in uptake.items():
        changed = replace(paths, lesions=(replace(lesion, uptake_mg_ml=concentration),))
        view = render_view(changed, imaging, _SIDE, breast)
        images[f"low/{twin}"], images[f"iodine/{twin}"] = view.low_energy, view.recombined_mg_cm2
        images[f"log/{twin}"] = _log_signal(view.low_energy_processing)
        if second_exposure:
            again = render_view(changed, replace(imaging, seed=imaging.seed + _AGAIN), _SIDE, breast)
            images[f"again/{twin}"] = again.recombined_mg_cm2
            images[f"log/{twin} again"] = _log_signal(again.low_energy_processing)
    free = render_view(paths, replace(imaging, iodine_in_low_energy=False), _SIDE, breast)
    images[f"low/{FREE}"] = free.low_energy
    return {
        name: image.astype(np.float16) if image.dtype == np.float32 and not name.startswith("log") else image
        for name, image in images.items()
    }


def draw_uptake(rng: np.random.Generator) -> float:
    """Of a decorrelated twin, in mg/ml: a concentration that has nothing to do with the lesion, often zero."""
    return float(rng.uniform(*_UPTAKE_RANGE) * (rng.uniform() >= _NO_UPTAKE_SHARE))


def _log_signal(stored: np.ndarray) -> np.ndarray:
    return -np.log(np.maximum(stored, 1), dtype=np.float32)


def _view(
    arrays: np.lib.npyio.NpzFile, position: ViewPosition, seed: int, kind: LesionKind, pixel_mm: float
) -> TwinView:
    def group(prefix: str, names: Sequence[str]) -> dict[str, np.ndarray]:
        keys = {name: f"{position}/{prefix}/{name}" for name in names}
        return {name: arrays[key].astype(np.float32) for name, key in keys.items() if key in arrays}

    return TwinView(
        seed=seed,
        kind=kind,
        view_position=position,
        pixel_mm=pixel_mm,
        breast=arrays[f"{position}/breast"],
        lesion=arrays[f"{position}/lesion"],
        iodine_cm=arrays[f"{position}/iodine_cm"].astype(np.float32),
        uptake_mg_ml=dict(zip(TWINS, arrays[f"{position}/uptake"].tolist(), strict=True)),
        low_energy=group("low", (*TWINS, FREE)),
        iodine_mg_cm2=group("iodine", TWINS),
        again_mg_cm2=group("again", TWINS),
        log_signal=group("log", (*TWINS, *(f"{twin} again" for twin in TWINS))),
    )
