"""Every released model, trained in order of need within so many minutes: for a GPU that is there for half an hour.

    PYTHONPATH=.:lib python -m experiments.train_all --data <folder> --output runs/all --minutes 25 --device cuda
    PYTHONPATH=.:lib python -m experiments.train_all --unpack runs/all --output runs/bundles

Needs torch, numpy, scipy, scikit-image, monai, pydantic and safetensors; docs/how-to/training.md says what else, and
how that is brought along. `<folder>` holds `cdd-cesm` and `cbis-ddsm`. Every model gets its share of the time; what
it leaves goes to those after it. When time is out, at Ctrl-C and at SIGTERM, all that was learned is kept, and the
same command goes on. `--output` holds few and small files, so that they can be taken away: packed bundles and
`log.txt`; what a run goes on from lies in `--work`.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from experiments import uninstalled  # noqa: F401  (first: what comes next asks for version and tasks)
from experiments.packed_bundles import pack_bundles, unpack_bundles
from mammosynth.atomic import write_json
from mammosynth.bundle import METADATA, default_model_zoo, find_bundle, task_of
from mammosynth.commands.options import check_device
from mammosynth.errors import DataError, MammoSynthError
from mammosynth.radiomics import Table, remembering
from mammosynth.task import task_named
from mammosynth.tasks.view.objectives.cgan import lesion_features
from mammosynth.training.dataset import Cases, read_splits
from mammosynth.training.ensemble import join_members
from mammosynth.training.export import RUN
from mammosynth.training.log import ProgressLines
from mammosynth.training.template import Template
from mammosynth.training.train import train_model

logger = logging.getLogger("train_all")

LOG = "log.txt"
RESERVE_S = 15.0
"""Kept back from the minutes, to write what was learned."""
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Job:
    """One model.

    Attributes:
        bundle: Its name in the model zoo.
        data: Folder that it learns from, below that of the data sets.
        share: Of the time, beside the shares of the others.
        only: Part of that folder that its task shall see alone; empty: all of it.
        seeds: Of the members of an ensemble, in their order, each trained on its own.
        changes: On a GPU, other values of the recipe than the bundle's own, which a CPU was enough for.
        mixed: Whether a GPU computes in half precision. Gradients of gradients need more.
        on_gpu: Whether there is anything to do for it: what is fitted in closed form has no steps.
        fitted: Objective by which more is fitted to the joined members; "": nothing.
    """

    bundle: str
    data: str
    share: float
    only: str = ""
    seeds: tuple[int, ...] = (0,)
    changes: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    mixed: bool = True
    on_gpu: bool = True
    fitted: str = ""


DIGITAL, FILM = "cdd-cesm", "cbis-ddsm"
AS_PUBLISHED = MappingProxyType({"steps": 10000, "batch_size": 64, "segmenter_steps": 3000})
JOBS = (
    Job("breast_cem_cyclegan", DIGITAL, 45),
    Job("breast_cem_residual", DIGITAL, 18, seeds=(0, 1, 2), fitted="sampled"),
    Job("breast_mg_view_cgan", FILM, 9),
    Job("breast_mg_view", "", 5, on_gpu=False),
    Job("breast_mg_mask_pix2pix", DIGITAL, 8, only="full"),
    Job("breast_mg_mask_dcgan", FILM, 5, changes=AS_PUBLISHED, mixed=False),
    Job("breast_mg_mask_dcgan_128", FILM, 8, mixed=False),
    Job("breast_mg_mask", DIGITAL, 3),
)
"""In order of need. `breast_cem_cyclegan_narrow` stands in for the first and is not worth a GPU's time."""


@dataclass(frozen=True)
class Places:
    """Folders.

    Attributes:
        data: Of the data sets.
        output: Of packed bundles and log.
        work: Of runs, to go on from.
        zoo: Of the bundles that are trained anew.
    """

    data: Path
    output: Path
    work: Path
    zoo: Path


class Queue:
    """Trains one model after another.

    Args:
        jobs: In order.
        places: Folders.
        device: "cpu" or "cuda".
        ends: On the clock of `time.monotonic`.
        is_stopped: Whether to end before.

    Attributes:
        failed: Models that could not be trained, for a reason that was told.
    """

    def __init__(
        self, jobs: Sequence[Job], places: Places, device: str, ends: float, is_stopped: Callable[[], bool]
    ) -> None:
        self._jobs, self._places, self._device, self._ends = jobs, places, device, ends
        self._is_stopped = is_stopped
        self.failed: list[str] = []
        self._read = lru_cache(maxsize=1)(_read)  # neighbours in the queue share their data

    def run(self) -> list[str]:
        """Train until all is done or time is out.

        Returns:
            The models that are not done.
        """
        self._pack()  # what an earlier call learned, for the output may be a new folder
        waiting = [job for job in self._jobs if not self._is_done(job)]
        for place, job in enumerate(waiting):
            if not self._left():
                break
            shares = sum(other.share for other in waiting[place:])
            ends = time.monotonic() + self._left() * job.share / shares
            try:
                self._train(job, ends)
                self._join(job)
            except (MammoSynthError, ModuleNotFoundError, RuntimeError) as error:  # the others may still be trained
                logger.error("%s: %s: %s", job.bundle, type(error).__name__, error)
                self.failed.append(job.bundle)
            self._pack()
        return [job.bundle for job in self._jobs if not self._is_done(job)]

    def _left(self) -> float:
        """Seconds."""
        return 0.0 if self._is_stopped() else max(0.0, self._ends - time.monotonic())

    def _train(self, job: Job, ends: float) -> None:
        """One model within its time: all its members, one after another."""
        waiting = [seed for seed in job.seeds if not _is_finished(self._member(job, seed))]
        for place, seed in enumerate(waiting):
            now = time.monotonic()
            self._train_member(job, seed, now + max(0.0, ends - now) / (len(waiting) - place))

    def _join(self, job: Job) -> None:
        """Members as one model: those that are done or, while none is, those that there are."""
        members = [self._member(job, seed) for seed in job.seeds]
        known = [member for member in members if (member / METADATA).is_file()]
        if len(members) == 1 or not known:
            return
        of_one = [member for member in known if _is_finished(member)] or known
        join_members(of_one, self._places.work / job.bundle)
        if job.fitted and self._left():
            self._pack()  # it may take minutes, and the machine may be gone by then
            joined = self._places.work / "members" / f"{job.bundle}-joined"
            join_members(of_one, joined)
            self._fit(job, joined)

    def _fit(self, job: Job, joined: Path) -> None:
        """What joined members do not know, in closed form: at once, or not at all."""
        template = Template.find(task_of(joined), joined, objective=job.fitted)
        train, val = self._read(template.task.name, self._data(job))
        output = self._places.work / job.bundle
        result = train_model(
            train, val, output=output, template=template, recipe=template.recipe({"device": "cpu"}), resume=False
        )
        told = json.dumps({key: round(value, 4) for key, value in result.val.items()})
        logger.info("%s, %s: %s; %s", job.bundle, job.fitted, result.reason, told)

    def _train_member(self, job: Job, seed: int, ends: float) -> None:
        output, name = self._member(job, seed), f"{job.bundle}, seed {seed}"
        member = job.seeds.index(seed)
        template = Template.find(task_of(self._folder(job)), self._folder(job), member=member)
        recipe = template.recipe({"seed": seed, **_on(self._device, job)})
        logger.info("%s: %s, %s, for %.0f s at most", name, recipe.device, recipe.precision, ends - time.monotonic())
        train, val = self._read(template.task.name, self._data(job))
        lines = ProgressLines(recipe, lambda line: logger.info("%s: %s", name, line))
        result = train_model(
            train,
            val,
            output=output,
            template=template,
            recipe=recipe,
            progress=lines,
            should_stop=lambda: self._is_stopped() or time.monotonic() > ends,
            keep_unfinished=True,
        )
        told = json.dumps({key: round(value, 4) for key, value in result.val.items()})
        logger.info("%s: step %d of %d, %s; %s", name, result.step, recipe.steps, result.reason, told)

    def _folder(self, job: Job) -> Path:
        return find_bundle(job.bundle, self._places.zoo)

    def _member(self, job: Job, seed: int) -> Path:
        single = len(job.seeds) == 1
        return self._places.work / (job.bundle if single else Path("members", f"{job.bundle}-seed{seed}"))

    def _data(self, job: Job) -> Path:
        """The folder that a model learns from."""
        folder = (self._places.data / job.data).resolve()
        if not (folder / job.only).is_dir():
            raise DataError(f"{job.data}/{job.only}: is missing from the folder of data sets, so nothing is trained")
        if not job.only:
            return folder
        alone = self._places.work / "data" / f"{job.data}-{job.only}"
        alone.mkdir(parents=True, exist_ok=True)
        if not (alone / job.only).exists():
            (alone / job.only).symlink_to(folder / job.only)
        return alone

    def _is_done(self, job: Job) -> bool:
        members = all(_is_finished(self._member(job, seed)) for seed in job.seeds)
        return members and (not job.fitted or _is_finished(self._places.work / job.bundle))

    def _pack(self) -> None:
        known = sorted(path.parents[1] for path in self._places.work.glob(f"*/{METADATA.as_posix()}"))
        if known:
            pack_bundles(known, self._places.output)


def measure_radiomics(data: Path) -> Table:
    """The features of all lesions that `breast_mg_view_cgan` learns from.

    Args:
        data: Of the data sets.

    Raises:
        DataError: If they cannot be read.
    """
    table: Table = {}
    with remembering(table):
        for cases in _read("view", data / FILM):
            for case in cases:
                lesion_features(case)
    return table


def _read(task: str, folder: Path) -> tuple[Cases, Cases]:
    return read_splits(task_named(task).load("dataset"), folder)


def _on(device: str, job: Job) -> dict[str, Any]:
    """How a model is trained there, beside what its bundle says."""
    if device == "cpu" or not job.on_gpu:
        return {"device": "cpu"}
    half = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    return {**job.changes, "device": device, "precision": half if job.mixed else "float32"}


def _is_finished(run: Path) -> bool:
    """Whether nothing is left to do for a run."""
    file = run / RUN
    return file.is_file() and bool(json.loads(file.read_text(encoding="utf-8")).get("completed"))


def _when_stopped() -> threading.Event:
    """Set by Ctrl-C and by SIGTERM."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    return stopped


def _log_into(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    handlers = [logging.FileHandler(folder / LOG, encoding="utf-8"), logging.StreamHandler()]
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", handlers=handlers)
    logger.setLevel(logging.INFO)


def main() -> None:
    """See the module."""
    names = [job.bundle for job in JOBS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="holds cdd-cesm and cbis-ddsm")
    parser.add_argument("--output", type=Path, metavar="DIR", help="of packed bundles and log")
    parser.add_argument("--minutes", type=float, default=25.0, metavar="N", help="in all (default: %(default)g)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--work", type=Path, metavar="DIR", help="to go on from (default: OUTPUT.work)")
    parser.add_argument("--zoo", type=Path, metavar="DIR", help="bundles that are trained anew (default: the released)")
    parser.add_argument("--radiomics", type=Path, metavar="FILE", help="of lesions, where pyradiomics is missing")
    parser.add_argument("--measure", action="store_true", help="only measure them and write FILE, where it is there")
    parser.add_argument("--unpack", type=Path, metavar="DIR", help="only write the bundles packed in there into OUTPUT")
    args = parser.parse_args()
    wanted = ("data", "radiomics") if args.measure else ("output",) if args.unpack else ("data", "output")
    if missing := [name for name in wanted if getattr(args, name) is None]:
        parser.error(f"--{missing[0]} is needed for that")
    if args.data and not args.data.is_dir():
        parser.error(f"--data {args.data}: is no folder, expected one that holds {DIGITAL} and {FILM}")
    if args.radiomics and not args.measure and not args.radiomics.is_file():
        parser.error(f"--radiomics {args.radiomics.name}: is missing; write it with --measure where pyradiomics is")
    try:
        if args.measure:
            write_json(args.radiomics, measure_radiomics(args.data), indent=0)
        elif args.unpack:
            unpack_bundles(args.unpack, args.output)
        else:
            _run(args)
    except MammoSynthError as error:
        parser.exit(1, f"error: {error}\n")


def _run(args: argparse.Namespace) -> None:
    ends = time.monotonic() + 60 * args.minutes - min(RESERVE_S, 6 * args.minutes)
    _log_into(args.output)
    check_device(args.device)
    if args.device == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    work = args.work or args.output.with_name(f"{args.output.name}.work")
    places = Places(args.data, args.output, work, args.zoo or default_model_zoo())
    jobs = [job for job in JOBS if job.bundle in (args.only or [job.bundle])]
    known = json.loads(args.radiomics.read_text(encoding="utf-8")) if args.radiomics else {}
    with remembering(known):
        queue = Queue(jobs, places, args.device, ends, _when_stopped().is_set)
        left = queue.run()
    logger.info("not done: %s; give the same command again", ", ".join(left)) if left else logger.info("all is done")
    if queue.failed:
        raise DataError(f"not trained, for what the log says: {', '.join(queue.failed)}")


if __name__ == "__main__":
    main()
