"""A segmentation of the study becomes a label map in the hands of a model that asks for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mammosynth.synthesis.parameters import LabelMap
from torch import nn

from mammosynth.bundle import Bundle
from mammosynth.dicom.segmentation import LesionClass, Segment, draw_segmentation
from mammosynth.errors import InvalidParameterError, UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.synthesis.result import Synthesis
from monailabel_app.errors import NotFoundError
from monailabel_app.gateway.history import list_synthesized
from monailabel_app.gateway.jobs import JobRequest
from monailabel_app.gateway.synthesis import run_job
from monailabel_app.infers import BundleInferTask
from monailabel_app.segmentations import label_map_for
from monailabel_app.studies import DicomWebStudies, FolderStudies, ViewRequest
from tests.gateway.test_synthesis import App, archive  # noqa: F401 - a fixture


@dataclass(frozen=True)
class DrawnParameters:
    lesions: LabelMap


class Painter:
    """A model that shows what was drawn: segment n is n tenths of white."""

    task = "contrast"
    parameters = DrawnParameters
    preprocessing = None
    network = nn.Identity()

    def __call__(
        self,
        source: Mammogram,
        parameters: DrawnParameters,
        seed: int,
        progress: Callable[[float, str], None] | None = None,
    ) -> Synthesis:
        return Synthesis(source.with_pixels(parameters.lesions.labels.astype(np.float32) / 10))


def painter() -> BundleInferTask:
    return BundleInferTask(Bundle("painter", "1", "contrast", "", {"mammosynth": {}}, "cd" * 32, True, Painter()))


def series_of(archive: DicomWebStudies, view: str) -> tuple[str, str]:  # noqa: F811
    """Study and series of a view of the exam."""
    for item in archive.mammography_series():
        if f"{view} low energy" in item["0008103E"]["Value"][0]:
            return item["0020000D"]["Value"][0], item["0020000E"]["Value"][0]
    raise AssertionError(view)


def draw(archive: DicomWebStudies, view: str) -> tuple[str, np.ndarray]:  # noqa: F811
    """SOP Instance UID of a segmentation that was drawn on a view, and its label map."""
    address = archive.instances(series_of(archive, view)[1])[0]
    header = archive.header(address)
    labels = np.zeros((header.Rows, header.Columns), np.uint8)
    labels[10:20, 5:9], labels[30:33, 6:7] = 1, 2
    segments = [Segment(1, "Lesion 1", labels == 1, LesionClass.BENIGN), Segment(2, "Lesion 2", labels == 2)]
    dataset = draw_segmentation(segments, header, software_version="0.1.0")
    archive.store(dataset)
    return dataset.SOPInstanceUID, labels


def job(archive: DicomWebStudies, view: str, **parameters: Any) -> dict[str, Any]:  # noqa: F811
    study, series = series_of(archive, view)
    inputs = {"source": {"study_instance_uid": study, "series_instance_uid": series}}
    request = JobRequest("painter", inputs, {"burned_in_mark": False, **parameters}, "me")
    return run_job(App(painter()), archive, request, lambda fraction, message: None)


def test_a_model_gets_what_was_drawn_and_provenance_keeps_its_uid(archive: DicomWebStudies) -> None:  # noqa: F811
    uid, labels = draw(archive, "L CC")
    study, _ = series_of(archive, "L CC")
    result = job(archive, "L CC", lesions=uid)
    dataset = archive.client.retrieve_instance(study, result["series_instance_uid"], result["sop_instance_uids"][0])
    np.testing.assert_array_equal(dataset.pixel_array, np.rint(labels / 10 * 65535))
    assert result["provenance"][0]["parameters"] == {"lesions": uid}
    assert [entry["parameters"] for entry in list_synthesized(archive, study)] == [{"lesions": uid}]


def test_another_drawing_is_another_image(archive: DicomWebStudies) -> None:  # noqa: F811
    first, second = (job(archive, "L CC", lesions=draw(archive, "L CC")[0]) for _ in range(2))
    assert first["sop_instance_uids"] != second["sop_instance_uids"]


def test_a_drawing_on_an_image_of_the_same_view_is_accepted(archive: DicomWebStudies) -> None:  # noqa: F811
    uid, labels = draw(archive, "L CC")
    study, _ = series_of(archive, "L CC")
    made = job(archive, "L CC", lesions=uid)
    address = archive.instances(made["series_instance_uid"])[0]
    on_result = draw_segmentation(
        [Segment(1, "Lesion 1", labels == 2)], archive.header(address), software_version="0.1.0"
    )
    archive.store(on_result)
    result = job(archive, "L CC", lesions=on_result.SOPInstanceUID)
    dataset = archive.client.retrieve_instance(study, result["series_instance_uid"], result["sop_instance_uids"][0])
    np.testing.assert_array_equal(dataset.pixel_array > 0, labels == 2)


def test_a_drawing_on_another_view_is_refused(archive: DicomWebStudies) -> None:  # noqa: F811
    uid, _ = draw(archive, "R CC")
    with pytest.raises(UnsupportedImageError, match="is drawn on R CC, the source is L CC"):
        job(archive, "L CC", lesions=uid)


def test_a_drawing_on_another_exposure_of_the_view_is_refused(archive: DicomWebStudies) -> None:  # noqa: F811
    repeat = archive.retrieve(archive.instances(series_of(archive, "L CC")[1])[0])
    repeat.SOPInstanceUID = repeat.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    archive.store(repeat)
    mask = np.ones((repeat.Rows, repeat.Columns), bool)
    drawn = draw_segmentation([Segment(1, "Lesion 1", mask)], repeat, software_version="0.1.0")
    archive.store(drawn)
    _, series = series_of(archive, "L CC")
    (source,) = (each for each in archive.instances(series) if each.sop_instance_uid != "1.2.3.4")
    with pytest.raises(UnsupportedImageError, match="not known to be of the same exposure"):
        label_map_for(archive, archive.view(source, ViewRequest()), drawn.SOPInstanceUID)


def test_what_is_no_segmentation_of_the_study_is_refused(archive: DicomWebStudies) -> None:  # noqa: F811
    address = archive.instances(series_of(archive, "L CC")[1])[0]
    with pytest.raises(NotFoundError, match=r"holds no instance 1\.2\.3"):
        job(archive, "L CC", lesions="1.2.3")
    with pytest.raises(UnsupportedImageError, match="is no segmentation"):
        job(archive, "L CC", lesions=address.sop_instance_uid)
    with pytest.raises(InvalidParameterError, match="lesions is '../1', not a DICOM UID"):
        job(archive, "L CC", lesions="../1")
    with pytest.raises(InvalidParameterError, match="'lesions' is missing"):
        job(archive, "L CC")


def test_clients_are_told_to_give_a_segmentation() -> None:
    described = painter().info()["parameters"]
    assert {each["name"]: each["type"] for each in described}["lesions"] == "segmentation"


def test_infer_accepts_a_drawing_where_there_is_an_archive(archive: DicomWebStudies) -> None:  # noqa: F811
    uid, _ = draw(archive, "L CC")
    task = painter()
    source, _ = archive.source(series_of(archive, "L CC")[1], ViewRequest())
    order = task.with_label_maps(task.parse({"lesions": uid}), source, archive)
    file, params = task({"source": source, "source_path": None, "order": order})
    Path(file).unlink()
    assert params["provenance"]["parameters"] == {"lesions": uid}
    with pytest.raises(InvalidParameterError, match="serve DICOM studies"):
        task.with_label_maps(task.parse({"lesions": uid}), source, FolderStudies(str))
