"""What every answer has in common, also those of the guard and those to nonsense."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from monailabel_app.gateway.answers import SafeHeaders
from monailabel_app.gateway.guard import Guard
from monailabel_app.gateway.ohif import ROOT, create_ohif
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import TokenBook, add_token
from tests.support.asgi import AsgiClient, as_asked_by


async def _answer(_: Request) -> PlainTextResponse:
    return PlainTextResponse("", headers={"content-security-policy": "default-src 'none'"})


@pytest.fixture
def client(tmp_path: Path) -> AsgiClient:
    token = add_token(tmp_path / "tokens", Identity("Anna", Role.USER))
    app = Guard(
        Starlette(routes=[Route("/own", _answer)]), hosts=["127.0.0.1:8000"], tokens=TokenBook(tmp_path / "tokens")
    )
    client = AsgiClient(SafeHeaders(app))
    client.headers = {"authorization": f"Bearer {token}"}
    return client


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("/info", {}, 401), ("/", {"host": "b"}, 403), ("/a//b", {}, 400), ("/sign-in", {}, 200)],
)
def test_every_answer_forbids_guessing_its_type_and_foreign_frames(
    client: AsgiClient, path: str, headers: dict[str, str], status: int
) -> None:
    answer = client.get(path, headers=headers)
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert re.search("frame-ancestors '(?:self|none)'", answer.headers["content-security-policy"])
    assert answer.headers["referrer-policy"] == "same-origin"


def test_an_answer_that_has_a_policy_of_its_own_keeps_it(client: AsgiClient) -> None:
    assert client.get("/own", headers=client.headers).headers["content-security-policy"] == "default-src 'none'"


def test_the_viewers_page_runs_only_its_own_scripts() -> None:
    app = FastAPI()
    app.include_router(create_ohif())
    answer = AsgiClient(SafeHeaders(as_asked_by(app))).get("/ohif/")
    rules = dict(rule.split(maxsplit=1) for rule in answer.headers["content-security-policy"].split("; "))
    scripts = rules["script-src"].split()
    assert (rules["default-src"], rules["object-src"], rules["frame-ancestors"]) == ("'self'", "'none'", "'self'")
    assert [rule for rule in scripts if not rule.startswith("'sha256-")] == ["'self'", "'wasm-unsafe-eval'"]
    assert len(scripts) - 2 == (ROOT / "index.html").read_text().count("<script>") > 0
    assert (
        "frame-ancestors 'self'"
        in AsgiClient(SafeHeaders(as_asked_by(app))).get("/ohif/app-config.js").headers["content-security-policy"]
    )
