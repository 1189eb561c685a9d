"""The embedded archive over many studies: first start, restart, memory, lists and frames, alone and with 20 clients.

Run: `.venv/bin/python benchmarks/archive.py [--studies 2000]`. Each study has four views with the headers of a phantom,
two lookup tables as vendors write them, and pixels of 3 mm: small files with real headers. Prints one table; absolute
times depend on the machine, so that pydicom's own reading of the headers is measured in the same run.
"""

from __future__ import annotations

import argparse
import io
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pydicom
import requests

from benchmarks.server import timed
from mammosynth.phantom.clinic.exam import write_exam
from tests.support.archives import free_port

PATIENT = "P000001"
_REPEATS = 20
_CLIENTS, _REQUESTS_PER_CLIENT = 20, 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, index_folder = Path(name, "studies"), Path(name, "index")
        images = write_studies(folder, args.studies)
        say("images", f"{images} of {args.studies} studies")
        say("headers read once by pydicom", f"{timed(lambda: read_headers(folder)):.1f} s")
        with serving(folder, index_folder, "first start") as (_, progress):
            say("sentences of progress", str(progress()))
        size = sum(file.stat().st_size for file in index_folder.iterdir())
        say("index on disk", f"{size / images / 1024:.1f} kB an image")
        with serving(folder, index_folder, "restart") as (url, _):
            measure(url)


def measure(url: str) -> None:
    """Lists and frames of a running archive."""
    session = requests.Session()
    frame = requests.get(f"{url}/instances?PatientID={PATIENT}", timeout=60).json()[0]["00081190"]["Value"][0]
    asked = {
        "list of all studies": f"{url}/studies",
        "one patient": f"{url}/studies?PatientID={PATIENT}",
        "series of all": f"{url}/series?limit=100",
        "metadata of an instance": f"{frame}/metadata",
        "one frame": f"{frame}/frames/1",
    }
    for name, address in asked.items():
        say(f"{name}, median", f"{1000 * statistics.median(times(session, address)):.1f} ms")
    waits = with_clients(list(asked.values())[1:])
    say(
        f"{_CLIENTS} clients, median and p95",
        f"{1000 * waits[len(waits) // 2]:.0f}, {1000 * waits[-len(waits) // 20]:.0f} ms",
    )


def write_studies(folder: Path, count: int) -> int:
    """Copies of one exam's four views with UIDs and a patient of their own; how many files."""
    with tempfile.TemporaryDirectory() as name:
        views = write_exam(Path(name), seed=1, pixel_mm=3.0, patient_id="P000000")
        originals = [with_tables(pydicom.dcmread(view)) for view in views]
    for number in range(count):
        for view, (header, content) in enumerate(originals):
            place = folder / f"{number:05d}" / f"{view}.dcm"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(renamed(content, header, number, view))
    return count * len(originals)


def with_tables(view: pydicom.Dataset) -> tuple[pydicom.Dataset, bytes]:
    """The view with two VOI LUTs of 16384 entries, and its file."""
    tables = [pydicom.Dataset() for _ in range(2)]
    for table in tables:
        table.add_new("LUTDescriptor", "US", [16384, 0, 16])
        table.add_new("LUTData", "OW", np.arange(16384, dtype="<u2").tobytes())
    view.VOILUTSequence = tables
    file = io.BytesIO()
    view.save_as(file)
    return view, file.getvalue()


def renamed(content: bytes, header: pydicom.Dataset, number: int, view: int) -> bytes:
    """The file of another study: equally long texts in the place of its identifiers."""
    for uid, ending in (
        (header.SOPInstanceUID, f"{number:06d}{view}1"),
        (header.SeriesInstanceUID, f"{number:06d}{view}2"),
        (header.StudyInstanceUID, f"{number:06d}03"),
    ):
        content = content.replace(uid.encode(), (uid[: -len(ending)] + ending).encode())
    return content.replace(b"P000000", f"P{number:06d}".encode())


def read_headers(folder: Path) -> None:
    """What no archive can be faster than, in one process of Python."""
    for path in folder.rglob("*.dcm"):
        pydicom.dcmread(path, stop_before_pixels=True).to_json_dict()


@contextmanager
def serving(folder: Path, index_folder: Path, name: str) -> Iterator[tuple[str, Callable[[], int]]]:
    """The archive as a process of its own: its URL, and how many lines it has written so far."""
    port = free_port()
    places = ["--folder", str(folder), "--index-folder", str(index_folder), "--port", str(port)]
    log = folder.parent / "log"
    url = f"http://127.0.0.1:{port}/dicom-web"
    with log.open("w") as output:
        started = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "monailabel_app.pacs", *places], stderr=output)
    try:
        while not answers(url):
            if process.poll() is not None:
                raise RuntimeError(log.read_text())
            time.sleep(0.05)
        say(name, f"{time.monotonic() - started:.1f} s")
        say("memory at rest", f"{psutil.Process(process.pid).memory_info().rss / 2**20:.0f} MiB")
        yield url, lambda: len(log.read_text().splitlines())
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    """Whether the archive is up."""
    try:
        return requests.get(f"{url}/studies?limit=1", timeout=60).ok
    except requests.ConnectionError:
        return False


def times(session: requests.Session, address: str) -> list[float]:
    """Seconds of each of several requests after the first."""
    session.get(address, timeout=60).raise_for_status()
    return [timed(lambda: session.get(address, timeout=60).raise_for_status()) for _ in range(_REPEATS)]


def with_clients(addresses: list[str]) -> list[float]:
    """Seconds of every request of all clients, ascending."""
    waits: list[float] = []

    def work() -> None:
        session = requests.Session()
        for number in range(_REQUESTS_PER_CLIENT):
            address = addresses[number % len(addresses)]
            waits.append(timed(lambda: session.get(address, timeout=60).raise_for_status()))  # noqa: B023

    threads = [threading.Thread(target=work) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(waits)


def say(name: str, value: str) -> None:
    """One line of the table."""
    sys.stdout.write(f"{name:34} {value}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
