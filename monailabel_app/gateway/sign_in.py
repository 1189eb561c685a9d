"""The page on which a person signs in with a token: plain HTML that works without script."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope

from monailabel_app.identity import Identity, Role

COOKIE = "mammosynth_token"
SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
WRONG_TOKEN = "This token is not known here, or no longer. Check that you pasted all of it, or ask for a new one."
_VIEWER = "/ohif/"
# One slash; no backslash and no blank anywhere: browsers take the one for a slash, and leave out some of the other.
_OWN_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")
_MAX_FORM_BYTES = 8192
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "same-origin",  # without any, browsers would send Origin: null with the form
    "x-content-type-options": "nosniff",
}
_PAGE = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True).get_template(
    "sign_in.html"
)


def sign_in_page(
    status: int, next_path: str, *, identity: Identity | None = None, problem: str = "", again: bool = False
) -> Response:
    """The page.

    Args:
        status: HTTP status.
        next_path: Where to go afterwards; what is not a path of this server becomes the viewer's.
        identity: Whoever is signed in already, who is offered to sign out.
        problem: What went wrong.
        again: Let the browser ask for `next_path` once more, from this page.
    """
    reads = identity is not None and identity.role is Role.READER
    text = _PAGE.render(next=own_path(next_path), identity=identity, reads=reads, problem=problem, again=again)
    headers = _HEADERS | ({"WWW-Authenticate": "Bearer"} if status == 401 else {})
    return HTMLResponse(text, status, headers)


async def read_form(receive: Receive) -> dict[str, str]:
    """The fields of a posted form; none of a form that is larger than any of ours."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _MAX_FORM_BYTES or message["type"] == "http.disconnect":
            return {}
        if not message.get("more_body", False):
            break
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0].strip() for name, values in fields.items()}


def signed_in(scope: Scope, origin: str, token: str, next_path: str) -> Response:
    """Keep the token in the browser, and go on.

    The cookie is for https alone where the browser came by https: by its own word (Origin), which no other site can
    forge, or by that of the server or of a proxy that it trusts (uvicorn believes X-Forwarded-Proto of those in
    FORWARDED_ALLOW_IPS, see `ServeOptions.trusted_proxies`).
    """
    response = RedirectResponse(own_path(next_path), status_code=303, headers={"cache-control": "no-store"})
    secure = origin.startswith("https://") or scope["scheme"] == "https"
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", path="/", secure=secure)
    return response


def signed_out() -> Response:
    """Forget the token in the browser, and what our pages kept there, such as answers that were not sent yet."""
    response = RedirectResponse(SIGN_IN, status_code=303, headers={"clear-site-data": '"storage"'})
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


def own_path(path: str) -> str:
    """The path if it is one of this server, beside this page's own; the viewer's otherwise."""
    is_own = _OWN_PATH.fullmatch(path) is not None and urlsplit(path).path not in (SIGN_IN, SIGN_OUT)
    return path if is_own else _VIEWER


def path_without_token(path: str, query: list[tuple[str, str]]) -> str:
    """A path and its query as they are asked for once somebody has signed in."""
    rest = urlencode([(name, value) for name, value in query if name != "token"])
    return quote(path, safe="/:@!$&'()*+,;=") + (f"?{rest}" if rest else "")
