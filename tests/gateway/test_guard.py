import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from monailabel_app.gateway.guard import COOKIE, Guard
from tests.support.asgi import AsgiClient

TOKEN = "a-token-of-some-length"
HOST = "127.0.0.1:8000"


async def _echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


def _client(token: str | None = None) -> AsgiClient:
    app = Starlette(routes=[Route("/{path:path}", _echo, methods=["GET", "POST"])])
    return AsgiClient(Guard(app, hosts=[HOST], token=token))


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


def test_without_the_token_nothing_passes():
    response = _client(TOKEN).get("/info/")
    assert response.status_code == 401
    assert "Bearer" in response.json()["detail"]
    assert _client(TOKEN).get("/info/", headers={"authorization": "Bearer wrong"}).status_code == 401


def test_the_token_passes_as_a_bearer_header():
    assert _client(TOKEN).get("/info/", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_browser_signs_in_once_by_address_and_the_token_leaves_the_address():
    client = _client(TOKEN)
    response = client.get(f"/ohif/viewer?StudyInstanceUIDs=1.2&token={TOKEN}")
    assert response.status_code == 303
    assert response.headers["location"] == "/ohif/viewer?StudyInstanceUIDs=1.2"
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/ohif/", headers={"cookie": f"{COOKIE}={TOKEN}"}).status_code == 200


def test_a_malformed_cookie_is_refused_and_not_a_server_error():
    assert _client(TOKEN).get("/ohif/", headers={"cookie": "\x01=;;="}).status_code == 401
