"""People sign in on a page, without script; programs get a sentence."""

import re
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from monailabel_app.gateway import guard
from monailabel_app.gateway.guard import Guard, identity_of
from monailabel_app.gateway.sign_in import COOKIE, WRONG_TOKEN
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import TokenBook, add_token
from tests.support.asgi import AsgiClient

HOST = "mammo.example.org"
HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM = {**HTML, "content-type": "application/x-www-form-urlencoded", "origin": f"http://{HOST}"}


async def _who(request: Request) -> PlainTextResponse:
    return PlainTextResponse(identity_of(request).name)


def _client(tokens: TokenBook | None, scheme: str = "http") -> AsgiClient:
    app = Guard(Starlette(routes=[Route("/{path:path}", _who)]), hosts=[HOST], tokens=tokens)
    return AsgiClient(app, f"{scheme}://{HOST}")


@pytest.fixture
def token(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "WRONG_TOKEN_DELAY_S", 0.0)
    return add_token(tmp_path / "tokens", Identity("Anna", Role.USER))


def test_a_page_that_is_closed_to_a_reader_leads_back_to_the_reading_room(tmp_path):
    reader = add_token(tmp_path / "readers", Identity("Ann", Role.READER))
    client = _client(TokenBook(tmp_path / "readers"))
    answer = client.get("/reading", headers={**HTML, "cookie": f"{COOKIE}={reader}"})
    assert answer.status_code == 403
    assert "This is not open to a reader; ask whoever runs this server." in answer.text
    assert '<a class="go" href="/">Go to your reading room</a>' in answer.text
    assert client.get("/reading", headers={"cookie": f"{COOKIE}={reader}"}).json()["detail"].startswith("this is not")


@pytest.fixture
def client(token, tmp_path):
    return _client(TokenBook(tmp_path / "tokens"))


def _post(client, token, next_path="/ohif/", **headers):
    return client.post("/sign-in", content=urlencode({"token": token, "next": next_path}), headers={**FORM, **headers})


def test_a_browser_is_asked_for_the_token_on_a_page_that_needs_no_script(client):
    answer = client.get("/ohif/viewer?StudyInstanceUIDs=1.2", headers=HTML)
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert '<label for="token">Token</label>' in answer.text
    assert re.search(r'<input id="token" name="token" type="password"', answer.text)
    assert 'name="next" value="/ohif/viewer?StudyInstanceUIDs=1.2"' in answer.text
    assert "<script" not in answer.text
    assert "http-equiv" not in answer.text


@pytest.mark.parametrize("headers", [{}, {"accept": "*/*"}, {"accept": "application/dicom+json"}])
def test_a_program_gets_a_sentence(client, headers):
    answer = client.get("/info/", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["detail"].startswith("a token is needed")


def test_the_right_token_is_kept_where_scripts_and_other_sites_cannot_reach_it(client, token):
    answer = _post(client, token, "/ohif/viewer?StudyInstanceUIDs=1.2")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ohif/viewer?StudyInstanceUIDs=1.2")
    kept, *attributes = answer.headers["set-cookie"].lower().split("; ")
    assert kept == f"{COOKIE}={token}".lower()
    assert {"httponly", "samesite=strict", "path=/"} <= set(attributes)
    assert "secure" not in attributes
    assert client.get("/ohif/", headers={**HTML, "cookie": f"{COOKIE}={token}"}).text == "Anna"


@pytest.mark.parametrize(
    ("scheme", "origin", "forwarded"), [("https", None, None), ("http", "https", None), ("http", "http", "https")]
)
def test_the_cookie_is_for_https_alone_where_the_browser_came_by_https(token, tmp_path, scheme, origin, forwarded):
    headers = {"origin": f"{origin or scheme}://{HOST}"} | ({"x-forwarded-proto": forwarded} if forwarded else {})
    answer = _post(_client(TokenBook(tmp_path / "tokens"), scheme), token, **headers)
    secure = "secure" in answer.headers["set-cookie"].lower().split("; ")
    assert secure is (forwarded is None), "the guard itself believes no header that anybody can send"


def test_a_wrong_token_is_told_in_words_and_keeps_the_way_that_was_wanted(client):
    answer = _post(client, "not it", "/ohif/viewer")
    assert answer.status_code == 401
    assert WRONG_TOKEN in answer.text
    assert 'role="alert"' in answer.text
    assert 'name="next" value="/ohif/viewer"' in answer.text
    assert "not it" not in answer.text
    assert "set-cookie" not in answer.headers


def test_what_is_no_form_of_ours_signs_nobody_in(client):
    assert client.post("/sign-in", content=b"token=" + b"x" * 10_000, headers=FORM).status_code == 401
    assert client.post("/sign-in", content=b"\xff\x00", headers=FORM).status_code == 401
    assert client.post("/sign-in", headers=FORM).status_code == 401


def test_another_site_cannot_sign_anybody_in(client, token):
    assert _post(client, token, origin="https://evil.example").status_code == 403
    assert _post(client, token, origin="null").status_code == 403


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/\t/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "ohif/",
        "",
        "/sign-in?next=/sign-in",
        "/sign-out",
    ],
)
def test_nobody_is_sent_elsewhere_after_signing_in(client, token, elsewhere):
    assert _post(client, token, elsewhere).headers["location"] == "/ohif/"
    page = client.get("/sign-in?" + urlencode({"next": elsewhere}), headers=HTML)
    assert 'name="next" value="/ohif/"' in page.text


def test_what_is_wanted_is_written_into_the_page_as_text_only(client):
    page = client.get("/sign-in?next=/%22%3E%3Cscript%3Ealert(1)%3C/script%3E", headers=HTML)
    assert "<script" not in page.text


def test_a_link_on_another_site_is_asked_for_again_from_here_because_it_brought_no_cookie(client, token):
    elsewhere = {**HTML, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    page = client.get("/ohif/viewer?StudyInstanceUIDs=1.2", headers=elsewhere)
    assert '<meta http-equiv="refresh" content="0; url=/ohif/viewer?StudyInstanceUIDs=1.2">' in page.text
    assert 'name="token"' in page.text
    wrong = client.get("/ohif/?token=wrong", headers=elsewhere)
    assert "http-equiv" not in wrong.text


def test_whoever_is_signed_in_can_sign_out(client, token):
    cookie = {"cookie": f"{COOKIE}={token}"}
    page = client.get("/sign-in", headers={**HTML, **cookie})
    assert page.status_code == 200
    assert "<strong>Anna</strong> (user)" in page.text
    assert 'method="post" action="/sign-out"' in page.text
    answer = client.post("/sign-out", headers={**FORM, **cookie})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert answer.headers["set-cookie"].startswith(f'{COOKIE}=""; ')
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert answer.headers["clear-site-data"] == '"storage"'


def test_a_server_without_tokens_has_nothing_to_sign_in_to():
    answer = _client(None).get("/sign-in?next=/ohif/viewer", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ohif/viewer")
