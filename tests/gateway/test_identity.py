"""Who may ask for what, and what the viewer and its proxy say to somebody who may not see everything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from monailabel_app.gateway.app import create_gateway
from monailabel_app.gateway.guard import Guard
from monailabel_app.gateway.proxy import create_proxy
from monailabel_app.gateway.refusals import answer_errors
from monailabel_app.gateway.scope import EVERYTHING, READING, ViewerScope, may_ask, viewer_scope
from monailabel_app.identity import LOCAL, Identity, Role
from monailabel_app.studies import DicomWebStudies
from monailabel_app.tokens import TokenBook, add_token
from tests.support.asgi import AsgiClient
from tests.support.images import as_file, mammogram

HOST = "127.0.0.1:8000"
NO_ARCHIVE = "http://127.0.0.1:9/dicom-web"
PEOPLE = {role: Identity(role.value, role) for role in Role}
# What a reader may ask for, and gets by scope; every other route of the app is closed.
OPEN = {
    *(("GET", path) for path in ("/", "/health", "/ready", "/ohif", "/ohif/app-config.js", "/ohif/extensions/{name}")),
    *(("GET", path) for path in ("/ohif/{path:path}", "/ohif/reading-config.js", "/proxy/dicom/{path:path}")),
    *(("GET", f"/reading-room{path}") for path in ("", "/page/{name}", "/studies", "/studies/{name}/current")),
    ("GET", "/reading-room/dicom/{path:path}"),
    *(("POST", f"/reading-room/studies/{{name}}/{path}") for path in ("sessions/{number}", "answers", "show")),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return create_gateway(NO_ARCHIVE, None, tmp_path_factory.mktemp("data"))


@pytest.fixture
def reader(gateway: FastAPI, tmp_path: Path) -> Reader:
    token = add_token(tmp_path / "tokens", PEOPLE[Role.READER])
    return Reader(AsgiClient(Guard(gateway, hosts=[HOST], tokens=TokenBook(tmp_path / "tokens"))), token)


class Reader:
    """Somebody in a reader study."""

    def __init__(self, client: AsgiClient, token: str) -> None:
        self._client = client
        self._headers = {"authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, **headers: str) -> tuple[int, str]:
        answer = self._client.request(method, path, headers=self._headers | headers)
        return answer.status_code, answer.text


def routes(router: Any) -> set[tuple[str, str]]:
    """Method and path of every route, also those of the framework and of routers within."""
    found = set()
    for route in router.routes:
        if hasattr(route, "methods"):
            found |= {(method, route.path) for method in route.methods - {"HEAD"}}
        else:  # FastAPI 0.165 keeps an included router as one route
            found |= routes(route.original_router)
    return found


def test_a_reader_gets_403_from_every_route_that_is_not_named_here(gateway: FastAPI, reader: Reader) -> None:
    closed = routes(gateway) - OPEN
    assert {
        ("POST", "/infer/{model}"),
        ("POST", "/synthesis"),
        ("GET", "/info/"),
        ("PUT", "/datastore/label"),
    } <= closed
    assert ("GET", "/studies/{study}/segmentations/{instance}/mask") in closed
    assert ("GET", "/openapi.json") in closed
    assert routes(gateway) >= OPEN
    for method, path in sorted(closed):
        asked = re.sub(r"\{[^}]+\}", "1.2.3", path)
        status, text = reader.ask(method, asked)
        assert (status, json.loads(text)["detail"].split(";")[0]) == (403, "this is not open to a reader"), asked
    assert reader.ask("DELETE", "/studies/1.2.3")[0] == 403, "nor from one that is built later"


def test_of_the_documentation_a_reader_gets_how_to_read_and_nothing_that_shows_generated_images() -> None:
    reader = PEOPLE[Role.READER]
    assert may_ask(reader, "GET", "/docs-site/how-to/reading.html")
    assert may_ask(reader, "GET", "/docs-site/assets/stylesheets/main.css")
    closed = ("", "index.html", "models/index.html", "pictures/mask.png", "search/search_index.json")
    closed += ("concepts/reading-security.html", "tutorials/reading-tutorial.html", "how-to/reading.html/x")
    assert [name for name in closed if may_ask(reader, "GET", f"/docs-site/{name}")] == []


def test_owners_may_ask_for_everything_and_users_for_all_but_reader_studies_and_counts(gateway: FastAPI) -> None:
    people = (LOCAL, PEOPLE[Role.OWNER], PEOPLE[Role.USER])
    assert all(may_ask(person, *route) for person in people[:2] for route in routes(gateway))
    closed = {route for route in routes(gateway) if not may_ask(PEOPLE[Role.USER], *route)}
    assert closed == {route for route in routes(gateway) if re.match(r"/(reading|reading-room|metrics)(/|$)", route[1])}
    assert closed
    assert [viewer_scope(person) for person in people] == [EVERYTHING] * 3
    assert viewer_scope(PEOPLE[Role.READER]) == READING


def test_a_readers_viewer_has_no_study_list_and_the_mode_for_reading_alone(reader: Reader) -> None:
    status, text = reader.ask("GET", "/ohif/app-config.js")
    config = json.loads(text.removeprefix("window.config = ").removesuffix(";"))
    assert (status, config["showStudyList"]) == (200, False)
    assert config["extensions"] == ["/ohif/extensions/reading-room.js"]
    assert config["modes"] == ["/ohif/extensions/reading-mode.js"]
    (source,) = config["dataSources"]
    roots = {name: root for name, root in source["configuration"].items() if name.endswith("Root")}
    assert set(roots.values()) == {"/reading-room/dicom/qido", "/reading-room/dicom/wado"}
    assert "/proxy/" not in text
    assert reader.ask("GET", "/ohif/reading-config.js")[1] == text


def test_a_readers_viewer_opens_the_mode_for_reading_and_leads_to_the_reading_room_otherwise(reader: Reader) -> None:
    status, page = reader.ask("GET", "/ohif/reading?StudyInstanceUIDs=2.25.1&study=small")
    assert (status, "/ohif/reading-config.js" in page, "/ohif/app-config.js" in page) == (200, True, False)
    for path in ("/ohif/", "/ohif/synthesis", "/ohif/viewer?StudyInstanceUIDs=1.2"):
        assert reader.ask("GET", path) == (307, "")


@pytest.mark.parametrize("path", ["studies", "qido/studies", "series?Modality=MG", "qido/instances?PatientName=*"])
def test_a_readers_search_finds_nothing_and_is_not_passed_on(reader: Reader, path: str) -> None:
    assert reader.ask("GET", f"/proxy/dicom/{path}") == (200, "[]"), "the archive that does not answer was not asked"


@pytest.mark.parametrize("rest", ["", "/series", "/metadata", "/series/1.2.4/instances/1.2.5/frames/1"])
def test_a_reader_is_not_told_whether_a_study_exists(reader: Reader, rest: str) -> None:
    status, text = reader.ask("GET", f"/proxy/dicom/wado/studies/1.2.3{rest}")
    assert (status, json.loads(text)["detail"]) == (404, "no study 1.2.3 in the archive")


def test_a_reader_stores_nothing(reader: Reader) -> None:
    assert reader.ask("POST", "/proxy/dicom/stow/studies")[0] == 403


# --- somebody who may see one study of several ---


class OneStudy:
    """The proxy for somebody who may see one study, over an archive that holds two."""

    def __init__(self, archive: DicomWebStudies) -> None:
        self.archive = archive
        self.mine, self.second = mammogram(1, patient_id="MINE"), None
        self.second = mammogram(2, patient_id="MINE", study=self.mine.StudyInstanceUID)
        self.other = mammogram(3, patient_id="OTHER")
        for image in (self.mine, self.second, self.other):
            archive.store(image)
        scope = ViewerScope(study_instance_uids=frozenset({str(self.mine.StudyInstanceUID)}))
        app = FastAPI()
        app.include_router(create_proxy(archive.url, None, lambda request: scope)[0])
        answer_errors(app)
        self.client = TestClient(app)

    def found(self, path: str, **headers: str) -> list[str]:
        """Patients of what a search or a request for metadata gives."""
        answer = self.client.get(f"/proxy/dicom/{path}", headers=headers)
        assert answer.status_code == 200, answer.text
        return [item["00100020"]["Value"][0] for item in answer.json()]

    def stow(self, path: str, image: object) -> int:
        content = b"--end\r\nContent-Type: application/dicom\r\n\r\n" + as_file(image) + b"\r\n--end--\r\n"
        kind = 'multipart/related; type="application/dicom"; boundary=end'
        return self.client.post(f"/proxy/dicom/{path}", content=content, headers={"content-type": kind}).status_code


@pytest.fixture
def one_study(any_archive: DicomWebStudies) -> Iterator[OneStudy]:
    it = OneStudy(any_archive)
    with it.client:
        yield it


@pytest.mark.parametrize(("level", "count"), [("studies", 1), ("series", 2), ("instances", 2)])
def test_searches_find_what_may_be_seen_and_nothing_else(one_study: OneStudy, level: str, count: int) -> None:
    fields = "?includefield=00100020"
    assert one_study.found(f"qido/{level}{fields}") == ["MINE"] * count
    assert one_study.found(f"qido/{level}{fields}", accept='multipart/related; type="application/dicom+xml"')
    assert one_study.found(f"qido/{level}{fields}&PatientID=OTHER") == []
    assert one_study.found(f"qido/{level}{fields}&StudyInstanceUID={one_study.other.StudyInstanceUID}") == []
    assert one_study.found(f"qido/{level}{fields}&limit=1") == ["MINE"], "a limit counts what may be seen"
    assert one_study.found(f"qido/{level}{fields}&offset={count}") == []


def test_ones_own_study_is_retrieved_whole(one_study: OneStudy) -> None:
    mine = one_study.mine
    study = f"wado/studies/{mine.StudyInstanceUID}"
    instance = f"{study}/series/{mine.SeriesInstanceUID}/instances/{mine.SOPInstanceUID}"
    assert one_study.found(f"{study}/metadata") == ["MINE"] * 2
    assert one_study.found(f"qido/studies/{mine.StudyInstanceUID}/instances?includefield=00100020") == ["MINE"] * 2
    frame = one_study.client.get(f"/proxy/dicom/{instance}/frames/1")
    assert mine.PixelData in frame.content


def test_another_study_is_like_one_that_does_not_exist(one_study: OneStudy) -> None:
    other = one_study.other
    series, image = f"series/{other.SeriesInstanceUID}", f"instances/{other.SOPInstanceUID}"
    for rest in (
        "",
        "/series",
        "/metadata",
        f"/{series}/metadata",
        f"/{series}/{image}/frames/1",
        f"/{series}/{image}",
    ):
        answers = [
            one_study.client.get(f"/proxy/dicom/wado/studies/{study}{rest}")
            for study in (other.StudyInstanceUID, "1.2.3")
        ]
        assert [answer.status_code for answer in answers] == [404, 404], rest
        assert answers[0].text.replace(str(other.StudyInstanceUID), "1.2.3") == answers[1].text


def test_another_study_is_not_reached_through_ones_own_or_without_naming_one(one_study: OneStudy) -> None:
    mine, other = one_study.mine.StudyInstanceUID, one_study.other
    instance = f"series/{other.SeriesInstanceUID}/instances/{other.SOPInstanceUID}"
    for path in (
        f"studies/{mine}/{instance}",
        f"studies/{mine}/{instance}/metadata",
        f"studies/{mine}/{instance}/frames/1",
        f"studies/{mine}/{instance}/rendered",
        f"studies/{mine}/series/{other.SeriesInstanceUID}/metadata",
        f"studies/{mine}/studies/{other.StudyInstanceUID}/metadata",
        f"instances/{other.SOPInstanceUID}/metadata",
        instance,
    ):
        answer = one_study.client.get(f"/proxy/dicom/wado/{path}")
        assert answer.status_code == 404, path
        assert b"OTHER" not in answer.content


def test_nothing_is_stored_outside_ones_own_study(one_study: OneStudy) -> None:
    own, foreign = one_study.mine.StudyInstanceUID, one_study.other.StudyInstanceUID
    new = mammogram(4, study=foreign, patient_id="OTHER")
    assert one_study.stow("stow/studies", new) == 404
    assert one_study.stow(f"stow/studies/{foreign}", new) == 404
    assert one_study.stow(f"stow/studies/{own}", new) >= 400, "the archive checks the study, PS3.18 section 10.5"
    assert len(one_study.archive.study(foreign)) == 1
    assert one_study.stow(f"stow/studies/{own}", mammogram(5, study=own, patient_id="MINE")) == 200
    assert len(one_study.archive.study(own)) == 3
