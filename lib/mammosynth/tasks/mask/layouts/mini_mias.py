"""mini-MIAS as it is published: `Info.txt`, and `mdb001.pgm` to `mdb322.pgm` beside it.

Suckling et al. 1994; reduced to 200 micrometres and 1024 x 1024 pixels by its authors. A line of the table is an image
and a finding: number, tissue (F, G, D), kind of finding, severity (B, M), x, y and radius of a circle around it in
pixels; y counts from the bottom. All views are MLO; even numbers are left breasts, the odd one before is the right
breast of the same woman.

The circle is all that is known of a mass, so it is its lesion. Distorted or asymmetric tissue is no lesion that could
be drawn, and a circle around calcifications is not where they are: images with these are left out, and so are those
with a finding whose place is not told, since it would be learned as healthy tissue. Three kinds of tissue are not the
four of ACR: no density is known. Its licence does not let weights be published that were trained on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mammosynth.counts import count_of
from mammosynth.errors import DataError
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.look import Look
from mammosynth.preprocessing.splits import TEST, TRAIN, VAL, split_of
from mammosynth.problems import Problems
from mammosynth.tasks.mask.cases import MaskCase
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.labels.from_image import label_map_of
from mammosynth.terms import ImageLaterality, ViewPosition

TABLE = "Info.txt"
PIXEL_MM = 0.2
NONE = "NORM"
MASSES = ("CIRC", "SPIC", "MISC")
OTHERS = ("CALC", "ARCH", "ASYM")
SEVERITIES = {"B": BreastClass.BENIGN_LESION, "M": BreastClass.MALIGNANT_LESION}
PERCENT = {TRAIN: 80, VAL: 10, TEST: 10}
"""Of women; the authors have no splits."""
EXPECTED = "'mdb001 G CIRC B 535 425 197' or 'mdb003 D NORM'"


@dataclass(frozen=True)
class Circle:
    """A mass: class, middle from the left and from the bottom, and radius, in pixels."""

    kind: BreastClass
    x: int
    y: int
    radius: int

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        """(H, W) bool.

        Raises:
            DataError: If its middle is outside the image.
        """
        height, width = shape
        if not (0 <= self.x < width and 0 <= self.y < height):
            raise DataError(f"its circle is at x {self.x}, y {self.y}, expected within {width} x {height} pixels")
        rows, columns = np.ogrid[:height, :width]
        return np.hypot(rows - (height - 1 - self.y), columns - self.x) <= self.radius


def read_rows(place: Path) -> list[dict[str, Any]]:
    """An entry for each image: split, file, patient, side, circles, and whether all findings are circles of masses.

    Lines that begin with no number of an image are text for people.

    Raises:
        DataError: With every line that cannot be understood.
    """
    problems, rows = Problems(), dict[str, dict[str, Any]]()
    for number, line in enumerate((place / TABLE).read_text(encoding="latin-1").splitlines(), start=1):
        if re.match(r"mdb\d", line) is None:
            continue
        with problems.catching(DataError, about=f"{TABLE}, line {number}"):
            name, circles, is_drawable = _parsed(line)
            row = rows.setdefault(name, _row(name))
            row["circles"] += circles
            row["is_drawable"] &= is_drawable
    problems.raise_if_any(
        f"{place.name}: {count_of(len(problems), 'line')} of {TABLE} cannot be used; correct or remove them:"
    )
    return list(rows.values())


def read_case(place: Path, row: dict[str, Any]) -> MaskCase:
    """An image with its masses.

    Raises:
        DataError: If a circle lies outside it.
        OSError: If it is missing or no image.
        UnsupportedImageError: If no breast is found.
    """
    with Image.open(place / row["file"]) as stored:
        pixels = np.asarray(stored.convert("L"), np.float32) / np.float32(255)
    side = ImageLaterality(row["side"])
    image = Mammogram(pixels, row["file"], ViewPosition.MLO, side, pixel_spacing_mm=(PIXEL_MM, PIXEL_MM))
    lesions: dict[BreastClass, np.ndarray] = {}
    height, width = pixels.shape
    for circle in row["circles"]:
        lesions[circle.kind] = lesions.get(circle.kind, False) | circle.mask((height, width))
    return MaskCase(image, label_map_of(image, lesions), row["patient"], Look.FILM)


def _row(name: str) -> dict[str, Any]:
    number = int(name.removeprefix("mdb"))
    patient = f"MIAS {(number + 1) // 2:03d}"
    side = ImageLaterality.RIGHT if number % 2 else ImageLaterality.LEFT
    row = {"split": split_of(patient, PERCENT), "file": f"{name}.pgm", "patient": patient, "side": side.value}
    return {**row, "circles": (), "is_drawable": True}


def _parsed(line: str) -> tuple[str, tuple[Circle, ...], bool]:
    """Name of the image, its mass if this is one, and whether nothing else was found."""
    refused = DataError(f"found {line.strip()[:80]!r}, expected such as {EXPECTED}")
    name, *words = line.split()
    if re.fullmatch(r"mdb\d{3}", name) is None or len(words) < 2 or words[1] not in (NONE, *MASSES, *OTHERS):
        raise refused
    if words[1] == NONE:
        return name, (), True
    if len(words) < 3 or words[2] not in SEVERITIES:
        raise refused
    if words[1] in OTHERS or len(words) == 3:
        return name, (), False
    if len(words) != 6 or not all(word.isdecimal() for word in words[3:]):
        raise refused
    x, y, radius = map(int, words[3:])
    return name, (Circle(SEVERITIES[words[2]], x, y, radius),), True
