import json

import numpy as np
import pytest

from mammosynth.bundle import load_bundle
from mammosynth.errors import DataError, InvalidParameterError
from mammosynth.mammogram import Mammogram
from mammosynth.parallel.local import LocalEngine
from mammosynth.phantom.clinic.case import generate_case
from mammosynth.phantom.clinic.cohort import write_cohort
from mammosynth.phantom.clinic.exam import write_exam
from mammosynth.phantom.clinic.manifest import CohortSettings
from mammosynth.phantom.clinic.write import write_case
from mammosynth.phantom.parameters import CaseParameters
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.tasks.contrast.specification import SPECIFICATION as CONTRAST
from mammosynth.terms import ImageLaterality, ViewPosition
from monailabel_app.options import AppOptions
from monailabel_app.studies import DicomWebStudies, FolderStudies
from monailabel_app.trainers import BundleTrainTask, cases_from_archive, split_by_patient
from tests.support.archives import embedded_store
from tests.support.templates import write_template


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


@pytest.mark.slow
def test_pairs_of_an_archive_are_the_low_energy_and_recombined_images_of_one_view(tmp_path):
    write_exam(tmp_path / "exams" / "a", seed=1, pixel_mm=3.6, patient_id="A", include_recombined=True)
    write_exam(tmp_path / "exams" / "b", seed=2, pixel_mm=3.6, patient_id="B")
    with embedded_store(tmp_path / "exams", index_folder=tmp_path / "index") as url:
        pairs = cases_from_archive(DicomWebStudies(url), CONTRAST)
    found = {(str(p.low_energy.image_laterality), str(p.low_energy.view_position)) for p in pairs}
    assert found == {("L", "CC"), ("L", "MLO"), ("R", "CC"), ("R", "MLO")}
    assert {len(p.patient_id) for p in pairs} == {16}
    for pair in pairs:
        assert not np.allclose(pair.low_energy.pixels, pair.recombined)


@pytest.mark.slow
def test_an_archive_without_pairs_says_what_a_pair_is(tmp_path):
    write_exam(tmp_path / "exams", seed=2, pixel_mm=3.6, patient_id="B")
    with (
        embedded_store(tmp_path / "exams", index_folder=tmp_path / "index") as url,
        pytest.raises(DataError, match="LOW ENERGY and one that says RECOMBINED"),
    ):
        cases_from_archive(DicomWebStudies(url), CONTRAST)


@pytest.mark.slow
def test_images_for_presentation_are_preferred_where_an_archive_holds_both(tmp_path):
    parameters = CaseParameters(1, sides=(ImageLaterality.LEFT,), views=(ViewPosition.CC,), pixel_mm=3.6)
    write_case(tmp_path / "exams", parameters)
    with embedded_store(tmp_path / "exams", index_folder=tmp_path / "index") as url:
        (pair,) = cases_from_archive(DicomWebStudies(url), CONTRAST)
    (view,) = generate_case(parameters)
    assert np.abs(pair.low_energy.pixels - view.low_energy).max() < 1 / 4095
    assert np.abs(pair.recombined - view.recombined).max() < 1 / 4095


RECIPE = {"steps": 2, "batch_size": 1, "validate_every": 1, "sample_every": 0, "warmup_steps": 0}


@pytest.fixture
def trainer(tmp_path):
    zoo = tmp_path / "zoo"
    bundle = load_bundle(write_template(zoo / "usual", **RECIPE))
    write_template(zoo / "other", **{**RECIPE, "steps": 3})
    options = AppOptions(model_zoo=(zoo,), trained_models=tmp_path / "trained")
    return BundleTrainTask(bundle, FolderStudies(str), str(tmp_path / "data"), options)


def write_phantoms(folder, seeds=(0, 8)):
    # Without lesions, whose empty masks are warned of.
    parameters = CaseParameters(0, lesions=(), views=(ViewPosition.CC,), sides=(ImageLaterality.LEFT,), pixel_mm=3.6)
    write_cohort(folder, CohortSettings(parameters), seeds, engine=LocalEngine(1))


def test_a_client_sees_the_recipe_of_the_bundle_but_not_what_belongs_to_the_machine(trainer):
    config = trainer.config()
    assert (config["bundle"], config["steps"], config["lesion_weight"]) == ("usual", 2, 0.5)
    assert not {"device", "threads", "checkpoint_every_s"} & set(config)


def test_what_a_client_may_not_ask_for_is_refused_with_what_it_may(trainer):
    for parameters, message in (
        ({"device": "cuda"}, "'device' is no parameter of this trainer with bundle usual, expected name, bundle"),
        ({"steps": 0, "noise": 9}, "'steps' is '0', .*'noise' is '9'"),
        ({"name": "../evil"}, "name is '../evil'"),
        ({"bundle": "/etc"}, "no bundle '/etc', expected one of other, usual"),
        ({"initial_weights": ".."}, "no bundle '..', expected one of other, usual"),
    ):
        with pytest.raises(InvalidParameterError, match=message):
            trainer.parse(parameters)


def test_of_a_whole_table_sent_back_only_changes_count(trainer):
    assert trainer.parse({**trainer.config(), "bundle": "other", "seed": 3}) == {"bundle": "other", "seed": 3}


@pytest.mark.slow
def test_trainer_writes_a_bundle_and_tells_losses_scores_and_warnings(trainer, tmp_path, caplog):
    write_phantoms(tmp_path / "data")
    request = {"model": "contrast", "local_rank": 0, "name": "mine", "bundle": "other", "initial_weights": "usual"}
    result = trainer({**request, "noise": 0.0}, None)
    assert result["stopped"] is False
    assert result["reason"] == "all steps are done"
    told = [json.loads(record.message) for record in caplog.records if record.message.startswith("{")]
    assert told[-1]["progress"] == 1
    assert told[-1].keys() >= {"loss", "val_score"}
    assert "warning: the lesion mask of 2 of 2 pairs is empty" in told[1]["message"]
    training = load_bundle(tmp_path / "trained" / "mine").metadata["mammosynth"]["training"]
    assert training["recipe"]["steps"] == 3
    assert training["recipe"]["noise"] == 0
    assert training["template"] == "other"
    assert training["initial_weights"]["bundle"] == "usual"


def test_bad_files_of_both_splits_are_told_at_once(trainer, tmp_path):
    write_phantoms(tmp_path / "data")
    for image in sorted((tmp_path / "data").rglob("*-low-energy.dcm")):
        image.write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"(?s)case-000000: .*case-000008: "):
        trainer({"name": "mine"}, None)
    assert not (tmp_path / "trained").exists()
