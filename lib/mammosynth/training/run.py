"""`TrainingRun`: networks, optimizers, moving average and scores of one run: what a checkpoint holds."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mammosynth.errors import BundleError, InvalidParameterError, OutputError
from mammosynth.training.batch_norm import synchronise_batch_norm
from mammosynth.training.checkpoint import CHECKPOINT, read_checkpoint, unfit, write_checkpoint
from mammosynth.training.objective import GENERATOR, Objective
from mammosynth.training.processes import Processes
from mammosynth.training.recipe import TrainingRecipe

SCORE = "val_score"
ALL_STEPS = "all steps are done"


class TrainingRun:
    """State of a run, alike in all its processes.

    Args:
        objective: What is optimised.
        recipe: How.
        identity: What makes a checkpoint this run's own.
        processes: Who trains.
    """

    def __init__(
        self, objective: Objective, recipe: TrainingRecipe, identity: dict[str, Any], processes: Processes
    ) -> None:
        self.objective, self.recipe, self.identity, self.processes = objective, recipe, identity, processes
        self.networks = objective.networks
        # torch 2.13 has wrong gradients of instance normalisation over a batch of one image in channels_last on CPUs.
        is_safe = not any(isinstance(module, nn.InstanceNorm2d) for module in self.networks.modules())
        memory_format = torch.channels_last if is_safe else torch.contiguous_format
        self.networks.to(processes.device, memory_format=memory_format)  # type: ignore[call-overload]
        if processes.size > 1:
            synchronise_batch_norm(self.networks)
            processes.spread(self.networks.state_dict().values())  # of machines that round in another way
        self.optimizers = objective.optimizers()
        self._rates = {name: [g["lr"] for g in o.param_groups] for name, o in self.optimizers.items()}
        kind = torch.device(processes.device).type
        self._scaler = torch.GradScaler(kind, enabled=recipe.precision == "float16")
        self.averaged = copy.deepcopy(self.networks[GENERATOR]).eval().requires_grad_(False)
        self.best = _clone(self.averaged)
        self.best_scores: dict[str, float] = {}
        self.rows: list[dict[str, float]] = []
        self.step = 0
        self._without_gain = 0
        self._sums: dict[str, float] = {}
        self._steps_summed = 0
        self._seconds, self._started = 0.0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Spent so far, in all parts of a run that was stopped."""
        return self._seconds + time.monotonic() - self._started

    @property
    def ending(self) -> str:
        """Why the run is over; empty while it goes on."""
        if self.step >= self.recipe.steps:
            return ALL_STEPS
        if self.recipe.patience and self._without_gain >= self.recipe.patience:
            return f"{SCORE} has not improved in {self._without_gain} validations"
        return ""

    def advance(self) -> dict[str, float]:
        """One step; its losses, of the whole batch.

        Raises:
            BundleError: If the first one cannot be made, since network and preprocessing do not fit.
            InvalidParameterError: If a loss is no number any more, or a GPU has too little memory.
        """
        recipe, rank, size = self.recipe, self.processes.rank, self.processes.size
        # Dropout, too, is a function of step and rank alone.
        torch.manual_seed(int(np.random.SeedSequence([recipe.seed, 3, self.step, rank]).generate_state(1)[0]))
        self._set_rates()
        self.networks.train()
        losses: dict[str, float] = {}
        try:
            for name, loss, parts in self._losses(self.objective.draw(self.step, rank, size)):
                losses.update({f"loss_{name}" if len(self.optimizers) > 1 else "loss": float(loss.detach()), **parts})
                self._update(self.optimizers[name], loss)
        except torch.OutOfMemoryError as error:
            raise InvalidParameterError(
                f"step {self.step + 1}: a batch of {recipe.batch_size // size} does not fit into the memory of "
                f"{self.processes.device}; choose a smaller batch_size"
            ) from error
        losses = self.processes.mean(losses)
        if not all(math.isfinite(value) for value in losses.values()):
            raise InvalidParameterError(
                f"step {self.step + 1}: losses are {losses}, so the run has diverged; choose a smaller learning_rate "
                "or the precision float32, and another output folder or no resuming"
            )
        self.step += 1
        self._average()
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in losses.items()}
        self._steps_summed += 1
        return losses

    def _losses(self, batch: Any) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        losses = iter(self.objective.losses(batch))
        precision = getattr(torch, self.recipe.precision)
        while True:
            with torch.autocast(
                torch.device(self.processes.device).type, precision, enabled=precision is not torch.float32
            ):
                update = self._next(losses)
            if update is None:
                return
            yield update

    def _next(self, losses: Iterator[Any]) -> Any:
        """The next update, or None."""
        try:
            return next(losses, None)
        except RuntimeError as error:
            is_of_the_machine = type(error) is not RuntimeError or "alloc" in str(error)  # a CPU has no class
            if self.step or is_of_the_machine:  # what did a step does the next one
                raise
            raise BundleError(
                f"the network does not take what the preprocessing gives: {error}; let both agree in the template's "
                "inference.json"
            ) from error

    def _update(self, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        # Before unscaling, so that all processes see the same overflow.
        self.processes.average(p.grad for p in parameters if p.grad is not None)
        self._scaler.unscale_(optimizer)
        if self.recipe.gradient_clip:
            nn.utils.clip_grad_norm_(parameters, self.recipe.gradient_clip)
        self._scaler.step(optimizer)
        self._scaler.update()  # now, for an objective may update an optimizer several times in a step

    def _set_rates(self) -> None:
        factor = min(1.0, (self.step + 1) / (self.recipe.warmup_steps + 1))
        if self.recipe.schedule == "cosine":
            factor *= 0.5 * (1 + math.cos(math.pi * self.step / self.recipe.steps))
        for name, optimizer in self.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self._rates[name], strict=True):
                group["lr"] = rate * factor

    def _average(self) -> None:
        # A short memory at first, so that the average forgets the random start.
        decay = min(self.recipe.ema_decay, self.step / (self.step + 10))
        averaged = self.averaged.state_dict()
        for key, value in self.networks[GENERATOR].state_dict().items():
            if value.is_floating_point():
                averaged[key].lerp_(value, 1 - decay)
            else:
                averaged[key].copy_(value)

    def validate(self) -> dict[str, float]:
        """Score the averaged weights, keep them if they are the best, and add a row."""
        first = self.processes.rank == 0
        with torch.inference_mode():
            scores = self.processes.from_first(self.objective.validate(self.averaged) if first else {})
        if scores and not scores[SCORE] > self.best_scores.get(SCORE, -math.inf):
            self._without_gain += 1
        else:
            self._without_gain = 0
            self.best, self.best_scores = _clone(self.averaged), {**scores, "best_step": float(self.step)}
        means = {name: total / self._steps_summed for name, total in self._sums.items()}
        self._sums, self._steps_summed = {}, 0
        self.rows.append({"step": self.step, "seconds": round(self.seconds, 1), **means, **scores})
        return scores

    def sample(self) -> np.ndarray:
        """The objective's sample grid of the averaged weights."""
        with torch.inference_mode():
            return self.objective.sample_grid(self.averaged)

    def save(self, output: Path) -> None:
        """Write the checkpoint; either the old or the new file exists at any moment."""
        state = {
            "identity": json.dumps(self.identity, sort_keys=True),
            "networks": self.networks.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "scaler": self._scaler.state_dict(),
            "averaged": self.averaged.state_dict(),
            "best": self.best,
            "best_scores": self.best_scores,
            "rows": self.rows,
            "sums": self._sums,
            "steps_summed": self._steps_summed,
            "without_gain": self._without_gain,
            "step": self.step,
            "seconds": self.seconds,
        }
        write_checkpoint(output / CHECKPOINT, state)

    def load(self, checkpoint: Path) -> None:
        """Go on from a checkpoint, if it exists.

        Raises:
            OutputError: If it is damaged, or belongs to another run or to another version of this software.
        """
        readable = self.processes.rank == 0 and checkpoint.is_file()  # other machines need not see the file
        state = self.processes.from_first(read_checkpoint(checkpoint) if readable else None)
        if state is None:
            return
        try:
            if differing := self._differing(state):
                raise OutputError(
                    f"{checkpoint.parent.parent.name}: holds a checkpoint of another run ({', '.join(differing)} "
                    "differ); choose another output folder, or do not resume"
                )
            self._take(state)
        except (AttributeError, LookupError, ValueError, TypeError, RuntimeError) as error:
            raise unfit(checkpoint, error) from error

    def _differing(self, state: dict[str, Any]) -> list[str]:
        theirs, ours = (_decisive(json.loads(each)) for each in (state["identity"], json.dumps(self.identity)))
        differing = {key for key in ours if theirs.get(key) != ours[key]}
        return sorted(differing | ({"recipe"} if state["step"] > self.recipe.steps else set()))

    def _take(self, state: dict[str, Any]) -> None:
        self.networks.load_state_dict(state["networks"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self._scaler.load_state_dict(state["scaler"])
        self.averaged.load_state_dict(state["averaged"])
        self.best, self.best_scores, self.rows = state["best"], state["best_scores"], state["rows"]
        self._sums, self._steps_summed = state["sums"], state["steps_summed"]
        self.step, self._without_gain, self._seconds = state["step"], state["without_gain"], state["seconds"]


def _decisive(identity: dict[str, Any]) -> dict[str, Any]:
    """What decides the weights after a step: of a constant learning rate, not how many steps there shall be."""
    if identity["recipe"].get("schedule") != "constant":
        return identity
    return {**identity, "recipe": {key: value for key, value in identity["recipe"].items() if key != "steps"}}


def _clone(network: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.detach().clone() for key, value in network.state_dict().items()}
