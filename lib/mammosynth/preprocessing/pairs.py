"""`ContrastPair`: a low-energy view with its registered recombined image; and how CDD-CESM's are read."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from scipy import ndimage

from mammosynth.errors import DataError
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.breast import segment_breast
from mammosynth.terms import ImageLaterality, ViewPosition

COLUMNS = ("split", "patient", "side", "view", "low_energy", "recombined", "scale", "dy", "dx")


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
    """

    low_energy: Mammogram
    recombined: np.ndarray
    patient_id: str
    recombined_breast: np.ndarray | None = None
    lesion: np.ndarray | None = None
    low_energy_lesion: np.ndarray | None = None

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


def hash_pairs(pairs: Sequence[ContrastPair]) -> str:
    """SHA-256 over names and pixels, independent of order."""
    digests = []
    for pair in pairs:
        digest = hashlib.sha256(f"{pair.low_energy.source_name}|{pair.patient_id}".encode())
        digest.update(np.ascontiguousarray(pair.low_energy.pixels).tobytes())
        digest.update(np.ascontiguousarray(pair.recombined).tobytes())
        digests.append(digest.hexdigest())
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def read_cdd_cesm(folder: Path, split: str) -> list[ContrastPair]:
    """The pairs of one split of a CDD-CESM folder.

    Args:
        folder: Holds `pairs.csv`, `512/images` and `512/masks`. Its columns `scale`, `dy`, `dx` register the
            recombined image onto the low-energy one: out(y, x) = image((y - dy) / scale, (x - dx) / scale).
        split: A value of the column `split`.

    Raises:
        DataError: If the layout or the split is unknown, or any file is bad; every bad file is listed.
    """
    rows = [row for row in _read_table(folder) if row["split"] == split]
    if not rows:
        found = ", ".join(splits(folder)) or "none"
        raise DataError(f"{folder.name}/pairs.csv: no rows with split '{split}', found {found}; choose one of these")
    pairs, problems = [], []
    for row in rows:
        try:
            pairs.append(_read_pair(folder, row))
        except (OSError, ValueError, DataError, UnidentifiedImageError) as error:
            problems.append(f"{row.get('low_energy')}: {error}")
    if problems:
        listed = "\n  ".join(problems)
        raise DataError(
            f"{folder.name}: {len(problems)} of {len(rows)} pairs of split '{split}' cannot be used; "
            f"repair or remove these rows of pairs.csv:\n  {listed}"
        )
    return pairs


def splits(folder: Path) -> list[str]:
    """The split names that a CDD-CESM folder's `pairs.csv` holds, sorted."""
    return sorted({row["split"] for row in _read_table(folder)})


def _read_table(folder: Path) -> list[dict[str, str]]:
    table = folder / "pairs.csv"
    if not table.is_file():
        raise DataError(f"{folder.name}: pairs.csv is missing; give the folder that holds pairs.csv and 512/images")
    with table.open(newline="") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
    if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
        raise DataError(f"{folder.name}/pairs.csv: columns {', '.join(missing)} are missing; expected {COLUMNS}")
    return rows


def _read_pair(folder: Path, row: dict[str, str]) -> ContrastPair:
    low_energy = _read_grey(folder, row["low_energy"])
    stored = _read_grey(folder, row["recombined"])
    if stored.shape != low_energy.shape:
        raise DataError(f"{row['recombined']} is {stored.shape}, the low-energy image {low_energy.shape}")
    scale, dy, dx = (float(row[name]) for name in ("scale", "dy", "dx"))
    if not 0.5 <= scale <= 2:
        raise DataError(f"scale is {scale}, expected 0.5 to 2")

    def register(image: np.ndarray, order: int) -> np.ndarray:
        return ndimage.affine_transform(
            image.astype(np.float32), [1 / scale, 1 / scale], offset=[-dy / scale, -dx / scale], order=order
        )

    source = Mammogram(
        pixels=low_energy,
        source_name=row["low_energy"],
        view_position=ViewPosition(row["view"]),
        image_laterality=ImageLaterality(row["side"]),
    )
    return ContrastPair(
        low_energy=source,
        recombined=np.clip(register(stored, 1), 0, 1),
        patient_id=row["patient"],
        recombined_breast=register(segment_breast(stored, background=0.0), 0) > 0.5,
        lesion=register(_read_mask(folder, row["recombined"]), 0) > 0.5,
        low_energy_lesion=_read_mask(folder, row["low_energy"]),
    )


def _read_grey(folder: Path, name: str) -> np.ndarray:
    with Image.open(folder / "512" / "images" / name) as image:
        return np.asarray(image.convert("L"), np.float32) / np.float32(255)


def _read_mask(folder: Path, name: str) -> np.ndarray:
    with Image.open((folder / "512" / "masks" / name).with_suffix(".png")) as image:
        return np.asarray(image.convert("L")) > 127
