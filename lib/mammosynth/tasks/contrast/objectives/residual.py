"""The objective "residual": paired regression of the change from a base of the low-energy image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from mammosynth.tasks.contrast.framed import Batch, FramedPair, augment, draw_pairs
from mammosynth.tasks.contrast.objectives.losses import contrast_loss
from mammosynth.tasks.contrast.objectives.residual_recipe import ResidualRecipe
from mammosynth.tasks.contrast.objectives.scores import frame_scores, mean_scores
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing
from mammosynth.training.objective import GENERATOR

MASK = BreastFramePreprocessing.CHANNELS.index("breast_mask")
SHOWN = 4
"""Pairs in a sample grid."""


class ResidualObjective:
    """See `Objective`.

    Args:
        train_pairs: At least one.
        val_pairs: Of other patients; may be empty.
        network: (B, C, H, W) to (B, 2, H, W): the fields offset and gain. Its first channel is the low-energy image.
        recipe: Every choice.
    """

    def __init__(
        self,
        train_pairs: Sequence[FramedPair],
        val_pairs: Sequence[FramedPair],
        network: nn.Module,
        recipe: ResidualRecipe,
    ) -> None:
        self.networks = nn.ModuleDict({GENERATOR: network})
        self.recipe = recipe
        self._train = [pair.to(recipe.device) for pair in _share(train_pairs, recipe)]
        self._val = [pair.to(recipe.device) for pair in val_pairs]

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """AdamW; biases and normalisation are not decayed."""
        parameters = list(self.networks[GENERATOR].parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.recipe.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return {GENERATOR: torch.optim.AdamW(groups, lr=self.recipe.learning_rate)}

    def draw(self, step: int, rank: int, world_size: int) -> Batch:
        """This rank's augmented pairs of a step."""
        drawn = draw_pairs(len(self._train), step, self.recipe, rank, world_size)
        randoms = [np.random.default_rng([self.recipe.seed, 1, step, place]) for place, _ in drawn]
        return augment([self._train[index] for _, index in drawn], self.recipe, randoms)

    def losses(self, batch: Batch) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        """One update: that of the generator."""
        fields = self.networks[GENERATOR](batch.channels)
        # Variances of nearly equal numbers need single precision.
        with torch.autocast(fields.device.type, enabled=False):
            generated = compose(fields.float(), batch.channels)
            loss = self.loss(generated, batch)
        yield GENERATOR, loss, {}

    def loss(self, generated: torch.Tensor, batch: Batch) -> torch.Tensor:
        """What is made small, of (B, 1, H, W) images that are not clipped; a scalar."""
        return contrast_loss(generated, batch.recombined, batch.scored, batch.lesion, self.recipe)

    def validate(self, generator: nn.Module) -> dict[str, float]:
        """Means over the validation pairs in the frame; flips are not averaged. See `scores`."""
        return mean_scores([self._scores(generator, pair) for pair in self._val])

    def _scores(self, generator: nn.Module, pair: FramedPair) -> dict[str, float]:
        batch = _whole(pair)
        generated = _generate(generator, batch)
        scores = frame_scores(generated.clamp(0, 1), batch.recombined, batch.scored)
        return {**scores, "val_loss": float(self.loss(generated, batch))}

    def sample_grid(self, generator: nn.Module) -> np.ndarray:
        """A row for each of the first validation pairs, else of the training pairs."""
        rows = []
        for pair in (self._val or self._train)[:SHOWN]:
            batch = _whole(pair)
            breast = batch.channels[:, MASK : MASK + 1]
            images = (batch.channels[:, :1], _generate(generator, batch) * breast, batch.recombined)
            rows.append(torch.cat(images, dim=3)[0, 0].clamp(0, 1).cpu().numpy())
        return np.concatenate(rows)


def _share(pairs: Sequence[FramedPair], recipe: ResidualRecipe) -> list[FramedPair]:
    """The pairs of a share of the patients, at least one; with one seed, a smaller share is part of a larger one."""
    drawn = np.random.default_rng(recipe.seed).permutation(sorted({pair.patient_id for pair in pairs}))
    seen = set(drawn[: max(1, round(recipe.patients * len(drawn)))])
    return [pair for pair in pairs if pair.patient_id in seen]


def compose(fields: torch.Tensor, channels: torch.Tensor) -> torch.Tensor:
    """The image: offset + gain * low-energy image.

    Args:
        fields: (B, 2, H, W): offset, gain.
        channels: (B, C, H, W), the network's input; its first channel is the low-energy image.

    Returns:
        (B, 1, H, W), not clipped.
    """
    return fields[:, :1] + fields[:, 1:] * channels[:, :1]


def _whole(pair: FramedPair) -> Batch:
    return Batch.of(pair.maps[None].float())


def _generate(generator: nn.Module, batch: Batch) -> torch.Tensor:
    return compose(generator(batch.channels).float(), batch.channels)
