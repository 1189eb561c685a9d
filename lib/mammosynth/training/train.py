"""`train_contrast`: one resumable loop from pairs to a bundle that can be served."""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from mammosynth import __version__
from mammosynth.bundle import INFERENCE, METADATA, TRAIN, WEIGHTS, build_synthesizer, default_model_zoo, hash_file, read_config
from mammosynth.errors import DataError, OutputError
from mammosynth.preprocessing.contrast import ContrastPreprocessing
from mammosynth.preprocessing.pairs import ContrastPair, hash_pairs
from mammosynth.training.data import FramedPair, augment, collate, frame_pairs
from mammosynth.training.losses import contrast_loss, enhancement_correlation, masked_ssim
from mammosynth.training.recipe import TrainingRecipe

logger = logging.getLogger(__name__)

TEMPLATE = "breast_cem_contrast"
CHECKPOINT = Path("run", "checkpoint.pt")
RESULTS = Path("run", "results.csv")
RUN = Path("run", "run.json")

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


def default_recipe() -> TrainingRecipe:
    """The recipe of the released contrast model, from its bundle's train.json."""
    return TrainingRecipe.from_values(read_config(default_model_zoo() / TEMPLATE, TRAIN)["recipe"])


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
    run = _Run(synthesizer.network.to(recipe.device), recipe, identity)
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
    counts = {"train": _count(train_pairs), "val": _count(val_pairs)}
    _write_bundle(output, template, run, identity, counts)
    return TrainingResult(True, run.step, output, run.best_scores)


class _Run:
    """Network, optimizer and averages of a run: what a checkpoint holds."""

    def __init__(self, network: nn.Module, recipe: TrainingRecipe, identity: dict[str, Any]) -> None:
        self.network = network.to(memory_format=torch.channels_last)
        self.recipe = recipe
        self.identity = identity
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        self.average = _clone(network.state_dict())
        self.best = _clone(self.average)
        self.best_loss = math.inf
        self.best_scores: dict[str, float] = {}
        self.rows: list[dict[str, float]] = []
        self.step = 0
        self.seconds = 0.0

    def advance(self, batch: Any) -> float:
        """One optimizer step; its loss."""
        started = time.monotonic()
        recipe, device = self.recipe, self.recipe.device
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(self.step, recipe)
        self.network.train()
        channels = batch.channels.to(device).contiguous(memory_format=torch.channels_last)
        targets = [target.to(device) for target in (batch.recombined, batch.scored, batch.lesion)]
        loss = contrast_loss(self.network(channels), *targets, recipe)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        # A short memory at first, so that the average forgets the random start.
        decay = min(recipe.ema_decay, self.step / (self.step + 10))
        for key, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.average[key].lerp_(value, 1 - decay)
            else:
                self.average[key].copy_(value)
        self.seconds += time.monotonic() - started
        return float(loss.detach())

    def validate(self, val: list[FramedPair], preprocessing: ContrastPreprocessing, loss: float) -> dict[str, float]:
        """Score the averaged weights, and keep them if they are the best."""
        scores = {}
        if val:
            current = _clone(self.network.state_dict())
            self.network.load_state_dict(self.average)
            scores = score_in_frame(self.network, val, preprocessing, self.recipe)
            self.network.load_state_dict(current)
        if scores.get("val_loss", -math.inf) < self.best_loss:
            self.best_loss = scores.get("val_loss", math.inf)
            self.best, self.best_scores = _clone(self.average), {**scores, "best_step": float(self.step)}
        self.rows.append({"step": self.step, "seconds": round(self.seconds, 1), "loss": loss, **scores})
        return {"loss": loss, **scores}

    def save(self, output: Path) -> None:
        """Write checkpoint and results.csv; either the old or the new file exists at any moment."""
        state = {
            "identity": json.dumps(self.identity, sort_keys=True),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "best": self.best,
            "best_loss": self.best_loss,
            "best_scores": self.best_scores,
            "rows": self.rows,
            "step": self.step,
            "seconds": self.seconds,
        }
        partial = output / CHECKPOINT.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, output / CHECKPOINT)
        if self.rows:
            partial = output / RESULTS.with_suffix(".partial")
            with partial.open("w", newline="") as stream:
                writer = csv.DictWriter(stream, fieldnames=list(self.rows[-1]))
                writer.writeheader()
                writer.writerows(self.rows)
            os.replace(partial, output / RESULTS)

    def load(self, checkpoint: Path) -> None:
        """Go on from a checkpoint, if it exists.

        Raises:
            OutputError: If it belongs to another run.
        """
        if not checkpoint.is_file():
            return
        state = torch.load(checkpoint, map_location=self.recipe.device, weights_only=True)
        theirs = json.loads(state["identity"])
        if differing := sorted(key for key in self.identity if theirs.get(key) != json.loads(json.dumps(self.identity[key]))):
            raise OutputError(
                f"{checkpoint.parent.parent.name}: holds a checkpoint of another run ({', '.join(differing)} differ); "
                "choose another output folder, or do not resume"
            )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average, self.best = state["average"], state["best"]
        self.best_loss, self.best_scores = state["best_loss"], state["best_scores"]
        self.rows, self.step, self.seconds = state["rows"], state["step"], state["seconds"]


def score_in_frame(
    network: nn.Module, pairs: Sequence[FramedPair], preprocessing: ContrastPreprocessing, recipe: TrainingRecipe
) -> dict[str, float]:
    """Means over pairs in the network's frame: val_loss, val_psnr, val_ssim, val_correlation.

    Quick numbers for choosing weights; `mammosynth.evaluation` gives those to report.
    """
    network.eval()
    sums: dict[str, float] = {}
    with torch.inference_mode():
        for pair in pairs:
            batch = collate([pair], preprocessing)
            recombined, scored, lesion = (t.to(recipe.device) for t in (batch.recombined, batch.scored, batch.lesion))
            generated = network(batch.channels.to(recipe.device))
            squares = (scored * (generated.clamp(0, 1) - recombined) ** 2).sum() / scored.sum().clamp_min(1)
            scores = {
                "val_loss": contrast_loss(generated, recombined, scored, lesion, recipe),
                "val_psnr": -10 * torch.log10(squares.clamp_min(1e-10)),
                "val_ssim": masked_ssim(generated, recombined, scored),
                "val_correlation": enhancement_correlation(generated, recombined, scored).mean(),
            }
            for key, value in scores.items():
                sums[key] = sums.get(key, 0.0) + float(value)
    return {key: value / len(pairs) for key, value in sums.items()}


def _draw_batch(train: list[FramedPair], step: int, preprocessing: ContrastPreprocessing, recipe: TrainingRecipe) -> Any:
    """The batch of a step: a function of step and seed alone, so that a resumed run goes on as it would have."""
    random = np.random.default_rng([recipe.seed, 1, step])
    chosen = []
    for position in range(step * recipe.batch_size, (step + 1) * recipe.batch_size):
        epoch, place = divmod(position, len(train))
        order = np.random.default_rng([recipe.seed, 2, epoch]).permutation(len(train))
        chosen.append(augment(train[order[place]], recipe, random))
    return collate(chosen, preprocessing)


def _schedule(step: int, recipe: TrainingRecipe) -> float:
    warmup = min(1.0, (step + 1) / (recipe.warmup_steps + 1))
    return warmup * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


def _clone(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value.detach().clone() for key, value in state.items()}


def _check_patients(train_pairs: Sequence[ContrastPair], val_pairs: Sequence[ContrastPair]) -> None:
    if not train_pairs:
        raise DataError("there are no training pairs; give at least one low-energy image with its recombined image")
    shared = {pair.patient_id for pair in train_pairs} & {pair.patient_id for pair in val_pairs}
    if shared:
        raise DataError(
            f"{len(shared)} patients have images in both training and validation; split the data by patient"
        )


def _count(pairs: Sequence[ContrastPair]) -> dict[str, int]:
    return {"pairs": len(pairs), "patients": len({pair.patient_id for pair in pairs})}


def _write_bundle(
    output: Path, template: Path, run: _Run, identity: dict[str, Any], counts: dict[str, dict[str, int]]
) -> None:
    """Weights first, metadata last: a folder is found as a bundle only once it is complete."""
    for path in (METADATA, WEIGHTS, Path("docs", "README.md")):
        (output / path).parent.mkdir(parents=True, exist_ok=True)
    # Half precision for the convolutions; biases and batch statistics are few and stay as they are.
    state = {
        key: (value.half() if value.ndim >= 2 else value).cpu().contiguous()
        for key, value in run.best.items()
        if not key.endswith("num_batches_tracked")
    }
    save_file(state, output / WEIGHTS)
    shutil.copyfile(template / INFERENCE, output / INFERENCE)
    shutil.copyfile(template / "LICENSE", output / "LICENSE")
    _write_json(output / TRAIN, {"recipe": identity["recipe"]})
    record = {**identity, "counts": counts, "software_version": __version__, "seconds": round(run.seconds, 1)}
    _write_json(output / RUN, record)
    (output / "docs" / "README.md").write_text(_card(output.resolve().name, run, identity, counts), encoding="utf-8")
    metadata = read_config(template, METADATA)
    today = datetime.now().astimezone().date().isoformat()
    metadata.update(
        version="0.1.0",
        changelog={"0.1.0": f"trained {today} with mammosynth {__version__}"},
        description="Low-energy mammogram to recombined CEM image, trained by this software's training command.",
        data_source="see docs/README.md",
    )
    metadata["mammosynth"] = {
        "task": "contrast",
        "default": False,
        "weights_sha256": hash_file(output / WEIGHTS, output.name),
        "training": {key: record[key] for key in ("recipe", "train_sha256", "val_sha256", "counts", "software_version")},
        "scores": {"val_in_frame": run.best_scores},
    }
    _write_json(output / METADATA, metadata)


def _write_json(path: Path, values: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(values, indent=4) + "\n", encoding="utf-8")
    os.replace(partial, path)


def _card(name: str, run: _Run, identity: dict[str, Any], counts: dict[str, dict[str, int]]) -> str:
    scores = "\n".join(f"| {key} | {value:.4f} |" for key, value in run.best_scores.items())
    return (
        f"# {name}\n\nLow-energy mammogram to recombined image. Research only, not for diagnosis.\n\n"
        f"Trained by mammosynth {__version__} on {counts['train']['pairs']} pairs of {counts['train']['patients']} "
        f"patients, validated on {counts['val']['pairs']} pairs of {counts['val']['patients']} patients; "
        f"{run.step} steps, {run.seconds:.0f} s.\n\nData (SHA-256): train {identity['train_sha256']}, "
        f"val {identity['val_sha256']}.\n\nIn the network's frame, on the validation pairs:\n\n| score | value |\n|---|---|\n"
        f"{scores}\n\nFor figures to report, with intervals and floors, run the evaluation of this software.\n\n"
        f"Recipe: `configs/train.json`.\n"
    )
