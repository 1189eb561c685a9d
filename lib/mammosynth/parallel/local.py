"""`LocalEngine`: orders in processes of this machine, each as if it were alone."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from mammosynth.errors import DataError
from mammosynth.imports import imports_that_stay
from mammosynth.parallel.engine import THREAD_COUNTS

_Job = TypeVar("_Job")
_Value = TypeVar("_Value")
_UNDER_WAY = 2  # a worker: one that is made, one that waits for it


@dataclass(frozen=True)
class LocalEngine:
    """In fresh processes with one thread each, if there is more than one.

    Attributes:
        workers: How many; None: one per core; 1: in this process.
    """

    workers: int | None = None

    def run(
        self, function: Callable[[_Job], _Value], jobs: Sequence[_Job]
    ) -> Generator[tuple[_Job, _Value], None, None]:
        """See `engine.Engine`; what goes to another process can be pickled."""
        count = min(self.workers or _cores(), len(jobs))
        if count <= 1:
            for job in jobs:
                yield job, function(job)
            return
        others = set(multiprocessing.active_children())
        with _environment({name: "1" for name in THREAD_COUNTS}):
            context = multiprocessing.get_context("spawn")
            executor = ProcessPoolExecutor(count, context, _begin, (pickle.dumps(function),))
            try:
                rest = iter(jobs)
                running: dict[Future[_Value], _Job] = {
                    executor.submit(_call, job): job for job in islice(rest, _UNDER_WAY * count)
                }
                while running:
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        done = running.pop(future)
                        running |= {executor.submit(_call, job): job for job in islice(rest, 1)}
                        yield done, future.result()
            except BrokenProcessPool as error:
                raise DataError(
                    f"a process was killed; {count} ran at once, which may be too much for the memory: give the same "
                    "command again with fewer at once to go on"
                ) from error
            except BaseException:
                for process in set(multiprocessing.active_children()) - others:
                    process.terminate()
                raise
            finally:
                executor.shutdown(cancel_futures=True)


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """What processes inherit that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_function: Callable[[Any], Any]
"""Of this process, if a pool started it."""


def _begin(pickled: bytes) -> None:
    """Ctrl-C reaches all processes of a terminal; only the first one decides."""
    global _function
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with imports_that_stay():
        _function = pickle.loads(pickled)


def _call(job: Any) -> Any:
    return _function(job)
