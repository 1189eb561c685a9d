"""What comes of POST /infer, on its way to who asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from monailabel_app.gateway import app as gateway_app
from monailabel_app.gateway.app import create_gateway
from tests.support.asgi import as_asked_by


def test_an_image_is_sent_in_few_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(range(250)) * 12_000
    file = tmp_path / "result.nrrd"
    file.write_bytes(content)
    app = SimpleNamespace(
        task=lambda model: SimpleNamespace(parse=lambda values: None),
        infer=lambda request: {"file": str(file), "params": {}},
        datastore=lambda: None,
    )
    monkeypatch.setattr(gateway_app, "app_instance", lambda: app)
    gateway = as_asked_by(create_gateway(None, None, tmp_path / "data"))
    query = b"image=1.2.3&output=image"
    scope = {"type": "http", "method": "POST", "path": "/infer/contrast", "query_string": query, "headers": []}
    sent: list[bytes] = []

    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        for message in asked:
            return message
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message.get("body", b""))

    anyio.run(gateway, scope, receive, send)
    pieces = [piece for piece in sent if piece]
    assert b"".join(pieces) == content
    assert len(pieces) <= 3
