"""One phantom as files: all of its images, the truth about them, and a record of what they are."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from mammosynth.atomic import atomic_path, write_json
from mammosynth.dicom.write import write_instance
from mammosynth.parallel.threads import one_thread
from mammosynth.phantom.clinic.case import CaseDescription, PhantomView, describe_case, generate_case
from mammosynth.phantom.clinic.export import ImageKind, PhantomExam, build_images, image_name
from mammosynth.phantom.clinic.manifest import CASE, split_of
from mammosynth.phantom.clinic.truth import LESIONS, TISSUES, lesion_segmentation, tissue_segmentation
from mammosynth.phantom.parameters import CaseParameters

TRUTH = "truth"
_PATH_MAPS = ("adipose_mm", "gland_mm", "skin_mm", "muscle_mm", "calcium_mm", "parenchyma_cm", "vessel_cm")


def write_case(
    folder: Path,
    parameters: CaseParameters,
    *,
    maps: bool = False,
    device: str = "cpu",
) -> dict[str, Any]:
    """Write all images and the truth of one case; its record, `case.json`, comes last.

    Args:
        folder: Replaced if it exists.
        parameters: What to generate.
        maps: Whether to write path lengths and true iodine, too.
        device: A torch device.

    Returns:
        The record.
    """
    if folder.is_dir():
        shutil.rmtree(folder, ignore_errors=True)  # who was given it before may not have died yet; all is replaced
    exam = PhantomExam(parameters)
    views: list[dict[str, Any]] = []
    files: list[dict[str, Any]] = []
    lesions: dict[tuple[str, int], dict[str, Any]] = {}
    with one_thread():
        for view in generate_case(parameters, device=device):
            views.append(_view_record(view))
            files += _write_view(folder, view, exam, maps=maps)
            _note_lesions(lesions, view)
    record = {
        "seed": parameters.seed,
        "split": split_of(parameters.seed),
        "parameters": asdict(parameters),
        "described": _described(describe_case(parameters)),
        "views": views,
        "lesions": list(lesions.values()),
        "files": files,
    }
    write_json(folder / CASE, record, indent=1)
    return record


def _write_view(folder: Path, view: PhantomView, exam: PhantomExam, *, maps: bool) -> list[dict[str, Any]]:
    """All files of a view and what the record says of each."""
    files = []
    images = dict(zip(ImageKind, build_images(view, exam, list(ImageKind)), strict=True))
    source = images[ImageKind.LOW_ENERGY]
    truth = {LESIONS: lesion_segmentation(view, exam, source), TISSUES: tissue_segmentation(view, exam, source)}
    for kind, dataset in (*images.items(), *truth.items()):
        if dataset is not None:
            path = folder / image_name(view.image_laterality, view.view_position, kind)
            write_instance(dataset, path)
            files.append(_file_record(path, view, kind, hashlib.sha256(dataset.PixelData), dataset))
    if maps:
        path = folder / image_name(view.image_laterality, view.view_position, TRUTH).replace(".dcm", ".npz")
        files.append(_file_record(path, view, TRUTH, _write_maps(view, path), None))
    return files


def _file_record(path: Path, view: PhantomView, kind: str, digest: Any, dataset: Dataset | None) -> dict[str, Any]:
    return {
        "name": path.name,
        "kind": str(kind),
        "side": str(view.image_laterality),
        "view": str(view.view_position),
        "sop_instance_uid": None if dataset is None else str(dataset.SOPInstanceUID),
        "bytes": path.stat().st_size,
        "sha256": digest.hexdigest(),
    }


def _write_maps(view: PhantomView, path: Path) -> Any:
    """Path lengths and iodine by where it is as compressed float16; the hash of their values."""
    maps = {name: getattr(view.paths, name) for name in _PATH_MAPS}
    maps |= {f"iodine_{name}_mg_cm2": image for name, image in view.iodine_mg_cm2.items()}
    for number, lesion in enumerate(view.paths.lesions, start=1):
        maps |= {f"lesion_{number}_mm": lesion.length_mm, f"lesion_{number}_calcium_mm": lesion.calcium_mm}
    halves = {name: image.astype(np.float16) for name, image in maps.items()}
    digest = hashlib.sha256()
    for name, image in sorted(halves.items()):
        digest.update(name.encode() + image.tobytes())
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **halves)
    return digest


def _described(description: CaseDescription) -> dict[str, Any]:
    """What the seed decided."""
    imaging = next(iter(description.imaging.values()))
    return {
        "density": description.density,
        "parenchymal_enhancement": imaging.parenchymal_enhancement,
        "vendor": imaging.vendor,
        "lesion_side": description.lesion_side,
        "breast_seeds": {str(side): breast.seed for side, breast in description.breasts.items()},
    }


def _view_record(view: PhantomView) -> dict[str, Any]:
    """What became of a view."""
    return {
        "side": view.image_laterality,
        "view": view.view_position,
        "pixels": list(view.low_energy.shape),
        "compressed_thickness_mm": view.paths.compressed_thickness_mm,
        "nipple_px": view.paths.nipple_px,
        "volumetric_density": view.volumetric_density,
        "parenchyma_mg_cm2": view.parenchyma_mg_cm2,
        "kvp": view.kvp,
        "exposure_mas": view.exposure_mas,
        "imaging": asdict(view.imaging),
    }


def _note_lesions(lesions: dict[tuple[str, int], dict[str, Any]], view: PhantomView) -> None:
    """What a view shows of each lesion, beside what the other view of the breast shows of the same one."""
    for number, (lesion, mask) in enumerate(zip(view.paths.lesions, view.lesion_masks, strict=False), start=1):
        known = lesions.setdefault(
            (view.image_laterality, number),
            {
                "side": view.image_laterality,
                "number": number,
                "kind": lesion.kind,
                "centre_mm": lesion.centre_mm,
                "uptake_mg_ml": lesion.uptake_mg_ml * view.imaging.lesion_iodine,
                "views": {},
            },
        )
        known["views"][view.view_position] = {
            "position_px": lesion.position_px,
            "diameter_mm": float(2 * np.sqrt(mask.sum() / np.pi) * view.pixel_mm),  # of a circle of the mask's area
            "mean_iodine_mg_cm2": float(view.iodine_mg_cm2["lesion"][mask].mean()) if mask.any() else 0.0,
        }
