"""`Objective`: what a training run optimises. The loop does the rest: precision, averages, checkpoints, scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from mammosynth.task import Rendering
from mammosynth.training.recipe import TrainingRecipe

GENERATOR = "generator"
"""The network that is averaged, validated, kept and written into the bundle."""


class Objective(Protocol):
    """One way of training, for example paired regression or a cycle-GAN.

    Attributes:
        networks: Every network with weights; holds `GENERATOR`.
    """

    networks: nn.ModuleDict

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Made once, before the first step; the names are those that `losses` gives."""

    def draw(self, step: int, rank: int, world_size: int) -> Any:
        """This rank's share of a step's batch, which is a function of seed and step alone, whoever shares it."""

    def losses(self, batch: Any) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        """(optimizer name, loss, parts to log), one per update of the step.

        The loop calls backward, clips and steps between two items, so a discriminator's loss may use the updated
        generator. Runs under the loop's autocast. A loss is a mean over images, or takes its sums with
        `sum_over_processes`, so that a batch may be split.
        """

    def validate(self, generator: nn.Module) -> dict[str, float]:
        """Scores of averaged weights on the validation cases; `val_score` is the one to choose by, higher is better.

        Empty without validation cases. Called in inference mode, as `sample_grid` is.
        """

    def sample_grid(self, generator: nn.Module) -> np.ndarray:
        """(H, W) float32 in [0, 1]: rows of source, generated and real images, for people to look at."""


class ClosedForm:
    """The part of an `Objective` that is fitted when it is made: its steps change nothing."""

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """None."""
        return {}

    def draw(self, step: int, rank: int, world_size: int) -> None:
        """Nothing."""

    def losses(self, batch: None) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        """None."""
        yield from ()


@contextmanager
def own_start_weights(seed: int) -> Iterator[None]:
    """Networks that are made within get start weights of the seed, whatever was drawn before.

    Args:
        seed: Of the run.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.SeedSequence([seed, 4]).generate_state(1)[0]))
        yield


@dataclass(frozen=True)
class Training:
    """One way of training, as a task names it.

    Attributes:
        recipe: What its recipe may say.
        objective: Made from prepared training cases, prepared validation cases, network and recipe.
        network: Dotted name of a class of ensembles that know more than their members do. The whole template becomes
            one, with its weights, and what more there is to know is fitted; "": one member is trained anew.
        renderings: That a model can which was trained so; None: as its template.
    """

    recipe: type[TrainingRecipe]
    objective: Callable[..., Objective]
    network: str = ""
    renderings: tuple[Rendering, ...] | None = None
