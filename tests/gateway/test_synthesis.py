"""A job from archive to archive: the image, and its uncertainty as a series of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mammosynth.bundle import Bundle
from mammosynth.errors import InvalidParameterError
from mammosynth.networks.ensemble import Ensemble
from mammosynth.phantom.clinic.exam import write_exam
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing
from mammosynth.tasks.contrast.synthesizer import ContrastSynthesizer
from monailabel_app.dicom_json import value_of
from monailabel_app.gateway.jobs import JobRequest
from monailabel_app.gateway.synthesis import run_job
from monailabel_app.infers import BundleInferTask
from monailabel_app.studies import DicomWebStudies, ViewRequest
from tests.support.archives import embedded_store


class ConstantFields(nn.Module):
    """Offset and gain that are the same everywhere."""

    def __init__(self, offset: float, gain: float) -> None:
        super().__init__()
        self.fields = nn.Parameter(torch.tensor([offset, gain]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fields[None, :, None, None].expand(len(x), 2, *x.shape[2:])


@dataclass
class App:
    """The one thing that a job asks of the app."""

    infer_task: BundleInferTask

    def task(self, model: str) -> BundleInferTask:
        return self.infer_task


def app(network: nn.Module) -> App:
    synthesizer = ContrastSynthesizer(BreastFramePreprocessing((64, 48)), network)
    metadata: dict[str, Any] = {"mammosynth": {}}
    return App(BundleInferTask(Bundle("two", "1", "contrast", "", metadata, "ab" * 32, True, synthesizer)))


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[DicomWebStudies]:
    write_exam(tmp_path / "exams", seed=7, pixel_mm=3.6, patient_id="P")
    with embedded_store(tmp_path / "exams", index_folder=tmp_path / "index") as url:
        yield DicomWebStudies(url)


def request_of(archive: DicomWebStudies, **parameters: Any) -> JobRequest:
    series = next(s for s in archive.mammography_series() if "L CC low energy" in value_of(s, "0008103E"))
    return order_of(value_of(series, "0020000D"), value_of(series, "0020000E"), **parameters)


def order_of(study: str, series: str, **parameters: Any) -> JobRequest:
    inputs = {"source": {"study_instance_uid": study, "series_instance_uid": series}}
    return JobRequest("contrast", inputs, parameters, "me")


def run(network: nn.Module, archive: DicomWebStudies, request: JobRequest) -> dict[str, Any]:
    return run_job(app(network), archive, request, lambda fraction, message: None)


def two_members() -> nn.Module:
    return Ensemble([ConstantFields(0.2, 0.0), ConstantFields(0.4, 0.0)]).eval()


def stored(archive: DicomWebStudies, study: str) -> dict[str, int]:
    """Series Description to number of instances, of what was generated."""
    found = archive.client.search_for_series(study, fields=["SeriesDescription", "NumberOfSeriesRelatedInstances"])
    descriptions = {value_of(s, "0008103E"): int(value_of(s, "00201209")) for s in found}
    return {key: count for key, count in descriptions.items() if not key.startswith("SYNTHETIC PHANTOM")}


def test_uncertainty_becomes_a_second_series_of_the_study(archive: DicomWebStudies) -> None:
    request = request_of(archive, uncertainty=True)
    result = run(two_members(), archive, request)
    study = request.study_instance_uid
    assert stored(archive, study) == {"SYNTHETIC contrast L CC": 1, "SYNTHETIC contrast uncertainty L CC": 1}
    uncertainty = result["uncertainty"]
    assert uncertainty["series_instance_uid"] != result["series_instance_uid"]
    dataset = archive.client.retrieve_instance(
        study, uncertainty["series_instance_uid"], uncertainty["sop_instance_uids"][0]
    )
    assert dataset[0x0008001C].value == "YES"
    middle = dataset.pixel_array[dataset.Rows // 2, 2]  # chest wall of a left breast
    assert middle == round(0.1 * 65535)  # the members say 0.2 and 0.4
    assert uncertainty["series_instance_uid"] in result["viewer_url"]
    assert result["provenance"][0]["parameters"] == {"uncertainty": True}


def test_the_same_job_again_makes_only_what_is_missing(archive: DicomWebStudies) -> None:
    request = request_of(archive, uncertainty=True)
    first = run(two_members(), archive, request)
    again = run(two_members(), archive, request)
    assert again["provenance"] == []
    assert (again["sop_instance_uids"], again["uncertainty"]) == (first["sop_instance_uids"], first["uncertainty"])
    assert set(stored(archive, request.study_instance_uid).values()) == {1}


def test_without_being_asked_for_there_is_no_uncertainty(archive: DicomWebStudies) -> None:
    request = request_of(archive)
    assert run(two_members(), archive, request)["uncertainty"] is None
    assert stored(archive, request.study_instance_uid) == {"SYNTHETIC contrast L CC": 1}


def test_uncertainty_of_a_single_network_fails_the_job_with_a_sentence(archive: DicomWebStudies) -> None:
    with pytest.raises(InvalidParameterError, match="is a single network"):
        run(ConstantFields(0.2, 0.0), archive, request_of(archive, uncertainty=True))


def test_infer_gives_the_image_and_says_where_the_uncertainty_is(archive: DicomWebStudies) -> None:
    task = app(two_members()).infer_task
    request = request_of(archive)
    source, _ = archive.source(request.inputs["source"]["series_instance_uid"], ViewRequest())
    order = task.parse({"uncertainty": True})
    file, params = task({"source": source, "source_path": None, "order": order})
    Path(file).unlink()
    assert "POST /synthesis" in params["uncertainty"]
    assert params["kind"] == "image"
