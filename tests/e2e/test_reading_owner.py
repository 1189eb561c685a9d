"""An owner runs a reader study on the page at /reading: opens it, gives tokens, cuts a wash-out short, closes it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from highdicom.sr import srread

from mammosynth.phantom.clinic.exam import write_exam
from mammosynth.reading.new_protocol import new_protocol
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import add_token
from tests.support.accessibility import accessibility_faults
from tests.support.ohif import SHOTS
from tests.support.reading_room import Reader
from tests.support.server import Server, running, stow
from tests.support.studies import protocol as small_protocol

pytestmark = pytest.mark.e2e
READERS = ["ann", "bob"]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens") / "tokens.json"


@pytest.fixture(scope="module")
def owner(tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    token = add_token(tokens, Identity("the owner", Role.OWNER))
    add_token(tokens, Identity("bob", Role.USER))
    with running(tmp_path_factory.mktemp("owner") / "data", "--token-file", str(tokens)) as server:
        yield server.as_holder_of(token)


@pytest.fixture
def signed_in(page, owner: Server):
    """The page of an owner who has signed in; no error in the console is let pass."""
    page.faults = []
    page.on("console", lambda message: message.type == "error" and page.faults.append(message.text))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.set_default_timeout(20_000)
    page.goto(f"{owner.address}/reading?token={owner.headers['authorization'].split()[1]}")
    page.get_by_text("Signed in as the owner").wait_for()
    assert "token=" not in page.url
    yield page
    assert page.faults == []


def protocol(name: str, folder: Path) -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(new_protocol("bpe-agreement", name=name, readers=READERS))
    return file


def shot(page, name: str) -> None:
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"reading-owner-{name}.png", full_page=True)


def opened(page, name: str, folder: Path) -> None:
    """Open a study of that name on the page."""
    page.get_by_label("Protocol (YAML)").set_input_files(protocol(name, folder))
    page.get_by_role("button", name="Check").click()
    page.get_by_text("2 readers, 168 readings").wait_for()
    page.get_by_role("button", name="Open the study").click()
    page.get_by_role("heading", name=name).wait_for()


def test_an_owner_opens_a_study_gives_tokens_and_closes_it(signed_in, owner: Server, tokens: Path, tmp_path: Path):
    page = signed_in
    assert accessibility_faults(page) == []
    shot(page, "empty")
    opened(page, "tutorial", tmp_path)
    row = page.get_by_role("row", name="bob")
    row.get_by_text("Is a user, too, and can see the archive").wait_for()
    assert row.get_by_role("cell").all_inner_texts()[1].endswith("not begun")
    assert accessibility_faults(page) == []
    shot(page, "opened")
    token = made_token(page, "ann")
    assert owner.as_holder_of(token).get("/health").status_code == 200
    assert owner.as_holder_of(token).get("/reading/studies").status_code == 403
    let_begin_early(page)
    page.get_by_role("row", name="ann").get_by_role("button", name="Revoke the token of ann").first.click()
    assert accessibility_faults(page) == []
    page.get_by_role("button", name="Revoke", exact=True).click()
    page.get_by_role("row", name="ann").get_by_role("button", name="Make a token for ann").wait_for()
    assert owner.as_holder_of(token).get("/health").status_code == 401
    close(page)
    assert accessibility_faults(page) == []
    shot(page, "closed")
    with page.expect_download() as found:
        page.get_by_role("button", name="Answers as tables").click()
    content = zipfile.ZipFile(io.BytesIO(found.value.path().read_bytes())).namelist()
    assert found.value.suggested_filename == "tutorial-tables.zip"
    assert {"answers.csv", "records.csv"} <= set(content)
    page.get_by_role("button", name="Verify").click()
    page.get_by_text("3 records: all as they were.").wait_for()
    lines = [json.loads(line) for line in (owner.data_dir / "audit.log").read_text().splitlines()]
    did = [
        (line["action"], line.get("holder"), line.get("reader_study")) for line in lines if "reader" in line["action"]
    ]
    assert did == [
        ("reader study opened", None, None),
        ("token of a reader made", "ann", None),
        ("token of a reader revoked", "ann", None),
        ("reader study closed", None, "tutorial"),
        ("answers of a reader study exported", None, "tutorial"),
    ]
    assert token not in (owner.data_dir / "audit.log").read_text()


def made_token(page, reader: str) -> str:
    page.get_by_role("button", name=f"Make a token for {reader}").click()
    dialog = page.get_by_role("dialog", name=f"Token of {reader}")
    token = dialog.get_by_label("Token").input_value()
    assert accessibility_faults(page) == []
    shot(page, "token")
    dialog.get_by_role("button", name="Done").click()
    page.get_by_role("button", name=f"Revoke the token of {reader}").first.wait_for()
    assert token not in page.content() + page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert page.locator("#token").input_value() == ""
    return token


def let_begin_early(page) -> None:
    page.get_by_label("Reader and session").select_option(label="ann, Session 2")
    page.get_by_role("button", name="Let it begin").click()
    assert page.get_by_label("Reason", exact=True).evaluate("each => each.validity.valueMissing"), "a reason is needed"
    page.get_by_label("Reason", exact=True).fill("on leave from tomorrow")
    page.get_by_role("button", name="Let it begin").click()
    page.get_by_text("Session 2 of ann may begin as soon as").wait_for()


def close(page) -> None:
    page.get_by_label("Reason to close it so").fill("no money")
    page.get_by_role("button", name="Close the study").click()
    page.get_by_role("dialog", name="Close tutorial for good?").get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Close the study").click()
    page.get_by_role("button", name="Close it").click()
    page.get_by_role("heading", name="Results").wait_for()


def test_an_owner_blinds_a_study_of_the_archive_and_gets_answers_as_structured_reports(
    signed_in, owner: Server, tmp_path: Path
):
    page = signed_in
    files = write_exam(tmp_path / "exam", seed=3, pixel_mm=1.8, patient_id="P1", include_recombined=True)
    assert stow(owner, files).status_code == 200
    file = tmp_path / "archive.yaml"
    file.write_text(of_archive(files))
    page.get_by_label("Protocol (YAML)").set_input_files(file)
    page.get_by_role("button", name="Check").click()
    page.get_by_role("button", name="Open the study").click()
    page.get_by_text("Not made yet: readers cannot begin.").wait_for()
    reader = Reader(owner, {"authorization": f"Bearer {made_token(page, 'eve')}"})
    assert reader.start("archive").status_code == 409
    page.get_by_role("button", name="Make blinded copies").click()
    page.get_by_text("Made: readers can begin.").wait_for(timeout=120_000)
    assert accessibility_faults(page) == []
    shot(page, "blinded")
    page.get_by_role("button", name="Attack the copies").click()
    page.get_by_role("alert").get_by_text("20").wait_for()  # copies are needed to tell anything
    started = reader.start("archive")
    assert started.status_code == 200, started.text
    mark = {"shape": "point", "image": 2, "x": 30.0, "y": 40.0, "rating": 90}
    assert reader.answer("archive", 1, 1, [mark], "lesions").status_code == 200
    page.get_by_label("Reason to close it so").fill("one reading is enough")
    page.get_by_role("button", name="Close the study").click()
    page.get_by_role("button", name="Close it").click()
    with page.expect_download() as found:
        page.get_by_role("button", name="Answers as DICOM SR").click()
    packed = zipfile.ZipFile(io.BytesIO(found.value.path().read_bytes()))
    assert packed.namelist() == ["reader-01-session-1-reading-001.dcm"]
    report = srread(io.BytesIO(packed.read(packed.namelist()[0])))
    (group,) = report.content.get_planar_roi_measurement_groups()
    marked = group.roi.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert marked in {pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID for file in files}, "the source"
    assert report.PatientID == "P1"
    forget_refusals(page)


def test_copies_that_are_made_before_anybody_asks_again_are_news_to_the_page(signed_in, tmp_path: Path):
    page = signed_in
    opened(page, "quick", tmp_path)
    page.get_by_text("Not made yet: readers cannot begin.").wait_for()
    page.get_by_text("1 record, each chained").wait_for()
    done = {"study": "quick", "is_blinded": True, "state": "done", "done": 2, "total": 2, "message": ""}
    page.route("**/reading/studies/quick/blind", lambda route: route.fulfill(status=202, json=done))
    page.route("**/reading/studies/quick", lambda route: route.fulfill(json=route.fetch().json() | {"records": 2}))
    page.get_by_role("button", name="Make blinded copies").click()
    page.get_by_text("2 records, each chained").wait_for()


def of_archive(files: list[Path]) -> str:
    """A study of one patient, low-energy against recombined images, named by their UIDs."""
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    images: dict[str, list[str]] = {"clinical": [], "synthesized": []}
    for header in headers:
        arm = "synthesized" if "recombined" in header.SeriesDescription else "clinical"
        images[arm].append(str(header.SOPInstanceUID))
    case = {"patient": "P1", "breasts": ["R", "L"], "images": images, "truth": {"lesions": []}}
    question = {"type": "marks", "title": "Mark each lesion"}
    endpoint = {"title": "JAFROC", "question": "lesions", "statistic": "free_response"}
    return small_protocol(
        name="archive",
        readers=["eve"],
        questions={"lesions": question},
        endpoints={"marks": endpoint},
        cases={"case": case},
    ).canonical()


def test_what_the_server_refuses_is_told_in_its_words(signed_in, tmp_path: Path):
    page = signed_in
    wrong = new_protocol("realism").replace("version: 1", "version: 7").encode()
    page.get_by_label("Protocol (YAML)").set_input_files({"name": "p.yaml", "mimeType": "text/yaml", "buffer": wrong})
    page.get_by_role("button", name="Check").click()
    page.get_by_role("alert").get_by_text("version is 7").wait_for()
    assert page.get_by_role("button", name="Open the study").is_disabled()
    assert accessibility_faults(page) == []
    page.get_by_label("Name of a reader").fill("bob")
    page.get_by_role("button", name="Make a token", exact=True).click()
    page.get_by_role("alert").get_by_text("Bob has a token already").wait_for()
    shot(page, "refused")
    forget_refusals(page)


def forget_refusals(page) -> None:
    """Those that a test asked for: the browser notes every 4xx."""
    page.faults = [each for each in page.faults if "the server responded with a status of 4" not in each]
