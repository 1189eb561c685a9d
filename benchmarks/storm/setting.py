"""What every storm needs: `mammosynth serve` over a phantom study, its memory, and a table of what was found."""

from __future__ import annotations

import contextlib
import math
import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from mammosynth.phantom.clinic.exam import write_exam
from tests.support.server import Server, find_series, running

CONTROL = "CONTROL"
"""Patient whose study must stay listed, whatever comes."""
_ACQUIRED = re.compile("[LR] (CC|MLO) low energy")
_SAMPLE_EVERY_S = 0.05


@dataclass(frozen=True)
class Place:
    """Folders of one run, all below one temporary folder."""

    folder: Path

    @property
    def studies(self) -> Path:
        """What is served."""
        return self.folder / "studies"

    @property
    def data(self) -> Path:
        """Jobs, index and trained models of the server."""
        return self.folder / "data"

    @property
    def uploads(self) -> Path:
        """The server's TMPDIR, where nothing may stay."""
        return self.folder / "tmp"

    def left_in_uploads(self) -> list[str]:
        """Names of the files that lie in TMPDIR, or in a place of the server's own for such files."""
        folders = self.uploads, self.data / "tmp"
        return sorted(path.name for folder in folders for path in folder.rglob("*") if path.is_file())


def make_place(folder: Path, *, pixel_mm: float) -> Place:
    """An archive with the phantom study of `CONTROL`."""
    place = Place(folder)
    place.uploads.mkdir()
    write_exam(place.studies, seed=1, pixel_mm=pixel_mm, workers=None, patient_id=CONTROL)
    return place


@contextmanager
def serving(place: Place) -> Iterator[Server]:
    """`mammosynth serve` over the place, stopped at the end as Ctrl-C does."""
    with running(place.data, "--studies", str(place.studies), environment={"TMPDIR": str(place.uploads)}) as server:
        yield server


def control_series(server: Server) -> dict[str, tuple[str, str]]:
    """Study and series UID of the control's own images by their description; empty if they cannot be listed."""
    try:
        found = find_series(server, CONTROL)
    except (httpx.HTTPStatusError, ValueError):
        return {}
    return {description: uids for description, uids in found.items() if _ACQUIRED.fullmatch(description)}


class Memory:
    """The largest memory of a process and its children, looked at 20 times a second, while the block runs.

    Children's pages that are shared with the parent count once: their own memory is what only they have.
    """

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_mib = 0.0

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_SAMPLE_EVERY_S):
            with contextlib.suppress(psutil.Error):
                self.peak_mib = max(self.peak_mib, memory_mib(self._process))


def memory_mib(process: psutil.Process) -> float:
    """MiB in use by a process, and by its children alone."""
    total = process.memory_info().rss
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            total += child.memory_full_info().uss
    return total / 2**20


@dataclass
class Table:
    """What was found, against what must be reached.

    Attributes:
        title: First line.
        rows: Label, found value, goal in words (or nothing) and whether it is met (None: no goal).
    """

    title: str
    rows: list[tuple[str, str, str, bool | None]] = field(default_factory=list)

    def tell(self, label: str, value: str) -> None:
        """A row without a goal."""
        self.rows.append((label, value, "", None))

    def none_of(self, label: str, found: Sequence[str] | int) -> None:
        """A row whose goal is 0; a few of what was found are named below it."""
        count = found if isinstance(found, int) else len(found)
        self.rows.append((label, str(count), "0", count == 0))
        for text in () if isinstance(found, int) else found[:5]:
            self.tell(f"    {text}", "")

    def below(self, label: str, value: float, limit: float, unit: str, digits: int = 1) -> None:
        """A row whose goal is a number that must not be exceeded; no number at all misses it."""
        shown = f"{value:.{digits}f} {unit}".strip()
        self.rows.append((label, shown, f"at most {limit:g} {unit}".strip(), value <= limit))

    def print(self) -> bool:
        """Write the table; whether every goal is met."""
        print(f"\n{self.title}")
        width = max(len(label) for label, value, *_ in self.rows if value)
        for label, value, goal, met in self.rows:
            verdict = "" if met is None else f"  {'ok' if met else 'MISSED'}"
            print(f"{label:{width}}  {value:>14}  {goal:>16}{verdict}".rstrip())
        return all(met is not False for *_, met in self.rows)


def percentile(seconds: Sequence[float], share: float) -> float:
    """The smallest value that is not exceeded by that share of all; NaN of none."""
    return sorted(seconds)[math.ceil(share * len(seconds)) - 1] if seconds else float("nan")


def progress(text: str) -> None:
    """A line for whoever waits, apart from the table."""
    print(text, file=sys.stderr, flush=True)


def end_of_process(server: Server, within_s: float = 1.0) -> int | None:
    """The exit status of a server that has ended by itself; None while it runs."""
    deadline = time.monotonic() + within_s
    while server.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return server.process.returncode


def one_thread() -> None:
    """One thread for numbers in this process and its children, so that the server gets the other cores."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
