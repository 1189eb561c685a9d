"""What every request must pass before anything else sees it: host, origin, path, body size, and who asks.

The platform reflects any Origin with credentials and its own authentication refuses valid tokens (MONAI Label 0.8.5),
so a web page the user happens to visit could drive a server on this machine. This guard is the cure. It also tells
everything behind it who asks (`identity_of`), and closes to a role what is not open to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, unquote

import anyio
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mammosynth.counts import count_of
from monailabel_app.gateway.audit import Action, note_action
from monailabel_app.gateway.busy import TOO_MANY
from monailabel_app.gateway.guessing import Guesses
from monailabel_app.gateway.scope import is_open_to_anybody, may_ask
from monailabel_app.gateway.sign_in import (
    COOKIE,
    SIGN_IN,
    SIGN_OUT,
    WRONG_TOKEN,
    own_path,
    path_without_token,
    read_form,
    sign_in_page,
    signed_in,
    signed_out,
)
from monailabel_app.identity import LOCAL, SCOPE_KEY, Identity
from monailabel_app.tokens import TokenBook

WRONG_TOKEN_DELAY_S = 0.5  # slows guessing down; each answer waits for itself alone, so nobody can block others
MIB = 1024 * 1024
# Largest body per path prefix, in bytes; the first match counts.
BODY_LIMITS = (
    (re.compile(r"/proxy/dicom/"), 1024 * MIB),
    (re.compile(r"/infer/"), 256 * MIB),
    (re.compile(r"/datastore/"), 256 * MIB),
    (re.compile(r"/studies/"), 256 * MIB),  # a segmentation
    (re.compile(r"/reading/"), 16 * MIB),  # a protocol with its cases
    (re.compile(r"/"), 1 * MIB),
)


def identity_of(request: HTTPConnection) -> Identity:
    """Who asks.

    Raises:
        KeyError: If the app is not behind its guard, so that nobody has checked it.
    """
    return request.scope[SCOPE_KEY]


class _BodyTooLargeError(Exception):
    """More bytes arrived than the limit allows."""


class Guard:
    """ASGI middleware that answers 400, 401, 403 or 413 and signing in itself and lets everything else through."""

    def __init__(
        self, app: ASGIApp, *, hosts: Iterable[str], tokens: TokenBook | None, guesses: Guesses | None = None
    ) -> None:
        """Wrap an app.

        Args:
            app: What to protect.
            hosts: Accepted values of the Host header, as `name:port` (lower case).
            tokens: Who may sign in; None lets everybody in as `LOCAL`.
            guesses: Counts wrong tokens.
        """
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._tokens = tokens
        self._guesses = guesses or Guesses()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then pass on."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        answer = self._refusal(scope, headers) or await self._sign_in(scope, headers, receive)
        if answer is not None:
            await answer(scope, receive, send)
            return
        await self._pass_on(scope, receive, send, _body_limit(scope["path"]))

    def _refusal(self, scope: Scope, headers: dict[bytes, str]) -> Response | None:
        host = headers.get(b"host", "").lower()
        if host not in self._hosts:
            return _answer(403, f"Host {host[:80]!r} is not served here; add it with --allowed-host if it is yours")
        origin = headers.get(b"origin")
        if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):
            return _answer(403, "requests from other web sites are refused (Origin differs from Host)")
        if headers.get(b"sec-fetch-site") == "cross-site" and headers.get(b"sec-fetch-mode") != "navigate":
            return _answer(403, "requests from other web sites are refused (Sec-Fetch-Site: cross-site)")
        raw = scope.get("raw_path", b"").decode("latin-1").split("?")[0]
        if _is_devious(raw) or _is_devious(scope["path"]):
            return _answer(400, "the path holds '..', '\\', '//' or an encoded slash; ask for a plain path")
        length = headers.get(b"content-length", "0")
        limit = _body_limit(scope["path"])
        if not length.isdigit() or int(length) > limit:
            return _answer(413, f"the body is larger than {limit // MIB} MiB, the most that {scope['path']} takes")
        return None

    async def _sign_in(self, scope: Scope, headers: dict[bytes, str], receive: Receive) -> Response | None:
        """Note who asks; an answer if that is not known, not enough, or all that was asked for."""
        path, query = scope["path"], _query(scope)
        if self._tokens is None:
            scope[SCOPE_KEY] = LOCAL
            is_page = path in (SIGN_IN, SIGN_OUT)
            return RedirectResponse(own_path(dict(query).get("next", "")), 303) if is_page else None
        if scope["method"] == "POST" and path == SIGN_IN:
            form = await read_form(receive)
            return await self._take_token(scope, headers, form.get("token", ""), form.get("next", ""))
        if scope["method"] == "POST" and path == SIGN_OUT:
            return signed_out()
        presented = [token for token in (_bearer(headers), _cookie(headers.get(b"cookie", ""))) if token]
        if wait_s := min((self._guesses.wait_s(_address(scope), token) for token in presented), default=0):
            return _too_many_guesses(scope, headers, path_without_token(path, query), wait_s)
        found = [identity for token in presented if (identity := self._identify(scope, token))]
        if found:
            scope[SCOPE_KEY] = found[0]
        given = dict(query).get("token") if scope["method"] == "GET" and _bearer(headers) == "" else None
        if given and path not in (SIGN_IN, SIGN_OUT):
            return await self._take_token(scope, headers, given, path_without_token(path, query))
        if path in (SIGN_IN, SIGN_OUT):
            return sign_in_page(200, dict(query).get("next", ""), identity=found[0] if found else None)
        if found:
            if may_ask(found[0], scope["method"], path):
                return None
            return _closed(found[0], headers)
        if presented:
            return await _refused(scope, headers, path_without_token(path, query))
        if is_open_to_anybody(scope["method"], path):
            return None
        return _unknown(headers, path_without_token(path, query))

    async def _take_token(self, scope: Scope, headers: dict[bytes, str], token: str, next_path: str) -> Response:
        """Keep a token as a cookie, so that it leaves the address, where history and logs would keep it."""
        if wait_s := self._guesses.wait_s(_address(scope), token):
            return _too_many_guesses(scope, headers, next_path, wait_s)
        identity = self._identify(scope, token)
        if identity is None:
            return await _refused(scope, headers, next_path)
        scope[SCOPE_KEY] = identity
        note_action(scope, Action.SIGN_IN)
        return signed_in(scope, headers.get(b"origin", ""), token, next_path)

    def _identify(self, scope: Scope, token: str) -> Identity | None:
        """Who holds a token; whether it was right counts for those that follow."""
        identity = self._tokens.identify(token) if self._tokens else None
        if identity is None:
            self._guesses.note_wrong(_address(scope), token)
        else:
            self._guesses.note_right(token)
        return identity

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        received = 0
        started = refused = False

        async def counted() -> Message:
            nonlocal received, refused
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                if not started:
                    refused = True
                    await _answer(413, f"the body is larger than {limit // MIB} MiB")(scope, receive, send)
                raise _BodyTooLargeError
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            if not refused:
                started = True
                await send(message)

        with suppress(_BodyTooLargeError):
            await self._app(scope, counted, noted)


def _address(scope: Scope) -> str:
    """Where a request comes from; behind a proxy that is trusted, what that says."""
    return str((scope.get("client") or ["unknown"])[0])


def _too_many_guesses(scope: Scope, headers: dict[bytes, str], next_path: str, wait_s: int) -> Response:
    note_action(scope, Action.SIGN_IN_REFUSED)
    problem = f"Too many wrong tokens came from here lately. Try again in {count_of(wait_s, 'second')}."
    if "text/html" in headers.get(b"accept", ""):
        answer = sign_in_page(TOO_MANY, next_path, problem=problem)
    else:
        answer = _answer(TOO_MANY, problem)
    answer.headers["Retry-After"] = str(wait_s)
    return answer


async def _refused(scope: Scope, headers: dict[bytes, str], next_path: str) -> Response:
    note_action(scope, Action.SIGN_IN_REFUSED)
    await anyio.sleep(WRONG_TOKEN_DELAY_S)
    return _unknown(headers, next_path, WRONG_TOKEN)


def _unknown(headers: dict[bytes, str], next_path: str, problem: str = "") -> Response:
    """401: a page for a person, a sentence for a program."""
    if "text/html" in headers.get(b"accept", ""):
        # A link on another site brings no cookie (SameSite=Strict); asked for again from here, the browser sends it.
        from_elsewhere = headers.get(b"sec-fetch-site") == "cross-site"
        return sign_in_page(401, next_path, problem=problem, again=from_elsewhere and not problem)
    return _answer(
        401,
        "a token is needed: send 'Authorization: Bearer TOKEN', or sign in at /sign-in in the browser"
        + (f" ({problem})" if problem else ""),
        {"WWW-Authenticate": "Bearer"},
    )


def _closed(identity: Identity, headers: dict[bytes, str]) -> Response:
    """403: a page that leads on for a person, a sentence for a program."""
    problem = f"this is not open to a {identity.role}; ask whoever runs this server"
    if "text/html" in headers.get(b"accept", ""):
        return sign_in_page(403, "/", identity=identity, problem=f"{problem[0].upper()}{problem[1:]}.")
    return _answer(403, problem)


def _answer(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": detail}, status_code=status, headers=headers)


def _body_limit(path: str) -> int:
    return next(limit for prefix, limit in BODY_LIMITS if prefix.match(path) or prefix.pattern == "/")


def _is_devious(path: str) -> bool:
    decoded = unquote(unquote(path))
    encoded_slash = "%2f" in path.lower() or "%5c" in path.lower() or "%00" in path.lower()
    return ".." in decoded.split("/") or "\\" in decoded or "//" in decoded or "\0" in decoded or encoded_slash


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)


def _bearer(headers: dict[bytes, str]) -> str:
    scheme, _, value = headers.get(b"authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


def _cookie(header: str) -> str:
    cookie: Any = SimpleCookie()
    try:
        cookie.load(header)
    except CookieError:
        return ""
    return cookie[COOKIE].value if COOKIE in cookie else ""
