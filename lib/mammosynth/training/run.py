"""`TrainingRun`: network, optimizer, moving average and scores of one run: what a checkpoint holds."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mammosynth.errors import OutputError
from mammosynth.preprocessing.contrast import ContrastPreprocessing
from mammosynth.training.data import Batch, FramedPair, collate
from mammosynth.training.losses import contrast_loss, enhancement_correlation, masked_ssim
from mammosynth.training.recipe import TrainingRecipe

CHECKPOINT = Path("run", "checkpoint.pt")
RESULTS = Path("run", "results.csv")


class TrainingRun:
    """Network, optimizer and averages of a run: what a checkpoint holds."""

    def __init__(self, network: nn.Module, recipe: TrainingRecipe, identity: dict[str, Any]) -> None:
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch 2.13 types
        self.recipe = recipe
        self.identity = identity
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.average = _clone(network.state_dict())
        self.best = _clone(self.average)
        self.best_loss = math.inf
        self.best_scores: dict[str, float] = {}
        self.rows: list[dict[str, float]] = []
        self.step = 0
        self.seconds = 0.0

    def advance(self, batch: Batch) -> float:
        """One optimizer step; its loss."""
        started = time.monotonic()
        recipe, device = self.recipe, self.recipe.device
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(self.step, recipe)
        self.network.train()
        channels = batch.channels.to(device).contiguous(memory_format=torch.channels_last)
        recombined, scored, lesion = (target.to(device) for target in (batch.recombined, batch.scored, batch.lesion))
        loss = contrast_loss(self.network(channels), recombined, scored, lesion, recipe)
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

    def validate(
        self, val: Sequence[FramedPair], preprocessing: ContrastPreprocessing, loss: float
    ) -> dict[str, float]:
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
        partial.replace(output / CHECKPOINT)
        if self.rows:
            partial = output / RESULTS.with_suffix(".partial")
            with partial.open("w", newline="") as stream:
                writer = csv.DictWriter(stream, fieldnames=list(self.rows[-1]))
                writer.writeheader()
                writer.writerows(self.rows)
            partial.replace(output / RESULTS)

    def load(self, checkpoint: Path) -> None:
        """Go on from a checkpoint, if it exists.

        Raises:
            OutputError: If it belongs to another run.
        """
        if not checkpoint.is_file():
            return
        state = torch.load(checkpoint, map_location=self.recipe.device, weights_only=True)
        theirs = json.loads(state["identity"])
        if differing := sorted(
            key for key in self.identity if theirs.get(key) != json.loads(json.dumps(self.identity[key]))
        ):
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


def _schedule(step: int, recipe: TrainingRecipe) -> float:
    warmup = min(1.0, (step + 1) / (recipe.warmup_steps + 1))
    return warmup * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


def _clone(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value.detach().clone() for key, value in state.items()}
