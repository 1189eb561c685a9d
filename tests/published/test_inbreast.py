"""INbreast, as its authors publish it: made of the same files, with other breasts in them."""

import plistlib
from pathlib import Path

import numpy as np
import pytest

from mammosynth.errors import DataError
from mammosynth.preprocessing.look import Look
from mammosynth.published import inbreast
from mammosynth.tasks.view.data import DATASET
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.breasts import breast_image
from tests.support.instances import as_file, build_instance

SHAPE = (256, 192)
HEADER = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"


def write_image(place: Path, number: str, side: str, view: str, patient: str = "6c613a14b80a8591") -> None:
    pixels = breast_image(*SHAPE, mirrored=side == "R")
    instance = build_instance(
        np.rint(3000 * pixels).astype(np.uint16), ImageLaterality=None, ViewPosition=None, ViewCodeSequence=None
    )
    folder = place / "AllDICOMs"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{number}_{patient}_MG_{side}_{'CC' if view == 'CC' else 'ML'}_ANON.dcm"
    (folder / name).write_bytes(as_file(instance).getvalue())


def write_outline(place: Path, number: str, kind: str = "Mass", points: tuple[str, ...] = ()) -> None:
    corners = points or ("(40.000000, 100.000000)", "(69.0, 100.0)", "(69.0, 139.0)", "(40.0, 139.0)")
    regions = [{"Name": kind, "Point_px": list(corners), "NumberOfPoints": len(corners)}]
    folder = place / "AllXML"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{number}.xml").write_bytes(plistlib.dumps({"Images": [{"ImageIndex": 0, "ROIs": regions}]}))


def write_table(place: Path, *rows: tuple[str, str, str]) -> Path:
    place.mkdir(exist_ok=True)
    lines = [f"removed;removed;{side};{view};201001;{number};3;4a" for number, side, view in rows]
    (place / "INbreast.csv").write_text("\n".join([HEADER, *lines, ";;;;;;;"]) + "\n")
    return place


def write_breast(place: Path, side: str = "L") -> Path:
    write_table(place, ("20586908", side, "CC"), ("20586934", side, "MLO"))
    for number, view in (("20586908", "CC"), ("20586934", "MLO")):
        write_image(place, number, side, view)
    write_outline(place, "20586908")
    return place


def test_both_views_of_a_breast_are_one_case_with_the_masses_outlined(tmp_path):
    place = write_breast(tmp_path / "set")
    (split,) = DATASET.splits(place)
    (case,) = DATASET.read(place, split)
    assert (case.patient_id, case.look, case.density) == ("6c613a14b80a8591", Look.DIGITAL, "c")
    assert (case.views.cc.view_position, case.views.mlo.view_position) == (ViewPosition.CC, ViewPosition.MLO)
    assert case.views.cc.image_laterality is ImageLaterality.LEFT
    rows, columns = np.nonzero(case.views.cc_lesion)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (100, 139, 40, 69)
    assert not case.views.mlo_lesion.any()  # no outlines: nothing was found on it


def test_calcifications_are_not_read_as_masses(tmp_path):
    place = write_breast(tmp_path / "set")
    write_outline(place, "20586908", kind="Calcification")
    (case,) = DATASET.read(place, DATASET.splits(place)[0])
    assert not case.views.cc_lesion.any()


def test_a_breast_of_one_view_is_left_out_and_all_views_of_a_patient_are_of_one_split(tmp_path):
    place = write_table(tmp_path / "set", *((str(n), side, "CC") for n, side in ((1, "L"), (2, "R"))))
    for number, side in (("1", "L"), ("2", "R")):
        write_image(place, number, side, "CC")
    assert len({row["split"] for row in inbreast.read_rows(place)}) == 1
    assert DATASET.read(place, DATASET.splits(place)[0]) == []


def test_rows_without_an_image_or_with_an_unknown_view_are_told(tmp_path):
    place = write_table(tmp_path / "set", ("20586908", "L", "CC"), ("20586934", "L", "XCCL"))
    (place / "AllDICOMs").mkdir()
    with pytest.raises(DataError) as refusal:
        DATASET.splits(place)
    assert "INbreast.csv, row 2: no 20586908_*.dcm in AllDICOMs" in str(refusal.value)
    assert "row 3: 'Laterality' and 'View' are 'L' and 'XCCL', expected L or R, and CC or MLO" in str(refusal.value)


@pytest.mark.parametrize("points", [("40; 100", "1, 2", "3, 4")])
def test_outlines_that_cannot_be_understood_are_told(tmp_path, points):
    place = write_breast(tmp_path / "set")
    write_outline(place, "20586908", points=points)
    with pytest.raises(DataError, match=r"20586908.xml: is no list of regions .*point '40; 100', expected \(x, y\)"):
        DATASET.read(place, DATASET.splits(place)[0])


def test_missing_columns_are_told(tmp_path):
    place = tmp_path / "set"
    (place / "AllDICOMs").mkdir(parents=True)
    (place / "INbreast.csv").write_text("Laterality,View\n")
    with pytest.raises(DataError, match=r"INbreast.csv: columns .* are missing"):
        DATASET.splits(place)
