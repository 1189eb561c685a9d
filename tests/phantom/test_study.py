"""The phantom's exam as DICOM files."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from mammosynth.dicom.contrast_enhanced import Exposure, exposure_of
from mammosynth.dicom.read import read_mammogram
from mammosynth.phantom import generate_breast, project, write_study
from mammosynth.terms import ImageLaterality, PresentationIntentType, ViewPosition

ROWS = 64
VIEWS = [("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO")]


def test_an_exam_has_four_views_in_four_series_of_one_study(tmp_path: Path) -> None:
    headers = [dcmread(path) for path in write_study(tmp_path, seed=1, rows=ROWS)]
    assert [(header.ImageLaterality, header.ViewPosition) for header in headers] == VIEWS
    assert len({header.StudyInstanceUID for header in headers}) == 1
    assert len({header.SeriesInstanceUID for header in headers}) == 4
    assert [header.SeriesDescription for header in headers][1] == "L CC low energy"
    assert str(headers[0].PatientName).startswith("PHANTOM^")


def test_all_views_can_share_a_series(tmp_path: Path) -> None:
    paths = write_study(tmp_path, seed=1, rows=ROWS, include_recombined=True, one_series=True)
    headers = [dcmread(path) for path in paths]
    assert len({header.SeriesInstanceUID for header in headers}) == 2
    assert len({header.SOPInstanceUID for header in headers}) == 8
    low_energy = [header for header in headers if exposure_of(header) is Exposure.LOW_ENERGY]
    assert len({header.SeriesInstanceUID for header in low_energy}) == 1
    assert [header.InstanceNumber for header in low_energy] == [1, 2, 3, 4]


def test_our_reader_takes_the_images_and_sees_what_was_drawn(tmp_path: Path) -> None:
    for path, (side, position) in zip(write_study(tmp_path, seed=1, rows=ROWS), VIEWS, strict=True):
        mammogram = read_mammogram(path)
        breast = generate_breast(2 if side == "R" else 3)
        drawn = project(breast, ViewPosition(position), ImageLaterality(side), rows=ROWS).low_energy
        assert np.abs(mammogram.pixels - drawn).max() < 1e-3
        assert (mammogram.image_laterality, mammogram.view_position) == (side, position)
        assert mammogram.presentation_intent_type is PresentationIntentType.FOR_PRESENTATION
        assert mammogram.pixel_spacing_mm == pytest.approx((2294 * 0.094 / ROWS,) * 2, abs=1e-5)


def test_a_recombined_image_says_what_it_is(tmp_path: Path) -> None:
    paths = write_study(tmp_path, seed=1, rows=ROWS, include_recombined=True)
    exposures = [exposure_of(dcmread(path)) for path in paths]
    assert exposures == [Exposure.LOW_ENERGY, Exposure.RECOMBINED] * 4
    recombined = dcmread(paths[3])
    assert recombined.SeriesDescription == "L CC recombined"
    assert list(recombined.ImageType)[:2] == ["DERIVED", "PRIMARY"]


def test_a_seed_gives_the_same_files_and_anything_else_other_uids(tmp_path: Path) -> None:
    first = write_study(tmp_path / "a", seed=1, rows=ROWS)
    again = write_study(tmp_path / "b", seed=1, rows=ROWS)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    others = [{"seed": 2, "rows": ROWS}, {"seed": 1, "rows": ROWS + 2}, {"seed": 1, "rows": ROWS, "one_series": True}]
    for number, arguments in enumerate(others):
        paths = write_study(tmp_path / str(number), **arguments)  # type: ignore[arg-type]
        assert not {dcmread(p).SOPInstanceUID for p in paths} & {dcmread(p).SOPInstanceUID for p in first}


def test_chest_wall_and_patient_orientation_agree(tmp_path: Path) -> None:
    for path in write_study(tmp_path, seed=1, rows=ROWS):
        header = dcmread(path)
        chest_wall = header.pixel_array[:, -1 if header.PatientOrientation[0] == "P" else 0]
        assert (header.PatientOrientation[0] == "P") == (header.ImageLaterality == "R")
        assert (chest_wall > 0).mean() > 0.4


def test_every_image_says_that_it_is_computer_generated(tmp_path: Path) -> None:
    for path in write_study(tmp_path, seed=1, rows=ROWS, include_recombined=True):
        header = dcmread(path)
        assert "omputer-generated" in header.ImageComments
        assert "omputer-generated" in header.StudyDescription


def test_progress_is_told_after_each_image(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    paths = write_study(tmp_path, seed=1, rows=ROWS, progress=lambda *news: told.append(news))
    assert told == [((n + 1) / 4, path.name) for n, path in enumerate(paths)]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed: apt-get install dicom3tools")
def test_the_files_conform_to_the_standard(tmp_path: Path) -> None:
    for path in write_study(tmp_path, seed=1, rows=ROWS, include_recombined=True):
        checked = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        found = checked.stdout + checked.stderr
        assert "MammographyImageForPresentation" in found
        assert [line for line in found.splitlines() if line.startswith("Error")] == []
