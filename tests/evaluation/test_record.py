"""Measured scores that go from a report into the bundle."""

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from mammosynth.bundle import METADATA, WEIGHTS, Bundle
from mammosynth.errors import BundleError
from mammosynth.evaluation.evaluation import Measure, Report, name_models
from mammosynth.evaluation.record import record_scores
from mammosynth.tasks.contrast.specification import SPECIFICATION as CONTRAST
from tests.support.models import PAINTING, Inverting, Painter, bundle_of

MEASURES = (Measure("PSNR", "dB", 20.5, (19.4, 21.6), 19.8, 26.5), Measure("SSIM", "", None, (None, None), 0.5, 0.6))
REPORT = Report("val", 4, 2, {}, "text", ((), MEASURES))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    for file in (METADATA, WEIGHTS):
        (folder / file).parent.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(b"weights")
    (folder / METADATA).write_text(json.dumps({"version": "2", "mammosynth": {"task": "contrast", "scores": {}}}))
    return folder


def model(weights: bytes) -> Bundle:
    return dataclasses.replace(bundle_of(Inverting()), weights_sha256=hashlib.sha256(weights).hexdigest())


def test_scores_stand_beside_their_interval_floor_and_ceiling(folder: Path) -> None:
    scores = record_scores(folder, model(b"weights"), REPORT, 1)
    written = json.loads((folder / METADATA).read_text())
    assert written == {"version": "2", "mammosynth": {"task": "contrast", "scores": scores}}
    assert {key: scores[key] for key in ("split", "images", "patients")} == {"split": "val", "images": 4, "patients": 2}
    assert scores["measures"][0] == {
        "name": "PSNR", "unit": "dB", "value": 20.5, "interval": [19.4, 21.6], "floor": 19.8, "ceiling": 26.5,
    }  # fmt: skip
    assert scores["measures"][1]["interval"] == [None, None]


def test_a_report_about_other_weights_is_not_recorded(folder: Path) -> None:
    with pytest.raises(BundleError, match="the report is about weights [0-9a-f]{16}, which are others"):
        record_scores(folder, model(b"others"), REPORT, 1)
    assert json.loads((folder / METADATA).read_text())["mammosynth"]["scores"] == {}


def test_models_that_cannot_be_compared_are_refused() -> None:
    name_models(CONTRAST, [bundle_of(Inverting())])
    for bundles, words in (
        ([], "no bundle was given"),
        ([bundle_of(Painter(), task=PAINTING)], "synthesizes painting, expected contrast"),
        ([bundle_of(Inverting()), bundle_of(Inverting())], "expected different names"),
    ):
        with pytest.raises(BundleError, match=words):
            name_models(CONTRAST, bundles)
