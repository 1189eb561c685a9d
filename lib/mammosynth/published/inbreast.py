"""INbreast as its authors publish it: a table, DICOM images, and outlines as XML property lists.

Moreira et al. 2012, doi:10.1016/j.acra.2011.09.014. `INbreast.csv` has a row for each image, separated by semicolons;
`AllDICOMs` holds the images, whose names begin with the image's number and go on with the patient's pseudonym; `AllXML`
holds, by the same number, regions as lists of points in pixels. Only masses are read: calcifications are outlined one
by one or not at all. The licence of the set does not allow weights that were trained on it to be passed on.
"""

from __future__ import annotations

import csv
import plistlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

import numpy as np
from PIL import Image, ImageDraw

from mammosynth.counts import count_of
from mammosynth.errors import DataError
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.splits import TEST, TRAIN, VAL, split_of
from mammosynth.problems import Problems
from mammosynth.terms import ImageLaterality, ViewPosition

TABLE, IMAGES, OUTLINES = "INbreast.csv", "AllDICOMs", "AllXML"
COLUMNS = ("Laterality", "View", "File Name", "ACR")
VIEWS = {"CC": ViewPosition.CC, "MLO": ViewPosition.MLO, "ML": ViewPosition.MLO}
PERCENT = {TRAIN: 70, VAL: 10, TEST: 20}
"""The authors say no splits."""
MASS = "mass"
ROWS = 1024
_POINT = re.compile(r"\(\s*([-+\d.eE]+)\s*,\s*([-+\d.eE]+)\s*\)")


def is_here(place: Path) -> bool:
    """Whether a folder holds the table and the images."""
    return (place / TABLE).is_file() and (place / IMAGES).is_dir()


def read_rows(place: Path) -> list[dict[str, Any]]:
    """An entry for each image: split, file (its number), patient, side, view, density, and its DICOM file.

    Raises:
        DataError: If a column is missing, and with every row that cannot be understood or has no image.
    """
    with (place / TABLE).open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream, delimiter=";")
        table = [{key: (value or "").strip() for key, value in row.items() if key in COLUMNS} for row in reader]
    if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
        raise DataError(f"{TABLE}: columns {', '.join(missing)} are missing, expected {', '.join(COLUMNS)}")
    images = {path.name.split("_")[0]: path.name for path in sorted((place / IMAGES).glob("*.dcm"))}
    problems, rows = Problems(), []
    for number, values in enumerate(table, start=2):
        if values["File Name"]:
            with problems.catching(DataError, about=f"{TABLE}, row {number}"):
                rows.append(_row(values, images))
    problems.raise_if_any(f"{place.name}: {count_of(len(problems), 'row')} cannot be used; correct or remove them:")
    return rows


def read_masses(place: Path, row: Mapping[str, Any]) -> tuple[Mammogram, np.ndarray]:
    """An image, reduced to 1024 rows, and (H, W) bool: its masses.

    Raises:
        DataError: If the outlines cannot be understood.
        MammoSynthError: If the file is no image that can be read.
    """
    from mammosynth.dicom.read import read_mammogram  # this DICOM library may be absent where one trains

    view, side = ViewPosition(row["view"]), ImageLaterality(row["side"])
    whole = read_mammogram(place / IMAGES / row["image"], view_position=view, image_laterality=side)
    height, width = whole.pixels.shape
    masses = Image.new("L", (width, height))
    for points in _outlines(place / OUTLINES / f"{row['file']}.xml"):
        ImageDraw.Draw(masses).polygon(points, fill=1)
    scale = min(1.0, ROWS / height)
    size = (round(width * scale), round(height * scale))
    spacing = whole.pixel_spacing_mm and (whole.pixel_spacing_mm[0] / scale, whole.pixel_spacing_mm[1] / scale)
    pixels, drawn = (
        np.asarray(Image.fromarray(each).resize(size, Image.Resampling.BOX))
        for each in (np.ascontiguousarray(whole.pixels), np.asarray(masses, np.float32))
    )
    return Mammogram(pixels, row["file"], view, side, pixel_spacing_mm=spacing), drawn > 0.5


def _row(values: Mapping[str, str], images: Mapping[str, str]) -> dict[str, Any]:
    number, side, view = values["File Name"], values["Laterality"], values["View"]
    if side not in set(ImageLaterality) or view not in VIEWS:
        raise DataError(f"'Laterality' and 'View' are {side!r} and {view!r}, expected L or R, and CC or MLO")
    if number not in images:
        raise DataError(f"no {number}_*.dcm in {IMAGES}; fetch it, or remove the row")
    parts = images[number].split("_")
    patient = parts[1] if len(parts) > 2 else number
    return {
        "split": split_of(patient, PERCENT),
        "file": number,
        "patient": patient,
        "side": side,
        "view": VIEWS[view].value,
        "density": values["ACR"],
        "image": images[number],
    }


def _outlines(path: Path) -> list[list[tuple[float, float]]]:
    """(column, row) of the points of every mass; none if the image has no outlines, which many have not."""
    if not path.is_file():
        return []
    try:
        with path.open("rb") as stream:
            regions = [roi for image in plistlib.load(stream)["Images"] for roi in image["ROIs"]]
        masses = [roi for roi in regions if str(roi["Name"]).strip().lower() == MASS]
        found = [[_point(point) for point in roi["Point_px"]] for roi in masses]
    except (plistlib.InvalidFileException, ExpatError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path.name}: is no list of regions ({type(error).__name__}: {error}); fetch it again"
        ) from error
    return [points for points in found if len(points) > 2]


def _point(text: str) -> tuple[float, float]:
    found = _POINT.search(text)
    if found is None:
        raise ValueError(f"point {text[:40]!r}, expected (x, y)")
    return float(found[1]), float(found[2])
