"""A server as those see it who run it: ready, leaving, its log."""

from __future__ import annotations

import json
import signal
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from monailabel_app.pacs import create_store_app
from tests.support.archives import serving
from tests.support.server import running

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_it_is_ready_while_its_archive_answers_and_leaves_before_it_stops(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    archive = ExitStack()
    url = archive.enter_context(serving(create_store_app(tmp_path / "studies", index_folder=tmp_path / "index")))
    arguments = ("--studies", f"{url}/dicom-web", "--leave", "2", "--log-format", "json")
    with archive, running(tmp_path / "data", *arguments) as server:
        assert server.get("/ready").json() == {
            **dict.fromkeys(("server", "archive", "jobs", "reader_studies", "models", "worker"), "ok"),
            "ready": True,
        }
        assert 'mammosynth_requests_total{method="GET",status="200"}' in server.get("/metrics").text

        archive.close()
        time.sleep(1.1)
        answer = server.get("/ready")
        assert (answer.status_code, answer.json()["archive"], answer.json()["jobs"]) == (503, "PacsError", "ok")
        deadline = time.monotonic() + 10
        while not (told := [line for line in server.lines if "not ready: archive" in line]):
            assert time.monotonic() < deadline, "the log says why"
            time.sleep(0.05)
        assert {"time", "level", "logger", "message", "exception"} == set(json.loads(told[0]))

        server.process.send_signal(signal.SIGTERM)
        asked = []
        with suppress(httpx.HTTPError):
            while server.process.poll() is None:
                asked.append((server.get("/ready").json()["server"], server.get("/health").status_code))
                time.sleep(0.1)
        assert ("stopping", 200) in asked, "it still answered while it said that it leaves"
        assert server.process.wait(20) == 0
