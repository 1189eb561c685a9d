"""Whatever an archive answers: in our origin it is DICOM or nothing, and its faults are its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mammosynth.task import Slot, SlotKind
from monailabel_app.gateway import proxy
from monailabel_app.gateway.app import create_gateway
from monailabel_app.gateway.history import list_synthesized
from monailabel_app.gateway.segmentations import list_segmentations
from monailabel_app.inputs import list_sources
from monailabel_app.studies import DicomWebStudies
from tests.support.asgi import AsgiClient, as_asked_by
from tests.support.odd_archives import Answer, dripping, fixed, odd_archive, silent

pytestmark = pytest.mark.slow  # several seconds in all

STUDY = "studies/1.2.3"
INSTANCE = f"{STUDY}/series/1.2.4/instances/1.2.5"
PATHS = ("studies", f"{STUDY}/series", f"{STUDY}/metadata", INSTANCE, f"{INSTANCE}/frames/1", f"{INSTANCE}/rendered")


JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\nContent-Length: 100000\r\n\r\n"


class Gateway:
    """A gateway over an archive that answers everything as it is told to."""

    def __init__(self, folder: Path) -> None:
        self._answer: Answer = silent
        self._archive = odd_archive(lambda request: self._answer(request))
        self._client = AsgiClient(as_asked_by(create_gateway(self._archive.__enter__(), None, folder)))

    def ask(self, answer: Answer, path: str, headers: dict[bytes, bytes] | None = None) -> httpx.Response:
        self._answer = answer
        return self._client.get(f"/proxy/dicom/{path}", headers=headers)

    def close(self) -> None:
        self._archive.__exit__(None, None, None)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    it = Gateway(tmp_path_factory.mktemp("gateway"))
    yield it
    it.close()


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"<script>alert(1)</script>", "text/html"),
        (b"<svg onload=alert(1)>", "image/svg+xml"),
        (b"alert(1)", "text/javascript"),
        (b"<a/>", "application/xml"),
        (b"%PDF", "application/pdf"),
        (b"x", ""),
    ],
)
def test_what_is_no_dicomweb_media_type_never_reaches_the_browser(
    gateway: Gateway, content: bytes, media_type: str
) -> None:
    for path in (INSTANCE, f"{INSTANCE}/rendered", f"{STUDY}/bulkdata/1.2"):
        answer = gateway.ask(fixed(200, content, media_type), path)
        assert (answer.status_code, answer.headers["content-type"]) == (502, "application/json")
        assert "expected a media type of DICOMweb" in answer.json()["detail"]
    refused = gateway.ask(fixed(404, content, media_type), INSTANCE)
    assert (refused.status_code, refused.json()["detail"]) == (404, "the archive answered 404")


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "application/octet-stream", "application/dicom"])
def test_what_is_one_passes_as_it_is(gateway: Gateway, media_type: str) -> None:
    answer = gateway.ask(fixed(200, b"pixels", media_type), f"{INSTANCE}/rendered")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"pixels", media_type)


@pytest.mark.parametrize(
    "answer",
    [
        fixed(200, b"<html>"),
        fixed(200, b"[" * 100_000),
        fixed(200, [1, 2]),
        fixed(200, [{"00080016": {"vr": "UI", "Value": [{"a": []}]}, "00281050": {"vr": "DS", "Value": ["x"]}}]),
        fixed(200, b"no parts", "multipart/related"),
        fixed(200, b"--x\r\n\r\n--x--", "multipart/related; boundary=x"),
        fixed(500, {"trace": "back"}),
        fixed(500, b"Traceback", "text/plain"),
        fixed(302, b"", "text/html"),
        dripping(b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\nContent-Length: nine\r\n\r\n"),
        dripping(b"SSH-2.0-OpenSSH\r\n"),
    ],
)
def test_garbage_is_never_an_internal_error(gateway: Gateway, answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "_DEADLINE_S", 0.3)  # what speaks another protocol drips, as far as HTTP knows
    for path in PATHS:
        got = gateway.ask(answer, path)
        assert got.status_code in (200, 404, 502), f"{path}: {got.status_code} {got.text[:200]}"
        assert "internal error" not in got.text


@pytest.mark.parametrize("answer", [silent, dripping(JSON_HEAD), dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: 1\r\n")])
def test_an_archive_that_stalls_is_not_waited_for(
    gateway: Gateway, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "_DEADLINE_S", 0.3)
    began = time.monotonic()
    got = gateway.ask(answer, "studies")
    assert (got.status_code, got.json()["detail"][:48]) == (502, "the archive does not answer as it should (Timeou")
    assert time.monotonic() - began < 2


def _item(**elements: tuple[str, object]) -> dict[str, object]:
    return {tag.removeprefix("t"): {"vr": vr, "Value": [value]} for tag, (vr, value) in elements.items()}


MARKED = _item(
    t00080008=("CS", "DERIVED"),
    t00080018=("UI", "1.2.5"),
    t0008001C=("CS", "YES"),
    t00080070=("LO", "MammoSynth"),
    t0008103E=("LO", "SYNTHETIC contrast"),
    t0020000D=("UI", "1.2.3"),
    t0020000E=("UI", "1.2.4"),
)


@pytest.mark.parametrize("odd", [{"odd": 1}, None, 5, "x" * 100_000, -1e300])
@pytest.mark.parametrize("tag", sorted(MARKED))
def test_one_odd_header_does_not_spoil_what_is_listed_of_a_study(tag: str, odd: object) -> None:
    items = [MARKED, {**MARKED, tag: {"vr": "UN", "Value": [odd]}}]
    with odd_archive(fixed(200, items)) as url:
        archive = DicomWebStudies(url)
        assert isinstance(list_synthesized(archive, "1.2.3"), list)
        assert isinstance(list_segmentations(archive, "1.2.3"), list)
        slot = Slot("source", SlotKind.IMAGE, "the image")
        assert isinstance(list_sources(archive, slot, "1.2.3"), list)


@pytest.mark.parametrize("name", [b"accept", b"if-none-match"])
@pytest.mark.parametrize("path", ["studies", f"{INSTANCE}/frames/1"])
def test_a_header_may_hold_any_bytes(gateway: Gateway, name: bytes, path: str) -> None:
    answer = gateway.ask(fixed(200, b"[]", "application/dicom+json"), path, {name: b"\xe9"})
    assert (answer.status_code, answer.content) == (200, b"[]")
