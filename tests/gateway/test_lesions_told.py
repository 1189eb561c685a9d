"""A drawing on the source of a contrast: told of in the job's result, and no part of what is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammosynth.dicom.segmentation import Segment, draw_segmentation
from mammosynth.errors import InvalidParameterError, UnsupportedImageError
from mammosynth.tasks.contrast.calibration import Calibration
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing
from mammosynth.tasks.contrast.synthesizer import ContrastSynthesizer
from monailabel_app.gateway.jobs import JobRequest
from monailabel_app.gateway.synthesis import run_job
from monailabel_app.infers import BundleInferTask
from monailabel_app.inputs import request_inputs
from monailabel_app.studies import DicomWebStudies, InstanceAddress
from tests.support.jobs import App, stored, two_members
from tests.support.models import bundle_of

pytestmark = pytest.mark.slow
CALIBRATION = Calibration(constant=0.0004, spread=1.0, grey=0.0, contrast=1.0)


def teller(calibration: Calibration | None = CALIBRATION) -> BundleInferTask:
    synthesizer = ContrastSynthesizer(BreastFramePreprocessing((64, 48)), two_members(), calibration=calibration)
    return BundleInferTask(bundle_of(synthesizer, name="two"))


def address_of(archive: DicomWebStudies, view: str = "L CC") -> InstanceAddress:
    for item in archive.mammography_series():
        if f"{view} low energy" in item["0008103E"]["Value"][0]:
            return archive.instances(item["0020000E"]["Value"][0])[0]
    raise AssertionError(view)


def draw(archive: DicomWebStudies, view: str = "L CC", *, side: int = 6, is_lesion: bool = True, rows: int = 0) -> str:
    """SOP Instance UID of a square in the middle of a view's breast, as if the image had more rows."""
    header = archive.header(address_of(archive, view))
    mask = np.zeros((header.Rows + rows, header.Columns), bool)
    header.Rows += rows
    row, column = header.Rows // 2, 14 if view[0] == "L" else header.Columns - 14 - side
    mask[row : row + side, column : column + side] = True
    segment = Segment(1, "Mass" if is_lesion else "adipose", mask, is_lesion=is_lesion)
    dataset = draw_segmentation([segment], header, software_version="0.1.0")
    archive.store(dataset)
    return dataset.SOPInstanceUID


def job(archive: DicomWebStudies, lesions: str | None = None, task: BundleInferTask | None = None) -> dict[str, Any]:
    source = address_of(archive)
    inputs: dict[str, Any] = {"source": {"study_instance_uid": source.study_instance_uid,
                                         "series_instance_uid": source.series_instance_uid}}  # fmt: skip
    if lesions is not None:
        inputs["lesions"] = {"study_instance_uid": source.study_instance_uid, "sop_instance_uid": lesions}
    request = JobRequest("two", inputs, {}, "me")
    return run_job(App(task or teller()), archive, request, lambda fraction, message: None)


def test_what_is_drawn_is_told_of_and_drawing_again_makes_no_other_image(archive: DicomWebStudies) -> None:
    source = address_of(archive)
    without = job(archive)
    first, second = (job(archive, draw(archive, side=side)) for side in (6, 8))
    assert without["remarks"] == []
    assert without["outputs"] == first["outputs"] == second["outputs"]
    assert (first["provenance"], second["provenance"]) == ([], [])
    assert stored(archive, source.study_instance_uid) == {"image": 1}
    for made, pixels in ((first, 36), (second, 64)):
        (remark,) = made["remarks"]
        assert remark["source_sop_instance_uid"] == source.sop_instance_uid
        assert remark["role"] == "lesions"
        assert remark["sentence"].startswith("Mass: expected contrast +0.00 ")
        assert remark["sentence"].endswith("and +0.17: no enhancement is within what is expected.")
        assert remark["values"]["pixels"] == pixels
        assert remark["values"]["high"] == pytest.approx(1.645 * np.sqrt(0.0004 + 0.1**2), abs=1e-3)
        json.dumps(made)


def test_an_image_that_is_made_with_a_drawing_is_the_one_that_is_made_without(archive: DicomWebStudies) -> None:
    made = job(archive, draw(archive))
    assert [source["role"] for source in made["provenance"][0]["sources"]] == ["source"]
    output = made["outputs"][0]
    dataset = archive.client.retrieve_instance(
        output["study_instance_uid"], output["series_instance_uid"], output["sop_instance_uid"]
    )
    assert len(dataset.SourceImageSequence) == 1
    assert job(archive)["outputs"] == made["outputs"]


@pytest.mark.parametrize(
    ("drawing", "words"),
    [
        ({"view": "R CC"}, "is drawn on R CC, the source is L CC; draw on the source itself"),
        ({"is_lesion": False}, "segment 1, 'adipose', is no lesion, expected lesions alone"),
        ({"side": 0}, "nothing is drawn; draw a lesion, or leave this input out"),
        ({"rows": 2}, r"the segmentation has \d+ x \d+ pixels, the image \d+ x \d+; draw on the image itself"),
    ],
)
def test_a_drawing_that_cannot_be_told_of_is_refused_in_words_and_nothing_is_stored(
    archive: DicomWebStudies, drawing: dict[str, Any], words: str
) -> None:
    uid = draw(archive, **drawing)
    with pytest.raises(UnsupportedImageError, match=words):
        job(archive, uid)
    assert stored(archive, address_of(archive).study_instance_uid) == {}


def test_a_model_that_promises_no_interval_has_no_slot_for_lesions(archive: DicomWebStudies) -> None:
    assert [slot["role"] for slot in teller(calibration=None).info()["slots"]] == ["source"]
    assert [slot["role"] for slot in teller().info()["slots"]] == ["source", "lesions"]
    with pytest.raises(InvalidParameterError, match="input 'lesions' is unknown, expected source"):
        job(archive, draw(archive), teller(calibration=None))


def test_infer_tells_of_a_drawing_and_is_silent_without(archive: DicomWebStudies) -> None:
    uid, task = draw(archive), teller()
    order = task.parse({})
    for inputs, told in (({"lesions": uid}, ["lesions"]), ({}, None)):
        request = {"image": address_of(archive).series_instance_uid, "inputs": inputs}
        given, path = request_inputs(archive, order, request)
        file, params = task({"order": order, "inputs": given, "source_path": path})
        Path(file).unlink()
        assert params.keys() == {"kind", "provenance"} | ({"remarks"} if told else set())
        assert [remark["role"] for remark in params.get("remarks", [])] == (told or [])
