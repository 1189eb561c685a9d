"""A job from archive to archive: the image, and its uncertainty as a series of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from mammosynth import journey
from mammosynth.errors import InvalidParameterError, UnreadableImageError
from mammosynth.phantom.clinic.exam import write_exam
from monailabel_app.errors import PacsError
from monailabel_app.gateway.jobs import JobCancelled, JobRequest
from monailabel_app.gateway.synthesis import run_job, sources_of
from monailabel_app.inputs import request_inputs
from monailabel_app.studies import DicomWebStudies
from tests.support.archives import embedded_store
from tests.support.jobs import ConstantFields, app, order_of, request_of, run, stored, two_members


@pytest.mark.slow
def test_uncertainty_becomes_a_second_series_of_the_study(archive: DicomWebStudies) -> None:
    request = request_of(archive, uncertainty=True)
    result = run(two_members(), archive, request)
    study = request.study_instance_uid
    assert stored(archive, study) == {"image": 1, "uncertainty": 1}
    image, uncertainty = result["outputs"]
    assert (image["role"], uncertainty["role"]) == ("image", "uncertainty")
    assert uncertainty["series_instance_uid"] != image["series_instance_uid"]
    dataset = archive.client.retrieve_instance(
        study, uncertainty["series_instance_uid"], uncertainty["sop_instance_uid"]
    )
    assert dataset[0x0008001C].value == "YES"
    middle = dataset.pixel_array[dataset.Rows // 2, 2]  # chest wall of a left breast
    assert middle == round(0.1 * 65535)  # the members say 0.2 and 0.4
    assert uncertainty["series_instance_uid"] in result["viewer_url"]
    assert [made["parameters"] for made in result["provenance"]] == [{"uncertainty": True}]


@pytest.mark.slow
def test_the_same_job_again_makes_only_what_is_missing(archive: DicomWebStudies) -> None:
    request = request_of(archive, uncertainty=True)
    first = run(two_members(), archive, request)
    again = run(two_members(), archive, request)
    assert again["provenance"] == []
    assert again["outputs"] == first["outputs"]
    assert stored(archive, request.study_instance_uid) == {"image": 1, "uncertainty": 1}


def test_without_being_asked_for_there_is_no_uncertainty(archive: DicomWebStudies) -> None:
    request = request_of(archive)
    assert [output["role"] for output in run(two_members(), archive, request)["outputs"]] == ["image"]
    assert stored(archive, request.study_instance_uid) == {"image": 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    "parameters", [{"seed": 3}, {"burned_in_mark": False}, {"view_position": "MLO"}, {"image_laterality": "R"}]
)
def test_whatever_decides_the_pixels_makes_another_image(archive: DicomWebStudies, parameters: dict[str, Any]) -> None:
    first, second = (run(two_members(), archive, request_of(archive, **given)) for given in ({}, parameters))
    assert first["outputs"][0]["sop_instance_uid"] != second["outputs"][0]["sop_instance_uid"]
    assert len(second["provenance"]) == 1


@pytest.mark.slow
def test_a_whole_study_is_one_job_of_all_its_views(archive: DicomWebStudies) -> None:
    study = request_of(archive).study_instance_uid
    told: list[str] = []
    request = JobRequest("contrast", {"source": {"study_instance_uid": study}}, {}, "me")
    result = run_job(app(two_members()), archive, request, lambda fraction, message: told.append(message))
    assert len(result["outputs"]) == len({o["source_sop_instance_uid"] for o in result["outputs"]}) == 4
    assert any(message.startswith("image 4 of 4") for message in told)
    assert result["refused"] == []


@pytest.mark.slow
def test_sources_of_a_study_are_told_with_the_reason_why_not(tmp_path: Path) -> None:
    write_exam(tmp_path / "exams", seed=7, pixel_mm=3.6, patient_id="P", include_recombined=True)
    with embedded_store(tmp_path / "exams", index_folder=tmp_path / "index") as url:
        archive = DicomWebStudies(url)
        request = request_of(archive)
        run(two_members(), archive, request)  # what was made is no source
        listed = sources_of(app(two_members()), archive, request.study_instance_uid or "", "contrast")
    assert sum(each["accepted"] for each in listed) == 4
    reasons = {each["reason"].partition(": ")[2] for each in listed if not each["accepted"]}
    assert any("expected low energy" in reason for reason in reasons)
    assert any("a generated image" in reason for reason in reasons)
    assert {each["view_position"] for each in listed if each["accepted"]} == {"CC", "MLO"}


@pytest.mark.slow
def test_one_bad_view_does_not_fail_the_others(archive: DicomWebStudies) -> None:
    request = request_of(archive)
    series = request.inputs["source"]["series_instance_uid"]
    (good,) = archive.instances(series)
    for number, spoil in enumerate((_without_view, _of_another_modality), start=1):
        dataset = archive.retrieve(good)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        dataset.InstanceNumber = number + 1
        spoil(dataset)
        archive.store(dataset)
    result = run(two_members(), archive, request)
    assert [output["source_sop_instance_uid"] for output in result["outputs"]] == [good.sop_instance_uid]
    assert len(result["refused"]) == 2
    assert result["message"] == "done; 2 of 3 images could not be used"


def _without_view(dataset: Dataset) -> None:
    for keyword in ("ViewPosition", "ViewCodeSequence", "SeriesDescription"):
        if keyword in dataset:
            delattr(dataset, keyword)


def _of_another_modality(dataset: Dataset) -> None:
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"


@pytest.mark.slow
def test_another_version_of_the_software_makes_another_image(
    archive: DicomWebStudies, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of(archive)
    run(two_members(), archive, request)
    monkeypatch.setattr(journey, "__version__", "999.0.0")
    run(two_members(), archive, request)
    assert stored(archive, request.study_instance_uid) == {"image": 2}


@pytest.fixture(scope="module")
def one_series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of four views in one series; not to be changed."""
    folder = tmp_path_factory.mktemp("one series")
    write_exam(folder, seed=7, pixel_mm=3.6, patient_id="P", one_series=True)
    return folder


@pytest.fixture
def four_views(one_series: Path, tmp_path: Path) -> Iterator[tuple[DicomWebStudies, JobRequest, Path]]:
    """Four views in one series of an archive, an order for all of them, and the folder of their files."""
    folder = tmp_path / "exams"
    shutil.copytree(one_series, folder)
    header = pydicom.dcmread(folder / "R-CC-low-energy.dcm", stop_before_pixels=True)
    with embedded_store(folder, index_folder=tmp_path / "index") as url:
        yield DicomWebStudies(url), order_of(header.StudyInstanceUID, header.SeriesInstanceUID), folder


def damage(folder: Path, view: str, change: Callable[[Dataset], None]) -> str:
    """Change the file of a view; its SOP Instance UID."""
    file = folder / f"{view}-low-energy.dcm"
    dataset = pydicom.dcmread(file)
    change(dataset)
    dataset.save_as(file)
    return dataset.SOPInstanceUID


def cut_off(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:100]


@pytest.mark.slow
def test_a_view_that_cannot_be_decoded_does_not_fail_the_others(
    four_views: tuple[DicomWebStudies, JobRequest, Path],
) -> None:
    archive, request, folder = four_views
    bad = damage(folder, "L-CC", cut_off)
    result = run(two_members(), archive, request)
    assert len(result["refused"]) == 1
    assert bad in result["refused"][0]
    assert result["message"] == "done; 1 of 4 images could not be used"
    assert stored(archive, request.study_instance_uid) == {"image": 3}


def test_a_job_without_one_usable_view_fails_with_a_reason(
    four_views: tuple[DicomWebStudies, JobRequest, Path],
) -> None:
    archive, request, folder = four_views
    for view in ("R-CC", "L-CC", "R-MLO", "L-MLO"):
        damage(folder, view, cut_off)
    with pytest.raises(UnreadableImageError, match="Pixel Data"):
        run(two_members(), archive, request)
    assert stored(archive, request.study_instance_uid) == {}


def test_an_archive_that_fails_in_the_middle_fails_the_job(
    four_views: tuple[DicomWebStudies, JobRequest, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, request, _ = four_views
    store = archive.store

    def store_one(dataset: Dataset) -> None:
        if stored(archive, request.study_instance_uid):
            raise PacsError("the archive answered 503 while trying to store the result")
        store(dataset)

    monkeypatch.setattr(archive, "store", store_one)
    with pytest.raises(PacsError, match="503"):
        run(two_members(), archive, request)
    assert stored(archive, request.study_instance_uid) == {"image": 1}


@pytest.mark.slow
def test_what_is_stored_stays_when_a_job_is_cancelled_and_is_not_made_again(
    four_views: tuple[DicomWebStudies, JobRequest, Path],
) -> None:
    archive, request, _ = four_views

    def cancel(fraction: float, message: str) -> None:
        if stored(archive, request.study_instance_uid):
            raise JobCancelled

    with pytest.raises(JobCancelled):
        run_job(app(two_members()), archive, request, cancel)
    assert stored(archive, request.study_instance_uid) == {"image": 1}
    again = run(two_members(), archive, request)
    assert len(again["provenance"]) == 3
    assert stored(archive, request.study_instance_uid) == {"image": 4}


def test_uncertainty_of_a_single_network_fails_the_job_with_a_sentence(archive: DicomWebStudies) -> None:
    with pytest.raises(InvalidParameterError, match="is a single network"):
        run(ConstantFields(0.2, 0.0), archive, request_of(archive, uncertainty=True))


def test_infer_gives_the_image_and_says_where_the_uncertainty_is(archive: DicomWebStudies) -> None:
    task = app(two_members()).infer_task
    order = task.parse({"uncertainty": True})
    image = request_of(archive).inputs["source"]["series_instance_uid"]
    inputs, path = request_inputs(archive, order, {"image": image})
    file, params = task({"order": order, "inputs": inputs, "source_path": path})
    Path(file).unlink()
    assert "POST /synthesis" in params["uncertainty"]
    assert params["kind"] == "image"
