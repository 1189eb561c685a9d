"""JSON values that stand for a label map are drawn on request, as a synthesis would draw them; nonsense is refused."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from mammosynth.phantom.clinic.exam import write_exam
from mammosynth.task import Slot, task_named
from monailabel_app.errors import ConflictError, NotFoundError
from monailabel_app.gateway.previews import create_previews
from monailabel_app.gateway.refusals import answer_errors
from monailabel_app.gateway.scope import may_ask
from monailabel_app.identity import Identity, Role
from monailabel_app.studies import DicomWebStudies, ViewRequest
from tests.support.archives import embedded_store

MALIGNANT, MUSCLE = 7, 4
LESION = {"pathology": "malignant", "shape": {"x": 0.15, "y": 0.5, "a": 0.05, "b": 0.03}}
CIRCLES = [[0.2 + 0.1 * np.cos(t), 0.5 + 0.1 * np.sin(t)] for t in np.linspace(0, 6, 200)]


def slots_of(model: str) -> Sequence[Slot]:
    if model not in ("mask", "contrast"):
        raise NotFoundError(f"no model {model}")
    return task_named(model).slots


def share_of_square(within: np.ndarray) -> float:
    """Area in square image heights."""
    return float(within.sum() / within.shape[0] ** 2)


def no_archive() -> DicomWebStudies:
    raise ConflictError("there is no archive")


class Client:
    """The route alone, with the gateway's way to tell errors."""

    def __init__(self, archive: DicomWebStudies | None = None) -> None:
        app = FastAPI()
        app.include_router(create_previews(slots_of, lambda: archive or no_archive()))
        answer_errors(app)
        self.client = TestClient(app, raise_server_exceptions=False)

    def post(self, body: Any, path: str = "/preview/mask/breast") -> Any:
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.client.post(path, content=content, headers={"content-type": "application/json"})

    def drawn(self, path: str = "/preview/mask/breast", **body: Any) -> tuple[dict[str, Any], np.ndarray]:
        answer = self.post(body, path)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        labels = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["png"]))))
        assert labels.shape == (found["rows"], found["columns"])
        return found["values"], labels


@pytest.fixture(scope="module")
def client() -> Client:
    return Client()


def test_values_are_drawn_as_a_synthesis_would_draw_them(client: Client) -> None:
    values, labels = client.drawn(values={"lesions": [LESION]})
    assert values == {"lesions": [LESION]}
    assert (labels == MALIGNANT).sum() == pytest.approx(np.pi * 0.05 * 0.03 * 512**2, rel=0.01)
    _, mirrored = client.drawn(values={"lesions": [LESION], "image_laterality": "R"})
    np.testing.assert_array_equal(mirrored, labels[:, ::-1])


def test_suggestions_keep_view_side_and_lesions_also_of_a_breast_that_is_impossible(client: Client) -> None:
    impossible = {"view_position": "MLO", "image_laterality": "R", "a": 99, "lesions": [LESION]}
    values, labels = client.drawn(values=impossible, suggestion="random", seed=5)
    assert (values["view_position"], values["image_laterality"]) == ("MLO", "R")
    assert [each["pathology"] for each in values["lesions"]] == ["malignant"]
    assert {MUSCLE, MALIGNANT} <= set(np.unique(labels))
    again, _ = client.drawn(values=impossible, suggestion="random", seed=5)
    other, _ = client.drawn(values=impossible, suggestion="random", seed=6)
    assert again == values != other
    median, _ = client.drawn(values=impossible, suggestion="median")
    assert (median["view_position"], median["lesions"]) == ("MLO", [])


def test_a_lesion_is_added_and_all_else_stays(client: Client) -> None:
    before, _ = client.drawn(suggestion="median")
    values, labels = client.drawn(values=before, suggestion="add_benign_lesion", seed=2)
    (lesion,) = values.pop("lesions")
    assert lesion["pathology"] == "benign"
    assert 6 in labels
    assert values == {name: value for name, value in before.items() if name != "lesions"}
    outline = {**before, "fibroglandular": {"points": CIRCLES}}
    values, _ = client.drawn(values=outline, suggestion="add_malignant_lesion")
    assert (len(values["lesions"]), len(values["fibroglandular"]["points"])) == (1, 200)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"values": {"theta": 75, "start_angle": 60}}, "the nipple lies on the ellipse"),
        ({"values": {"a": 7}}, "parameter 'a' is '7', expected less than or equal to 1.5"),
        ({"values": {"a": "0.4"}}, "parameter 'a'"),
        ({"values": {"self": 1}}, "parameter 'self' is unknown"),
        ({"values": {"x0": 0.9}}, "the image goes on for 0.75 only"),
        ({"values": {"lesions": [LESION] * 51}}, "at most 50"),
        ({"values": {"lesions": [{**LESION, "shape": {"points": [[0, 0]] * 3}}]}}, "these enclose nothing"),
        ({"values": {"lesions": {}}, "suggestion": "random"}, "parameter 'lesions'"),
        ({"values": {"pectoral_muscle": {}}}, "which shows none"),
        ({"values": {"a": 2**70}}, "71 bits"),
        ({"values": [1]}, "values"),
        ({"values": None}, "values"),
        ({"suggestion": "worst"}, "expected one of median, random, add_benign_lesion"),
        ({"suggestion": "x" * 65}, "suggestion"),
        ({"suggestion": "random", "seed": -1}, "seed"),
        ({"suggestion": "random", "seed": 2**32}, "seed"),
        ({"path": "/etc/passwd"}, "path"),
        ({"measure": {"study_instance_uid": "../1"}}, "study_instance_uid"),
        ({"measure": {"study_instance_uid": "1.2"}, "suggestion": "random"}, "leave measure out"),
        ('{"values": {"a": NaN}}', "finite"),
        ('{"values": {"a": Infinity}}', "finite"),
        ('{"values": {"a": 1e999}}', "finite"),
        ('{"values": {"view_position": "\\ud800"}}', "surrogate"),
        ('{"values": {"lesions": ' + "[" * 20 + "]" * 20 + "}}", "nests deeper"),
        ("[]", ""),
        ("", ""),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(client: Client, body: Any, sentence: str) -> None:
    answer = client.post(body)
    assert answer.status_code == 422, answer.text
    assert sentence in answer.text


@pytest.mark.parametrize("body", [b"\xff\xfe", "{" * 5000, "[" * 100_000, "9" * 5000])
def test_what_is_no_json_is_refused(client: Client, body: Any) -> None:
    assert client.post(body).status_code in (400, 422)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/preview/nothing/breast", "no model nothing"),
        ("/preview/mask/patient", "expected one of: label_map, breast"),
        ("/preview/contrast/source", "expected one of: none"),
        ("/preview/mask/" + "x" * 1000, "no preview of"),
    ],
)
def test_what_has_no_preview_is_not_found(client: Client, path: str, sentence: str) -> None:
    answer = client.post({}, path)
    assert (answer.status_code, sentence in answer.json()["detail"]) == (404, True), answer.text


@pytest.mark.slow
def test_fifty_lesions_of_two_thousand_corners_are_within_bounds(client: Client) -> None:
    x, y = (0.2 + 0.05 * np.random.default_rng(0).random((2, 2000))).round(3)
    jagged = {"points": [[float(a), float(b) + 0.3] for a, b in zip(x, y, strict=True)]}
    body = json.dumps({"values": {"lesions": [{"pathology": "benign", "shape": jagged}] * 50}})
    assert len(body) > 2**20 > len(body) // 2  # larger than any body that the guard lets in
    assert client.post(body).status_code == 200


@pytest.mark.slow
def test_a_thousand_mistakes_are_not_all_repeated(client: Client) -> None:
    points = [[number, 99] for number in range(100_000)]
    answer = client.post({"values": {"fibroglandular": {"points": points[:2000]}}})
    assert (answer.status_code, "more" in answer.text[-20:]) == (422, True)
    assert len(answer.text) < 2000
    assert len(client.post({"values": dict.fromkeys(map(str, range(100_000)))}).text) < 4000


def test_readers_cannot_ask() -> None:
    assert not may_ask(Identity("r", Role.READER), "POST", "/preview/mask/breast")
    assert may_ask(Identity("u", Role.USER), "POST", "/preview/mask/breast")


@pytest.mark.slow
def test_the_breast_of_an_image_is_measured(tmp_path: Path) -> None:
    write_exam(tmp_path / "exam", seed=7, pixel_mm=1.0, patient_id="P")
    with embedded_store(tmp_path / "exam", index_folder=tmp_path / "index") as url:
        archive = DicomWebStudies(url)
        client = Client(archive)
        for view in ("R CC", "L MLO"):
            item = next(each for each in archive.mammography_series() if view in each["0008103E"]["Value"][0])
            study, series = item["0020000D"]["Value"][0], item["0020000E"]["Value"][0]
            values, labels = client.drawn(measure={"study_instance_uid": study, "series_instance_uid": series})
            assert f"{values['image_laterality']} {values['view_position']}" == view
            shown = archive.view(archive.instances(series)[0], ViewRequest()).pixels > 0.02
            breast = labels > 0
            assert share_of_square(breast) == pytest.approx(share_of_square(shown), rel=0.1)
            image = {"study_instance_uid": study, "series_instance_uid": series}
            _, labels = client.drawn("/preview/mask/label_map", measure=image)
            assert labels.shape == shown.shape
            assert (MUSCLE in labels) == view.endswith("MLO")
            assert ((labels > 0) & shown).sum() > 0.9 * ((labels > 0) | shown).sum()
        refused = client.post({"measure": image, "suggestion": "random"}, "/preview/mask/label_map")
        assert (refused.status_code, "and nothing else" in refused.text) == (422, True), refused.text
        answer = client.post({"measure": {"study_instance_uid": study}})
        assert (answer.status_code, "stands for a whole study" in answer.text) == (422, True), answer.text
        assert (
            client.post({"measure": {"study_instance_uid": "1.2.3", "series_instance_uid": "1.2"}}).status_code == 404
        )
    assert Client().post({"measure": {"study_instance_uid": "1.2"}}).status_code == 409
