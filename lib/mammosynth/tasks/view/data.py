"""`DATASET`: breasts with both views, of CDD-CESM (digital), CBIS-DDSM (film), INbreast (digital) or phantoms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import UnidentifiedImageError

from mammosynth.counts import count_of
from mammosynth.errors import DataError, MammoSynthError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.look import Look, density_of
from mammosynth.preprocessing.pairs import (
    ViewPair,
    read_cdd_cesm_views,
    read_grey,
    read_table,
    rows_of_split,
)
from mammosynth.problems import Problems
from mammosynth.published import cbis_ddsm, inbreast
from mammosynth.tasks.view.cases import ViewCase
from mammosynth.terms import ImageLaterality, ViewPosition
from mammosynth.training.dataset import Prepared, pseudonym_of

PHANTOMS, BREASTS, FILM = "manifest.json", "breasts_cc_mlo.csv", "index.csv"
FILM_COLUMNS = ("split", "patient", "side", "density", "cc", "mlo", "aspects")
DRAWN = 64 / 255
"""Masks of CBIS-DDSM are 128 in ellipses that stand for a lesion's box, 255 in drawn outlines: both are lesions."""


_ReadView = Callable[[Path, dict[str, Any]], tuple[Mammogram, np.ndarray]]


@dataclass(frozen=True)
class _Layout:
    """How one kind of folder is read.

    Attributes:
        holds: What messages expect in it.
        is_here: Whether a folder is of this kind.
        splits: Their names.
        read: The breasts of one split.
    """

    holds: str
    is_here: Callable[[Path], bool]
    splits: Callable[[Path], list[str]]
    read: Callable[[Path, str], list[ViewCase]]


class ViewDataset:
    """See `training.dataset.Dataset`."""

    def read(self, place: Path, split: str) -> list[ViewCase]:
        """The breasts of one split.

        Raises:
            DataError: If the layout or the split is unknown, or any file is bad; every bad file is listed.
        """
        return [case for folder, layout in _layouts_of(place) for case in layout.read(folder, split)]

    def splits(self, place: Path) -> list[str]:
        """Names of the splits of a folder.

        Raises:
            DataError: If the layout is unknown.
        """
        found = [set(layout.splits(folder)) for folder, layout in _layouts_of(place)]
        return sorted(set.intersection(*found))

    def collect(self, images: Iterable[Mammogram], label_maps: Sequence[LabelMap]) -> list[ViewCase]:
        """The breasts of an archive of which one study holds both views, with the lesions drawn on them.

        Args:
            images: With their headers; read one by one. Of several images of a view the first counts.
            label_maps: Drawn on them, with the headers of their segmentations.

        Raises:
            DataError: If there is none.
        """
        from mammosynth.dicom.segmentation import referenced_images  # its library may be absent where one trains

        drawn = {
            uid: labels.labels > 0
            for labels in label_maps
            if labels.header is not None
            for uid in referenced_images(labels.header)
        }
        breasts: dict[tuple[str, ImageLaterality], dict[ViewPosition, Mammogram]] = {}
        for image in images:
            if image.header is not None and image.view_position and image.image_laterality:
                breast = breasts.setdefault((str(image.header.StudyInstanceUID), image.image_laterality), {})
                breast.setdefault(image.view_position, image)
        cases = [
            _collected(views[ViewPosition.CC], views[ViewPosition.MLO], study, drawn)
            for (study, _), views in breasts.items()
            if len(views) == len(ViewPosition)
        ]
        if not cases:
            raise DataError("the archive holds no study with CC and MLO of one breast; send both views of some")
        return cases

    def prepare(self, train: Sequence[ViewCase], val: Sequence[ViewCase], preprocessing: Any) -> Prepared:
        """All cases as they are: each objective lays them out itself.

        Raises:
            DataError: If there is none, or a patient is in both sets.
        """
        problems = Problems()
        if not train:
            problems.add("no training cases, expected one and more")
        for patient in sorted({case.patient_id for case in train} & {case.patient_id for case in val}):
            problems.add(f"patient {patient} is in training and validation, expected in one of them")
        problems.raise_if_any("the data cannot be trained on:")
        return Prepared(list(train), list(val))


DATASET = ViewDataset()


def _layouts_of(place: Path) -> list[tuple[Path, _Layout]]:
    """A folder of one layout, or the folders below it that have one: several sets that are used together."""
    folders = [place, *sorted(path for path in place.iterdir() if path.is_dir())] if place.is_dir() else []
    found = [(folder, layout) for folder in folders for layout in _LAYOUTS if layout.is_here(folder)]
    if not found:
        expected = "; ".join(layout.holds for layout in _LAYOUTS)
        raise DataError(f"{place.name}: holds no layout that is known, expected {expected}, or folders that hold these")
    firsts = {folder: layout for folder, layout in reversed(found)}
    return [(place, firsts[place])] if place in firsts else sorted(firsts.items(), key=lambda each: each[0].name)


def _collected(cc: Mammogram, mlo: Mammogram, study: str, drawn: dict[str, np.ndarray]) -> ViewCase:
    lesions = [drawn.get(str(view.header.SOPInstanceUID)) for view in (cc, mlo) if view.header is not None]
    return ViewCase(ViewPair(cc, mlo, pseudonym_of(cc, study), *lesions), Look.DIGITAL)


def _read_digital(place: Path, split: str) -> list[ViewCase]:
    rows = {row["cc_low_energy"]: row for row in read_table(place, BREASTS, ("split", "density", "cc_low_energy"))}
    return [
        ViewCase(views, Look.DIGITAL, density_of(rows[views.cc.source_name]["density"]))
        for views in read_cdd_cesm_views(place, split)
    ]


def _read_film(place: Path, split: str) -> list[ViewCase]:
    rows = rows_of_split(read_table(place, BREASTS, FILM_COLUMNS, images="images"), split, f"{place.name}/{BREASTS}")
    cases, problems = [], Problems()
    for row in rows:
        with problems.catching(OSError, ValueError, MammoSynthError, UnidentifiedImageError, about=row["cc"]):
            cases.append(_film_case(place, row))
    problems.raise_if_any(
        f"{place.name}: {len(problems)} of {count_of(len(rows), 'breast')} of split '{split}' cannot be used; "
        f"repair or remove these rows of {BREASTS}:"
    )
    return cases


def _film_case(place: Path, row: dict[str, str]) -> ViewCase:
    side = ImageLaterality(row["side"])
    views = ViewPair(
        cc=Mammogram(read_grey(place / "images" / row["cc"]), row["cc"], ViewPosition.CC, side),
        mlo=Mammogram(read_grey(place / "images" / row["mlo"]), row["mlo"], ViewPosition.MLO, side),
        patient_id=row["patient"],
        cc_lesion=read_grey(place / "masks" / Path(row["cc"]).with_suffix(".png")) > DRAWN,
        mlo_lesion=read_grey(place / "masks" / Path(row["mlo"]).with_suffix(".png")) > DRAWN,
    )
    return ViewCase(views, Look.FILM, density_of(row["density"]), "assumed" not in row["aspects"])


def _read_published(
    place: Path, split: str, read_rows: Callable[[Path], list[dict[str, Any]]], read: _ReadView, look: Look
) -> list[ViewCase]:
    """The breasts of a set as it is published, of which both views are there."""
    rows = rows_of_split(read_rows(place), split, place.name)
    breasts: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in rows:
        breasts.setdefault((row["patient"], row["side"]), {}).setdefault(row["view"], row)
    both = [views for views in breasts.values() if set(views) == set(ViewPosition)]
    cases, problems = [], Problems()
    for views in both:
        with problems.catching(OSError, ValueError, MammoSynthError, about=views[ViewPosition.CC]["file"]):
            (cc, cc_lesion), (mlo, mlo_lesion) = (read(place, views[view]) for view in ViewPosition)
            pair = ViewPair(cc, mlo, views[ViewPosition.CC]["patient"], cc_lesion, mlo_lesion)
            cases.append(ViewCase(pair, look, density_of(views[ViewPosition.CC]["density"])))
    problems.raise_if_any(
        f"{place.name}: {len(problems)} of {count_of(len(both), 'breast')} of split '{split}' cannot be used; "
        "repair or remove:"
    )
    return cases


def _cbis_ddsm_view(place: Path, row: dict[str, Any]) -> tuple[Mammogram, np.ndarray]:
    image, masses = cbis_ddsm.read_masses(place, row)
    return image, np.logical_or.reduce([np.zeros(image.pixels.shape, bool), *masses.values()])


def _read_phantoms(place: Path, split: str) -> list[ViewCase]:
    from mammosynth.phantom.clinic.read import read_phantom_views  # its DICOM library may be absent where one trains

    return [ViewCase(views, Look.DIGITAL) for views in read_phantom_views(place, split)]


def _phantom_splits(place: Path) -> list[str]:
    from mammosynth.phantom.clinic.read import phantom_splits

    return phantom_splits(place)


def _splits_of_table(place: Path) -> list[str]:
    return sorted({row["split"] for row in read_table(place, BREASTS, ("split",))})


_LAYOUTS = (
    _Layout(f"{PHANTOMS} of phantoms", lambda place: (place / PHANTOMS).is_file(), _phantom_splits, _read_phantoms),
    _Layout(
        "mass_case_description_*_set.csv of CBIS-DDSM as published",
        cbis_ddsm.is_here,
        lambda place: sorted({row["split"] for row in cbis_ddsm.read_rows(place)}),
        lambda place, split: _read_published(place, split, cbis_ddsm.read_rows, _cbis_ddsm_view, Look.FILM),
    ),
    _Layout(
        f"{inbreast.TABLE} and {inbreast.IMAGES} of INbreast as published",
        inbreast.is_here,
        lambda place: sorted({row["split"] for row in inbreast.read_rows(place)}),
        lambda place, split: _read_published(place, split, inbreast.read_rows, inbreast.read_masses, Look.DIGITAL),
    ),
    _Layout(
        f"{BREASTS} and {FILM} of CBIS-DDSM",
        lambda place: (place / BREASTS).is_file() and (place / FILM).is_file(),
        _splits_of_table,
        _read_film,
    ),
    _Layout(f"{BREASTS} of CDD-CESM", lambda place: (place / BREASTS).is_file(), _splits_of_table, _read_digital),
)
