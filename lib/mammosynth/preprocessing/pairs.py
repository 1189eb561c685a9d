"""`ContrastPair`, `ViewPair`: what models of contrast and of the other view learn from; how CDD-CESM is read."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from mammosynth.counts import count_of
from mammosynth.errors import DataError
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.breast import segment_breast
from mammosynth.preprocessing.registration import Registration
from mammosynth.problems import Problems
from mammosynth.terms import ImageLaterality, ViewPosition

COLUMNS = ("split", "patient", "side", "view", "low_energy", "recombined", "scale", "dy", "dx")
VIEW_COLUMNS = ("split", "patient", "side", "cc_low_energy", "mlo_low_energy")
_Pair = TypeVar("_Pair")
PAIRS, _BREASTS = "pairs.csv", "breasts_cc_mlo.csv"


@dataclass(frozen=True, eq=False)
class ContrastPair:
    """One view before and after recombination, pixel on pixel.

    Attributes:
        low_energy: The source; its view position is set.
        recombined: (H, W) float32 in [0, 1], registered onto the source.
        patient_id: Groups the images of one patient.
        recombined_breast: (H, W) bool, where the registered recombined image shows breast; None: as segmented.
        lesion: (H, W) bool, lesions drawn on the recombined image; None if nothing is drawn.
        low_energy_lesion: (H, W) bool, lesions drawn on the low-energy image; None if nothing is drawn.
        published: (H', W') float32 in [0, 1], the recombined image before registration, which smooths its grain; None:
            it needed none.
    """

    low_energy: Mammogram
    recombined: np.ndarray
    patient_id: str
    recombined_breast: np.ndarray | None = None
    lesion: np.ndarray | None = None
    low_energy_lesion: np.ndarray | None = None
    published: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Refuse a pair whose images do not lie on each other."""
        shape = self.low_energy.pixels.shape
        for name in ("recombined", "recombined_breast", "lesion", "low_energy_lesion"):
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise DataError(
                    f"{self.low_energy.source_name}: {name} has shape {value.shape}, the low-energy image {shape}; "
                    "register it onto the low-energy image first"
                )

    @property
    def name(self) -> str:
        """How messages name the pair: as its low-energy image."""
        return self.low_energy.source_name

    def digest(self) -> str:
        """SHA-256 of name, patient and both images, hexadecimal."""
        digest = hashlib.sha256(f"{self.name}|{self.patient_id}".encode())
        digest.update(np.ascontiguousarray(self.low_energy.pixels).tobytes())
        digest.update(np.ascontiguousarray(self.recombined).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class ViewPair:
    """Both views of one breast; no pixel of one corresponds to one of the other.

    Attributes:
        cc: The craniocaudal view; its side is that of the pair.
        mlo: The mediolateral oblique view.
        patient_id: Groups the images of one patient.
        cc_lesion: (H, W) bool, lesions drawn on the craniocaudal view; None if nothing is drawn.
        mlo_lesion: (H, W) bool, likewise.
    """

    cc: Mammogram
    mlo: Mammogram
    patient_id: str
    cc_lesion: np.ndarray | None = None
    mlo_lesion: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Refuse views of two breasts, and masks that do not lie on their view."""
        if self.cc.view_position is not ViewPosition.CC or self.mlo.view_position is not ViewPosition.MLO:
            raise DataError(
                f"{self.cc.source_name}, {self.mlo.source_name}: views are {self.cc.view_position} and "
                f"{self.mlo.view_position}, expected CC and MLO"
            )
        if self.cc.image_laterality is not self.mlo.image_laterality:
            raise DataError(f"{self.cc.source_name}, {self.mlo.source_name}: not of the same breast")
        for view, lesion in ((self.cc, self.cc_lesion), (self.mlo, self.mlo_lesion)):
            if lesion is not None and lesion.shape != view.pixels.shape:
                raise DataError(
                    f"{view.source_name}: its lesion mask has shape {lesion.shape}, the image {view.pixels.shape}"
                )


def read_cdd_cesm(folder: Path, split: str) -> list[ContrastPair]:
    """The pairs of one split of a CDD-CESM folder.

    Args:
        folder: Holds `pairs.csv`, `512/images` and `512/masks`. Its columns `scale`, `dy`, `dx` register the
            recombined image onto the low-energy one: out(y, x) = image((y - dy) / scale, (x - dx) / scale).
        split: A value of the column `split`.

    Raises:
        DataError: If the layout or the split is unknown, or any file is bad; every bad file is listed.
    """
    return _read_rows(folder, split, PAIRS, COLUMNS, "low_energy", _read_pair)


def read_cdd_cesm_views(folder: Path, split: str) -> list[ViewPair]:
    """Both low-energy views of the breasts of one split of a CDD-CESM folder, with the lesions drawn on them.

    Args:
        folder: Holds `breasts_cc_mlo.csv`, `512/images` and `512/masks`.
        split: A value of the column `split`.

    Raises:
        DataError: If the layout or the split is unknown, or any file is bad; every bad file is listed.
    """
    return _read_rows(folder, split, _BREASTS, VIEW_COLUMNS, "cc_low_energy", _read_views)


def splits(folder: Path) -> list[str]:
    """The split names that a CDD-CESM folder's `pairs.csv` holds, sorted."""
    return _splits(read_table(folder, PAIRS, COLUMNS))


def _splits(rows: Sequence[dict[str, str]]) -> list[str]:
    return sorted({row["split"] for row in rows})


def _read_rows(
    folder: Path,
    split: str,
    table: str,
    columns: Sequence[str],
    name: str,
    read: Callable[[Path, dict[str, str]], _Pair],
) -> list[_Pair]:
    """What `read` makes of each row of a split; problems are told by the value of the column `name`."""
    rows = rows_of_split(read_table(folder, table, columns), split, f"{folder.name}/{table}")
    pairs, problems = [], Problems()
    for row in rows:
        with problems.catching(OSError, ValueError, DataError, UnidentifiedImageError, about=f"{row.get(name)}"):
            pairs.append(read(folder, row))
    problems.raise_if_any(
        f"{folder.name}: {len(problems)} of {count_of(len(rows), 'pair')} of split '{split}' cannot be used; "
        f"repair or remove these rows of {table}:"
    )
    return pairs


def rows_of_split(rows: Sequence[dict[str, str]], split: str, source_name: str) -> list[dict[str, str]]:
    """The rows whose column `split` says so.

    Args:
        rows: Of a table.
        split: Wanted.
        source_name: How messages name the table.

    Raises:
        DataError: If there is none; the splits that there are are named.
    """
    found = [row for row in rows if row["split"] == split]
    if not found:
        known = ", ".join(_splits(rows)) or "none"
        raise DataError(f"{source_name}: no rows with split '{split}', found {known}; choose one of these")
    return found


def read_table(folder: Path, name: str, columns: Sequence[str], *, images: str = "512/images") -> list[dict[str, str]]:
    """The rows of a table of a CDD-CESM folder.

    Args:
        folder: Holds the table.
        name: Of the table, below the folder.
        columns: Must be there.
        images: Folder of the images it names; only messages name it.

    Raises:
        DataError: If the table or a column is missing.
    """
    table = folder / name
    if not table.is_file():
        raise DataError(f"{folder.name}: {name} is missing; give the folder that holds {name} and {images}")
    with table.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
    if missing := [column for column in columns if column not in (reader.fieldnames or ())]:
        raise DataError(f"{folder.name}/{name}: columns {', '.join(missing)} are missing; expected {columns}")
    return rows


def _read_pair(folder: Path, row: dict[str, str]) -> ContrastPair:
    low_energy = _read_image(folder, row["low_energy"])
    stored = _read_image(folder, row["recombined"])
    if stored.shape != low_energy.shape:
        raise DataError(f"{row['recombined']} is {stored.shape}, the low-energy image {low_energy.shape}")
    scale, dy, dx = (float(row[name]) for name in ("scale", "dy", "dx"))
    if not 0.5 <= scale <= 2:
        raise DataError(f"scale is {scale}, expected 0.5 to 2")
    registration = Registration(scale, dy, dx)
    return ContrastPair(
        low_energy=_mammogram(low_energy, row["low_energy"], row["view"], row["side"]),
        recombined=np.clip(registration.apply(stored, order=1), 0, 1),
        patient_id=row["patient"],
        recombined_breast=registration.apply(segment_breast(stored, background=0.0), order=0) > 0.5,
        lesion=registration.apply(_read_mask(folder, row["recombined"]), order=0) > 0.5,
        low_energy_lesion=_read_mask(folder, row["low_energy"]),
        published=stored,
    )


def _read_views(folder: Path, row: dict[str, str]) -> ViewPair:
    cc, mlo = row["cc_low_energy"], row["mlo_low_energy"]
    return ViewPair(
        cc=_mammogram(_read_image(folder, cc), cc, ViewPosition.CC, row["side"]),
        mlo=_mammogram(_read_image(folder, mlo), mlo, ViewPosition.MLO, row["side"]),
        patient_id=row["patient"],
        cc_lesion=_read_mask(folder, cc),
        mlo_lesion=_read_mask(folder, mlo),
    )


def _mammogram(pixels: np.ndarray, name: str, view: str, side: str) -> Mammogram:
    return Mammogram(
        pixels=pixels, source_name=name, view_position=ViewPosition(view), image_laterality=ImageLaterality(side)
    )


def read_grey(path: Path) -> np.ndarray:
    """(H, W) float32 in [0, 1] of an 8-bit picture.

    Raises:
        OSError: If it cannot be read.
    """
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), np.float32) / np.float32(255)


def _read_image(folder: Path, name: str) -> np.ndarray:
    return read_grey(folder / "512" / "images" / name)


def _read_mask(folder: Path, name: str) -> np.ndarray:
    with Image.open((folder / "512" / "masks" / name).with_suffix(".png")) as image:
        return np.asarray(image.convert("L")) > 127
