"""`in_processes`: many jobs at once, each as if it were alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from mammosynth.errors import DataError

_THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_Job = TypeVar("_Job")
_Value = TypeVar("_Value")


def in_processes(
    function: Callable[[_Job], _Value], jobs: Sequence[_Job], workers: int | None
) -> Generator[tuple[_Job, _Value], None, None]:
    """Call a function for every job, in fresh processes with one thread each if there is more than one worker.

    Whoever stops before the end closes the generator (`contextlib.closing`), which ends the processes.

    Args:
        function: Importable by its name, as `functools.partial` of such a one is.
        jobs: One argument for each call.
        workers: How many at once; None: one per core; 1: in this process.

    Yields:
        Each job when it is done, and what the function gave.

    Raises:
        DataError: If a process was killed, which mostly means that memory ran out.
    """
    count = min(workers or _cores(), len(jobs))
    if count <= 1:
        for job in jobs:
            yield job, function(job)
        return
    others = set(multiprocessing.active_children())
    with _environment({name: "1" for name in _THREAD_COUNTS}):
        executor = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _ignore_interrupts)
        try:
            futures: dict[Future[_Value], _Job] = {executor.submit(function, job): job for job in jobs}
            for future in as_completed(futures):
                yield futures[future], future.result()
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


def _ignore_interrupts() -> None:
    """Ctrl-C reaches all processes of a terminal; only the first one decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
