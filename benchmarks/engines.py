"""Do engines change a byte, what do they cost, and is anything lost when a machine dies?

Run from the root: `PYTHONPATH=. .venv/bin/python benchmarks/engines.py`; it needs `mammosynth[ray]`, 3 GB and minutes.
The machines of the cluster are simulated on this one (`ray.cluster_utils.Cluster`); at most two workers run at once, so
what Ray gains in time is not measured here.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom

from mammosynth.batch import Run, synthesize_files
from mammosynth.bundle import default_bundle, load_bundle
from mammosynth.journey import Order
from mammosynth.parallel.engine import Engine
from mammosynth.parallel.local import LocalEngine
from mammosynth.parallel.on_ray import RayEngine
from mammosynth.phantom.clinic.cohort import write_cohort
from mammosynth.phantom.clinic.exam import write_exam
from mammosynth.phantom.clinic.manifest import CohortSettings
from mammosynth.phantom.parameters import CaseParameters
from mammosynth.terms import ImageLaterality, ViewPosition
from monailabel_app.backlog import synthesize_archive
from monailabel_app.studies import DicomWebStudies
from tests.support.archives import store_process
from tests.support.instances import digest_without_times
from tests.support.orders import nothing
from tests.support.ray_cluster import cluster_of

_MOST_MS = 20.0
_LEAST_LINEAR = 0.9


def main() -> int:
    """Measure and print; returns 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=4, help="phantoms of one view, and exams of four")
    parser.add_argument("--pixel-mm", type=float, default=2.0)
    parser.add_argument("--empty", type=int, default=500, help="orders that do nothing")
    parser.add_argument("--killed-only", action="store_true", help="the last row, and the first to compare it with")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="e-"))
    try:
        work = _Work(folder / "w", args.cases, args.pixel_mm)
        if args.killed_only:
            reached = [work.done_by(LocalEngine(1), "local, 1 worker"), _two_killed(work, folder / "r")]
        else:
            reached = [*_local(work, args.empty), *_on_ray(work, folder / "r", args.empty)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(reached) else 1


class _Work:
    """A cohort of phantoms, and exams to synthesize from in a folder and in an archive, whose bytes are compared."""

    def __init__(self, folder: Path, cases: int, pixel_mm: float) -> None:
        self.cases = cases
        self._folder = folder
        case = CaseParameters(0, views=(ViewPosition.CC,), sides=(ImageLaterality.LEFT,), pixel_mm=pixel_mm)
        self._settings = CohortSettings(case)
        for seed in range(cases):
            write_exam(folder / "in" / f"{seed}", seed=seed, pixel_mm=pixel_mm)
        self._order = Order.parse(load_bundle(default_bundle("contrast")), {})
        self._run = Run()
        self._expected: dict[str, str] = {}

    def done_by(self, engine: Engine, name: str, kill: Callable[[], None] | None = None) -> bool:
        """Do all of it, killing a machine after the first results, and compare; print a line."""
        output, seen, began = self._folder / name, Counter[str](), time.monotonic()

        def note(done: int, total: int, item: str) -> None:
            seen[item] += 1
            if kill and done == 1:
                kill()

        write_cohort(output / "phantoms", self._settings, range(self.cases), engine=engine, progress=note)
        report = synthesize_files(
            [self._folder / "in"], output / "contrast", self._order, engine=engine, run=self._run, progress=note
        )
        hashes = {
            path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(output.rglob("*"))
            if path.is_file()
        }
        hashes |= self._through_archive(output / "archive", engine, note)
        self._expected = self._expected or hashes
        once = set(seen.values()) == {1} and len(seen) == 6 * self.cases and len(report.written) == 4 * self.cases
        digest = hashlib.sha256(repr(sorted(hashes.items())).encode()).hexdigest()[:12]
        told = f"{digest}  {len(hashes)} files, each item told once: {once}"
        _print(name, told, f"{time.monotonic() - began:.0f} s")
        shutil.rmtree(output)
        return hashes == self._expected and once

    def _through_archive(self, folder: Path, engine: Engine, note: Callable[[int, int, str], None]) -> dict[str, str]:
        """Hashes of what an archive that held the exams holds afterwards, but for when it was made."""
        with store_process(folder / "d", index_folder=folder / "i") as (_, url):
            archive = DicomWebStudies(url)
            for path in sorted((self._folder / "in").rglob("*.dcm")):
                archive.store(pydicom.dcmread(path))
            totals = synthesize_archive(
                archive,
                self._order,
                {"ModalitiesInStudy": "MG"},
                store=True,
                refuse=lambda uid, reason: sys.exit(f"{uid}: {reason}"),
                progress=note,
                engine=engine,
            )
        if totals.made != 4 * self.cases:
            sys.exit(f"made from the archive: {totals}")
        return {f"archive {digest}": digest for digest in map(digest_without_times, (folder / "d").rglob("*.dcm"))}


def _local(work: _Work, empty: int) -> Iterator[bool]:
    print("The same phantoms, folder and search in an archive: hash of all files")
    for workers in (1, 2):
        yield work.done_by(LocalEngine(workers), f"local, {workers} worker{'s' * (workers > 1)}")
    one, two = (_cpu_seconds(workers, 4 * work.cases) for workers in (1, 2))
    ratio = f"{one / two:.2f} of linear (goal: {_LEAST_LINEAR})"
    _print("CPU seconds of a phantom", f"{one:.2f} by 1 worker, {two:.2f} by 2", ratio)
    yield one / two >= _LEAST_LINEAR
    yield _overhead("local", LocalEngine(2), empty)


def _on_ray(work: _Work, folder: Path, empty: int) -> Iterator[bool]:
    for nodes in (1, 2, 3):
        with _cluster(nodes, folder / str(nodes)) as cluster:
            engine = RayEngine(cluster.address, workers=2)
            yield work.done_by(engine, f"Ray, {nodes} machine{'s' * (nodes > 1)}")
            if nodes == 2:
                yield _overhead("Ray", engine, empty)
    yield _two_killed(work, folder / "killed")


def _two_killed(work: _Work, folder: Path) -> bool:
    with _cluster(3, folder) as cluster:
        engine = RayEngine(cluster.address, workers=2)
        return work.done_by(engine, "Ray, two of three killed", lambda: _kill_one(cluster))


@contextmanager
def _cluster(nodes: int, folder: Path) -> Iterator[Any]:
    folder.mkdir(parents=True)
    with cluster_of(nodes, folder) as cluster:
        yield cluster


def _kill_one(cluster: Any) -> None:
    if len(cluster.worker_nodes) > 1:
        cluster.remove_node(min(cluster.worker_nodes, key=lambda node: node.unique_id), allow_graceful=False)


def _overhead(name: str, engine: Engine, orders: int) -> bool:
    """What an order costs that does nothing, from the first result on."""
    finished = engine.run(nothing, range(orders))
    next(finished)
    began = time.monotonic()
    rest = sum(1 for _ in finished)
    each_ms = (time.monotonic() - began) / rest * 1000
    _print(f"{name}, an empty order", f"{each_ms:.1f} ms, end of the workers included", f"(goal: {_MOST_MS:g})")
    return each_ms < _MOST_MS


def _cpu_seconds(workers: int, cases: int) -> float:
    """Of a case, of a whole command and its processes, less what it takes to start them."""
    return (_cpu_seconds_of_all(workers, cases) - _cpu_seconds_of_all(workers, workers)) / (cases - workers)


def _cpu_seconds_of_all(workers: int, cases: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mammosynth", "phantom", "--out", folder, "--cases", str(cases)]
        command += ["--views", "CC", "--sides", "L", "--pixel-mm", "1", "--workers", str(workers)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _print(name: str, value: str, note: str = "") -> None:
    print(f"{name:28} {value:52} {note}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
