"""An archive that drips, stalls or sends anything: its client ends in time and says what is wrong."""

from __future__ import annotations

import base64
import json
import threading
import time
import zlib
from typing import Any

import pytest
from urllib3 import HTTPResponse

from mammosynth.dicom.bounded import MAX_ELEMENTS
from monailabel_app.archive_session import ArchiveSession, UnwantedError, read_dicom_json, wanted_until
from monailabel_app.errors import PacsError
from monailabel_app.studies import DicomWebStudies, InstanceAddress
from tests.support.bombs import DEFLATED, EXPLICIT, beginning_of_file, packed_zeros
from tests.support.images import as_file, mammogram
from tests.support.odd_archives import Answer, dripping, fixed, odd_archive, silent

pytestmark = pytest.mark.slow  # several seconds in all

ADDRESS = InstanceAddress("1.2.3", "1.2.3.4", "1.2.3.4.5", "")
SLOW = {"silent": silent, "body": dripping(), "head": dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: 1\r\n")}


@pytest.mark.parametrize("kind", SLOW)
def test_a_request_ends_at_its_deadline_however_the_archive_drips(kind: str) -> None:
    with odd_archive(SLOW[kind]) as url:
        started = time.monotonic()
        with pytest.raises(PacsError, match=r"too slow while trying to search for studies: it took longer than 0\.3 s"):
            DicomWebStudies(url, timeout_s=0.3).check()
    assert time.monotonic() - started < 1.5


IMAGE = bytes(range(250)) * 12_000
CHUNKED = b"".join(
    b"f4240\r\n" + IMAGE[start : start + 1_000_000] + b"\r\n" for start in range(0, 3_000_000, 1_000_000)
)


@pytest.mark.parametrize(
    "body",
    [b"Content-Length: 3000000\r\n\r\n" + IMAGE, b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED + b"0\r\n\r\n"],
    ids=["counted", "chunked"],
)
def test_an_image_is_read_in_few_pieces(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    stream = HTTPResponse.stream

    def noted(answer: HTTPResponse, amt: int, decode_content: bool | None = None) -> Any:
        for piece in stream(answer, amt, decode_content):
            asked.append(len(piece))
            yield piece

    monkeypatch.setattr(HTTPResponse, "stream", noted)
    with odd_archive(lambda it: it.wfile.write(b"HTTP/1.1 200 OK\r\n" + body)) as url:
        assert ArchiveSession(deadline_s=5).get(url).content == IMAGE
    assert (sum(asked), len(asked) <= 3) == (3_000_000, True)


@pytest.mark.parametrize("kind", SLOW)
def test_a_request_that_nobody_wants_any_more_is_given_up(kind: str) -> None:
    unwanted = threading.Event()
    with odd_archive(SLOW[kind]) as url, wanted_until(unwanted.is_set):
        threading.Timer(0.2, unwanted.set).start()
        started = time.monotonic()
        with pytest.raises(PacsError, match="stopped while trying to search for studies"):
            DicomWebStudies(url).check()
    assert 0.2 <= time.monotonic() - started < 1.5


def test_a_session_that_is_stopped_gives_up_and_refuses_new_requests() -> None:
    with odd_archive(silent) as url:
        session = ArchiveSession(deadline_s=60)
        threading.Timer(0.2, session.stop).start()
        for _ in range(2):
            with pytest.raises(UnwantedError):
                session.get(url)


def test_a_dropped_connection_is_tried_once_more_and_a_busy_archive_asked_again() -> None:
    asked: list[Any] = []

    def answer(request: Any) -> None:
        asked.append(request)
        if len(asked) == 1:
            request.close_connection = True
        else:
            fixed(503 if len(asked) == 2 else 200, [])(request)

    with odd_archive(answer) as url:
        session = ArchiveSession(deadline_s=5)
        assert session.get(url).status_code == 503
        assert session.get(url).status_code == 200
    assert len(asked) == 3


def test_a_password_is_sent_in_utf_8_and_a_wrong_one_is_told_from_a_wrong_address() -> None:
    sent: list[str] = []

    def refuse(request: Any) -> None:
        sent.append(request.headers["Authorization"])
        fixed(401, [])(request)

    told = r"answered 401 while trying to search for studies; it knows another user or password: see --archive-user"
    with odd_archive(refuse) as url, pytest.raises(PacsError, match=told):
        DicomWebStudies(url, ("änne", "p@ss:wörd")).check()
    assert base64.b64decode(sent[0].removeprefix("Basic ")).decode("utf-8") == "änne:p@ss:wörd"


@pytest.mark.parametrize("status", [400, 404, 500])
def test_an_address_that_is_no_dicomweb_root_is_told_as_one(status: int) -> None:
    told = f"the archive answered {status} while trying to search for studies; check that --studies names its DICOMweb"
    with odd_archive(fixed(status, [])) as url, pytest.raises(PacsError, match=told):
        DicomWebStudies(url).check()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (fixed(200, b"<html>It works!</html>", "text/html"), "cannot be understood .* no JSON"),
        (fixed(200, b"[" * 100_000), "cannot be understood"),
        (fixed(200, [[1]]), "no list of DICOM attributes"),
        (fixed(200, [{"0020000D": 5}]), "no list of DICOM attributes"),
        (fixed(200, [{"0020000D": {"vr": "UI", "Value": "1.2"}}]), "no list of DICOM attributes"),
        (fixed(200, [{"0020000D": {"vr": "SQ", "Value": [5]}}]), "no list of DICOM attributes"),
        (fixed(500, b"Traceback", "text/plain"), "answered 500"),
    ],
)
def test_garbage_is_an_error_of_the_archive_in_words(answer: Answer, words: str) -> None:
    with odd_archive(answer) as url:
        archive = DicomWebStudies(url)
        for ask in (lambda: archive.study("1.2.3"), lambda: archive.instances("1.2"), lambda: archive.find(ADDRESS)):
            with pytest.raises(PacsError, match=words):
                ask()


@pytest.mark.parametrize("content", [b"", b"\x00" * 300, b"--b\r\n\r\nDICM\r\n--b--", b"DICM" * 100])
def test_an_instance_that_is_none_is_an_error_of_the_archive(content: bytes) -> None:
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    with odd_archive(fixed(200, content, kind)) as url, pytest.raises(PacsError, match=r"the (archive's )?instance"):
        DicomWebStudies(url).retrieve(ADDRESS)


def _answered_with(file: bytes) -> Answer:
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    return fixed(200, b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n--b--", kind)


HOSTILE = {
    "tiny elements": (lambda: beginning_of_file(EXPLICIT) + b"\x11\0\x01\x10LO\0\0" * (MAX_ELEMENTS + 1), "elements"),
    "a bomb": (lambda: beginning_of_file(DEFLATED) + packed_zeros(1 << 28, -zlib.MAX_WBITS), "inflates to more than"),
    "no preamble": (lambda: as_file(mammogram())[132:], r"expected b'DICM' as in a DICOM file \(PS3\.10\)"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_instance_is_refused_before_it_is_parsed(kind: str) -> None:
    make, reason = HOSTILE[kind]
    with (
        odd_archive(_answered_with(make())) as url,
        pytest.raises(PacsError, match=rf"^the archive's instance 1\.2\.3\.4\.5: .*{reason}"),
    ):
        DicomWebStudies(url).retrieve(ADDRESS)


def test_an_instance_is_read_as_it_was_stored() -> None:
    image = mammogram()
    with odd_archive(_answered_with(as_file(image))) as url:
        assert DicomWebStudies(url).retrieve(ADDRESS) == image


def test_an_instance_number_that_is_no_number_leaves_the_order_of_the_answer() -> None:
    items = [
        {
            "00200013": {"vr": "IS", "Value": [number]},
            **{tag: {"vr": "UI", "Value": [f"1.2.{index}"]} for tag in ("0020000D", "0020000E", "00080018")},
        }
        for index, number in enumerate(("first", None, 1e400))
    ]
    with odd_archive(fixed(200, items)) as url:
        assert len(DicomWebStudies(url).instances("1.2.3")) == 3


def _confirmed(uid: str) -> dict[str, Any]:
    return {"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": [uid]}}]}}


@pytest.mark.parametrize(
    ("status", "content", "media_type", "words"),
    [
        (
            200,
            b"<html>Thank you</html>",
            "text/html",
            r"answered 200 \(text/html\) and does not say that it has stored",
        ),
        (204, b"", "", "answered 204 .* does not say that it has stored"),
        (200, {}, "application/dicom+json", r"names no [0-9.]+ in \(0008,1199\)"),
        (200, _confirmed("9.9.9"), "application/dicom+json", r"names no [0-9.]+ in \(0008,1199\)"),
        (
            409,
            {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [272]}}]}},
            "application/dicom+json",
            r"refused to store the result \(failure reason 272\)",
        ),
        (507, b"full", "text/plain", "answered 507 while trying to store the result"),
    ],
)
def test_a_result_counts_as_stored_only_if_the_archive_names_it(
    status: int, content: Any, media_type: str, words: str
) -> None:
    with odd_archive(fixed(status, content, media_type)) as url, pytest.raises(PacsError, match=words):
        DicomWebStudies(url).store(mammogram())


def test_a_result_that_the_archive_names_is_stored() -> None:
    image = mammogram()
    kind = "application/dicom+json; charset=utf-8"
    with odd_archive(fixed(200, _confirmed(str(image.SOPInstanceUID)), kind)) as url:
        DicomWebStudies(url).store(image)


def test_deep_nesting_is_refused_and_what_dicom_nests_is_read() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"00081199": {"vr": "SQ", "Value": [deep]}}
    with pytest.raises(ValueError, match="no list of DICOM attributes"):
        read_dicom_json(json.dumps([deep]).encode())
    assert read_dicom_json(b'[{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "A"}, null]}}]')
