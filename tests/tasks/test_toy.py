"""A task is one folder: the one of docs/how-to/add-a-task.md does all that ours do, and none of ours knows it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.archives import ARCHIVES
from tests.support.server import Server, find_series
from tests.support.toy import Toy, serving_toy

ROOT = Path(__file__).parents[2]


def test_no_file_of_ours_names_it() -> None:
    ours = [*(ROOT / "lib").rglob("*.py"), *(ROOT / "monailabel_app").rglob("*.*s"), ROOT / "pyproject.toml"]
    assert [path for path in ours if "mirror.specification" in path.read_text(encoding="utf-8")] == []


@pytest.mark.slow
def test_it_is_trained_evaluated_and_run_by_the_commands(toy: Toy, tmp_path: Path) -> None:
    trained = tmp_path / "trained"
    done = toy.run(
        "train",
        "mirror",
        "--bundle",
        toy.bundle,
        "--data",
        toy.clinic,
        "--output",
        trained,
        "--seed",
        "1",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "step 2" in done.stdout
    report = tmp_path / "report.json"
    done = toy.run(
        *("evaluate", "mirror", "--bundle", trained, "--data", toy.clinic, "--split", "val"),
        *("--json", report, "--html", tmp_path / "report.html", "--record"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "floor" in done.stdout
    assert json.loads(report.read_text())["errors"]
    assert (tmp_path / "report.html").read_text().startswith("<p>mean error")
    scores = json.loads((trained / "configs" / "metadata.json").read_text())["mammosynth"]["scores"]
    assert scores["measures"][0]["name"] == "mean error"
    image = np.zeros((60, 40), np.uint8)
    image[10:20, :15] = 200
    lesions = np.zeros_like(image)
    lesions[12:14, 3:5] = 2
    Image.fromarray(image).save(tmp_path / "R_CC.png")
    Image.fromarray(lesions).save(tmp_path / "lesions.png")
    done = toy.run(
        *("synthesize", "mirror", "R_CC.png", "--bundle", trained, "--output", "out", "--no-mark"),
        *("--input", "lesions=lesions.png"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "out" / "R_CC_mirror.png") as shown:
        assert (np.asarray(shown) > 0).nonzero()[0].min() == 40
    with Image.open(tmp_path / "out" / "R_CC_mirror_labels.png") as shown:
        np.testing.assert_array_equal(np.asarray(shown), lesions[::-1])


@pytest.mark.slow
def test_what_it_needs_is_said_in_words(toy: Toy, tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 20), 99, np.uint8)).save(tmp_path / "R_CC.png")
    Image.fromarray(np.full((20, 20), 7, np.uint8)).save(tmp_path / "seven.png")
    Image.fromarray(np.ones((20, 20), np.uint8)).save(tmp_path / "one.png")
    (tmp_path / "remark.json").write_text('{"text": 3}')
    command = ("synthesize", "mirror", "R_CC.png", "--bundle", toy.bundle, "--output", "out")
    for more, words in (
        ((), "input 'lesions' is missing: Lesions drawn on it."),
        (("--input", "lesions=seven.png"), "has the value 7, expected 0 or one of: 1 malignant, 2 benign"),
        (("--input", "lesions=one.png", "--input", "remark=remark.json"), "input 'remark' at text: 3 is not of type"),
        (("--input", "shape=seven.png"), "input 'shape' is unknown, expected lesions, remark"),
        (("--input", "lesions=seven.png", "--rendering", "sampled", "--parameter", "gain=5"), "'gain' is '5'"),
    ):
        done = toy.run(*command, *more, cwd=tmp_path)
        assert done.returncode == 1
        assert words in done.stderr


@pytest.fixture(scope="module", params=ARCHIVES)
def server(request: pytest.FixtureRequest, toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving_toy(request.param, toy, tmp_path_factory.mktemp(f"toy-{request.param}")) as it:
        yield it


@pytest.mark.e2e
@pytest.mark.slow
def test_it_is_listed_with_its_slots(server: Server) -> None:
    model = server.get("/info/").json()["models"]["mirror"]
    assert (model["title"], model["placement"], model["renderings"]) == (
        "Mirror", "new_study", ["expected", "sampled"],
    )  # fmt: skip
    slots = {slot["role"]: slot for slot in model["slots"]}
    assert {role: (slot["kind"], slot["required"]) for role, slot in slots.items()} == {
        "source": ("image", True),
        "lesions": ("label_map", True),
        "remark": ("json", False),
    }
    assert slots["lesions"]["classes"] == {"1": "malignant", "2": "benign"}
    assert slots["remark"]["json_schema"]["required"] == ["text"]
    assert model["parameters"]["properties"]["gain"]["maximum"] == 2
    assert model["parameters"]["properties"]["rendering"]["enum"] == ["expected", "sampled"]
    assert "mirror" in server.get("/info/").json()["trainers"]


def inputs_of(server: Server, patient: str = "P1") -> tuple[dict[str, Any], str]:
    """What a job of a patient's left CC starts from, and the image's id."""
    study, series = find_series(server, patient)["L CC low energy"]
    found = server.get(f"/studies/{study}/segmentations").json()["segmentations"]
    (drawn,) = (each for each in found if each["source_series_instance_uid"] == series)
    lesions = {"study_instance_uid": study, "sop_instance_uid": drawn["sop_instance_uid"]}
    return {"source": {"study_instance_uid": study, "series_instance_uid": series}, "lesions": lesions}, series


@pytest.mark.e2e
@pytest.mark.slow
def test_a_job_gives_an_image_and_a_label_map_in_a_study_of_its_own(server: Server) -> None:
    inputs, _ = inputs_of(server)
    body = {"model": "mirror", "inputs": {**inputs, "remark": {"text": "ü" * 9}}, "parameters": {"gain": 0.5}}
    status = server.wait(server.post("/synthesis", json=body).json()["job_id"], "done")
    image, labels = status["result"]["outputs"]
    assert (image["role"], image["modality"]) == ("image", "MG")
    assert (labels["role"], labels["modality"]) == ("labels", "SEG")
    assert image["study_instance_uid"] == labels["study_instance_uid"]
    assert image["study_instance_uid"] != inputs["source"]["study_instance_uid"]
    (study,) = server.get("/proxy/dicom/qido/studies", params={"StudyInstanceUID": image["study_instance_uid"]}).json()
    assert study["00100020"]["Value"] != ["P1"]
    (made,) = status["result"]["provenance"]
    assert {source["role"]: source["value"] for source in made["sources"]}["remark"] == {"text": "ü" * 9}
    kept = server.get(f"/studies/{image['study_instance_uid']}/synthesized").json()["series"]
    assert {entry["role"] for entry in kept} >= {"image"}
    again = server.wait(server.post("/synthesis", json=body).json()["job_id"], "done")["result"]
    assert again["outputs"] == status["result"]["outputs"]
    assert again["provenance"] == []


@pytest.mark.e2e
@pytest.mark.slow
def test_what_was_made_is_no_source(server: Server) -> None:
    inputs, _ = inputs_of(server)
    job = server.post("/synthesis", json={"model": "mirror", "inputs": inputs}).json()["job_id"]
    image = server.wait(job, "done")["result"]["outputs"][0]
    study = image["study_instance_uid"]
    (listed,) = server.get(f"/studies/{study}/sources", params={"model": "mirror"}).json()["sources"]
    assert not listed["accepted"]


@pytest.mark.e2e
@pytest.mark.slow
def test_a_job_without_lesions_or_with_a_bad_remark_is_refused(server: Server) -> None:
    inputs, _ = inputs_of(server)
    without = {"model": "mirror", "inputs": {"source": inputs["source"]}}
    refused = server.post("/synthesis", json=without)
    assert (refused.status_code, refused.json()["detail"]) == (
        422, "input 'lesions' is missing: Lesions drawn on it.",
    )  # fmt: skip
    body = {"model": "mirror", "inputs": {**inputs, "remark": {"word": "x"}}}
    answer = server.post("/synthesis", json=body)
    assert answer.status_code == 422
    assert "'text' is a required property" in answer.json()["detail"]


@pytest.mark.e2e
@pytest.mark.slow
def test_infer_gives_the_image(server: Server) -> None:
    inputs, series = inputs_of(server)
    params = {"inputs": {"lesions": inputs["lesions"]["sop_instance_uid"]}, "rendering": "sampled", "seed": 3}
    answer = server.post(f"/infer/mirror?image={series}&output=json", data={"params": json.dumps(params)})
    assert answer.status_code == 200, answer.text
    assert answer.json()["provenance"]["rendering"] == "sampled"
    assert [source["role"] for source in answer.json()["provenance"]["sources"]] == ["source", "lesions"]


@pytest.mark.e2e
@pytest.mark.slow
def test_the_server_trains_it_on_what_is_drawn_in_the_archive(server: Server) -> None:
    answer = server.post("/train/mirror", json={"name": "learnt"})
    assert answer.status_code == 200, answer.text
    deadline = time.monotonic() + 120
    while (status := server.get("/train/").json())["status"] in ("SUBMITTED", "RUNNING"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert status["status"] == "DONE", status
    metadata = json.loads((server.data_dir / "model_zoo" / "learnt" / "configs" / "metadata.json").read_text())
    assert metadata["mammosynth"]["task"] == "mirror"
    assert metadata["mammosynth"]["training"]["counts"]["train"]["patients"] == 1
    assert re.match(r"\d+\.\d+", metadata["version"])
