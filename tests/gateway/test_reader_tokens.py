"""An owner makes and revokes readers' tokens over HTTP, and nobody else's."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from monailabel_app.gateway import guard
from monailabel_app.gateway.app import create_gateway
from monailabel_app.gateway.audit import Audit
from monailabel_app.gateway.guard import Guard
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import TokenBook, add_token
from tests.support.asgi import AsgiClient, as_asked_by

HOST = "127.0.0.1:8000"


class Office:
    """A server that asks for tokens, an owner and a user of it."""

    def __init__(self, folder: Path) -> None:
        self.file, self.log = folder / "tokens.json", folder / "audit.log"
        self.owner = add_token(self.file, Identity("the owner", Role.OWNER))
        self.user = add_token(self.file, Identity("a user", Role.USER))
        gateway = create_gateway(None, None, folder, token_file=self.file)
        self._client = AsgiClient(Audit(Guard(gateway, hosts=[HOST], tokens=TokenBook(self.file)), self.log))

    def ask(self, method: str, path: str, token: str | None = None) -> httpx.Response:
        return self._client.request(method, path, headers={"authorization": f"Bearer {token or self.owner}"})


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr(guard, "WRONG_TOKEN_DELAY_S", 0.0)
    return Office(tmp_path)


def test_a_reader_signs_in_with_a_token_until_it_is_revoked(office: Office) -> None:
    path = f"/reading/tokens/{quote('Ana María')}"
    made = office.ask("POST", path)
    assert (made.status_code, made.json()["name"]) == (201, "Ana María")
    token = made.json()["token"]
    assert office.ask("GET", "/ohif/app-config.js", token).status_code == 200
    assert office.ask("GET", "/reading/tokens", token).status_code == 403
    listed = office.ask("GET", "/reading/tokens")
    assert [(each["name"], each["role"]) for each in listed.json()["tokens"]][-1] == ("Ana María", "reader")
    assert (listed.json()["you"], listed.json()["asks_for_tokens"]) == ("the owner", True)
    assert token not in listed.text + office.file.read_text() + office.log.read_text()
    assert office.ask("DELETE", path).status_code == 200
    assert office.ask("GET", "/ohif/app-config.js", token).status_code == 401
    assert office.ask("POST", path).json()["token"] != token, "who lost one gets another"


def test_who_made_and_revoked_whose_token_is_written_down(office: Office) -> None:
    office.ask("POST", "/reading/tokens/ann")
    office.ask("POST", "/reading/tokens/ann")
    office.ask("DELETE", "/reading/tokens/ann")
    office.ask("DELETE", "/reading/tokens/DOE%5EJANE")
    lines = [json.loads(line) for line in office.log.read_text().splitlines()]
    assert [(line["name"], line["action"], line["status"], line.get("holder")) for line in lines] == [
        ("the owner", "token of a reader made", 201, "ann"),
        ("the owner", "token of a reader made", 409, None),
        ("the owner", "token of a reader revoked", 200, "ann"),
        ("the owner", "token of a reader revoked", 404, None),
    ], "what is no holder's name may be anybody's"


@pytest.mark.parametrize("name", ["the owner", "a user"])
def test_nobody_is_locked_out_or_made_a_reader_from_a_browser(office: Office, name: str) -> None:
    path = f"/reading/tokens/{quote(name)}"
    assert "is no reader but" in office.ask("DELETE", path).json()["detail"]
    assert office.ask("POST", path).json()["detail"] == f"{name} has a token already; revoke it first if it was lost"
    assert [office.ask("DELETE", path).status_code, office.ask("POST", path).status_code] == [409, 409]
    assert office.ask("GET", "/reading/tokens").json()["tokens"][-1]["name"] == "a user"


def test_users_neither_see_nor_make_tokens(office: Office) -> None:
    asked = [("GET", "/reading"), ("GET", "/reading/tokens"), ("POST", "/reading/tokens/eve")]
    assert [office.ask(*each, office.user).status_code for each in asked] == [403, 403, 403]


@pytest.mark.parametrize("name", ["local", "-ann", "a" * 64, "ann\n", "ann%0D%0AX: y"])
def test_a_name_that_cannot_be_one_is_refused(office: Office, name: str) -> None:
    before = office.file.read_bytes()
    answer = office.ask("POST", f"/reading/tokens/{quote(name)}")
    assert (answer.status_code, "cannot be a name" in answer.json()["detail"]) == (400, True)
    assert office.file.read_bytes() == before


def test_a_server_that_asks_for_no_tokens_says_so(tmp_path: Path) -> None:
    client = AsgiClient(as_asked_by(create_gateway(None, None, tmp_path)))
    assert client.get("/reading/tokens").json() == {"you": "local", "asks_for_tokens": False, "tokens": []}
    answer = client.post("/reading/tokens/ann")
    assert (answer.status_code, "--token-file" in answer.json()["detail"]) == (409, True)


def test_the_page_runs_its_own_scripts_only(tmp_path: Path) -> None:
    client = AsgiClient(as_asked_by(create_gateway(None, None, tmp_path)))
    page = client.get("/reading")
    assert "default-src 'none'; script-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert client.get("/reading/page/page.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/reading/page/index.py").status_code == 404
