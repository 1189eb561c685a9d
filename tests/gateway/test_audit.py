"""Every action leaves one line: who, what, which study, when, and nothing about a patient."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from monailabel_app.gateway import guard
from monailabel_app.gateway.audit import Audit, concerns
from monailabel_app.gateway.guard import Guard
from monailabel_app.identity import LOCAL, SCOPE_KEY, Identity, Role
from monailabel_app.tokens import TokenBook, add_token
from tests.support.asgi import AsgiClient

JOB = "01234567-89ab-cdef-0123-456789abcdef"
WADO = "/proxy/dicom/wado/studies/1.2.3"
METHODS = ["GET", "POST", "PUT", "DELETE"]


async def _answer(request: Request) -> PlainTextResponse:
    if request.url.path == "/synthesis":
        concerns(
            request, {"inputs": {"image": {"study_instance_uid": "1.2.3"}}, "parameters": {"note": "Muster^Mária"}}
        )
        concerns(request, {"job_id": JOB})
    if request.url.path.endswith("/stow/studies"):
        concerns(
            request, '{"00081190": {"Value": ["http://a/dicom-web/studies/1.2.3/series/1"]}, "other": "/studies/4.5"}'
        )
    if request.url.path == "/infer/broken":
        raise RuntimeError("Muster^Mária")
    return PlainTextResponse("", 404 if "missing" in request.url.path else 200)


class Server:
    """A guarded server with an audit log and a clock that the test moves."""

    def __init__(self, folder: Path, tokens: TokenBook | None = None) -> None:
        self.file, self.now = folder / "audit.log", 1000.0
        app = Guard(
            Starlette(routes=[Route("/{path:path}", _answer, methods=METHODS)]),
            hosts=["127.0.0.1:8000"],
            tokens=tokens,
        )
        self.client = AsgiClient(Audit(app, self.file, now=lambda: self.now))

    def lines(self) -> list[dict[str, Any]]:
        if not self.file.exists():
            return []
        return [json.loads(line) for line in self.file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", f"{WADO}/metadata", {"action": "study opened", "studies": ["1.2.3"]}),
        ("GET", f"{WADO}/series/1.2/metadata", {"action": "study opened", "studies": ["1.2.3"]}),
        ("GET", f"{WADO}/series/1.2/instances/3.4", {"action": "study opened", "studies": ["1.2.3"]}),
        ("GET", f"{WADO}/series/1.2/instances/3.4/frames/1", {"action": "study opened", "studies": ["1.2.3"]}),
        ("GET", "/datastore/image?image=1.2", {"action": "image downloaded", "studies": []}),
        ("POST", "/synthesis", {"action": "synthesis submitted", "studies": ["1.2.3"], "job": JOB}),
        ("DELETE", f"/synthesis/{JOB}", {"action": "synthesis cancelled", "studies": [], "job": JOB}),
        ("POST", "/infer/contrast?image=1.2", {"action": "inference", "studies": []}),
        ("POST", "/studies/1.2.3/segmentations", {"action": "segmentation stored", "studies": ["1.2.3"]}),
        ("POST", "/studies/1.2.3/segmentations/file", {"action": "segmentation stored", "studies": ["1.2.3"]}),
        ("PUT", "/datastore/label?image=1.2", {"action": "segmentation stored", "studies": []}),
        ("DELETE", "/studies/1.2.3/segmentations/4.5", {"action": "deletion", "studies": ["1.2.3"], "uid": "4.5"}),
        ("DELETE", "/studies/1.2.3/synthesized/4.5", {"action": "deletion", "studies": ["1.2.3"], "uid": "4.5"}),
        ("POST", "/proxy/dicom/stow/studies", {"action": "upload", "studies": ["1.2.3", "4.5"]}),
        ("POST", "/proxy/dicom/studies/1.2.3", {"action": "upload", "studies": ["1.2.3"]}),
        ("POST", "/train/contrast", {"action": "training started", "studies": []}),
        ("DELETE", "/train/", {"action": "training stopped", "studies": []}),
    ],
)
def test_an_action_leaves_one_line(server: Server, method: str, path: str, expected: dict[str, Any]) -> None:
    assert server.client.request(method, path).status_code == 200
    (line,) = server.lines()
    assert line.pop("time").endswith("+00:00")
    assert line == {"name": "local", "role": "owner", "status": 200, **expected}
    assert stat.S_IMODE(server.file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "path", ["/health", "/ohif/", "/info/", "/synthesis/" + JOB, f"{WADO}/series", "/proxy/dicom/qido/studies"]
)
def test_looking_around_leaves_none(server: Server, path: str) -> None:
    server.client.get(path)
    assert server.lines() == []


def test_a_study_is_opened_once_however_often_a_viewer_asks_and_again_later(server: Server) -> None:
    for path in (f"{WADO}/metadata", f"{WADO}/series/1.2/metadata", f"{WADO}/series/1.2/instances/3.4/frames/1"):
        server.client.get(path)
    server.client.get("/proxy/dicom/wado/studies/9.9/metadata")
    server.now += 601
    server.client.get(f"{WADO}/metadata")
    assert [line["studies"] for line in server.lines()] == [["1.2.3"], ["9.9"], ["1.2.3"]]


def test_what_was_tried_and_failed_is_told_by_its_status(server: Server) -> None:
    server.client.get(f"{WADO}/missing/metadata")
    server.client.post("/infer/broken")
    assert [(line["action"], line["status"]) for line in server.lines()] == [("study opened", 404), ("inference", 500)]


def test_the_line_is_there_before_whoever_asked_hears_of_it(server: Server, tmp_path: Path) -> None:
    seen: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("")(scope, receive, send)

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def looking(message: Any) -> None:
            seen.append(len(server.lines()))
            await send(message)

        scope[SCOPE_KEY] = LOCAL
        await Audit(app, server.file)(scope, receive, looking)

    AsgiClient(watched).post("/synthesis")
    assert seen == [1, 1], "of the head and of the body of the answer"


def test_no_name_of_a_patient_gets_in_wherever_it_stands_in_a_request(server: Server) -> None:
    name = "Muster^Mária"
    server.client.get(f"{WADO}/metadata", params={"PatientName": name}, headers={"x-name": "Muster"})
    server.client.post("/synthesis", json={"PatientName": name})
    server.client.post(f"/infer/{name}", params={"image": name})
    server.client.post(f"/train/{name}", json={"name": name})
    server.client.put("/datastore/label", params={"image": name, "tag": name})
    server.client.request("DELETE", f"/studies/1.2.3/segmentations/{name}")
    server.client.post(f"/studies/{name}/segmentations")
    server.client.post("/infer/broken")
    assert len(server.lines()) == 6
    assert "muster" not in server.file.read_text(encoding="utf-8").lower()


@pytest.fixture
def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Server, str]:
    monkeypatch.setattr(guard, "WRONG_TOKEN_DELAY_S", 0.0)
    token = add_token(tmp_path / "tokens", Identity("Anna Müller", Role.USER))
    return Server(tmp_path, TokenBook(tmp_path / "tokens")), token


def test_signing_in_is_told_with_the_name_and_never_with_the_token(guarded: tuple[Server, str]) -> None:
    server, token = guarded
    server.client.post("/sign-in", data={"token": token})
    server.client.get(f"/ohif/?token={token}")
    server.client.get(f"{WADO}/metadata", headers={"authorization": f"Bearer {token}"})
    found = [(line["name"], line["role"], line["action"], line["status"]) for line in server.lines()]
    assert found == [
        ("Anna Müller", "user", "sign-in", 303),
        ("Anna Müller", "user", "sign-in", 303),
        ("Anna Müller", "user", "study opened", 200),
    ]
    assert token not in server.file.read_text(encoding="utf-8")


def test_refused_sign_ins_are_told_and_counted_so_that_guessing_does_not_fill_the_disk(
    guarded: tuple[Server, str],
) -> None:
    server, _ = guarded
    for number in range(20):
        server.client.post("/sign-in", data={"token": f"a secret that was mistyped {number}"})
    server.now += 1
    server.client.get("/info/", headers={"authorization": "Bearer a secret that was mistyped"})
    lines = server.lines()
    assert [(line["name"], line["action"], line["status"]) for line in lines] == [
        (None, "sign-in refused", 401),
        (None, "sign-in refused", 429),
    ]
    assert [line["refused_before"] for line in lines] == [0, 19]
    assert [line["from"] for line in lines] == ["127.0.0.1"] * 2
    assert "mistyped" not in server.file.read_text(encoding="utf-8")


def test_nobody_writes_into_the_log_without_a_token(guarded: tuple[Server, str]) -> None:
    server, _ = guarded
    for method, path in (("POST", "/synthesis"), ("GET", f"{WADO}/metadata"), ("DELETE", "/train/")):
        assert server.client.request(method, path).status_code == 401
    assert server.lines() == []


def test_a_reader_who_tries_what_is_closed_is_told_of(tmp_path: Path) -> None:
    token = add_token(tmp_path / "tokens", Identity("R1", Role.READER))
    server = Server(tmp_path, TokenBook(tmp_path / "tokens"))
    server.client.post("/synthesis", headers={"authorization": f"Bearer {token}"})
    assert [(line["name"], line["action"], line["status"]) for line in server.lines()] == [
        ("R1", "synthesis submitted", 403)
    ]


def test_a_log_that_cannot_be_written_stops_nobody_and_is_told(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.file.mkdir()
    assert server.client.post("/synthesis").status_code == 200
    assert "audit.log cannot be written" in caplog.text
    assert '"action": "synthesis submitted"' in caplog.text
