import numpy as np
import pytest

from mammosynth.errors import DataError
from mammosynth.mammogram import Mammogram
from mammosynth.phantom.case import generate_case
from mammosynth.phantom.parameters import CaseParameters
from mammosynth.phantom.study import write_study
from mammosynth.phantom.write import write_case
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.terms import ImageLaterality, ViewPosition
from monailabel_app.studies import DicomWebStudies
from monailabel_app.trainers import pairs_from_archive, split_by_patient
from tests.pacs.servers import embedded_store


def _pair(patient):
    pixels = np.zeros((8, 8), np.float32)
    return ContrastPair(Mammogram(pixels, "image"), pixels, patient)


def test_patients_are_never_on_both_sides_and_the_split_ignores_the_order():
    pairs = [_pair(f"p{i % 10}") for i in range(40)]
    training, validation = split_by_patient(pairs)
    again, _ = split_by_patient(pairs[::-1])
    assert {p.patient_id for p in training} & {p.patient_id for p in validation} == set()
    assert len({p.patient_id for p in validation}) == 2
    assert {p.patient_id for p in again} == {p.patient_id for p in training}


def test_one_patient_is_not_enough_to_train():
    with pytest.raises(DataError, match="one patient only"):
        split_by_patient([_pair("p1"), _pair("p1")])


def test_pairs_of_an_archive_are_the_low_energy_and_recombined_images_of_one_view(tmp_path):
    write_study(tmp_path / "exams" / "a", seed=1, pixel_mm=3.6, patient_id="A", include_recombined=True)
    write_study(tmp_path / "exams" / "b", seed=2, pixel_mm=3.6, patient_id="B")
    with embedded_store(tmp_path / "exams", index_folder=tmp_path / "index") as url:
        pairs = pairs_from_archive(DicomWebStudies(url))
    found = {(str(p.low_energy.image_laterality), str(p.low_energy.view_position)) for p in pairs}
    assert found == {("L", "CC"), ("L", "MLO"), ("R", "CC"), ("R", "MLO")}
    assert {len(p.patient_id) for p in pairs} == {16}
    for pair in pairs:
        assert not np.allclose(pair.low_energy.pixels, pair.recombined)


def test_an_archive_without_pairs_says_what_a_pair_is(tmp_path):
    write_study(tmp_path / "exams", seed=2, pixel_mm=3.6, patient_id="B")
    with (
        embedded_store(tmp_path / "exams", index_folder=tmp_path / "index") as url,
        pytest.raises(DataError, match="LOW ENERGY and one that says RECOMBINED"),
    ):
        pairs_from_archive(DicomWebStudies(url))


def test_images_for_presentation_are_preferred_where_an_archive_holds_both(tmp_path):
    parameters = CaseParameters(1, sides=(ImageLaterality.LEFT,), views=(ViewPosition.CC,), pixel_mm=3.6)
    write_case(tmp_path / "exams", parameters)
    with embedded_store(tmp_path / "exams", index_folder=tmp_path / "index") as url:
        (pair,) = pairs_from_archive(DicomWebStudies(url))
    (view,) = generate_case(parameters)
    assert np.abs(pair.low_energy.pixels - view.low_energy).max() < 1 / 4095
    assert np.abs(pair.recombined - view.recombined).max() < 1 / 4095
