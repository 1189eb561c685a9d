"""Functions whose calls can be counted, wherever they are made."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mammosynth.errors import DataError


class Logged:
    """Appends a line to `begun` and to a file of its process, after a while one to `done`; gives the process."""

    def __init__(self, folder: Path, seconds: float = 0.0) -> None:
        self._folder, self._seconds = folder, seconds

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        _append(self._folder / "loaded", os.getpid())

    def __call__(self, job: int) -> int:
        _append(self._folder / "begun", job)
        _append(self._folder / f"begun-by-{os.getpid()}", job)
        time.sleep(self._seconds)
        _append(self._folder / "done", job)
        return os.getpid()


def lines(path: Path) -> list[int]:
    """What was appended by then."""
    return [int(line) for line in path.read_text().split()] if path.is_file() else []


def _append(path: Path, number: int) -> None:
    with path.open("a") as file:
        file.write(f"{number}\n")


def nothing(job: int) -> None:
    """Does nothing."""


def refuse(job: int) -> int:
    """Raises for 3."""
    if job == 3:
        raise DataError("three is refused")
    return job


def later_the_smaller(job: int) -> int:
    """The square, which takes longer for the first jobs."""
    time.sleep(0.2 if job == 0 else 0)
    return job * job


def die(job: int) -> None:
    """End this process without a word."""
    os._exit(1)
