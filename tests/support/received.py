"""What a browser or a client got from a server: every address, header and body, to be searched."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.server import Server

# Programs, pages and pictures of the viewer: the same for everybody, whatever the case.
_STATIC = re.compile(r"https?://[^/]+/(?:ohif/(?!reading-config)|reading-room(?:/page/.*)?$|sign-in|favicon)")


@dataclass(frozen=True)
class Received:
    """One answer."""

    url: str
    headers: str
    body: bytes

    @property
    def is_static(self) -> bool:
        """Whether it is a part of the viewer and not about what is read."""
        return _STATIC.match(self.url) is not None

    def everything(self) -> bytes:
        """In small letters."""
        return b"\n".join([self.url.encode(), self.headers.encode(), self.body]).lower()


class Recorder:
    """A server as `tests.support.reading_room.Reader` asks it; what it answers is added to a list."""

    def __init__(self, server: Server, received: list[Received]) -> None:
        self._server = server
        self.headers = server.headers
        self.received = received

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """As `Server.request`."""
        answer = self._server.request(method, path, **kwargs)
        headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        self.received.append(Received(str(answer.url), headers, answer.content))
        return answer


def received_by_browser(archive: Path) -> list[Received]:
    """What is in a HAR that Playwright recorded as a ZIP file."""
    with zipfile.ZipFile(archive) as packed:
        entries = json.loads(packed.read("har.har"))["log"]["entries"]
        found = []
        for entry in entries:
            answer = entry["response"]
            headers = "\n".join(f"{each['name']}: {each['value']}" for each in answer["headers"])
            content = answer["content"]
            body = packed.read(content["_file"]) if "_file" in content else content.get("text", "").encode()
            found.append(Received(entry["request"]["url"], headers, body))
    return found


def told(received: Iterable[Received], secrets: Iterable[str]) -> set[tuple[str, str]]:
    """Secret and address of each answer that holds one as a word of its own."""
    words = {secret.lower().encode() for secret in secrets}
    bodies: set[bytes] = set()
    found = set()
    for each in received:
        text = each.everything() if each.body not in bodies else Received(each.url, each.headers, b"").everything()
        bodies.add(each.body)
        held = [word for word in words if word in text]  # much sooner than one pattern of all
        found |= {
            (word.decode(), each.url)
            for word in held
            if re.search(rb"(?<![\w.])" + re.escape(word) + rb"(?![\w.])", text)
        }
    return found
