"""A blinded study from images to report: phantoms, the released model, three readers, two sessions, over HTTP.

One of the readers reads in real OHIF by keyboard, in the first session a second one at the same time in another
browser; the others ask the server as the viewer does.
"""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
import pytest

from mammosynth.reading.answers import Answer
from mammosynth.reading.design import Reading, readings
from mammosynth.reading.protocol import Protocol, parse_protocol
from mammosynth.reading.simulate import Skill, answers_of
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import add_token
from tests.support.archives import ARCHIVES
from tests.support.phantom_study import CASES, NAME, READERS, fill_archive, write_phantoms, write_protocol
from tests.support.postgresql import empty_database
from tests.support.reading_page import begin, reading_page, ready, saved, shoot, sign_in
from tests.support.reading_room import Reader
from tests.support.received import Received, Recorder, received_by_browser, told
from tests.support.server import Server, running_over
from tests.support.shared import made_once

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SKILL = Skill({"clinical": 0.94, "synthesized": 0.86}, seed=1)
SESSIONS = (0, 1, 2)  # the first is the training
SIZES = {0: "1280x800", 1: "1280x800", 2: "2560x1440"}
IN_BROWSER = {0: READERS[:1], 1: READERS[:2], 2: READERS[:1]}  # two at once in the first session
CURIOUS = READERS[-1]  # asks the server for everything, too
REMARK = "a vessel that ends"
ON_LEAVE = "on leave from tomorrow"


@dataclass
class Study:
    """One that is open, or closed."""

    kind: str
    owner: Server
    protocol: Protocol
    tokens: dict[str, str]
    received: list[Received] = field(default_factory=list)
    beyond: dict[str, int] = field(default_factory=dict)  # what a reader asked for beside the reading room: the status

    def reader(self, name: str) -> Reader:
        """One whose answers from the server are kept in `received`."""
        recorder = Recorder(self.owner.as_holder_of(self.tokens[name]), self.received)
        return Reader(recorder, recorder.headers)

    @property
    def path(self) -> str:
        return f"/reading/studies/{NAME}"

    def readings(self, reader: str, session: int) -> list[Reading]:
        return [each for each in readings(self.protocol) if (each.reader, each.session) == (reader, session)]

    def answers(self, reading: Reading) -> list[Answer]:
        """What its reader sees there, by skill; the one in the browser also remarks something."""
        drawn = answers_of(self.protocol, reading, SKILL)
        is_remarked = (reading.reader, reading.session, reading.position) == (READERS[0], 1, 2)
        return [*drawn, Answer("hallucination", REMARK)] if is_remarked else drawn


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "study-phantoms", write_phantoms)


@pytest.fixture(scope="module", params=ARCHIVES)
def study(request, browser, phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """Read by all and closed: the embedded archive with SQLite, Orthanc with PostgreSQL."""
    folder = tmp_path_factory.mktemp(f"study-{request.param}")
    token = add_token(folder / "tokens.json", Identity("the owner", Role.OWNER))
    arguments = ["--token-file", str(folder / "tokens.json")]
    with ExitStack() as stack:
        if request.param == "orthanc":
            arguments += ["--reader-studies", stack.enter_context(empty_database())]
        server = stack.enter_context(running_over(request.param, folder, *arguments))
        study = prepared(request.param, server.as_holder_of(token), folder, phantoms)
        for session in SESSIONS:
            if session == 2:
                let_begin_early(study)
            read_in_browser(study, browser, session, folder)
            for reader in READERS:
                if reader not in IN_BROWSER[session]:
                    read_by_http(study, reader, session)
        study.owner.post(f"{study.path}/close", json={}).raise_for_status()
        yield study


def prepared(kind: str, owner: Server, folder: Path, phantoms: Path) -> Study:
    """Opened and blinded, with a token for each reader: all over HTTP."""
    text = write_protocol(folder, phantoms, fill_archive(owner, phantoms)).read_text()
    owner.post("/reading/studies", content=text).raise_for_status()
    study = Study(kind, owner, parse_protocol(text), {})
    owner.post(f"{study.path}/blind").raise_for_status()
    while (progress := owner.get(f"{study.path}/blind").json())["state"] == "running":
        time.sleep(0.1)
    assert progress["is_blinded"], progress
    for reader in READERS:
        study.tokens[reader] = owner.post(f"/reading/tokens/{reader}").raise_for_status().json()["token"]
    return study


def let_begin_early(study: Study) -> None:
    """Nobody may begin the second session within two weeks, but for the owner's reason."""
    for name in READERS:
        refused = study.reader(name).start(NAME, 2)
        assert (refused.status_code, "14 days after the last reading" in refused.text) == (409, True), refused.text
        body = {"reader": name, "session": 2, "reason": ON_LEAVE}
        study.owner.post(f"{study.path}/override", json=body).raise_for_status()


def read_by_http(study: Study, name: str, session: int) -> None:
    """A session as the viewer asks for it: headers, pixels, answers, the next case."""
    reader = study.reader(name)
    here = reader.start(NAME, session).raise_for_status().json()
    for reading in study.readings(name, session):
        assert here["position"] == reading.position
        uid = here["study_instance_uid"]
        assert reader.get(f"/dicom/qido/studies/{uid}/series").status_code == 200
        assert len(reader.get(f"/dicom/wado/studies/{uid}/metadata").json()) == 2
        assert {reader.frame(image, uid).status_code for image in here["images"]} == {200}
        if (name, session, reading.position) == (CURIOUS, 1, 2):
            study.beyond = asked_beyond(study, name)
        given = [
            {"question": each.question, "target": each.target, "value": each.value, "duration_s": each.duration_s}
            for each in study.answers(reading)
        ]
        body = {"session": session, "position": reading.position, "answers": given}
        assert reader.ask("POST", f"/studies/{NAME}/answers", json=body).json()["is_complete"]
        here = reader.show(NAME, session, reading.position + 1, {"seconds": 1.0}).raise_for_status().json()
    assert here["state"] == ("finished" if session == SESSIONS[-1] else "session_over")


def asked_beyond(study: Study, name: str) -> dict[str, int]:
    """Every route of the server that is no part of the reading room, and images of the archive and of other readers."""
    server = study.owner.as_holder_of(study.tokens[name])
    routes = study.owner.get("/openapi.json").json()["paths"]
    asked = [
        (method.upper(), re.sub(r"{[^}]*}", NAME, path))
        for path, methods in routes.items()
        for method in methods
        if not re.match(r"/(?:$|health$|ready$|ohif|proxy/dicom|reading-room)", path)
    ]
    source = study.protocol.cases["case-000002"].images["clinical"][0]
    (found,) = study.owner.get("/proxy/dicom/qido/instances", params={"SOPInstanceUID": source}).json()
    of_study = f"studies/{found['0020000D']['Value'][0]}"
    of_series = f"{of_study}/series/{found['0020000E']['Value'][0]}"
    of_others = [re.search(r"/dicom/wado/(studies/.*)", each.url) for each in study.received]
    mine = study.reader(name).current(NAME)
    hidden = {match[1] for match in of_others if match and mine["study_instance_uid"] not in match[1]}
    assert len(hidden) > 2 * CASES
    asked += [
        ("GET", f"{root}/{path}")
        for root in ("/proxy/dicom/wado", "/reading-room/dicom/wado")
        for path in (of_study + "/metadata", of_series + "/metadata", f"{of_series}/instances/{source}", *hidden)
        if mine["ahead"]["study_instance_uid"] not in path
    ]
    asked += [("GET", f"/proxy/dicom/qido/{path}") for path in ("studies", of_study + "/series", "instances")]
    return {f"{method} {path}": status_of(server, method, path) for method, path in asked}


def status_of(server: Server, method: str, path: str) -> int:
    """404 for a search that finds nothing, too."""
    answer = server.request(method, path)
    return 404 if answer.status_code in (200, 204) and answer.text in ("", "[]") else answer.status_code


def read_in_browser(study: Study, browser: Any, session: int, folder: Path) -> None:
    """A session in OHIF, by keyboard alone once it has begun; case by case in turn, if several read at once."""
    recorded = {reader: folder / f"{session}-{reader}.zip" for reader in IN_BROWSER[session]}
    with ExitStack() as stack:
        pages = {}
        for reader, file in recorded.items():
            options = {"record_har_path": file, "record_har_content": "attach"}
            page = pages[reader] = stack.enter_context(reading_page(browser, SIZES[session], **options))
            sign_in(page, study.owner.address, study.tokens[reader])
            shoot(page, f"study-{study.kind}-{session}-{reader}-room")
            begin(page, title_of(session))
        for at_once in zip(*(study.readings(reader, session) for reader in pages), strict=True):
            for reading in at_once:
                read_case(pages[reading.reader], study, reading)
        ended = f"{title_of(session)} is finished" if session else "The training is over"
        for page in pages.values():
            page.get_by_role("heading", name=ended).wait_for()
            kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
            study.received.append(Received("browser:", page.content(), kept.encode()))
            assert page.faults == []
    for file in recorded.values():
        study.received += received_by_browser(file)


def title_of(session: int) -> str:
    return f"Session {session}" if session else "Training"


def read_case(page: Any, study: Study, reading: Reading) -> None:
    """From its images to the next ones, in a training by way of the truth."""
    shot = f"study-{study.kind}-{reading.session}-{reading.reader}-case-{reading.position}"
    panel = ready(page, reading.position)
    answer_by_keys(page, study, reading)
    if reading.session:
        saved(panel)
    shoot(page, shot)
    page.keyboard.press("Control+Enter")
    if not reading.session:
        panel.get_by_role("heading", name="The truth").wait_for()
        shoot(page, f"{shot}-truth")
        page.keyboard.press("Control+Enter")


def answer_by_keys(page: Any, study: Study, reading: Reading) -> None:
    for answer in study.answers(reading):
        if answer.question == "bpe":
            page.keyboard.press(study.protocol.questions["bpe"].keys[answer.value])
        elif answer.question == "lesion":
            page.keyboard.press(study.protocol.questions["lesion"].keys[answer.value["answer"]])
            page.keyboard.type(str(answer.value["suspicion"]))
            page.keyboard.press("Enter")
        else:
            for _ in range(2):  # from Next case, over Back
                page.keyboard.press("Shift+Tab")
            page.keyboard.type(REMARK)


def test_every_answer_is_in_the_store_as_it_was_given(study: Study) -> None:
    content = study.owner.get(f"{study.path}/backup").raise_for_status().json()
    kept = {
        (each["reader"], each["session"], each["position"], each["question"], each["target"]): each["content"]
        for each in content["records"]
        if each["kind"] == "answered"
    }
    given = {
        (reading.reader, reading.session, reading.position, answer.question, answer.target): answer.value
        for reading in readings(study.protocol)
        for answer in study.answers(reading)
    }
    assert {place: json.loads(each)["value"] for place, each in kept.items()} == given
    assert study.owner.get(f"{study.path}/verification").json()["problems"] == []


def test_the_report_tells_what_readers_said(study: Study) -> None:
    packed = unpacked(study, "report")
    assert packed["report.pdf"].startswith(b"%PDF")
    report = packed["report.html"].decode()
    assert study.protocol.title in report
    assert "Simulated readers" not in report, "the server takes them for persons"
    results = json.loads(packed["results.json"])
    assert results["endpoints"].keys() == study.protocol.endpoints.keys()
    assert [each["problem"] for each in results["endpoints"].values() if "problem" in each] == []
    assert len(results["flow"]["early_sessions"]) == len(READERS)
    assert results["flow"]["readings_unfinished"] == 0
    assert ON_LEAVE in packed["records.csv"].decode()
    for arm in study.protocol.arms:
        found = results["endpoints"]["sensitivity"]["arms"][arm]["value"]
        assert found == pytest.approx(share_of_lesions_found(study, arm))


def share_of_lesions_found(study: Study, arm: str) -> float:
    """As drawn: all readers have read the same breasts, so that their mean is that of all answers."""
    found = [
        answer.value["answer"] == "yes"
        for reading in readings(study.protocol)
        for answer in study.answers(reading)
        if answer.question == "lesion"
        and (reading.arm, reading.session > 0) == (arm, True)
        and study.protocol.truth("lesion", reading.case, answer.target) == "yes"
    ]
    return sum(found) / len(found)


def test_structured_reports_refer_to_the_images_that_were_read(study: Study) -> None:
    reports = [pydicom.dcmread(io.BytesIO(each)) for each in unpacked(study, "structured-reports").values()]
    read = [each for each in readings(study.protocol) if each.session]
    assert len(reports) == len(read) == 2 * len(READERS) * (CASES - 1)
    referred = sorted(sorted(referred_images(each)) for each in reports)
    assert referred == sorted(sorted(study.protocol.cases[each.case].images[each.arm]) for each in read)
    assert sum(REMARK in each.to_json() for each in reports) == 1


def unpacked(study: Study, what: str) -> dict[str, bytes]:
    """Files by name of a ZIP file that the owner downloads."""
    answer = study.owner.get(f"{study.path}/{what}").raise_for_status()
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def referred_images(report: pydicom.Dataset) -> list[str]:
    return [
        str(image.ReferencedSOPInstanceUID)
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for image in series.ReferencedSOPSequence
    ]


def test_readers_get_nothing_beside_the_reading_room(study: Study) -> None:
    assert len(study.beyond) > 100
    assert {asked: status for asked, status in study.beyond.items() if status not in (403, 404)} == {}


def test_nothing_that_readers_received_tells_the_arms(study: Study) -> None:
    key = study.owner.get(f"{study.path}/backup").json()["blinding"]
    secrets = {key["secret"], *(arm.title for arm in study.protocol.arms.values())}
    for copy in key["copies"]:
        secrets |= {copy["source"], copy["file"], copy["sha256"], copy["case"]}
    secrets |= {case.patient for case in study.protocol.cases.values()}
    assert len(key["copies"]) == 2 * len(study.protocol.arms) * CASES
    assert told(study.received, secrets) == set()
    about_cases = [each for each in study.received if not each.is_static]
    for part in (
        "/frames/1",
        "/metadata",
        "/series",
        "/current",
        "/show",
        "/answers",
        "/reading-config.js",
        "browser:",
    ):
        assert any(each.url.endswith(part) and each.body for each in about_cases), f"nothing of {part} was kept"
    assert told(without_title(study, about_cases), study.protocol.arms) == set()
    assert [each.url for each in without_title(study, about_cases) if b"synth" in each.everything()] == []


def without_title(study: Study, received: list[Received]) -> list[Received]:
    """As it was but for the words that all readers see in every case: the study's title, and the product's name."""
    words = [study.protocol.title.encode(), b"mammosynth", b"MammoSynth"]
    found = []
    for each in received:
        url, headers, body = each.url.encode(), each.headers.encode(), each.body
        for word in words:
            url, headers, body = (text.replace(word, b"") for text in (url, headers, body))
        found.append(Received(url.decode(), headers.decode(), body))
    return found
