"""Measured scores that go from a report into the bundle."""

import hashlib
import json
from pathlib import Path

import pytest

from mammosynth.bundle import METADATA, WEIGHTS
from mammosynth.errors import BundleError
from mammosynth.evaluation.record import RECORDED, record_scores
from tests.support.evaluation import made_up


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    for file in (METADATA, WEIGHTS):
        (folder / file).parent.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(b"weights")
    (folder / METADATA).write_text(json.dumps({"version": "2", "mammosynth": {"task": "contrast", "scores": {}}}))
    return folder


def test_scores_stand_beside_their_interval_floor_and_ceiling(bundle: Path) -> None:
    report = made_up()
    report["models"]["model"]["weights_sha256"] = hashlib.sha256(b"weights").hexdigest()
    scores = record_scores(bundle, report)
    written = json.loads((bundle / METADATA).read_text())
    assert written == {"version": "2", "mammosynth": {"task": "contrast", "scores": scores}}
    assert {key: scores[key] for key in ("split", "images", "patients")} == {"split": "val", "images": 4, "patients": 2}
    assert len(scores["measures"]) == len(RECORDED)
    psnr = scores["measures"][0]
    floors = [report["methods"][name]["metrics"]["psnr"]["value"] for name in report["methods"] if name[0] == "F"]
    assert (psnr["name"], psnr["unit"]) == ("PSNR", "dB")
    assert psnr["value"] == report["methods"]["model"]["metrics"]["psnr"]["value"]
    assert psnr["interval"][0] <= psnr["value"] <= psnr["interval"][1]
    assert psnr["floor"] == max(floors)
    assert psnr["ceiling"] == report["methods"]["shift 2 px"]["metrics"]["psnr"]["value"]


def test_a_report_about_other_weights_is_not_recorded(bundle: Path) -> None:
    report = made_up()
    report["models"]["model"]["weights_sha256"] = "0" * 64
    with pytest.raises(BundleError, match="report is about weights 0000"):
        record_scores(bundle, report)
    assert json.loads((bundle / METADATA).read_text())["mammosynth"]["scores"] == {}
