"""The objective "expected": the image of least error of a label map, and the styles of sampled ones.

The network learns by mean absolute error, so that it becomes the median of what is possible: smooth, and the same for
every seed. The distribution of styles is fitted to the training images at the start, not optimised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from torch import nn

from mammosynth.tasks.mask.cases import MaskCase
from mammosynth.tasks.mask.drawing import Drawing
from mammosynth.tasks.mask.expected import ExpectedPreprocessing, halved
from mammosynth.tasks.mask.network import MaskNetwork
from mammosynth.tasks.mask.style import about, measure_style
from mammosynth.training.objective import GENERATOR
from mammosynth.training.processes import sum_over_processes
from mammosynth.training.recipe import TrainingRecipe

SHOWN = 4
WIDTH = 192
"""Columns of a sample grid's images at half the frame's resolution."""


class ExpectedRecipe(TrainingRecipe):
    """A run of the objective "expected"."""

    steps: int = Field(1500, ge=1, le=1_000_000)
    batch_size: int = Field(4, ge=1, le=4096)
    crop: int = Field(128, ge=32, le=256)
    """Side in pixels at half the frame's resolution, a multiple of 16."""


@dataclass(frozen=True, eq=False)
class Laid:
    """A case at half the frame's resolution.

    Attributes:
        channels: (23, 256, w) float16.
        pixels: (256, w) float16 in [0, 1].
        breast: (256, w) bool.
    """

    channels: np.ndarray
    pixels: np.ndarray
    breast: np.ndarray


class ExpectedObjective:
    """See `Objective`.

    Args:
        train: At least one case.
        val: Of other patients; may be empty.
        network: What is trained; its styles are fitted here.
        recipe: Every choice.
    """

    def __init__(
        self, train: Sequence[MaskCase], val: Sequence[MaskCase], network: MaskNetwork, recipe: ExpectedRecipe
    ) -> None:
        self.recipe = recipe
        self._val = [_laid(case)[0] for case in val]
        laid, styles, known = zip(*map(_laid, train), strict=True)
        self._train: list[Laid] = list(laid)
        network.styles.fit(np.stack(styles), np.stack(known))
        self.networks = nn.ModuleDict({GENERATOR: network})

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """AdamW."""
        network = self.networks[GENERATOR]
        rate, decay = self.recipe.learning_rate, self.recipe.weight_decay
        return {GENERATOR: torch.optim.AdamW(network.parameters(), rate, weight_decay=decay)}

    def draw(self, step: int, rank: int, world_size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """This rank's crops of a step: channels, pixels and breast."""
        count = self.recipe.batch_size // world_size
        crops = [
            self._crop(np.random.default_rng([self.recipe.seed, 1, step, rank * count + place]))
            for place in range(count)
        ]
        device = self.recipe.device
        channels, pixels, breast = (
            torch.from_numpy(np.stack(each)).float().to(device) for each in zip(*crops, strict=True)
        )
        return channels, pixels, breast

    def losses(
        self, batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    ) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        """One update: mean absolute error in the breast."""
        channels, pixels, breast = batch
        error = (self._network.expected(channels)[:, 0] - pixels).abs()
        wrong, pixels = sum_over_processes(torch.stack([(error * breast).sum(), breast.sum()]))
        yield GENERATOR, wrong / pixels.clamp(min=1), {}

    def validate(self, generator: nn.Module) -> dict[str, float]:
        """`val_score` is minus the mean absolute error in the breast, `val_mae`, over the validation cases."""
        if not self._val:
            return {}
        errors = [np.abs(_made(generator, case) - case.pixels)[case.breast].mean() for case in self._val]
        mae = float(np.mean(errors))
        return {"val_score": -mae, "val_mae": mae}

    def sample_grid(self, generator: nn.Module) -> np.ndarray:
        """Rows of generated and real image."""
        shown = (self._val or self._train)[:SHOWN]
        columns = [np.concatenate([_fitted(_made(generator, case)), _fitted(case.pixels)]) for case in shown]
        return np.clip(np.concatenate(columns, axis=1), 0, 1).astype(np.float32)

    @property
    def _network(self) -> MaskNetwork:
        network = self.networks[GENERATOR]
        assert isinstance(network, MaskNetwork)
        return network

    def _crop(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        case = self._train[int(random.integers(len(self._train)))]
        side, (height, width) = self.recipe.crop, case.pixels.shape
        top, left = (int(random.integers(max(length - side, 0) + 1)) for length in (height, width))
        at = slice(top, top + side), slice(left, left + side)
        missing = (0, max(0, side - width))
        cut = (case.channels[:, at[0], at[1]], case.pixels[at], case.breast[at])
        channels, pixels, breast = (np.pad(each, [(0, 0)] * (each.ndim - 1) + [missing]) for each in cut)
        return channels, pixels, breast


def _laid(case: MaskCase) -> tuple[Laid, np.ndarray, np.ndarray]:
    drawing = Drawing.of(case.labels.labels)
    pixels = np.clip(drawing.take(case.image.pixels), 0, 1) * drawing.breast
    known = about(drawing, case.image.view_position, case.look, case.density)
    channels = ExpectedPreprocessing().channels(drawing, known).astype(np.float16)
    laid = Laid(channels, halved(pixels).astype(np.float16), halved(drawing.breast.astype(np.float32)) > 0.5)
    return laid, measure_style(pixels, drawing).numbers(), known


def _made(generator: nn.Module, case: Laid) -> np.ndarray:
    assert isinstance(generator, MaskNetwork)
    where = next(generator.parameters()).device
    channels = torch.from_numpy(case.channels.astype(np.float32))[None].to(where)
    return generator.expected(channels)[0, 0].float().cpu().numpy() * case.breast


def _fitted(pixels: np.ndarray) -> np.ndarray:
    return np.pad(pixels[:, :WIDTH], ((0, 0), (0, max(0, WIDTH - pixels.shape[1]))))
