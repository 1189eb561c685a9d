"""What every request must pass before anything else sees it: host, origin, token, path and body size.

The platform reflects any Origin with credentials and its own authentication refuses valid tokens (MONAI Label 0.8.5),
so a web page the user happens to visit could drive a server on this machine. This guard is the cure.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "mammosynth_token"
MIB = 1024 * 1024
# Largest body per path prefix, in bytes; the first match counts.
BODY_LIMITS = (
    (re.compile(r"/proxy/dicom/"), 1024 * MIB),
    (re.compile(r"/infer/"), 256 * MIB),
    (re.compile(r"/datastore/"), 256 * MIB),
    (re.compile(r"/studies/"), 256 * MIB),  # a segmentation
    (re.compile(r"/"), 1 * MIB),
)


class _BodyTooLargeError(Exception):
    """More bytes arrived than the limit allows."""


class Guard:
    """ASGI middleware that answers 400, 401, 403 or 413 itself and lets everything else through."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], token: str | None) -> None:
        """Wrap an app.

        Args:
            app: What to protect.
            hosts: Accepted values of the Host header, as `name:port` (lower case).
            token: Bearer token that every request must carry; None asks for none.
        """
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then pass on."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send)
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
        return self._token_refusal(scope, headers)

    def _token_refusal(self, scope: Scope, headers: dict[bytes, str]) -> Response | None:
        if self._token is None:
            return None
        scheme, _, value = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(value.strip()):
            return None
        if self._is_token(_cookie(headers.get(b"cookie", ""))):
            return None
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        if scope["method"] == "GET" and self._is_token(dict(query).get("token", "")):
            return self._signed_in(scope["path"], query)
        return _answer(
            401,
            "a token is needed: send 'Authorization: Bearer TOKEN', or open /ohif/?token=TOKEN once in the browser",
            {"WWW-Authenticate": "Bearer"},
        )

    def _signed_in(self, path: str, query: list[tuple[str, str]]) -> Response:
        """Keep the token as a cookie and take it out of the address, where history and logs would keep it."""
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        response = RedirectResponse(path + (f"?{rest}" if rest else ""), status_code=303)
        response.set_cookie(COOKIE, self._token or "", httponly=True, samesite="strict", path="/")
        return response

    def _is_token(self, value: str) -> bool:
        return self._token is not None and hmac.compare_digest(value.encode(), self._token.encode())

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


def _answer(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": detail}, status_code=status, headers=headers)


def _body_limit(path: str) -> int:
    return next(limit for prefix, limit in BODY_LIMITS if prefix.match(path) or prefix.pattern == "/")


def _is_devious(path: str) -> bool:
    decoded = unquote(unquote(path))
    encoded_slash = "%2f" in path.lower() or "%5c" in path.lower() or "%00" in path.lower()
    return ".." in decoded.split("/") or "\\" in decoded or "//" in decoded or "\0" in decoded or encoded_slash


def _cookie(header: str) -> str:
    cookie: Any = SimpleCookie()
    try:
        cookie.load(header)
    except CookieError:
        return ""
    return cookie[COOKIE].value if COOKIE in cookie else ""
