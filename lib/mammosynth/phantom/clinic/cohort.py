"""Many phantoms: written case by case in parallel, resumable, reproducible to the bit on CPU."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mammosynth.errors import DataError
from mammosynth.phantom.clinic.manifest import (
    MANIFEST,
    CohortSettings,
    case_folder,
    differences,
    finished_case,
    read_manifest,
    software,
    write_manifest,
)
from mammosynth.phantom.clinic.write import write_case

_THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_Job = TypeVar("_Job")


def write_cohort(
    folder: Path,
    settings: CohortSettings,
    seeds: Sequence[int],
    *,
    workers: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Write the cases that are not there yet, each in a folder of its own, and the manifest of all.

    The bits of a case depend on settings and seed, not on the number of workers. An interruption loses the cases that
    are being made; the same call goes on with them.

    Args:
        folder: Empty, absent, or written with the same settings and software.
        settings: What all cases have in common.
        seeds: Of the wanted cases. Cases of other seeds may be there and stay.
        workers: Processes; None: one per core.
        progress: Called with the finished and all wanted cases, and the name of the one just finished.

    Returns:
        The manifest.

    Raises:
        DataError: If the folder holds something else, or a worker died.
        OutputError: If a file cannot be written.
    """
    _check_folder(folder, settings)
    write_manifest(folder, settings)
    missing = [seed for seed in seeds if finished_case(folder, seed) is None]
    done = len(seeds) - len(missing)
    try:
        for seed in in_processes(partial(_write_case_of, folder, settings), missing, workers):
            done += 1
            if progress is not None:
                progress(done, len(seeds), case_folder(folder, seed).name)
    finally:
        manifest = write_manifest(folder, settings)
    return manifest


def reproduce_cohort(
    manifest_path: Path,
    folder: Path,
    *,
    workers: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[str]:
    """Generate every case of a manifest again, elsewhere, and compare the hashes of all pixels.

    Args:
        manifest_path: Of the cohort to make again.
        folder: Where the new files go; see `write_cohort`.
        workers: Processes; None: one per core.
        progress: See `write_cohort`.

    Returns:
        What differs, in sentences; empty if every pixel is equal. Other software is named first if there are others.
    """
    settings, expected = read_manifest(manifest_path)
    seeds = [case["seed"] for case in expected["cases"]]
    write_cohort(folder, settings, seeds, workers=workers, progress=progress)
    found = []
    for case in expected["cases"]:
        again = finished_case(folder, case["seed"]) or {"files": []}
        hashes = {file["name"]: file["sha256"] for file in again["files"]}
        name = case_folder(folder, case["seed"]).name
        found += [
            f"{name}/{file['name']}: other pixels"
            for file in case["files"]
            if hashes.get(file["name"]) != file["sha256"]
        ]
    return [*differences(expected["software"], software()), *found] if found else []


def in_processes(function: Callable[[_Job], object], jobs: Sequence[_Job], workers: int | None) -> Iterator[_Job]:
    """Call a function for every job, in fresh processes with one thread each if there is more than one worker.

    Args:
        function: Importable by its name, as `functools.partial` of such a one is.
        jobs: One argument for each call.
        workers: How many at once; None: one per core; 1: in this process.

    Yields:
        Each job when it is done.

    Raises:
        DataError: If a process was killed, which mostly means that memory ran out.
    """
    count = min(workers or _cores(), len(jobs))
    if count <= 1:
        for job in jobs:
            function(job)
            yield job
        return
    others = set(multiprocessing.active_children())
    with _environment({name: "1" for name in _THREAD_COUNTS}):
        executor = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _ignore_interrupts)
        try:
            futures: dict[Future[object], _Job] = {executor.submit(function, job): job for job in jobs}
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        except BrokenProcessPool as error:
            raise DataError(
                f"a process that makes phantoms was killed; {count} ran at once, which may be too much for the memory: "
                "give the same command again with fewer --workers to go on"
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


def _write_case_of(folder: Path, settings: CohortSettings, seed: int) -> None:
    write_case(case_folder(folder, seed), settings.case(seed), maps=settings.maps, device=settings.device)


def _check_folder(folder: Path, settings: CohortSettings) -> None:
    """Refuse to mix cohorts."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not (folder / MANIFEST).is_file():
        raise DataError(f"{folder.name}: holds files but no {MANIFEST}, so no phantoms; choose an empty folder")
    there, manifest = read_manifest(folder)
    found = [
        *differences(there.as_json(), settings.as_json()),
        *(differences(manifest["software"], software()) if manifest["cases"] else ()),
    ]
    if found:
        raise DataError(
            f"{folder.name}: holds phantoms made in another way: {'; '.join(found)}. Ask for the same, or choose "
            "another folder"
        )


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
