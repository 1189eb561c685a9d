"""Three people and their tokens at one server: an owner, a user and a reader; and the page on which they sign in."""

import gzip
import json
import subprocess
import sys
import time

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from monailabel.client import MONAILabelClient

from tests.support.accessibility import accessibility_faults
from tests.support.ohif import SHOTS
from tests.support.server import find_series, order, retrieve, running, stow

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def _token(action, name, file, *more):
    command = [sys.executable, "-m", "mammosynth", "token", action, name, "--token-file", str(file), *more]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("tokens") / "tokens.json"


@pytest.fixture(scope="module")
def tokens(file):
    """Tokens by role, made by the command."""
    people = {"owner": "Olga", "user": "Anna Müller", "reader": "R1"}
    return {role: _token("add", name, file, "--role", role) for role, name in people.items()}


@pytest.fixture(scope="module")
def guarded(tokens, file, tmp_path_factory):
    """A server that asks for tokens."""
    with running(tmp_path_factory.mktemp("guarded"), "--token-file", str(file)) as it:
        yield it


@pytest.fixture(scope="module")
def anna(guarded, tokens, exams):
    """The server as Anna, a user, asks it, with an exam that she has stored."""
    it = guarded.as_holder_of(tokens["user"])
    assert stow(it, sorted((exams / "P001").rglob("*.dcm"))).status_code == 200
    return it


def _view(server, view):
    study, series = find_series(server, "P001")[f"{view} low energy"]
    (item,) = server.get(f"/proxy/dicom/wado/studies/{study}/series/{series}/metadata").json()
    return study, series, item["00080018"]["Value"][0], (item["00280010"]["Value"][0], item["00280011"]["Value"][0])


def _lines(server, start=0):
    return [json.loads(line) for line in (server.data_dir / "audit.log").read_text().splitlines()][start:]


def test_the_terminal_says_where_to_sign_in(guarded):
    (ready,) = [line for line in guarded.lines if line.startswith("Ready")]
    assert ready.endswith(f"Viewer: {guarded.address}/ohif/ (sign in at {guarded.address}/sign-in)")


def test_whatever_anna_does_is_written_down_once_without_a_patient(anna, exams, tokens, tmp_path):
    patient = str(pydicom.dcmread(next((exams / "P001").rglob("*.dcm"))).PatientName)
    study, series, instance, shape = _view(anna, "L CC")
    start = len(_lines(anna))
    job = anna.post("/synthesis", json=order(study, series))
    result = anna.wait(job.json()["job_id"], "done")["result"]
    other = anna.post("/synthesis", json=order(study, series))
    anna.request("DELETE", f"/synthesis/{other.json()['job_id']}")
    assert anna.post("/infer/contrast", params={"image": series, "output": "json"}).status_code == 200
    assert anna.get("/datastore/image", params={"image": series}).status_code == 200
    description = {"sop_instance_uid": instance, "segments": [{"number": 1, "label": patient}]}
    mask = gzip.compress(np.eye(*shape, dtype=np.uint8).tobytes())
    anna.post(f"/studies/{study}/segmentations", data={"description": json.dumps(description)}, files={"mask": mask})
    anna.request("DELETE", f"/studies/{study}/synthesized/{result['outputs'][0]['series_instance_uid']}")
    anna.post("/train/contrast", json={"steps": 100000, "name": "mine", "batch_size": 1, "validate_every": 100000})
    anna.request("DELETE", "/train/")
    assert stow(anna, sorted((exams / "P002").rglob("*.dcm"))[:1]).status_code == 200
    lines = _lines(anna, start)
    assert [(line["action"], line["studies"] == [study]) for line in lines] == [
        ("synthesis submitted", True),
        ("synthesis submitted", True),
        ("synthesis cancelled", True),
        ("inference", True),
        ("image downloaded", True),
        ("segmentation stored", True),
        ("deletion", True),
        ("training started", False),
        ("training stopped", False),
        ("upload", False),
    ]
    assert {(line["name"], line["role"]) for line in lines} == {("Anna Müller", "user")}
    assert [line["job"] for line in lines[:3]] == [job.json()["job_id"], *[other.json()["job_id"]] * 2]
    assert len(lines[-1]["studies"]) == 1
    text = (anna.data_dir / "audit.log").read_text()
    for secret in (patient, patient.split("^")[0], "P001", *tokens.values()):
        assert secret not in text


def test_opening_a_study_is_written_down_once(anna):
    study, *_ = _view(anna, "R CC")
    for line in range(2):
        anna.get(f"/proxy/dicom/wado/studies/{study}/metadata")
        opened = [line for line in _lines(anna) if line["action"] == "study opened" and line["studies"] == [study]]
    assert [(line["name"], line["status"]) for line in opened] == [("Anna Müller", 200)]


def test_what_anna_draws_carries_her_name_whichever_client_she_uses(anna, tokens, tmp_path):
    study, series, instance, shape = _view(anna, "R MLO")
    labels = np.eye(*shape, dtype=np.uint8)
    description = {"sop_instance_uid": instance, "segments": [{"number": 1, "label": "Lesion 1"}]}
    files = {"mask": gzip.compress(labels.tobytes())}
    drawn = anna.post(f"/studies/{study}/segmentations", data={"description": json.dumps(description)}, files=files)
    sitk.WriteImage(sitk.GetImageFromArray(labels[None]), str(tmp_path / "label.nrrd"))
    client = MONAILabelClient(anna.address, tmpdir=str(tmp_path))
    client.update_auth({"token_type": "Bearer", "access_token": tokens["user"]})
    saved = client.save_label(series, str(tmp_path / "label.nrrd"))["segmentation"]
    for entry in (drawn.json(), saved):
        assert entry["creator"] == "Anna Müller"
        stored = retrieve(anna, study, entry["series_instance_uid"], entry["sop_instance_uid"])
        assert str(stored.ContentCreatorName) == "Anna Müller^"


def test_a_reader_sees_nothing_of_the_archive(anna, guarded, tokens):
    study, series, *_ = _view(anna, "R CC")
    reader = guarded.as_holder_of(tokens["reader"])
    for path in (
        "/info/",
        "/datastore/",
        f"/studies/{study}/synthesized",
        f"/studies/{study}/segmentations",
        "/train/",
    ):
        assert reader.get(path).status_code == 403
    assert reader.post("/infer/contrast", params={"image": series}).status_code == 403
    assert reader.get("/proxy/dicom/qido/studies").json() == []
    answers = [reader.get(f"/proxy/dicom/wado/studies/{uid}/metadata") for uid in (study, "1.2.3")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text.replace(study, "1.2.3") == answers[1].text
    assert '"showStudyList": false' in reader.get("/ohif/app-config.js").text
    assert reader.get("/reading-room/studies").json()["studies"] == []
    assert reader.get("/reading-room/dicom/qido/studies").json() == []


def test_a_token_that_is_removed_while_the_server_runs_opens_nothing_more(guarded, file):
    gone = guarded.as_holder_of(_token("add", "Gone", file))
    assert gone.get("/health").status_code == 200
    _token("remove", "Gone", file)
    assert gone.get("/health").status_code == 401


def test_anna_signs_in_on_a_page_in_the_browser_and_out_again(page, anna, tokens):
    study, *_ = _view(anna, "R CC")
    wanted = f"{anna.address}/ohif/synthesis?StudyInstanceUIDs={study}"
    page.goto(wanted)
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / "sign-in.png")
    assert accessibility_faults(page) == []
    page.get_by_label("Token").fill("not the token")
    started = time.monotonic()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").get_by_text("This token is not known here").wait_for()
    assert time.monotonic() - started >= 0.5
    page.screenshot(path=SHOTS / "sign-in-wrong.png")
    page.get_by_label("Token").fill(tokens["user"])
    page.keyboard.press("Enter")
    page.locator("mammosynth-panel").wait_for()
    assert page.url == wanted
    assert tokens["user"] not in page.evaluate("document.cookie"), "scripts must not see it"
    page.goto(f"{anna.address}/sign-in")
    page.get_by_text("You are signed in as Anna Müller (user).").wait_for()
    page.screenshot(path=SHOTS / "signed-in.png")
    assert accessibility_faults(page) == []
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Token").wait_for()
    assert page.goto(wanted).status == 401


def test_a_link_in_a_mail_opens_the_viewer_for_who_is_signed_in(page, anna, tokens):
    study, *_ = _view(anna, "R CC")
    page.goto(f"{anna.address}/ohif/?token={tokens['user']}")
    wanted = f"{anna.address}/ohif/synthesis?StudyInstanceUIDs={study}"
    link = f"<a href='{wanted}'>the case</a>"
    page.route("http://mail.example/", lambda route: route.fulfill(body=link, content_type="text/html"))
    page.goto("http://mail.example/")
    page.get_by_text("the case").click()
    page.locator("mammosynth-panel").wait_for()
    assert page.url == wanted


def test_a_reader_signs_in_and_comes_to_the_reading_room_from_any_page(page, guarded, tokens):
    page.goto(guarded.address)
    page.get_by_label("Token").fill(tokens["reader"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/reading-room")
    page.goto(f"{guarded.address}/ohif/synthesis?StudyInstanceUIDs=1.2")
    page.wait_for_url("**/reading-room")
    page.goto(f"{guarded.address}/sign-in")
    page.get_by_text("You are signed in as R1 (reader).").wait_for()
    page.screenshot(path=SHOTS / "reader.png")
    assert page.get_by_role("link", name="Go to your reading room").count() == 1
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Token").wait_for()


def test_a_plain_token_of_an_earlier_version_still_opens_the_server_and_advice_is_given(tmp_path):
    file = tmp_path / "token"
    file.write_text("0123456789abcdefghij")
    file.chmod(0o600)
    with running(tmp_path / "data", "--token-file", str(file)) as server:
        assert any("holds one plain token, which counts as an owner's" in line for line in server.lines)
        owner = server.as_holder_of("0123456789abcdefghij")
        assert owner.get("/health").status_code == 200
        _token("add", "Anna", file)
        assert owner.get("/health").status_code == 200
        assert "0123456789abcdefghij" not in file.read_text()
