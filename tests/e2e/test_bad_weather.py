"""The server among hostile clients, over an archive that stalls, with a full disk: it answers, and says what is so."""

from __future__ import annotations

import io
import json
import logging
import resource
import socket
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import SimpleITK as sitk

from tests.support.odd_archives import fixed, odd_archive, silent
from tests.support.server import Server, order, running

logger = logging.getLogger(__name__)
pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over an empty archive, which these tests do not share."""
    with running(tmp_path_factory.mktemp("weather") / "data") as server:
        yield server


def _a_large_image(folder: Path) -> bytes:
    """3000 x 2400 pixels: 14 MiB as a file, several times that while it is read and synthesized."""
    rows, columns = np.mgrid[0:3000, 0:2400]
    breast = ((rows - 1500) / 1400) ** 2 + (columns / 2000) ** 2 < 1
    image = sitk.GetImageFromArray((breast * (20000 + rows % 97)).astype(np.uint16))
    image.SetSpacing((0.1, 0.1))
    sitk.WriteImage(image, str(folder / "large.nrrd"))
    return (folder / "large.nrrd").read_bytes()


def _peak_mib(server: Server) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def test_fifty_inferences_at_once_leave_memory_and_health_as_they_are(alone: Server, tmp_path: Path) -> None:
    content = _a_large_image(tmp_path)
    parameters = {"params": json.dumps({"view_position": "CC", "image_laterality": "L"})}

    def ask(_: int) -> httpx.Response:
        files = {"file": ("large.nrrd", io.BytesIO(content))}
        return alone.post("/infer/contrast?output=json", data=parameters, files=files)

    waits: list[float] = []
    with ThreadPoolExecutor(50) as pool, httpx.Client(base_url=alone.address) as watcher:
        answers = [pool.submit(ask, number) for number in range(50)]
        while not all(answer.done() for answer in answers):
            began = time.monotonic()
            assert watcher.get("/health").status_code == 200
            waits.append(time.monotonic() - began)
            time.sleep(0.02)
    results = [answer.result() for answer in answers]
    assert {answer.status_code for answer in results} == {200, 429}, [a.text for a in results if a.status_code >= 430]
    assert sum(answer.status_code == 200 for answer in results) >= 5
    assert all(int(answer.headers["retry-after"]) > 0 for answer in results if answer.status_code == 429)
    figures = f"peak {_peak_mib(alone):.0f} MiB, /health p95 {1000 * np.quantile(waits, 0.95):.0f} ms"
    logger.info(figures)
    assert _peak_mib(alone) < 1536, figures
    assert np.quantile(waits, 0.95) < 0.2, figures
    assert list((alone.data_dir / "tmp").iterdir()) == [], "nothing of uploads or results is left"


def test_a_thousand_half_open_connections_keep_nobody_out(alone: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard > 1500, "this test itself opens 1100 connections"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1500), hard))
    resource.prlimit(alone.process.pid, resource.RLIMIT_NOFILE, (1024, 1024))
    host, port = alone.address.removeprefix("http://").split(":")
    lines = len(alone.lines)
    with ExitStack() as stack:
        for _ in range(1100):
            client = stack.enter_context(socket.create_connection((host, int(port)), timeout=5))
            client.sendall(b"GET /health HTTP/1.1\r\n")
        for _ in range(5):
            assert alone.get("/health", timeout=2).status_code == 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(alone.lines) - lines < 200, "the log stays small"


def test_every_answer_has_its_headers_and_an_error_keeps_them(alone: Server) -> None:
    for path in ("/health", "/ohif/", "/ohif/app-config.js", "/nonsense", "/proxy/dicom/qido/studies"):
        headers = alone.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'self'" in headers["content-security-policy"]


def test_what_the_server_writes_is_for_its_user_alone(alone: Server) -> None:
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (alone.data_dir, *alone.data_dir.rglob("*"))}
    assert {str(path): oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


_NO_BOOLEANS = (
    *(1, 0, -1, 2, 1.0, 0.5, "true", "false", "True", "yes", "on", "1", "", [], [True], {}, {"a": True}),
    *(10**30, [[[[]]]]),
)


@pytest.mark.parametrize("value", _NO_BOOLEANS, ids=repr)
def test_what_is_no_boolean_is_refused_at_once_as_uncertainty(alone: Server, value: Any) -> None:
    answer = alone.post("/synthesis", json={**order("1.2.3", "1.2.4"), "parameters": {"uncertainty": value}})
    assert (answer.status_code, "detail" in answer.json()) == (422, True), answer.text


@pytest.mark.parametrize("values", ["[" * 100_000, '{"seed": ' + "9" * 5000 + "}", '{"a": ' * 50 + "1" + "}" * 50])
def test_json_at_which_a_parser_breaks_is_refused_in_words(alone: Server, values: str) -> None:
    body = '{"model": "contrast", "inputs": {}, "parameters": ' + values + "}"
    headers = {"content-type": "application/json"}
    answers = [
        alone.post("/synthesis", content=body, headers=headers),
        alone.post("/infer/contrast?image=1.2", data={"params": values}),
        alone.post("/train/contrast", content=values, headers=headers),
    ]
    for answer in answers:
        assert answer.status_code in (400, 422), answer.text
        assert len(answer.json()["detail"]) > 10


class StallingArchive:
    """Answers as an empty archive does, until it is told to be silent."""

    def __init__(self) -> None:
        self.is_silent = False
        self.asked = threading.Event()

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        if self.is_silent:
            self.asked.set()
            silent(request)
        else:
            fixed(200, [])(request)


def test_a_job_over_a_silent_archive_is_cancelled_and_the_server_stops_in_seconds(tmp_path: Path) -> None:
    archive = StallingArchive()
    with odd_archive(archive) as url, running(tmp_path / "data", "--studies", url) as server:
        archive.is_silent = True
        jobs = [server.post("/synthesis", json=order("1.2.3", f"1.2.{n}")).json()["job_id"] for n in (4, 5)]
        assert archive.asked.wait(5)
        assert server.get("/health").json()["worker"] == {"state": "running"}
        began = time.monotonic()
        server.request("DELETE", f"/synthesis/{jobs[0]}")
        server.wait(jobs[0], "cancelled", timeout_s=5)
        assert time.monotonic() - began < 3
        threading.Thread(target=lambda: _quietly(server, "/datastore/?output=all"), daemon=True).start()
        time.sleep(0.5)
        began = time.monotonic()
        server.process.terminate()
        server.process.wait(30)
        assert time.monotonic() - began < 10
    assert server.lines[-1] == "Stopped."


def _quietly(server: Server, path: str) -> None:
    with suppress(httpx.HTTPError):
        server.get(path)


def test_a_full_disk_is_told_and_waited_out(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, hard))
        for _ in range(2):
            full = server.post("/synthesis", json=order("1.2.3", "1.2.4"))
            assert (full.status_code, full.headers["retry-after"]) == (503, "10")
            assert "make sure that the disk has space" in full.json()["detail"]
        assert server.get("/health").status_code == 200
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        job = server.post("/synthesis", json=order("1.2.3", "1.2.4"))
        assert "no series or instance" in server.wait(job.json()["job_id"], "failed")["message"]


def test_a_foreign_site_cannot_show_ours_in_a_frame(page: Any, alone: Server) -> None:
    frame = f"<iframe src='{alone.address}/ohif/'></iframe>".encode()
    with (
        odd_archive(fixed(200, frame, "text/html")) as foreign,  # of this machine: others may not ask it at all
        page.expect_event("requestfailed", timeout=20_000) as refused,
    ):
        page.goto(foreign)
    assert (refused.value.url, refused.value.failure) == (f"{alone.address}/ohif/", "net::ERR_BLOCKED_BY_RESPONSE")
