"""How many requests with large bodies are in the house at once; the rest are sent away before their body is read.

A request that is let in holds its upload on disk or in memory and, in its turn, a decoded image and what is made of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monailabel_app.gateway.busy import TOO_MANY

RETRY_AFTER_S = 3
_UPLOAD_S = 120.0  # for a whole body: 2 MiB/s of the largest one; a slow client must not keep a place for ever


@dataclass(frozen=True)
class Limit:
    """How many requests of a kind are let in at once.

    Attributes:
        requests: Method and path, as "POST /infer/a".
        places: The most at once.
        those_inside: What is said of them, after their number.
        otherwise: What else somebody who is sent away can do.
    """

    requests: re.Pattern[str]
    places: int
    those_inside: str
    otherwise: str = ""


LIMITS = (
    Limit(
        re.compile(r"POST /infer/.*"),
        5,  # one runs, four wait: at half a second each on a CPU the last one waits two seconds
        "inferences run or wait",
        ", or use POST /synthesis, which waits for its turn",
    ),
    Limit(
        re.compile(r"PUT /datastore/label|POST /studies/[^/]+/segmentations(/file)?"),
        4,  # drawings have some kB and take less than a second; of the largest uploads, four are 1 GiB
        "segmentations are being stored",
    ),
    Limit(
        re.compile(r"POST /preview/.*"),
        8,  # a panel asks for one at a time; each takes some 20 ms, the worst that fits into a body 3 s
        "previews are being drawn",
    ),
)


class Admission:
    """ASGI middleware that answers 429 to what is too much, and 408 to a body that does not come.

    Args:
        app: What is behind it.
        limits: Kinds of requests that have one.
        upload_s: Longest time for a request's body.
    """

    def __init__(self, app: ASGIApp, *, limits: Sequence[Limit] = LIMITS, upload_s: float = _UPLOAD_S) -> None:
        self._app = app
        self._upload_s = upload_s
        self._inside = dict.fromkeys(limits, 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in, or send away."""
        asked = f"{scope.get('method')} {scope.get('path')}"
        limit = next((each for each in self._inside if each.requests.fullmatch(asked)), None)
        if limit is None:
            await self._app(scope, receive, send)
            return
        if self._inside[limit] >= limit.places:
            detail = (
                f"{limit.places} {limit.those_inside} already, the most that are taken at once; try again in "
                f"{RETRY_AFTER_S} seconds{limit.otherwise}"
            )
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            await JSONResponse({"detail": detail}, TOO_MANY, headers)(scope, receive, send)
            return
        self._inside[limit] += 1
        try:
            await self._pass_on(scope, receive, send)
        finally:
            self._inside[limit] -= 1

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        ends = anyio.current_time() + self._upload_s
        is_late = is_read = False

        async def in_time() -> Message:
            nonlocal is_late, is_read
            if is_read:
                return await receive()
            with anyio.move_on_at(ends):
                message = await receive()
                is_read = not message.get("more_body", False)
                return message
            is_late = True
            return {"type": "http.disconnect"}

        async def unless_late(message: Message) -> None:
            if not is_late:
                await send(message)

        try:
            await self._app(scope, in_time, unless_late)
        except Exception:
            if not is_late:  # otherwise it only says that there is no body
                raise
        if is_late:
            detail = f"the body did not arrive within {self._upload_s:g} s; send it over a faster connection"
            headers = {"Connection": "close"}
            await JSONResponse({"detail": detail}, 408, headers)(scope, receive, send)
