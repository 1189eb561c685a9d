"""CBIS-DDSM's masses as The Cancer Imaging Archive publishes them: tables in CSV, images and masks in DICOM.

Lee et al. 2017, doi:10.7937/K9/TCIA.2016.7O02S9CY. A row of a table is one mass in one image. The paths in it are those
of the authors; what a download has below a subject's folder goes by other names, so only that folder's name is taken
from them, wherever it lies. A mass has a folder of its own, with its mask and the crop around it, in which the table
mixes them up now and then: the mask is the one that has the size of the image and two values.

Images are reduced to 1024 rows, twice what models see: a scan of 40 micrometres takes 60 MB of memory.
Calcifications are not read: their outlines are around clusters, not where calcifications are.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mammosynth.counts import count_of
from mammosynth.errors import DataError
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.splits import TEST, TRAIN, VAL, split_of
from mammosynth.problems import Problems
from mammosynth.terms import ImageLaterality, ViewPosition

TABLES = {"mass_case_description_train_set.csv": TRAIN, "mass_case_description_test_set.csv": TEST}
PATIENT, DENSITY, SIDE, VIEW = "patient_id", "breast_density", "left or right breast", "image view"
PATHOLOGY, IMAGE, MASK = "pathology", "image file path", "ROI mask file path"
COLUMNS = (PATIENT, DENSITY, SIDE, VIEW, PATHOLOGY, IMAGE, MASK)
SIDES = {"LEFT": ImageLaterality.LEFT, "RIGHT": ImageLaterality.RIGHT}
IS_MALIGNANT = {"BENIGN": False, "BENIGN_WITHOUT_CALLBACK": False, "MALIGNANT": True}
PERCENT = {TRAIN: 90, VAL: 10}
"""Of the authors' training patients; they have no validation patients."""
ROWS = 1024


def is_here(place: Path) -> bool:
    """Whether a folder holds one of the tables."""
    return any((place / table).is_file() for table in TABLES)


def read_rows(place: Path) -> list[dict[str, Any]]:
    """An entry for each image: split, file (its subject), patient, side, view, density, folder, and masses.

    Folders are relative to the place; None where there is no such folder below it.

    Raises:
        DataError: If a column is missing, and with every row that cannot be understood.
    """
    folders = {path.name: str(path.relative_to(place)) for path in place.rglob("Mass-*") if path.is_dir()}
    problems, rows = Problems(), dict[str, dict[str, Any]]()
    for table, official in TABLES.items():
        if (place / table).is_file():
            for number, values in enumerate(_values(place / table), start=2):
                with problems.catching(DataError, about=f"{table}, row {number}"):
                    row = _row(values, official, folders)
                    masses = rows.setdefault(row["file"], row)["masses"]
                    masses.append(_mass(values, folders))
    problems.raise_if_any(f"{place.name}: {count_of(len(problems), 'row')} cannot be used; correct or remove them:")
    return list(rows.values())


def read_masses(place: Path, row: Mapping[str, Any]) -> tuple[Mammogram, dict[bool, np.ndarray]]:
    """An image with its masses, reduced: (H, W) bool for benign (False) and malignant ones, where there are any.

    Raises:
        DataError: If a folder is missing, or does not hold what it should.
        MammoSynthError: If a file is no image that can be read.
    """
    from mammosynth.dicom.read import read_mammogram  # this DICOM library may be absent where one trains

    files = _files(place, row["file"], row["folder"])
    if len(files) != 1:
        raise DataError(f"its folder holds {len(files)} .dcm files, expected one, the whole mammogram")
    view, side = ViewPosition(row["view"]), ImageLaterality(row["side"])
    whole = read_mammogram(files[0], view_position=view, image_laterality=side)
    height, width = whole.pixels.shape
    scale = min(1.0, ROWS / height)
    shape = (round(height * scale), round(width * scale))
    spacing = whole.pixel_spacing_mm and (whole.pixel_spacing_mm[0] / scale, whole.pixel_spacing_mm[1] / scale)
    image = Mammogram(_reduced(whole.pixels, shape), row["file"], view, side, pixel_spacing_mm=spacing)
    lesions: dict[bool, np.ndarray] = {}
    for subject, folder, is_malignant in row["masses"]:
        mask = _reduced(_read_mask(_files(place, subject, folder), subject, (height, width)), shape) > 0.5
        lesions[is_malignant] = lesions.get(is_malignant, False) | mask
    return image, lesions


def _values(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        rows = [{key: (value or "").strip() for key, value in row.items() if key in COLUMNS} for row in reader]
    if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
        raise DataError(f"{table.name}: columns {', '.join(missing)} are missing, expected {', '.join(COLUMNS)}")
    return rows


def _row(values: Mapping[str, str], official: str, folders: Mapping[str, str]) -> dict[str, Any]:
    subject, patient = _subject(values, IMAGE), values[PATIENT]
    _check(values, SIDE, SIDES)
    _check(values, VIEW, {view.value: view for view in (ViewPosition.CC, ViewPosition.MLO)})
    return {
        "split": split_of(patient, PERCENT) if official == TRAIN else official,
        "file": subject,
        "patient": patient,
        "side": SIDES[values[SIDE]].value,
        "view": values[VIEW],
        "density": values[DENSITY],
        "folder": folders.get(subject),
        "masses": [],
    }


def _mass(values: Mapping[str, str], folders: Mapping[str, str]) -> tuple[str, str | None, bool]:
    _check(values, PATHOLOGY, IS_MALIGNANT)
    subject = _subject(values, MASK)
    return subject, folders.get(subject), IS_MALIGNANT[values[PATHOLOGY]]


def _subject(values: Mapping[str, str], column: str) -> str:
    """The first folder of a path."""
    subject = values[column].split("/")[0]
    if not subject.startswith("Mass-"):
        raise DataError(f"'{column}' is {values[column][:80]!r}, expected a path that begins with Mass-...")
    return subject


def _check(values: Mapping[str, str], column: str, known: Mapping[str, Any]) -> None:
    if values[column] not in known:
        raise DataError(f"'{column}' is {values[column][:80]!r}, expected {', '.join(known)}")


def _files(place: Path, subject: str, folder: str | None) -> list[Path]:
    if folder is None:
        raise DataError(f"no folder {subject} anywhere below {place.name}; fetch it, or remove its rows")
    return sorted((place / folder).rglob("*.dcm"))


def _read_mask(files: list[Path], subject: str, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) bool, what is drawn in the only file that is a mask of that shape."""
    found, masks = [], []
    for path in files:
        values = _stored(path)
        found.append(f"{path.name} with {values.shape[0]} x {values.shape[1]}")
        if values.shape == shape and len(np.unique(values)) <= 2:
            masks.append(values > values.min())
    if len(masks) != 1:
        raise DataError(
            f"{subject} holds {', '.join(found) or 'no .dcm file'}, expected one mask of the image's {shape[0]} x "
            f"{shape[1]} pixels with two values; fetch it again, or remove its rows"
        )
    return masks[0]


def _stored(path: Path) -> np.ndarray:
    from mammosynth.dicom.bounded import open_regular, parse_instance
    from mammosynth.dicom.stored import read_stored_values

    with open_regular(path) as file:
        dataset = parse_instance(file, path.name, stop_before_pixels=False)
    return read_stored_values(dataset, path.name).values


def _reduced(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Each pixel the mean of what it covers."""
    image = Image.fromarray(np.ascontiguousarray(pixels, np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BOX))
