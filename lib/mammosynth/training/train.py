"""`train_model`: one resumable loop from cases to a bundle that can be served, for every task and objective."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mammosynth.atomic import remove_unfinished
from mammosynth.errors import InvalidParameterError
from mammosynth.training.checkpoint import CHECKPOINT
from mammosynth.training.dataset import Cases, count_cases, hash_cases
from mammosynth.training.export import write_bundle
from mammosynth.training.log import RunLog
from mammosynth.training.objective import ClosedForm
from mammosynth.training.processes import Processes, join_processes
from mammosynth.training.recipe import TrainingRecipe
from mammosynth.training.run import TrainingRun
from mammosynth.training.template import Template

logger = logging.getLogger(__name__)

STOPPED = "stopped; run it again to go on"

Progress = Callable[[float, str, dict[str, float]], None]


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended.

    Attributes:
        completed: False if it was stopped; run the same command again to go on.
        reason: Why it ended.
        step: Optimizer steps done.
        bundle: The bundle folder; None if none was written.
        val: Scores of the kept weights on the validation cases; empty without them.
        warnings: What the check of the data found odd but not wrong.
    """

    completed: bool
    reason: str
    step: int
    bundle: Path | None
    val: dict[str, float]
    warnings: tuple[str, ...] = ()


def train_model(
    train_cases: Cases,
    val_cases: Cases,
    *,
    output: Path,
    template: Template,
    recipe: TrainingRecipe | None = None,
    initial_weights: Path | None = None,
    resume: bool = True,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    keep_unfinished: bool = False,
) -> TrainingResult:
    """Train a model of the template's task and write it as a bundle.

    The weights are a moving average; those with the highest val_score are kept (without validation cases, the last).
    Same cases, recipe and number of threads give the same weights on the CPU, also after a stop.

    Started by `torchrun`, all processes train one model: a batch is split over them, gradients are averaged, batch
    normalisation sees the whole batch, and the first process validates, reads and writes. The model becomes what one
    process makes of it, but for rounding and dropout, also if a run goes on with another number of processes.

    Args:
        train_cases: At least one.
        val_cases: Of other patients; may be empty.
        output: Becomes the bundle folder; checkpoint, results.csv, curves and samples lie in `run/` below it.
        template: Bundle that is trained anew.
        recipe: Every choice of the run, of the template's kind; None: the template's own.
        initial_weights: Bundle whose weights the generator starts from; None: random.
        resume: Go on from the checkpoint in `output`, if there is one.
        progress: Told the fraction done, a message, and the latest losses and scores; in the first process only.
        should_stop: Asked before every step; True ends the run after writing a checkpoint.
        keep_unfinished: Whether a run that was stopped writes its bundle, too, with the best weights so far. If there
            has been no validation yet, there is one for it.

    Raises:
        BundleError: If template or initial weights cannot be used.
        DataError: With every case that cannot be used.
        InvalidParameterError: If the recipe does not fit template, machine or number of processes, or it diverges.
        OutputError: If `output` holds the checkpoint of another run, or a damaged one.
    """
    recipe = recipe or template.recipe()
    with _prepared(recipe) as processes:
        _check_recipe(recipe, template, processes)
        report = _reporter(progress, processes)
        blank = template.build(recipe.seed)
        initial = blank.initial if initial_weights is None else blank.load(initial_weights)
        report(0.0, "checking the data", {})
        checked = template.task.load("dataset").prepare(train_cases, val_cases, blank.preprocessing)
        for warning in (warnings := checked.warnings):
            logger.warning("%s", warning)
            report(0.0, f"warning: {warning}", {})
        here = recipe.changed(device=processes.device)
        objective = template.build_objective(checked.train, checked.val, blank.network, here)
        del checked  # the objective keeps what it needs
        record: dict[str, Any] = {
            "objective": template.objective,
            "template": template.folder.resolve().name,
            "recipe": recipe.as_json(),
            "train_sha256": hash_cases(train_cases),
            "val_sha256": hash_cases(val_cases),
            "inference": blank.inference,
            "initial_weights": initial,
        }
        _check_same(_identity(record), processes)
        run = TrainingRun(objective, here, _identity(record), processes)
        if resume:
            run.load(output / CHECKPOINT)
        reason = _loop(run, output, report, should_stop or (lambda: False))
        completed = reason != STOPPED
        written = completed or (keep_unfinished and run.step > 0)
        if written and not run.rows:
            run.validate()
        if written and processes.rank == 0:
            record["completed"] = completed
            record["counts"] = {"train": count_cases(train_cases), "val": count_cases(val_cases)}
            record["warnings"] = list(warnings)
            write_bundle(output, template, run, blank.prefix, record)
        processes.wait()
        return TrainingResult(completed, reason, run.step, output if written else None, run.best_scores, warnings)


def _loop(run: TrainingRun, output: Path, report: Progress, should_stop: Callable[[], bool]) -> str:
    """Steps until the run ends; why it does."""
    recipe, first = run.recipe, run.processes.rank == 0
    if first:
        (output / CHECKPOINT).parent.mkdir(parents=True, exist_ok=True)
        remove_unfinished(output)
    log = RunLog(output, run.step) if first else None
    saved_at = time.monotonic()
    stopped = False
    while not run.ending and not (stopped := run.processes.any(should_stop())):
        latest = {**run.best_scores, **run.advance()}
        if run.step % recipe.validate_every == 0 or run.step == recipe.steps:
            latest.update(run.validate())
            shown = {key: round(value, 4) for key, value in latest.items()}
            logger.info("step %d: %s", run.step, json.dumps(shown))
        if log is not None:
            _write_step(log, run, latest)
            if time.monotonic() - saved_at > recipe.checkpoint_every_s:
                run.save(output)
                saved_at = time.monotonic()
        report(run.step / recipe.steps, f"step {run.step} of {recipe.steps}", latest)
    if log is not None:
        run.save(output)
        log.close()
    return STOPPED if stopped else run.ending


def _write_step(log: RunLog, run: TrainingRun, latest: dict[str, float]) -> None:
    """What there is to see after a step."""
    log.curves(run.step, latest)
    if run.rows and run.rows[-1]["step"] == run.step:
        log.results(run.rows)
    if run.recipe.sample_every and run.step % run.recipe.sample_every == 0:
        log.sample(run.step, run.sample())


@contextmanager
def _prepared(recipe: TrainingRecipe) -> Iterator[Processes]:
    """Threads, processes and torch's random state of a run; the state of before is restored."""
    threads = torch.get_num_threads()
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    try:
        with join_processes(recipe.device) as processes:
            gpus = [processes.device] if processes.device.startswith("cuda") else []
            with torch.random.fork_rng(devices=gpus):
                yield processes
    finally:
        torch.set_num_threads(threads)


def _check_recipe(recipe: TrainingRecipe, template: Template, processes: Processes) -> None:
    if type(recipe) is not template.recipe_class:
        raise InvalidParameterError(
            f"the recipe is a {type(recipe).__name__}, expected a {template.recipe_class.__name__} for "
            f"{template.folder.name}; make it with Template.recipe"
        )
    if recipe.precision == "float16" and not processes.device.startswith("cuda"):
        raise InvalidParameterError(
            f"precision is float16 on device {processes.device}, expected a CUDA device; choose bfloat16 or float32"
        )
    if recipe.batch_size % processes.size:
        raise InvalidParameterError(
            f"batch_size is {recipe.batch_size}, expected a multiple of the {processes.size} processes"
        )
    objective = template.training.objective
    if processes.size > 1 and isinstance(objective, type) and issubclass(objective, ClosedForm):
        raise InvalidParameterError(
            f"{template.folder.name}: objective {template.objective} is fitted in closed form, by one process, and "
            f"{processes.size} were started; give the command without torchrun"
        )


def _check_same(identity: dict[str, Any], processes: Processes) -> None:
    """Whether all processes were given the same, though perhaps on several machines."""
    first = processes.from_first(identity)
    if differing := sorted(key for key in identity if identity[key] != first[key]):
        raise InvalidParameterError(
            f"process {processes.rank}: {', '.join(differing)} differ from those of process 0; give every machine the "
            "same data and the same command"
        )


def _reporter(progress: Progress | None, processes: Processes) -> Progress:
    return progress if progress is not None and processes.rank == 0 else lambda fraction, message, values: None


def _identity(record: dict[str, Any]) -> dict[str, Any]:
    """What must be the same to go on with a checkpoint."""
    recipe = {key: value for key, value in record["recipe"].items() if key not in TrainingRecipe.OF_THE_MACHINE}
    return {**record, "recipe": recipe}
