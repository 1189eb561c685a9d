"""The exam of a phantom patient as an archive holds it."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from mammosynth.dicom.contrast_enhanced import Exposure, exposure_of
from mammosynth.dicom.read import read_mammogram
from mammosynth.phantom.clinic.case import generate_case
from mammosynth.phantom.clinic.exam import write_exam
from mammosynth.phantom.parameters import CaseParameters

SMALL = 3.6
VIEWS = [("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO")]


@pytest.fixture(scope="module")
def exam(tmp_path_factory) -> list[Path]:
    """Low energy and recombined, four views."""
    return write_exam(tmp_path_factory.mktemp("exam"), seed=1, pixel_mm=SMALL, include_recombined=True)


@pytest.mark.slow
def test_an_exam_has_four_views_in_series_of_their_own_and_one_study(exam: list[Path]) -> None:
    headers = [dcmread(path) for path in exam]
    assert [(header.ImageLaterality, header.ViewPosition) for header in headers[::2]] == VIEWS
    assert [exposure_of(header) for header in headers] == [Exposure.LOW_ENERGY, Exposure.RECOMBINED] * 4
    assert len({header.StudyInstanceUID for header in headers}) == 1
    assert len({header.SeriesInstanceUID for header in headers}) == 8
    assert headers[2].SeriesDescription == "SYNTHETIC PHANTOM L CC low energy"
    assert headers[0].PatientID == "PHANTOM-1"


@pytest.mark.slow
def test_each_view_alone_is_as_it_is_in_the_whole_case(exam: list[Path]) -> None:
    whole = {(v.image_laterality, v.view_position): v for v in generate_case(CaseParameters(1, pixel_mm=SMALL))}
    for path, view in zip(exam[::2], VIEWS, strict=True):
        assert np.abs(read_mammogram(path).pixels - whole[view].low_energy).max() < 1 / 4095
    assert any(view.lesion_masks for view in whole.values())


@pytest.mark.slow
def test_processes_write_the_same_files(tmp_path: Path, exam: list[Path]) -> None:
    told: list[float] = []
    paths = write_exam(
        tmp_path, seed=1, pixel_mm=SMALL, include_recombined=True, workers=2, progress=lambda part, _: told.append(part)
    )
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in exam]
    assert told == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.slow
def test_all_views_can_share_a_series_and_a_patient_can_have_another_name(tmp_path: Path, exam: list[Path]) -> None:
    headers = [dcmread(path) for path in write_exam(tmp_path, seed=1, pixel_mm=SMALL, one_series=True, patient_id="P7")]
    assert len({header.SeriesInstanceUID for header in headers}) == 1
    assert [header.InstanceNumber for header in headers] == [1, 2, 3, 4]
    assert {header.PatientID for header in headers} == {"P7"}
    assert {header.SOPInstanceUID for header in headers}.isdisjoint(dcmread(path).SOPInstanceUID for path in exam)
