"""Jobs without a server: a model of constant numbers, an order for it, what it left in the archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mammosynth.networks.ensemble import Ensemble
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing
from mammosynth.tasks.contrast.synthesizer import ContrastSynthesizer
from monailabel_app.dicom_json import value_of
from monailabel_app.gateway.history import list_synthesized
from monailabel_app.gateway.jobs import JobRequest
from monailabel_app.gateway.synthesis import run_job
from monailabel_app.infers import BundleInferTask, synthesize_alone
from monailabel_app.studies import DicomWebStudies
from tests.support.models import bundle_of


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

    synthesize = staticmethod(synthesize_alone)

    def task(self, model: str) -> BundleInferTask:
        return self.infer_task


def app(network: nn.Module) -> App:
    synthesizer = ContrastSynthesizer(BreastFramePreprocessing((64, 48)), network)
    return App(BundleInferTask(bundle_of(synthesizer, name="two")))


def two_members() -> nn.Module:
    return Ensemble([ConstantFields(0.2, 0.0), ConstantFields(0.4, 0.0)]).eval()


def request_of(archive: DicomWebStudies, **parameters: Any) -> JobRequest:
    series = next(s for s in archive.mammography_series() if "L CC low energy" in value_of(s, "0008103E"))
    return order_of(value_of(series, "0020000D"), value_of(series, "0020000E"), **parameters)


def order_of(study: str, series: str, **parameters: Any) -> JobRequest:
    inputs = {"source": {"study_instance_uid": study, "series_instance_uid": series}}
    return JobRequest("contrast", inputs, parameters, "me")


def run(network: nn.Module, archive: DicomWebStudies, request: JobRequest) -> dict[str, Any]:
    return run_job(app(network), archive, request, lambda fraction, message: None)


def stored(archive: DicomWebStudies, study: str) -> dict[str, int]:
    """Role of the output to number of instances, of what was generated."""
    found: dict[str, int] = {}
    for entry in list_synthesized(archive, study):
        found[entry["role"]] = found.get(entry["role"], 0) + len(entry["sop_instance_uids"])
    return found
