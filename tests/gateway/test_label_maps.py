"""A segmentation of the study becomes a label map in the hands of a model that asks for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammosynth.dicom.derive import derive_instances
from mammosynth.dicom.generated import synthesized_uid
from mammosynth.dicom.segmentation import LesionClass, Segment, draw_segmentation
from mammosynth.errors import InvalidParameterError, MissingAttributeError, UnsupportedImageError
from mammosynth.task import IMAGE, Output, Placement
from monailabel_app.drawings import label_map_for
from monailabel_app.errors import NotFoundError
from monailabel_app.gateway.history import list_synthesized
from monailabel_app.gateway.jobs import JobRequest
from monailabel_app.gateway.synthesis import run_job
from monailabel_app.infers import BundleInferTask
from monailabel_app.inputs import request_inputs
from monailabel_app.studies import DicomWebStudies, ViewRequest
from tests.support.jobs import App
from tests.support.models import PAINTING, Painter, bundle_of
from tests.support.provenance import provenance


def painter() -> BundleInferTask:
    return BundleInferTask(bundle_of(Painter(), name="painter", task=PAINTING))


def series_of(archive: DicomWebStudies, view: str) -> tuple[str, str]:
    """Study and series of a view of the exam."""
    for item in archive.mammography_series():
        if f"{view} low energy" in item["0008103E"]["Value"][0]:
            return item["0020000D"]["Value"][0], item["0020000E"]["Value"][0]
    raise AssertionError(view)


def draw(archive: DicomWebStudies, view: str) -> tuple[str, np.ndarray]:
    """SOP Instance UID of a segmentation that was drawn on a view, and its label map."""
    address = archive.instances(series_of(archive, view)[1])[0]
    header = archive.header(address)
    labels = np.zeros((header.Rows, header.Columns), np.uint8)
    labels[10:20, 5:9], labels[30:33, 6:7] = 1, 2
    segments = [Segment(1, "Lesion 1", labels == 1, LesionClass.BENIGN), Segment(2, "Lesion 2", labels == 2)]
    dataset = draw_segmentation(segments, header, software_version="0.1.0")
    archive.store(dataset)
    return dataset.SOPInstanceUID, labels


def job(archive: DicomWebStudies, view: str, lesions: str | None = None) -> dict[str, Any]:
    study, series = series_of(archive, view)
    inputs: dict[str, Any] = {"source": {"study_instance_uid": study, "series_instance_uid": series}}
    if lesions is not None:
        inputs["lesions"] = {"study_instance_uid": study, "sop_instance_uid": lesions}
    request = JobRequest("painter", inputs, {"burned_in_mark": False}, "me")
    return run_job(App(painter()), archive, request, lambda fraction, message: None)


@pytest.mark.slow
def test_a_model_gets_what_was_drawn_and_provenance_keeps_its_uid(archive: DicomWebStudies) -> None:
    uid, labels = draw(archive, "L CC")
    study, _ = series_of(archive, "L CC")
    result = job(archive, "L CC", lesions=uid)
    dataset = image_of(archive, result)
    np.testing.assert_array_equal(dataset.pixel_array, np.rint(labels / 10 * 65535))
    for sources in (result["provenance"][0]["sources"], list_synthesized(archive, study)[0]["sources"]):
        assert {each["role"]: each["sop_instance_uid"] for each in sources}["lesions"] == uid


@pytest.mark.slow
def test_another_drawing_is_another_image(archive: DicomWebStudies) -> None:
    first, second = (job(archive, "L CC", lesions=draw(archive, "L CC")[0]) for _ in range(2))
    assert first["outputs"][0]["sop_instance_uid"] != second["outputs"][0]["sop_instance_uid"]


@pytest.mark.slow
def test_a_drawing_on_an_image_of_the_same_view_is_accepted(archive: DicomWebStudies) -> None:
    uid, labels = draw(archive, "L CC")
    study, _ = series_of(archive, "L CC")
    made = job(archive, "L CC", lesions=uid)
    address = archive.instances(made["outputs"][0]["series_instance_uid"])[0]
    on_result = draw_segmentation(
        [Segment(1, "Lesion 1", labels == 2)], archive.header(address), software_version="0.1.0"
    )
    archive.store(on_result)
    result = job(archive, "L CC", lesions=on_result.SOPInstanceUID)
    dataset = image_of(archive, result)
    np.testing.assert_array_equal(dataset.pixel_array > 0, labels == 2)


@pytest.mark.slow
def test_a_drawing_on_another_view_is_refused(archive: DicomWebStudies) -> None:
    uid, _ = draw(archive, "R CC")
    with pytest.raises(UnsupportedImageError, match="is drawn on R CC, the source is L CC"):
        job(archive, "L CC", lesions=uid)


@pytest.mark.slow
def test_a_drawing_on_another_exposure_of_the_view_is_refused(archive: DicomWebStudies) -> None:
    repeat = archive.retrieve(archive.instances(series_of(archive, "L CC")[1])[0])
    repeat.SOPInstanceUID = repeat.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    archive.store(repeat)
    mask = np.ones((repeat.Rows, repeat.Columns), bool)
    drawn = draw_segmentation([Segment(1, "Lesion 1", mask)], repeat, software_version="0.1.0")
    archive.store(drawn)
    _, series = series_of(archive, "L CC")
    (source,) = (each for each in archive.instances(series) if each.sop_instance_uid != "1.2.3.4")
    with pytest.raises(UnsupportedImageError, match="not known to be of the same exposure"):
        label_map_for(archive, source.study_instance_uid, drawn.SOPInstanceUID, archive.view(source, ViewRequest()), {})


@pytest.mark.slow
def test_a_drawing_on_a_view_that_was_made_with_another_geometry_is_refused(archive: DicomWebStudies) -> None:
    (address,) = archive.instances(series_of(archive, "L CC")[1])
    source = archive.view(address, ViewRequest())
    mirrored = source.with_pixels(np.ascontiguousarray(source.pixels[::-1]))
    (made,) = derive_instances(
        *((Output(IMAGE, mirrored),), provenance(), Placement.SAME_STUDY, source), identify=synthesized_uid
    )
    archive.store(made)
    mask = np.ones(mirrored.pixels.shape, bool)
    drawn = draw_segmentation([Segment(1, "Lesion 1", mask)], made, software_version="0.1.0")
    archive.store(drawn)
    with pytest.raises(UnsupportedImageError, match="not known to be of the same exposure"):
        label_map_for(archive, address.study_instance_uid, drawn.SOPInstanceUID, source, {})


@pytest.mark.slow
def test_what_is_no_segmentation_of_the_study_is_refused(archive: DicomWebStudies) -> None:
    address = archive.instances(series_of(archive, "L CC")[1])[0]
    with pytest.raises(NotFoundError, match=r"holds no instance 1\.2\.3"):
        job(archive, "L CC", lesions="1.2.3")
    with pytest.raises(UnsupportedImageError, match="is no segmentation"):
        job(archive, "L CC", lesions=address.sop_instance_uid)
    with pytest.raises(InvalidParameterError, match=r"^inputs\.lesions\.sop_instance_uid: "):
        job(archive, "L CC", lesions="../1")
    with pytest.raises(MissingAttributeError, match="input 'lesions' is missing: Drawn on it"):
        job(archive, "L CC")


def test_clients_are_told_to_give_a_segmentation() -> None:
    described = {slot["role"]: slot for slot in painter().info()["slots"]}
    assert (described["lesions"]["kind"], described["lesions"]["on"]) == ("label_map", "source")
    assert described["lesions"]["required"]


@pytest.mark.slow
def test_classes_of_a_slot_are_found_by_the_names_of_segments(archive: DicomWebStudies) -> None:
    uid, labels = draw(archive, "L CC")
    study, series = series_of(archive, "L CC")
    source = archive.view(archive.instances(series)[0], ViewRequest())
    drawn = label_map_for(archive, study, uid, source, {5: "lesion 2", 7: "benign"})
    np.testing.assert_array_equal(drawn.labels, np.select([labels == 1, labels == 2], [7, 5], 0))
    with pytest.raises(UnsupportedImageError, match="segment 2 is 'Lesion 2', expected one of benign; name its class"):
        label_map_for(archive, study, uid, source, {7: "benign"})


def test_infer_accepts_a_drawing_where_there_is_an_archive(archive: DicomWebStudies) -> None:
    uid, _ = draw(archive, "L CC")
    task = painter()
    order = task.parse({})
    request = {"image": series_of(archive, "L CC")[1], "inputs": {"lesions": uid}}
    inputs, path = request_inputs(archive, order, request)
    file, params = task({"order": order, "inputs": inputs, "source_path": path})
    Path(file).unlink()
    assert [source["role"] for source in params["provenance"]["sources"]] == ["source", "lesions"]
    with pytest.raises(InvalidParameterError, match="'shape' is unknown, expected source, lesions"):
        request_inputs(archive, order, {"inputs": {"shape": 1}})
    with pytest.raises(InvalidParameterError, match="given twice"):
        request_inputs(archive, order, {"image": "1.2", "inputs": {"source": "1.3"}})


def image_of(archive: DicomWebStudies, result: dict[str, Any]) -> Any:
    output = result["outputs"][0]
    return archive.client.retrieve_instance(
        output["study_instance_uid"], output["series_instance_uid"], output["sop_instance_uid"]
    )
