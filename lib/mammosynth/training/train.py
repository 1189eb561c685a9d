"""`train_contrast`: one resumable loop from pairs to a bundle that can be served."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mammosynth.bundle import INFERENCE, build_synthesizer, default_model_zoo, read_config
from mammosynth.errors import DataError
from mammosynth.preprocessing.contrast import ContrastPreprocessing
from mammosynth.preprocessing.pairs import ContrastPair, hash_pairs
from mammosynth.training.data import Batch, FramedPair, augment, collate, frame_pairs
from mammosynth.training.export import count_pairs, write_bundle
from mammosynth.training.recipe import TrainingRecipe
from mammosynth.training.run import CHECKPOINT, TrainingRun

logger = logging.getLogger(__name__)

TEMPLATE = "breast_cem_contrast"

Progress = Callable[[float, str, dict[str, float]], None]


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended.

    Attributes:
        completed: False if it was stopped; run the same command again to go on.
        step: Optimizer steps done.
        bundle: The bundle folder; None while incomplete.
        val: Scores of the kept weights on the validation pairs; empty without them.
    """

    completed: bool
    step: int
    bundle: Path | None
    val: dict[str, float]


def train_contrast(
    train_pairs: Sequence[ContrastPair],
    val_pairs: Sequence[ContrastPair],
    *,
    output: Path,
    recipe: TrainingRecipe,
    resume: bool = True,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainingResult:
    """Train a contrast model and write it as a bundle.

    The weights are a moving average; the one with the lowest validation loss is kept (without validation pairs, the
    last). Same pairs, recipe and number of threads give the same weights, also after a stop.

    Args:
        train_pairs: At least one.
        val_pairs: Of other patients; may be empty.
        output: Becomes the bundle folder; the run's checkpoint and results.csv lie in `run/` below it.
        recipe: Every choice of the run.
        resume: Go on from the checkpoint in `output`, if there is one.
        progress: Told the fraction done, a message, and the latest losses and scores.
        should_stop: Asked before every step; True ends the run after writing a checkpoint.

    Raises:
        DataError: If there are no pairs, a pair cannot be used, or a patient is in both lists.
        OutputError: If `output` holds the checkpoint of another run.
    """
    _check_patients(train_pairs, val_pairs)
    template = default_model_zoo() / TEMPLATE
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        synthesizer = build_synthesizer(template)
    preprocessing = synthesizer.preprocessing
    train, val = frame_pairs(train_pairs, preprocessing), frame_pairs(val_pairs, preprocessing)
    identity = {
        "recipe": recipe.as_json(),
        "train_sha256": hash_pairs(train_pairs),
        "val_sha256": hash_pairs(val_pairs),
        "inference": read_config(template, INFERENCE),
    }
    run = TrainingRun(synthesizer.network.to(recipe.device), recipe, identity)
    if resume:
        run.load(output / CHECKPOINT)
    (output / CHECKPOINT).parent.mkdir(parents=True, exist_ok=True)

    saved_at = time.monotonic()
    while run.step < recipe.steps:
        if should_stop is not None and should_stop():
            run.save(output)
            return TrainingResult(False, run.step, None, run.best_scores)
        loss = run.advance(_draw_batch(train, run.step, preprocessing, recipe))
        latest = {"loss": loss, **run.best_scores}
        if run.step % recipe.validate_every == 0 or run.step == recipe.steps:
            latest = run.validate(val, preprocessing, loss)
            logger.info("step %d: %s", run.step, json.dumps({key: round(value, 4) for key, value in latest.items()}))
        if progress is not None:
            progress(run.step / recipe.steps, f"step {run.step} of {recipe.steps}", latest)
        if time.monotonic() - saved_at > recipe.checkpoint_every_s or run.step == recipe.steps:
            run.save(output)
            saved_at = time.monotonic()
    counts = {"train": count_pairs(train_pairs), "val": count_pairs(val_pairs)}
    write_bundle(output, template, run, identity, counts)
    return TrainingResult(True, run.step, output, run.best_scores)


def _draw_batch(
    train: list[FramedPair], step: int, preprocessing: ContrastPreprocessing, recipe: TrainingRecipe
) -> Batch:
    """The batch of a step: a function of step and seed alone, so that a resumed run goes on as it would have."""
    random = np.random.default_rng([recipe.seed, 1, step])
    chosen = []
    for position in range(step * recipe.batch_size, (step + 1) * recipe.batch_size):
        epoch, place = divmod(position, len(train))
        order = np.random.default_rng([recipe.seed, 2, epoch]).permutation(len(train))
        chosen.append(augment(train[order[place]], recipe, random))
    return collate(chosen, preprocessing)


def _check_patients(train_pairs: Sequence[ContrastPair], val_pairs: Sequence[ContrastPair]) -> None:
    if not train_pairs:
        raise DataError("there are no training pairs; give at least one low-energy image with its recombined image")
    shared = {pair.patient_id for pair in train_pairs} & {pair.patient_id for pair in val_pairs}
    if shared:
        raise DataError(
            f"{len(shared)} patients have images in both training and validation; split the data by patient"
        )
