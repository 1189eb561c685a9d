"""A blinded study from images to report: phantoms, the released model, three readers, two sessions, over HTTP.

One of the readers reads in real OHIF by keyboard, the others ask the server as the viewer does.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
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
IN_BROWSER, *BY_HTTP = READERS
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

    @property
    def path(self) -> str:
        return f"/reading/studies/{NAME}"

    def readings(self, reader: str, session: int) -> list[Reading]:
        return [each for each in readings(self.protocol) if (each.reader, each.session) == (reader, session)]

    def answers(self, reading: Reading) -> list[Answer]:
        """What its reader sees there, by skill; the one in the browser also remarks something."""
        drawn = answers_of(self.protocol, reading, SKILL)
        is_remarked = (reading.reader, reading.session, reading.position) == (IN_BROWSER, 1, 2)
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
            read_in_browser(study, browser, session, folder / f"{session}.zip")
            for reader in BY_HTTP:
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
        pass
    assert progress["is_blinded"], progress
    for reader in READERS:
        study.tokens[reader] = owner.post(f"/reading/tokens/{reader}").raise_for_status().json()["token"]
    return study


def let_begin_early(study: Study) -> None:
    """Nobody may begin the second session within two weeks, but for the owner's reason."""
    for name in READERS:
        refused = reader_of(study, name, [])[0].start(NAME, 2)
        assert (refused.status_code, "wash-out" in refused.text) == (409, True), refused.text
        body = {"reader": name, "session": 2, "reason": ON_LEAVE}
        study.owner.post(f"{study.path}/override", json=body).raise_for_status()


def reader_of(study: Study, name: str, _: Any = None) -> tuple[Reader, Recorder]:
    recorder = Recorder(study.owner)
    return Reader(recorder, {"authorization": f"Bearer {study.tokens[name]}"}), recorder


def read_by_http(study: Study, name: str, session: int) -> None:
    """A session as the viewer asks for it: headers, pixels, answers, the next case."""
    reader, recorder = reader_of(study, name)
    here = reader.start(NAME, session).raise_for_status().json()
    for reading in study.readings(name, session):
        assert here["position"] == reading.position
        uid = here["study_instance_uid"]
        assert reader.get(f"/dicom/qido/studies/{uid}/series").status_code == 200
        assert len(reader.get(f"/dicom/wado/studies/{uid}/metadata").json()) == 2
        assert {reader.frame(image, uid).status_code for image in here["images"]} == {200}
        given = [
            {"question": each.question, "target": each.target, "value": each.value, "duration_s": each.duration_s}
            for each in study.answers(reading)
        ]
        body = {"session": session, "position": reading.position, "answers": given}
        assert reader.ask("POST", f"/studies/{NAME}/answers", json=body).json()["is_complete"]
        here = reader.show(NAME, session, reading.position + 1, {"seconds": 1.0}).raise_for_status().json()
    assert here["state"] == "session_over"
    study.received += recorder.received


def read_in_browser(study: Study, browser: Any, session: int, recorded: Path) -> None:
    """A session in OHIF, by keyboard alone once it has begun."""
    title = f"Session {session}" if session else "Training"
    shot = f"study-{study.kind}-{session}"
    with reading_page(browser, SIZES[session], record_har_path=recorded, record_har_content="attach") as page:
        sign_in(page, study.owner.address, study.tokens[IN_BROWSER])
        shoot(page, f"{shot}-room")
        panel = begin(page, title)
        for reading in study.readings(IN_BROWSER, session):
            ready(page, reading.position)
            answer_by_keys(page, study, reading)
            if session:
                saved(panel)
            shoot(page, f"{shot}-case-{reading.position}")
            page.keyboard.press("Control+Enter")
            if not session:
                panel.get_by_role("heading", name="The truth").wait_for()
                shoot(page, f"{shot}-truth")
                page.keyboard.press("Control+Enter")
        page.get_by_role("heading", name=f"{title} is finished" if session else "The training is over").wait_for()
        kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        study.received.append(Received("browser:", page.content(), kept.encode()))
        assert page.faults == []
    study.received += received_by_browser(recorded)


def answer_by_keys(page: Any, study: Study, reading: Reading) -> None:
    for answer in study.answers(reading):
        if answer.question == "bpe":
            page.keyboard.press(study.protocol.questions["bpe"].keys[answer.value])
        elif answer.question == "lesion":
            page.keyboard.press(study.protocol.questions["lesion"].keys[answer.value["answer"]])
            page.keyboard.type(str(answer.value["suspicion"]))
            page.keyboard.press("Enter")
        else:
            page.keyboard.press("Shift+Tab")
            page.keyboard.type(REMARK)


def test_it(study):
    assert 0
