from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammosynth.errors import DataError
from mammosynth.preprocessing.look import Look
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.data import DATASET
from mammosynth.tasks.mask.layouts.mini_mias import Circle, read_case, read_rows
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.drawn_breasts import drawn_breast, painted

PROSE = """INFORMATION:

This file lists the films in the MIAS database.

1st column: MIAS database reference number.
REFNUM BG CLASS SEVERITY X Y RADIUS
"""
SIDE = 256
GLAND_X, GLAND_Y, RADIUS = 50, 160, 12


def write_set(folder: Path, *lines: str) -> Path:
    """Info.txt, and an image for each number in it: a breast of 192 columns in a black square."""
    folder.mkdir()
    (folder / "Info.txt").write_text(PROSE + "\n".join(lines) + "\n")
    for name in {line.split()[0] for line in lines}:
        mirrored = int(name[3:]) % 2 == 1
        pixels = np.zeros((SIDE, SIDE), np.float32)
        pixels[:, SIDE - 192 :] = painted(drawn_breast(SIDE, mirrored=True, lesion=False))
        pixels = pixels if mirrored else pixels[:, ::-1]
        Image.fromarray(np.rint(255 * pixels).astype(np.uint8)).save(folder / f"{name}.pgm")
    return folder


def test_circle_counts_rows_from_the_bottom():
    mask = Circle(BreastClass.BENIGN_LESION, x=2, y=1, radius=1).mask((6, 8))
    expected = np.zeros((6, 8), bool)
    expected[3:6, 2] = expected[4, 1:4] = True
    assert np.array_equal(mask, expected)


def test_an_image_gets_side_view_spacing_and_its_masses(tmp_path):
    first = f"mdb002 G CIRC B {GLAND_X} {GLAND_Y} {RADIUS}"
    folder = write_set(tmp_path / "set", first, f"mdb002 G SPIC M {GLAND_X} {GLAND_Y - 60} 6")
    (row,) = read_rows(folder)
    case = read_case(folder, row)
    assert (case.image.view_position, case.image.image_laterality) == (ViewPosition.MLO, ImageLaterality.LEFT)
    assert (case.image.pixel_spacing_mm, case.look, case.density) == ((0.2, 0.2), Look.FILM, None)
    assert case.labels.labels[SIDE - 1 - GLAND_Y, GLAND_X] == BreastClass.BENIGN_LESION
    assert (case.labels.labels == BreastClass.BENIGN_LESION).sum() == pytest.approx(np.pi * RADIUS**2, rel=0.05)
    assert case.labels.labels[SIDE - 1 - GLAND_Y + 60, GLAND_X] == BreastClass.MALIGNANT_LESION


def test_both_breasts_of_a_woman_are_in_one_split(tmp_path):
    folder = write_set(tmp_path / "set", *(f"mdb{number:03d} D NORM" for number in range(1, 41)))
    rows = {row["file"]: row for row in read_rows(folder)}
    assert rows["mdb001.pgm"]["patient"] == rows["mdb002.pgm"]["patient"] != rows["mdb003.pgm"]["patient"]
    assert (rows["mdb001.pgm"]["side"], rows["mdb002.pgm"]["side"]) == ("R", "L")
    assert len({row["patient"] for row in rows.values()}) == 20
    for odd in range(1, 41, 2):
        assert rows[f"mdb{odd:03d}.pgm"]["split"] == rows[f"mdb{odd + 1:03d}.pgm"]["split"]
    assert DATASET.splits(folder) == sorted({row["split"] for row in rows.values()})


@pytest.mark.parametrize(
    "finding",
    ["CALC B 50 60 9", "ARCH M 50 60 9", "ASYM B 50 60 9", "CIRC B", "CALC M *NOTE 3*"],
)
def test_images_with_a_finding_that_cannot_be_drawn_are_left_out(tmp_path, finding):
    folder = write_set(tmp_path / "set", f"mdb001 F CIRC B {SIDE - 50} 160 9", f"mdb001 F {finding}", "mdb002 F NORM")
    split = read_rows(folder)[0]["split"]
    assert [case.name for case in DATASET.read(folder, split)] == ["mdb002.pgm"]


@pytest.mark.parametrize(
    "line",
    ["mdb001 G", "mdb001 G LUMP B 1 2 3", "mdb001 G CIRC X 1 2 3", "mdb001 G CIRC B 1 2", "mdb001 G CIRC B 1 two 3"],
)
def test_lines_that_cannot_be_understood_are_told_with_number_and_form(tmp_path, line):
    folder = write_set(tmp_path / "set", "mdb002 D NORM", line)
    with pytest.raises(
        DataError, match=r"set: 1 line of Info.txt.*\n.*line 8: found 'mdb001.*expected such as 'mdb001 G"
    ):
        DATASET.splits(folder)


def test_a_circle_beside_the_image_and_a_missing_image_are_told_together(tmp_path):
    folder = write_set(tmp_path / "set", "mdb001 G CIRC B 900 20 5", "mdb002 G NORM")
    (folder / "mdb002.pgm").unlink()
    with pytest.raises(DataError) as refusal:
        DATASET.read(folder, read_rows(folder)[0]["split"])
    assert "mdb001.pgm: its circle is at x 900, y 20, expected within 256 x 256 pixels" in str(refusal.value)
    assert "mdb002.pgm: " in str(refusal.value)
