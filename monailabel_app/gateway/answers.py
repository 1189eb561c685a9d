"""What every answer has in common: headers that browsers obey, and a 500 in words that keeps the connection."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import re

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

NO_FOREIGN_FRAME = "frame-ancestors 'self'"
_HEADERS = {
    "x-content-type-options": "nosniff",  # what is sent as an image or as JSON is never run as a page
    "content-security-policy": NO_FOREIGN_FRAME,  # no other site shows ours inside its own, to steal clicks
    "referrer-policy": "same-origin",  # addresses hold Study Instance UIDs
}

_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def inline_scripts(page: str) -> str:
    """The sources that a Content-Security-Policy names, so that the inline scripts of a page, and no others, run."""
    digests = [hashlib.sha256(text.encode()).digest() for text in _INLINE_SCRIPT.findall(page)]
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


class SafeHeaders:
    """ASGI middleware around everything: the headers of `_HEADERS` on every answer that does not have them already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and add."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


class LastResort:
    """ASGI middleware that answers 500 to whatever nothing else has caught.

    Starlette's own would raise it again behind its answer, and the server then drops the connection with all requests
    that were sent along it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; an answer that has begun cannot be taken back, so that its connection is dropped after all."""
        is_started = False

        async def noted(message: Message) -> None:
            nonlocal is_started
            is_started = is_started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:
            if is_started or scope["type"] != "http":
                raise
            number = os.urandom(4).hex()
            logger.error("error %s in %s %s", number, scope["method"], scope["path"], exc_info=error)
            detail = f"internal error {number}; the server's log has the details under this number"
            await JSONResponse({"detail": detail}, 500)(scope, receive, send)
