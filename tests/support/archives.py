"""Real archives on a free loopback port, as context managers that yield the DICOMweb root URL."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

import monailabel_app
from monailabel_app.pacs import create_store_app
from tests.support.processes import refuse_unless_marked

ORTHANC_CONFIGURATION = Path(monailabel_app.__file__).parent / "orthanc.json"
START_LIMIT_S = 60


def find_orthanc() -> str | None:
    """The Orthanc program; None if it is not installed."""
    return shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def embedded_store(folder: Path, *, index_folder: Path) -> Iterator[str]:
    """The embedded store in a thread of this process, which is up in no time."""
    with serving(create_store_app(folder, index_folder=index_folder)) as address:
        yield f"{address}/dicom-web"


class _PromptServer(uvicorn.Server):
    """Ends at once when it is told to, not at the next tenth of a second: hundreds of tests start one."""

    async def main_loop(self) -> None:
        while not self.should_exit:
            await asyncio.sleep(0.005)


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """An app on a free port of the loopback interface, in a thread of this process."""
    server = _PromptServer(uvicorn.Config(app, port=0, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while not server.started:
            assert thread.is_alive(), "the app did not start"
            assert time.monotonic() < deadline, f"the app did not start within {START_LIMIT_S} s"
            time.sleep(0.005)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def store_process(
    folder: Path, *, index_folder: Path, credentials: tuple[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The embedded store as a process of its own, as users start it, and for those who want to kill it."""
    port = free_port()
    places = ["--folder", str(folder), "--index-folder", str(index_folder)]
    command = [sys.executable, "-m", "monailabel_app.pacs", *places, "--port", str(port)]
    environment = dict(os.environ)
    if credentials is not None:
        command += ["--user", credentials[0]]
        environment["MAMMOSYNTH_PACS_PASSWORD"] = credentials[1]
    with _process(
        command, f"http://127.0.0.1:{port}/dicom-web", log_folder=index_folder, environment=environment
    ) as it:
        yield it


@contextmanager
def orthanc(folder: Path) -> Iterator[str]:
    """Orthanc with the project's own configuration, its storage and port replaced."""
    program = find_orthanc()
    if program is None:
        raise FileNotFoundError("Orthanc is not installed: apt-get install orthanc orthanc-dicomweb")
    port = free_port()
    configuration = json.loads(ORTHANC_CONFIGURATION.read_text())
    storage = str(folder / "storage")
    configuration |= {"StorageDirectory": storage, "IndexDirectory": storage, "HttpPort": port}
    configuration["DicomWeb"]["Host"] = f"127.0.0.1:{port}"
    folder.mkdir(parents=True, exist_ok=True)
    changed = folder / "orthanc.json"
    changed.write_text(json.dumps(configuration))
    with _process([program, str(changed)], f"http://127.0.0.1:{port}/dicom-web", log_folder=folder) as (_, url):
        yield url


@contextmanager
def _process(
    command: Sequence[str], url: str, *, log_folder: Path, environment: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    refuse_unless_marked()
    log_folder.mkdir(parents=True, exist_ok=True)
    log = log_folder / "server.log"
    with log.open("ab") as output:
        process = subprocess.Popen(list(command), stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        _wait_until_up(process, url, log)
        yield process, url
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _wait_until_up(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}:\n{log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"{url}/studies?limit=1", timeout=5):
                return
        except urllib.error.HTTPError:
            return  # it answers, if only to ask for a password
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise TimeoutError(f"no answer from {url} within {START_LIMIT_S} s:\n{log.read_text()[-2000:]}")


ARCHIVES = [
    "embedded",
    pytest.param(
        "orthanc",
        marks=[
            pytest.mark.e2e,
            pytest.mark.skipif(
                not find_orthanc(),
                reason="Orthanc is not installed (apt-get install orthanc orthanc-dicomweb): only the embedded store "
                "is tested",
            ),
        ],
    ),
]
"""Parameters of a fixture that runs each kind of archive in turn."""


@contextmanager
def archive_of(kind: str, folder: Path) -> Iterator[str]:
    """An empty archive of that kind; its DICOMweb root."""
    server = orthanc(folder) if kind == "orthanc" else embedded_store(folder / "d", index_folder=folder / "i")
    with server as url:
        yield url
