import time

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from monailabel_app.gateway import guard
from monailabel_app.gateway.guard import Guard, identity_of
from monailabel_app.gateway.sign_in import COOKIE
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import TokenBook, add_token, remove_token
from tests.support.asgi import AsgiClient

HOST = "127.0.0.1:8000"


async def _echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())), headers={"who": str(identity_of(request))})


def _client(tokens: TokenBook | None = None) -> AsgiClient:
    app = Starlette(routes=[Route("/{path:path}", _echo, methods=["GET", "POST", "PUT", "DELETE"])])
    return AsgiClient(Guard(app, hosts=[HOST], tokens=tokens))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tokens.json"


@pytest.fixture
def anna(file, monkeypatch):
    """Anna's token, in a file of its own."""
    monkeypatch.setattr(guard, "WRONG_TOKEN_DELAY_S", 0.0)
    return add_token(file, Identity("Anna", Role.USER))


def _bearer(token):
    return {"authorization": f"Bearer {token}"}


def test_a_plain_request_passes():
    assert _client().get("/info/").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:9999", ""])
def test_another_host_is_refused_so_that_dns_rebinding_fails(host):
    assert _client().get("/info/", headers={"host": host}).status_code == 403


def test_another_origin_is_refused_and_the_own_one_passes():
    client = _client()
    assert client.post("/synthesis", headers={"origin": "https://evil.example"}).status_code == 403
    assert client.post("/synthesis", headers={"origin": "null"}).status_code == 403
    assert client.post("/synthesis", headers={"origin": f"http://{HOST}"}).status_code == 200


def test_a_cross_site_subresource_is_refused_without_an_origin_header():
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert _client().get("/proxy/dicom/studies", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/proxy/dicom/%2e%2e/instances", "/proxy/dicom/..%2fsystem", "/a%5c..%5cb", "/a/%252e%252e/b", "/a%00b", "/a//b"],
)
def test_devious_paths_are_refused(path):
    assert _client().get(path).status_code == 400


def test_a_body_above_the_limit_is_refused_by_its_announced_length():
    response = _client().post("/synthesis", content=b"x" * (1024 * 1024 + 1))
    assert response.status_code == 413
    assert "1 MiB" in response.json()["detail"]


def test_a_body_above_the_limit_is_refused_while_it_streams():
    async def endless():
        for _ in range(40):
            yield b"x" * 65536

    assert _client().post("/synthesis", content=endless()).status_code == 413


def test_a_larger_body_passes_where_images_are_stored():
    assert _client().post("/proxy/dicom/studies", content=b"x" * (2 * 1024 * 1024)).text == str(2 * 1024 * 1024)


def test_without_tokens_whoever_asks_is_local_and_an_owner():
    who = _client().get("/info/").headers["who"]
    assert who == str(Identity("local", Role.OWNER))


def test_without_a_token_nothing_passes(file, anna):
    client = _client(TokenBook(file))
    response = client.get("/info/")
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["detail"].startswith("a token is needed: send 'Authorization: Bearer TOKEN'")
    for wrong in ("wrong", anna[:-1], anna + "x", "\xff", "x" * 100_000):
        assert client.get("/info/", headers={"authorization": f"Bearer {wrong}".encode("latin-1")}).status_code == 401


def test_a_token_passes_as_a_bearer_header_and_tells_whose_it_is(file, anna):
    bert = add_token(file, Identity("Bert", Role.OWNER))
    client = _client(TokenBook(file))
    for token, expected in ((anna, Identity("Anna", Role.USER)), (bert, Identity("Bert", Role.OWNER))):
        answer = client.get("/info/", headers=_bearer(token))
        assert (answer.status_code, answer.headers["who"]) == (200, str(expected))


def test_a_token_that_is_added_or_removed_counts_from_the_next_request_on(file, anna):
    client = _client(TokenBook(file))
    assert client.get("/info/", headers=_bearer(anna)).status_code == 200
    bert = add_token(file, Identity("Bert", Role.OWNER))
    assert client.get("/info/", headers=_bearer(bert)).status_code == 200
    remove_token(file, "Anna")
    assert client.get("/info/", headers=_bearer(anna)).status_code == 401
    file.unlink()
    assert client.get("/info/", headers=_bearer(bert)).status_code == 401


def test_the_browser_signs_in_once_by_address_and_the_token_leaves_the_address(file, anna):
    client = _client(TokenBook(file))
    response = client.get(f"/ohif/viewer?StudyInstanceUIDs=1.2&token={anna}")
    assert response.status_code == 303
    assert response.headers["location"] == "/ohif/viewer?StudyInstanceUIDs=1.2"
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/ohif/", headers={"cookie": f"{COOKIE}={anna}"}).status_code == 200


def test_a_malformed_cookie_is_refused_and_not_a_server_error(file, anna):
    assert _client(TokenBook(file)).get("/ohif/", headers={"cookie": "\x01=;;="}).status_code == 401


@pytest.mark.slow
def test_a_wrong_token_waits_and_keeps_nobody_else_waiting(file, anna, monkeypatch):
    monkeypatch.setattr(guard, "WRONG_TOKEN_DELAY_S", 1.0)
    app = Guard(Starlette(routes=[Route("/", _echo)]), hosts=[HOST], tokens=TokenBook(file))
    done = []

    async def ask(token):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{HOST}") as client:
            done.append((await client.get("/", headers=_bearer(token))).status_code)

    async def everybody():
        async with anyio.create_task_group() as tasks:
            for token in ("wrong", "wrong", "wrong", anna):
                tasks.start_soon(ask, token)

    started = time.monotonic()
    anyio.run(everybody)
    assert done == [200, 401, 401, 401]
    assert 1.0 <= time.monotonic() - started < 2.5, "those who guess wait beside each other"


def test_the_routes_behind_the_guard_know_of_nobody_without_it():
    app = AsgiClient(Starlette(routes=[Route("/", _echo)]))
    assert app.get("/").status_code == 500
