"""Training pairs from a folder that `mammosynth phantom` wrote, in the form that real data have.

Every file is compared with the hash that the manifest has of its pixels, so that a model never learns from a folder
that was changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pydicom

from mammosynth.counts import count_of
from mammosynth.dicom.read import read_mammogram
from mammosynth.errors import DataError, MammoSynthError
from mammosynth.mammogram import Mammogram
from mammosynth.phantom.clinic.export import ImageKind
from mammosynth.phantom.clinic.manifest import MANIFEST, SPLITS, case_folder, read_manifest
from mammosynth.phantom.clinic.truth import LESIONS
from mammosynth.phantom.parameters import patient_id_of
from mammosynth.preprocessing.pairs import ContrastPair, ViewPair
from mammosynth.problems import Problems
from mammosynth.terms import ImageLaterality, ViewPosition

_Files = Mapping[tuple[str, str, str], Mapping[str, Any]]  # by side, view and kind
_Pair = TypeVar("_Pair")


def phantom_splits(folder: Path) -> list[str]:
    """The split names that the cases of a folder have, sorted.

    Raises:
        DataError: If the manifest is damaged.
    """
    return sorted({case["split"] for case in read_manifest(folder)[1]["cases"]})


def read_phantoms(folder: Path, split: str) -> list[ContrastPair]:
    """Low-energy and recombined image of every view of one split, as `read_cdd_cesm` reads real ones.

    Args:
        folder: Holds `manifest.json`.
        split: "train", "val" or "test".

    Raises:
        DataError: If the folder is none, the split is empty, or any file is bad; every bad case is listed.
    """
    return _read_cases(folder, split, _contrast_pairs)


def read_phantom_views(folder: Path, split: str) -> list[ViewPair]:
    """Both low-energy views of every breast of one split, as `read_cdd_cesm_views` reads real ones.

    Args:
        folder: Holds `manifest.json`.
        split: "train", "val" or "test".

    Raises:
        DataError: See `read_phantoms`; also if the folder holds one view of each breast only.
    """
    settings, _ = read_manifest(folder)
    if missing := set(ViewPosition) - set(settings.parameters.views):
        raise DataError(f"{folder.name}: no {missing.pop()} views; generate it with --views CC,MLO")
    return _read_cases(folder, split, _view_pairs)


def _read_cases(folder: Path, split: str, read: Callable[[Path, Mapping[str, Any]], Iterator[_Pair]]) -> list[_Pair]:
    _, manifest = read_manifest(folder)
    cases = [case for case in manifest["cases"] if case["split"] == split]
    if not cases:
        found = ", ".join(phantom_splits(folder)) or "none"
        rule = ", ".join(f"{name} {' '.join(map(str, digits))}" for name, digits in SPLITS.items())
        raise DataError(
            f"{folder.name}/{MANIFEST}: no case with split '{split}', found {found}; the last digit of the seed "
            f"decides ({rule}): generate more cases into it"
        )
    pairs, problems = [], Problems()
    for case in cases:
        own = case_folder(folder, case["seed"])
        with problems.catching(OSError, KeyError, MammoSynthError, about=own.name):
            pairs += list(read(own, case))
    problems.raise_if_any(
        f"{folder.name}: {len(problems)} of {count_of(len(cases), 'case')} of split '{split}' cannot be used; "
        "remove their folders and generate them again with the same command:"
    )
    return pairs


def _contrast_pairs(folder: Path, case: Mapping[str, Any]) -> Iterator[ContrastPair]:
    files = _files(case)
    for view in case["views"]:
        side, position = view["side"], view["view"]
        low_energy = _read_image(folder, files[side, position, ImageKind.LOW_ENERGY])
        recombined = _read_image(folder, files[side, position, ImageKind.RECOMBINED]).pixels
        lesions = _read_lesions(folder, files.get((side, position, LESIONS)), low_energy.pixels.shape)
        yield ContrastPair(
            low_energy=low_energy,
            recombined=recombined,
            patient_id=patient_id_of(case["seed"]),
            recombined_breast=recombined > 0,
            lesion=lesions,
            low_energy_lesion=lesions,
        )


def _view_pairs(folder: Path, case: Mapping[str, Any]) -> Iterator[ViewPair]:
    files = _files(case)
    for side in dict.fromkeys(view["side"] for view in case["views"]):
        cc = _read_image(folder, files[side, "CC", ImageKind.LOW_ENERGY])
        mlo = _read_image(folder, files[side, "MLO", ImageKind.LOW_ENERGY])
        cc_lesion = _read_lesions(folder, files.get((side, "CC", LESIONS)), cc.pixels.shape)
        mlo_lesion = _read_lesions(folder, files.get((side, "MLO", LESIONS)), mlo.pixels.shape)
        yield ViewPair(cc, mlo, patient_id_of(case["seed"]), cc_lesion, mlo_lesion)


def _files(case: Mapping[str, Any]) -> _Files:
    return {(file["side"], file["view"], file["kind"]): file for file in case["files"]}


def _read_image(folder: Path, file: Mapping[str, Any]) -> Mammogram:
    """Named by case and file, without its header, as images of other sources are."""
    dataset = _read_dataset(folder, file)
    name = f"{folder.name}/{file['name']}"
    view, side = ViewPosition(file["view"]), ImageLaterality(file["side"])
    mammogram = read_mammogram(dataset, source_name=name, view_position=view, image_laterality=side)
    return replace(mammogram, header=None)


def _read_lesions(folder: Path, file: Mapping[str, Any] | None, shape: tuple[int, ...]) -> np.ndarray:
    """(H, W) bool: any lesion; a view without a segmentation shows none."""
    if file is None:
        return np.zeros(shape, bool)
    frames = _read_dataset(folder, file).pixel_array
    return (frames.reshape(-1, *shape) > 0).any(axis=0)


def _read_dataset(folder: Path, file: Mapping[str, Any]) -> pydicom.Dataset:
    try:
        dataset = pydicom.dcmread(folder / file["name"])
        digest = hashlib.sha256(dataset.PixelData).hexdigest()
    except (pydicom.errors.InvalidDicomError, AttributeError, EOFError) as error:
        raise DataError(f"{file['name']} is no DICOM image ({error})") from error
    if digest != file["sha256"]:
        raise DataError(f"{file['name']} has other pixels than the manifest says")
    return dataset
