"""The product as its users start it: `mammosynth serve` in a process of its own."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pydicom

from tests.support.archives import orthanc
from tests.support.processes import refuse_unless_marked

_READY = re.compile(r"Viewer: (http://\S+?)/ohif/")


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[str]
    address: str
    data_dir: Path
    lines: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """One HTTP request, without following redirects."""
        kwargs = {"timeout": 120, "verify": False, **kwargs}  # no TLS here: reading its certificates takes 20 ms
        kwargs["headers"] = self.headers | kwargs.get("headers", {})
        return httpx.request(method, self.address + path, **kwargs)

    def as_holder_of(self, token: str) -> Server:
        """The same server, asked with a token."""
        return replace(self, headers={"authorization": f"Bearer {token}"})

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.request("POST", path, **kwargs)

    def wait(self, job_id: str, *states: str, timeout_s: float = 120.0) -> dict[str, Any]:
        """The status of a job once it is in one of the states."""
        deadline = time.monotonic() + timeout_s
        while True:
            status = self.get(f"/synthesis/{job_id}").raise_for_status().json()
            if status["state"] in states:
                return status
            if time.monotonic() > deadline or status["state"] in ("failed", "cancelled", "done"):
                raise AssertionError(f"job is {status}, expected {states}")
            time.sleep(0.05)

    def synthesize(
        self, study: str, series: str, *, parameters: dict[str, Any] | None = None, **source: str
    ) -> dict[str, Any]:
        """Run one job to its end."""
        answer = self.post("/synthesis", json={**order(study, series, **source), "parameters": parameters or {}})
        assert answer.status_code == 202, answer.text
        return self.wait(answer.json()["job_id"], "done")


def order(study: str, series: str, **source: str) -> dict[str, Any]:
    """The body of an order: contrast of a series, or of what else is said of its source."""
    reference = {"study_instance_uid": study, "series_instance_uid": series, **source}
    return {"model": "contrast", "inputs": {"source": reference}}


def made(result: dict[str, Any], role: str = "image") -> dict[str, Any]:
    """The first output of a job's result in that role."""
    return next(output for output in result["outputs"] if output["role"] == role)


@contextmanager
def running(
    data_dir: Path, *arguments: str, environment: dict[str, str] | None = None, timeout_s: float = 120.0
) -> Iterator[Server]:
    """Start `mammosynth serve` on a free port and stop it as Ctrl-C does."""
    command: Sequence[str] = (
        *(sys.executable, "-m", "mammosynth", "serve", "--port", "0", "--data-dir", str(data_dir)),
        *arguments,
    )
    refuse_unless_marked()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **(environment or {})}
    )
    assert process.stdout is not None
    server = Server(process, "", data_dir)
    found = threading.Event()

    def read() -> None:
        for line in process.stdout or ():
            server.lines.append(line.rstrip())
            if match := _READY.search(line):
                server.address = match.group(1)
                found.set()
        found.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        if not found.wait(timeout_s) or not server.address:
            raise RuntimeError("the server did not start:\n" + "\n".join(server.lines))
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        reader.join(5)
        process.stdout.close()


@contextmanager
def running_over(
    kind: str, folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> Iterator[Server]:
    """`mammosynth serve` over an empty archive of that kind: its own embedded store, or Orthanc."""
    data = folder / "data"
    if kind == "embedded":
        with running(data, *arguments, environment=environment) as server:
            yield server
        return
    with (
        orthanc(folder / "orthanc") as url,
        running(data, "--studies", url, *arguments, environment=environment) as server,
    ):
        yield server


def find_series(server: Server, patient_id: str) -> dict[str, tuple[str, str]]:
    """Study and series UID by series description, of one patient; a phantom's without what marks it as one."""
    answer = server.get(
        "/proxy/dicom/qido/series", params={"PatientID": patient_id, "Modality": "MG", "includefield": "0008103E"}
    )
    found = answer.raise_for_status().json() if answer.content else []
    return {
        item["0008103E"]["Value"][0].removeprefix("SYNTHETIC PHANTOM "): (
            item["0020000D"]["Value"][0],
            item["0020000E"]["Value"][0],
        )
        for item in found
    }


def study_of(server: Server, patient_id: str) -> str:
    """UID of the only study of a patient's mammograms."""
    return next(iter(find_series(server, patient_id).values()))[0]


def stow(server: Server, files: Sequence[Path]) -> httpx.Response:
    """Store files through the gateway, as a browser or modality would."""
    boundary = "mammosynth-test"
    parts = b"".join(
        b"--" + boundary.encode() + b"\r\nContent-Type: application/dicom\r\n\r\n" + file.read_bytes() + b"\r\n"
        for file in files
    )
    return server.post(
        "/proxy/dicom/stow/studies",
        content=parts + b"--" + boundary.encode() + b"--\r\n",
        headers={"content-type": f'multipart/related; type="application/dicom"; boundary={boundary}'},
    )


def retrieve(server, study, series, instance):
    answer = server.get(
        f"/proxy/dicom/wado/studies/{study}/series/{series}/instances/{instance}",
        headers={"accept": 'multipart/related; type="application/dicom"'},
    )
    assert answer.status_code == 200, answer.text
    boundary = answer.headers["content-type"].split("boundary=")[1].split(";")[0].strip('"').encode()
    part = answer.content.split(b"--" + boundary)[1].split(b"\r\n\r\n", 1)[1]
    return pydicom.dcmread(io.BytesIO(part))
