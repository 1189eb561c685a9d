"""`DATASET`: mammograms with the label maps of what is in them.

Folders of seven layouts are read: CDD-CESM's views of 512 pixels, its full-size CC views, CBIS-DDSM's whole mammograms,
CBIS-DDSM and mini-MIAS as they are published, phantoms, and drawn sets (a table, images, label maps). But for the last,
label maps are made from image and lesions.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import UnidentifiedImageError

from mammosynth.counts import count_of
from mammosynth.digests import file_sha256
from mammosynth.errors import DataError, MammoSynthError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.parallel.engine import in_order
from mammosynth.parallel.local import LocalEngine
from mammosynth.preprocessing.look import Look, density_of
from mammosynth.preprocessing.pairs import read_grey, read_table, rows_of_split
from mammosynth.problems import Problems
from mammosynth.published import cbis_ddsm as published
from mammosynth.tasks.mask.cases import MaskCase
from mammosynth.tasks.mask.classes import CLASSES, BreastClass
from mammosynth.tasks.mask.labels.from_image import label_map_of
from mammosynth.tasks.mask.layouts import cbis_ddsm, mini_mias
from mammosynth.terms import ImageLaterality, ViewPosition
from mammosynth.training.dataset import Prepared, pseudonym_of

PHANTOMS = "manifest.json"
DRAWN = "cases.csv"
DRAWN_COLUMNS = ("split", "patient", "image", "labels", "view", "side", "density", "look")
HASH_COLUMNS = ("image_sha256", "labels_sha256")
"""Of generated images only, which are read where the table knows their bytes, and nowhere else."""
_FEW = 20
"""Cases that one process makes label maps for faster than several start."""
_BENIGN, _MALIGNANT = BreastClass.BENIGN_LESION, BreastClass.MALIGNANT_LESION
_Row = dict[str, Any]


@dataclass(frozen=True)
class _Layout:
    """How the images of one kind of folder are found and read.

    Attributes:
        table: By which messages and processes name it: what lists the images, below the folder.
        holds: What messages expect in it.
        is_here: Whether a folder is of this kind.
        rows: All images, each with at least a split.
        name: Column by which messages name a row.
        read: One case of a row.
        wanted: Which rows are used.
    """

    table: str
    holds: str
    is_here: Callable[[Path], bool]
    rows: Callable[[Path], list[_Row]]
    name: str
    read: Callable[[Path, _Row], MaskCase]
    wanted: Callable[[_Row], bool] = lambda row: True


class MaskDataset:
    """See `training.dataset.Dataset`."""

    def read(self, place: Path, split: str, view: ViewPosition | None = None) -> list[MaskCase]:
        """The cases of one split.

        Args:
            place: A folder of a layout that is known.
            split: One of its splits.
            view: Of this view only, which saves the time of making the others' label maps.

        Raises:
            DataError: If the layout or the split is unknown, or any file is bad; every bad file is listed.
        """
        if _holds_phantoms(place):
            from mammosynth.phantom.clinic.read import read_phantoms  # its DICOM library may be absent where one trains

            return [
                _phantom(pair.low_energy, pair.low_energy_lesion, pair.patient_id)
                for pair in read_phantoms(place, split)
                if view in (None, pair.low_energy.view_position)
            ]
        layout = _layout_of(place)
        wanted = [row for row in layout.rows(place) if layout.wanted(row)]
        rows = rows_of_split(wanted, split, f"{place.name}/{layout.table}")
        of_view = [row for row in rows if view is None or row.get("view", view) == view]
        cases = _read_rows(place, layout, of_view, split)
        return [case for case in cases if view in (None, case.image.view_position)]

    def splits(self, place: Path) -> list[str]:
        """Names of the splits of a folder.

        Raises:
            DataError: If the layout is unknown.
        """
        if _holds_phantoms(place):
            from mammosynth.phantom.clinic.read import phantom_splits

            return phantom_splits(place)
        return sorted({row["split"] for row in _layout_of(place).rows(place)})

    def collect(self, images: Iterable[Mammogram], label_maps: Sequence[LabelMap]) -> list[MaskCase]:
        """The images of an archive on which a whole breast is drawn.

        Args:
            images: Read one by one.
            label_maps: Of whole breasts, with the headers of their segmentations.

        Raises:
            DataError: If nothing is drawn on any.
        """
        drawn = {uid: labels for labels in label_maps for uid in _referenced(labels)}
        cases = []
        for image in images:
            if image.header is not None and (labels := drawn.get(str(image.header.SOPInstanceUID))) is not None:
                study = str(image.header.StudyInstanceUID)
                cases.append(MaskCase(image, labels, pseudonym_of(image, study), Look.DIGITAL))
        if not cases:
            raise DataError(
                "the archive holds no mammogram with a label map drawn on it, expected DICOM Segmentations of "
                f"{', '.join(CLASSES.values())}"
            )
        return cases

    def prepare(self, train: Sequence[MaskCase], val: Sequence[MaskCase], preprocessing: Any) -> Prepared:
        """All cases as they are: each objective lays them out itself.

        Raises:
            DataError: If there is none, a patient is in both sets, or a case shows no breast.
        """
        problems = Problems()
        if not train:
            problems.add("no training cases, expected one and more")
        for patient in sorted({case.patient_id for case in train} & {case.patient_id for case in val}):
            problems.add(f"patient {patient} is in training and validation, expected in one of them")
        for case in (*train, *val):
            if not case.labels.labels.any():
                problems.add(f"{case.name}: its label map is empty; draw the breast")
            if case.labels.labels.shape != case.image.pixels.shape:
                problems.add(
                    f"{case.name}: its label map is {case.labels.labels.shape}, the image {case.image.pixels.shape}"
                )
        problems.raise_if_any("the data cannot be trained on:")
        return Prepared(list(train), list(val))


DATASET = MaskDataset()


def _holds_phantoms(place: Path) -> bool:
    """Data sets of generated mammograms have a manifest, too, beside their table."""
    return (place / PHANTOMS).is_file() and not (place / DRAWN).is_file()


def _layout_of(place: Path) -> _Layout:
    for layout in _LAYOUTS:
        if layout.is_here(place):
            return layout
    expected = "; ".join(f"{layout.table} with {layout.holds}" for layout in _LAYOUTS)
    raise DataError(f"{place.name}: holds no layout that is known, expected {PHANTOMS} of phantoms, or {expected}")


def _prepared(
    table: str,
    columns: tuple[str, ...],
    name: str,
    read: Callable[[Path, _Row], MaskCase],
    wanted: Callable[[_Row], bool] = lambda row: True,
) -> _Layout:
    """A folder that was made for training: a table in CSV tells the splits, too."""
    return _Layout(
        table,
        ", ".join(columns),
        lambda place: (place / table).is_file() and set(columns) <= _header(place / table),
        lambda place: [*read_table(place, table, columns)],
        name,
        read,
        wanted,
    )


def _header(table: Path) -> set[str]:
    with table.open(newline="", encoding="utf-8") as stream:
        return set(next(csv.reader(stream), []))


def _read_rows(place: Path, layout: _Layout, rows: Sequence[_Row], split: str) -> list[MaskCase]:
    problems, cases = Problems(), []
    jobs = [(place, layout.table, row) for row in rows]
    workers = min(os.cpu_count() or 1, len(rows) // _FEW)
    found = list(in_order(LocalEngine(max(1, workers)), _read_row, jobs))
    for row, case in zip(rows, found, strict=True):
        if isinstance(case, MaskCase):
            cases.append(case)
        else:
            problems.add(f"{row[layout.name]}: {case}")
    problems.raise_if_any(
        f"{place.name}: {len(problems)} of {count_of(len(rows), 'image')} of split '{split}' cannot be used; repair "
        f"or remove these rows of {layout.table}:"
    )
    return cases


def _read_row(job: tuple[Path, str, _Row]) -> MaskCase | str:
    """A case, or what is wrong with it: exceptions with several arguments do not come back from another process."""
    place, table, row = job
    layout = next(each for each in _LAYOUTS if each.table == table)
    try:
        return layout.read(place, row)
    except (OSError, ValueError, KeyError, MammoSynthError, UnidentifiedImageError) as error:
        return str(error)


def _read_cdd_cesm(place: Path, row: _Row) -> MaskCase:
    name = row["low_energy"]
    lesions = {_MALIGNANT: _read_mask(place / "512" / "masks" / name)}
    return _made(place / "512" / "images" / name, row, lesions, Look.DIGITAL)


def _read_full(place: Path, row: _Row) -> MaskCase:
    lesions = {}
    if row["mask"]:
        kind = _BENIGN if row["category"] == "benign" else _MALIGNANT
        lesions[kind] = _read_mask(place / "full" / "cc_masks" / row["mask"])
    patient = row["patient"] or row["file"]
    return _made(
        place / "full" / "cc_low_energy" / row["file"], {**row, "view": "CC", "patient": patient}, lesions, Look.DIGITAL
    )


def _read_cbis_ddsm(place: Path, row: _Row) -> MaskCase:
    drawn = read_grey(place / "masks" / Path(row["file"]).with_suffix(".png"))
    kind = _MALIGNANT if "MALIGNANT" in row["pathology"] else _BENIGN
    return _made(place / "images" / row["file"], row, {kind: drawn > 0.75}, Look.FILM)


def _read_drawn(place: Path, row: _Row) -> MaskCase:
    from mammosynth.files import read_image, read_label_map  # its DICOM library may be absent where one trains

    is_generated = bool(row.get("image_sha256"))
    for column in HASH_COLUMNS if is_generated else ():
        _check_bytes(place / row[column.partition("_")[0]], row[column])
    image = read_image(place / row["image"], accept_generated=is_generated)
    labels = read_label_map(place / row["labels"], image=image, classes=CLASSES)
    view, side = ViewPosition(row["view"]), ImageLaterality(row["side"])
    shown = Mammogram(image.pixels, row["image"], view, side, image.pixel_spacing_mm, valid=image.valid)
    named = LabelMap(labels.labels, row["labels"], CLASSES, image.pixel_spacing_mm, view, side)
    return MaskCase(shown, named, row["patient"], Look(row["look"]), density_of(row["density"]))


def _check_bytes(path: Path, sha256: str) -> None:
    if file_sha256(path) != sha256:
        raise DataError(f"{path.name} is not what {DRAWN} says; generate it again")


def _phantom(image: Mammogram, lesion: np.ndarray | None, patient: str) -> MaskCase:
    lesions = {} if lesion is None else {_MALIGNANT: lesion}
    return MaskCase(image, label_map_of(image, lesions), patient, Look.DIGITAL)


def _made(path: Path, row: _Row, lesions: Mapping[BreastClass, np.ndarray], look: Look) -> MaskCase:
    pixels = read_grey(path)
    for mask in lesions.values():
        if mask.shape != pixels.shape:
            raise DataError(f"its lesion mask is {mask.shape}, the image {pixels.shape}")
    image = Mammogram(pixels, path.name, ViewPosition(row["view"]), ImageLaterality(row["side"]))
    return MaskCase(image, label_map_of(image, lesions), row["patient"], look, density_of(row["density"]))


def _read_mask(path: Path) -> np.ndarray:
    return read_grey(path.with_suffix(".png")) > 0.5


def _referenced(labels: LabelMap) -> Sequence[str]:
    from mammosynth.dicom.segmentation import referenced_images

    return referenced_images(labels.header) if labels.header is not None else ()


def _measured(row: _Row) -> bool:
    """Lesions drawn by a person on an image whose aspect is known: the others would teach wrong shapes."""
    return "assumed" not in row["aspect"] and set(row["mask_kind"].split("+")) == {"drawn"}


_LAYOUTS = (
    _prepared(DRAWN, DRAWN_COLUMNS, "image", _read_drawn),
    _prepared("pairs.csv", ("split", "patient", "side", "view", "low_energy", "density"), "low_energy", _read_cdd_cesm),
    _prepared(
        "full/cc_index.csv", ("split", "file", "category", "side", "patient", "density", "mask"), "file", _read_full
    ),
    _prepared(
        "index.csv",
        ("split", "file", "patient", "side", "view", "mask_kind", "aspect", "pathology", "density"),
        "file",
        _read_cbis_ddsm,
        _measured,
    ),
    _Layout(
        "mass_case_description_*_set.csv",
        "the DICOM folders of CBIS-DDSM below",
        published.is_here,
        published.read_rows,
        "file",
        cbis_ddsm.read_case,
    ),
    _Layout(
        mini_mias.TABLE,
        "the mdb*.pgm of mini-MIAS beside it",
        lambda place: (place / mini_mias.TABLE).is_file(),
        mini_mias.read_rows,
        "file",
        mini_mias.read_case,
        lambda row: row["is_drawable"],
    ),
)
