"""A reading room over a small study that is blinded: a gateway behind its guard, and readers who ask it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from mammosynth.reading.blinding.copies import blind
from mammosynth.reading.protocol import Protocol
from mammosynth.reading.store import StudyStore
from monailabel_app.gateway.app import create_gateway
from monailabel_app.gateway.audit import Audit
from monailabel_app.gateway.guard import Guard
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import TokenBook, add_token
from tests.support.asgi import AsgiClient
from tests.support.blinded import read

HOST = "127.0.0.1:8000"
DISPLAY = {
    "luminance_cd_m2": 500.0,
    "steps_seen": 18,
    "window_width": 1280,
    "window_height": 800,
    "device_pixel_ratio": 1.0,
}


class Clock:
    """A clock that a test can set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Room:
    """A gateway with studies, and somebody of each name in `people`."""

    def __init__(self, folder: Path, people: dict[str, Role], place: Path | str | None = None) -> None:
        self.folder = folder
        self.place = place or folder / "studies.sqlite"
        self.tokens = {name: add_token(folder / "tokens", Identity(name, role)) for name, role in people.items()}
        self.gateway = create_gateway(None, None, folder, self.place)
        guard = Guard(self.gateway, hosts=[HOST], tokens=TokenBook(folder / "tokens"))
        self.client = AsgiClient(Audit(guard, folder / "audit.log"))

    def open(self, protocol: Protocol, *, is_blinded: bool = True) -> None:
        """Open a study, and make its copies."""
        with self.storing() as store:
            store.open_study(protocol, "owner")
            if is_blinded:
                blind(store, protocol.name, self.folder / "blinded", read)

    def storing(self) -> Any:
        """The store, for a block."""
        return _Open(self.place)

    def reader(self, name: str) -> Reader:
        """Somebody who asks."""
        return Reader(self.client, {"authorization": f"Bearer {self.tokens[name]}"})


class Reader:
    """Asks a room, or a server, as a browser does."""

    def __init__(self, client: Any, headers: dict[str, str]) -> None:
        self.client = client
        self.headers = headers

    def ask(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        headers = self.headers | kwargs.pop("headers", {})
        return self.client.request(method, f"/reading-room{path}", headers=headers, **kwargs)

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.ask("GET", path, **kwargs)

    def start(self, study: str, session: int = 1) -> httpx.Response:
        return self.ask("POST", f"/studies/{study}/sessions/{session}", json={"display": DISPLAY})

    def current(self, study: str) -> dict[str, Any]:
        return self.get(f"/studies/{study}/current").json()

    def show(self, study: str, session: int, position: int | None, left: Any = None) -> httpx.Response:
        body = {"session": session, "position": position, "left": left}
        return self.ask("POST", f"/studies/{study}/show", json=body)

    def answer(
        self, study: str, session: int, position: int, value: Any, question: str = "lesion", **more: Any
    ) -> httpx.Response:
        answers = [{"question": question, "value": value, **more}]
        body = {"session": session, "position": position, "answers": answers}
        return self.ask("POST", f"/studies/{study}/answers", json=body)

    def frame(self, image: dict[str, Any], study_uid: str, accept: str = "*/*") -> httpx.Response:
        of_series = f"{study_uid}/series/{image['series_instance_uid']}"
        path = f"/dicom/wado/studies/{of_series}/instances/{image['sop_instance_uid']}/frames/1"
        return self.get(path, headers={"accept": accept})


class _Open:
    def __init__(self, place: Path | str) -> None:
        self._store = StudyStore(place)

    def __enter__(self) -> StudyStore:
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()
