"""Time and cost of a thousand studies against workers: measured parts, a law, a simulation, and what a country needs.

Run from the root: `PYTHONPATH=. .venv/bin/python benchmarks/scaling.py [--picture docs/pictures/scaling.png]`; it takes
minutes. Parts are CPU seconds, which a busy machine changes little; what follows from them is for a quiet one.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pydicom
import torch
from matplotlib.figure import Figure
from pydicom.dataset import Dataset
from scipy import ndimage

from benchmarks.closed_network import SleepingOrder, Stage, bend, law, most, rate, simulate
from mammosynth.bundle import default_bundle, load_bundle
from mammosynth.database import Database
from mammosynth.dicom.generated import phantom_uid
from mammosynth.journey import Order, Work, perform
from mammosynth.parallel.local import LocalEngine
from mammosynth.phantom.clinic.exam import write_exam
from monailabel_app.backlog import synthesize_archive
from monailabel_app.database import LAYOUTS
from monailabel_app.gateway.jobs import JobRequest, JobState, JobStore
from monailabel_app.inputs import study_inputs
from monailabel_app.results import ArchiveSink
from monailabel_app.studies import DicomWebStudies
from tests.support.archives import store_process
from tests.support.orders import nothing

IMAGES = 4  # of a study
ENLARGED = 10  # times: phantoms of 1 mm become as large as the images of a detector with 0.1 mm
NETWORK_BYTES_PER_S = 10e9 / 8  # assumed: 10 Gbit/s at the archive
CORE_HOUR = 0.04  # assumed price, in US dollars: a virtual core and 4 GB
EXAMS_A_YEAR, HOURS_A_YEAR, PEAK, UTILISATION = 3_000_000, 250 * 10, 2.0, 0.7  # assumed
WORKERS = (1, 2, 4, 8, 16, 32, 64)
MINUTES = (1, 2, 5, 10, 20, 30)
QUEUED = 250  # of one person, the most that wait


@dataclass(frozen=True)
class Parts:
    """CPU seconds of an image, and its bytes.

    Attributes:
        search: Of the worker, to list the study and read its headers.
        fetch: Of the worker, to get and decode the source.
        network: Of the worker, in the layers of the model alone.
        synthesis: Of the worker, in everything else between image and image.
        store: Of the worker, to make the instance and send it.
        archive: Of the archive, for all of that.
        engine: Of whoever gives out orders.
        source_bytes: Of the source, as it is stored.
        result_bytes: Of the result.
        memory_bytes: Of the worker, at the end.
    """

    search: float
    fetch: float
    network: float
    synthesis: float
    store: float
    archive: float
    engine: float
    source_bytes: int
    result_bytes: int
    memory_bytes: int

    @property
    def worker(self) -> float:
        """CPU seconds of the worker."""
        return self.search + self.fetch + self.network + self.synthesis + self.store

    def stages(self, archive_cores: int = 1) -> list[Stage]:
        """What workers share."""
        wire = (self.source_bytes + self.result_bytes) / NETWORK_BYTES_PER_S
        return [Stage("engine", self.engine), Stage("network", wire), Stage("archive", self.archive, archive_cores)]


def main() -> None:
    """Measure, print, and draw if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=4, help="of four images, for the parts and for each real run")
    parser.add_argument("--picture", type=Path, metavar="FILE")
    args = parser.parse_args()
    torch.set_num_threads(1)
    _say(
        "machine",
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
    )
    order = Order.parse(load_bundle(default_bundle("contrast")), {})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        instances = list(_studies(folder / "exam", args.studies))
        parts = _measured(order, instances, folder / "parts")
        _tell_parts(parts, order)
        _tell_waiting(folder)
        for workers in (1, 2):
            _tell_real(order, instances, parts, folder / f"{workers}", workers)
        _tell_queue(folder / "jobs.sqlite")
    _tell_law(parts)
    _tell_programme(parts)
    if args.picture:
        _draw(parts, args.picture)


def _studies(folder: Path, count: int) -> Iterator[Dataset]:
    """Instances of phantoms that are as large as real images, four to a study."""
    originals = [pydicom.dcmread(path) for path in write_exam(folder, seed=1, pixel_mm=0.1 * ENLARGED)]
    for number in range(count):
        for view, original in enumerate(originals):
            random = np.random.default_rng([number, view])
            pixels = ndimage.zoom(original.pixel_array.astype(np.float32), ENLARGED, order=1)
            pixels += random.normal(0, 8, pixels.shape).astype(np.float32) * (pixels > 0)
            made = pydicom.dcmread(Path(str(original.filename)))
            made.Rows, made.Columns = pixels.shape
            made.PixelData = np.clip(pixels, 0, 2**made.BitsStored - 1).astype(np.uint16).tobytes()
            for keyword in ("ImagerPixelSpacing", "PixelSpacing"):
                if keyword in made:
                    setattr(made, keyword, [float(each) / ENLARGED for each in made[keyword].value])
            made.StudyInstanceUID = phantom_uid("scaling", number)
            made.SeriesInstanceUID = phantom_uid("scaling", number, view)
            made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = phantom_uid("scaling", number, view, 0)
            yield made


@contextmanager
def _archive_of(instances: Sequence[Dataset], folder: Path) -> Iterator[tuple[psutil.Process, DicomWebStudies]]:
    """The embedded archive in a process of its own, which holds the instances."""
    with store_process(folder / "d", index_folder=folder / "i") as (process, url):
        archive = DicomWebStudies(url)
        for each in instances:
            archive.store(each)
        yield psutil.Process(process.pid), archive


class _Clock:
    """CPU seconds of this process by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.process_time() - began


@dataclass(frozen=True)
class _TimedSink:
    sink: ArchiveSink
    clock: _Clock

    def find(self, work: Work) -> Any:
        with self.clock.of("find"):
            return self.sink.find(work)

    def store(self, work: Work, result: Any, known: Any) -> Any:
        with self.clock.of("store"):
            return self.sink.store(work, result, known)


def _measured(order: Order, instances: Sequence[Dataset], folder: Path) -> Parts:
    clock, network = _Clock(), order.bundle.synthesizer.network
    inside: list[float] = []
    hooks = [
        network.register_forward_pre_hook(lambda *_: inside.append(-time.process_time())),
        network.register_forward_hook(lambda *_: inside.append(time.process_time())),
    ]
    slot = next(slot for slot in order.bundle.slots if slot.role == order.bundle.task.source_role)
    with _archive_of(instances, folder) as (process, archive):
        before = _cpu_seconds(process)
        for study in dict.fromkeys(str(each.StudyInstanceUID) for each in instances):
            with clock.of("search"):
                works, _ = study_inputs(archive, order, slot, study)
            for address, inputs in works:
                with clock.of("fetch"):
                    given = {role: each.read({}) for role, each in inputs.items()}
                ready = {
                    role: type(each)(each.identity, lambda _, value=given[role]: value) for role, each in inputs.items()
                }
                with clock.of("all"):
                    perform(order, ready, _TimedSink(ArchiveSink(archive, address, None), clock))
        of_archive = _cpu_seconds(process) - before
        made = [path for path in (folder / "d").rglob("*.dcm") if path.is_file()]
        sizes = sum(path.stat().st_size for path in made)
    for hook in hooks:
        hook.remove()
    count = len(instances)
    each = {part: seconds / count for part, seconds in clock.seconds.items()}
    in_network = sum(inside) / count
    source = sum(len(instance.PixelData) for instance in instances) // count
    return Parts(
        search=each["search"] + each["find"],
        fetch=each["fetch"],
        network=in_network,
        synthesis=each["all"] - each["find"] - each["store"] - in_network,
        store=each["store"],
        archive=of_archive / count,
        engine=_engine_s(),
        source_bytes=source,
        result_bytes=sizes // count - source,
        memory_bytes=psutil.Process().memory_info().rss,
    )


def _engine_s(orders: int = 300) -> float:
    """CPU seconds of whoever gives out an order that does nothing, of several processes."""
    with closing(LocalEngine(2).run(nothing, range(orders))) as finished:
        next(finished)
        began = time.process_time()
        rest = sum(1 for _ in finished)
    return (time.process_time() - began) / rest


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _tell_parts(parts: Parts, order: Order) -> None:
    print(f"\nAn image, {order.bundle.name}, CPU seconds")
    for name in ("search", "fetch", "network", "synthesis", "store"):
        _say(f"worker, {name}", f"{getattr(parts, name):.3f}")
    _say("worker, all", f"{parts.worker:.3f}; {parts.memory_bytes / 2**30:.2f} GiB")
    _say("archive", f"{parts.archive:.3f}")
    _say("engine", f"{parts.engine:.4f}")
    _say("source, result", f"{parts.source_bytes / 1e6:.1f}, {parts.result_bytes / 1e6:.1f} MB")


def _tell_waiting(folder: Path, own_s: float = 0.2, shared_s: float = 0.1, orders: int = 40) -> None:
    """The engine with orders that sleep, some of the time under one lock, beside simulation and law."""
    print(f"\nOrders that sleep {own_s} s alone and {shared_s} s in turn: orders a second")
    stages = [Stage("lock", shared_s)]
    for workers in (1, 2, 4):
        order, done = SleepingOrder(own_s, shared_s, folder / "lock"), []
        for _ in LocalEngine(workers).run(order, range(orders)):
            done.append(time.monotonic())
        simulated = rate(simulate(own_s, stages, workers, orders), workers)
        drawn = law(own_s, stages, workers)[-1]
        _say(f"{workers} workers", f"real {rate(done, workers):.2f}, simulated {simulated:.2f}, law {drawn:.2f}")


def _tell_real(order: Order, instances: Sequence[Dataset], parts: Parts, folder: Path, workers: int) -> None:
    """A search of the archive, worked through by so many workers."""
    done: list[float] = []
    with _archive_of(instances, folder) as (process, archive):
        before = _cpu_seconds(process)
        totals = synthesize_archive(
            archive,
            order,
            {"ModalitiesInStudy": "MG"},
            store=True,
            refuse=lambda uid, reason: sys.exit(f"{uid}: {reason}"),
            progress=lambda *_: done.append(time.monotonic()),
            engine=LocalEngine(workers),
        )
        of_archive = (_cpu_seconds(process) - before) / totals.made
    found = rate(done, workers) * IMAGES
    stages = [Stage(each.name, IMAGES * each.seconds, each.servers) for each in parts.stages()]
    expected = IMAGES * rate(simulate(IMAGES * parts.worker, stages, workers, 1000), workers)
    print(f"\nA search in the archive, {workers} local worker{'s' * (workers > 1)}, load {os.getloadavg()[0]:.1f}")
    _say("images a second", f"{found:.2f}; on free cores {expected:.2f} expected")
    _say("archive, CPU s an image", f"{of_archive:.3f}")


def _tell_queue(file: Path) -> None:
    """What a job costs the database, if it is given to a server instead of a command."""
    print(f"\nA job in the servers' queue (SQLite), {QUEUED} waiting: seconds")
    with closing(Database(file, LAYOUTS)) as database:
        store = JobStore(database, max_queued=2 * QUEUED, max_queued_each=QUEUED + 1)
        for number in range(QUEUED):
            store.submit(JobRequest("contrast", {}, {"number": number}, f"{number}"))
        spent: dict[str, float] = {}

        def timed(name: str, step: Callable[[], Any]) -> Any:
            began = time.monotonic()
            result = step()
            spent[name] = spent.get(name, 0.0) + (time.monotonic() - began) / 20
            return result

        for number in range(20):
            timed("submit", partial(store.submit, JobRequest("contrast", {}, {"number": number}, f"{number}")))
            job_id, _ = timed("claim", store.claim_next)
            timed("report", partial(store.report, job_id, 0.5, "half"))
            timed("renew", store.renew)
            timed("end", partial(store.end, job_id, JobState.DONE, "done", {}))
    _say(", ".join(spent), ", ".join(f"{seconds:.4f}" for seconds in spent.values()))
    of_job = spent["submit"] + spent["claim"] + IMAGES * spent["report"] + spent["end"]
    _say(
        "jobs a second, at most",
        f"{1 / of_job:.0f} of {IMAGES} images; every server renews its lease in {spent['renew']:.4f}",
    )


def _tell_law(parts: Parts) -> None:
    for cores in (1, 4, 16):
        stages = parts.stages(cores)
        print(f"\nAn archive of {cores} core{'s' * (cores > 1)}: at most {most(stages):.1f} images a second, bend at "
              f"{bend(parts.worker, stages):.0f} workers")  # fmt: skip
        rates = law(parts.worker, stages, max(WORKERS))
        for workers in WORKERS:
            simulated = rate(simulate(parts.worker, stages, workers, 4000), workers)
            hours = 1000 * IMAGES / simulated / 3600
            _say(
                f"{workers} workers",
                f"{simulated:6.2f} images a second (law {rates[workers - 1]:6.2f}); a thousand studies {hours:6.2f} h, "
                f"{hours * (workers + cores) * CORE_HOUR:.3f} dollars",
            )


def _tell_programme(parts: Parts) -> None:
    images = EXAMS_A_YEAR * IMAGES
    peak = PEAK * images / HOURS_A_YEAR / 3600
    both = parts.source_bytes + parts.result_bytes
    print(f"\n{EXAMS_A_YEAR:,} exams a year, {IMAGES} images each, {HOURS_A_YEAR} hours; peak {PEAK:g} times the mean")
    _say("images a second at the peak", f"{peak:.2f}")
    _say(f"workers, {UTILISATION:.0%} busy", f"{peak * parts.worker / UTILISATION:.1f} cores")
    _say(
        "of these in the network", f"{peak * parts.network / UTILISATION:.1f} cores, the most that GPUs could take over"
    )
    _say("memory of the workers", f"{peak * parts.worker / UTILISATION * parts.memory_bytes / 2**30:.0f} GiB")
    _say("archive, embedded", f"{peak * parts.archive / UTILISATION:.1f} cores")
    _say("archive, through the network", f"{peak * both / 1e6:.0f} MB/s")
    _say("storage of the results", f"{images * parts.result_bytes / 1e12:.0f} TB a year, uncompressed")
    _say(
        "cost of computing",
        f"{images * (parts.worker + parts.archive) / 3600 * CORE_HOUR:.0f} dollars a year, if paid by use",
    )


def _draw(parts: Parts, file: Path) -> None:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    workers = np.arange(1, max(WORKERS) + 1)
    for cores, colour in ((1, "#c44e52"), (4, "#dd8452"), (16, "#4c72b0")):
        stages = parts.stages(cores)
        simulated = np.array([rate(simulate(parts.worker, stages, count, 1500), count) for count in workers.tolist()])
        hours = 1000 * IMAGES / simulated / 3600
        label = f"archive of {cores} core{'s' * (cores > 1)}"
        left.plot(workers, 60 * hours, color=colour, label=label)
        left.plot(workers, 1000 * IMAGES / np.array(law(parts.worker, stages, workers[-1])) / 60, ":", color=colour)
        right.plot(workers, hours * (workers + cores) * CORE_HOUR, color=colour, label=label)
        for axes in (left, right):
            if (place := bend(parts.worker, stages)) <= workers[-1]:
                axes.axvline(place, color=colour, linewidth=0.6, linestyle="--")
    left.set(xscale="log", yscale="log", xlabel="workers", ylabel="minutes for 1,000 studies")
    left.set_yticks(MINUTES, [str(each) for each in MINUTES])
    right.set(xscale="log", xlabel="workers", ylabel="US dollars for 1,000 studies", ylim=(0, None))
    for axes in (left, right):
        axes.set_xticks(WORKERS, [str(each) for each in WORKERS])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    left.legend(frameon=False, fontsize=8)
    figure.savefig(file, dpi=110)


def _say(name: str, value: str) -> None:
    print(f"{name:30} {value}", flush=True)


if __name__ == "__main__":
    main()
