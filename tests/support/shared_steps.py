"""Steps of tiny objectives; run as a module by `torchrun`, their losses over its processes, as JSON."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.optim import SGD

from mammosynth.tasks.mask.network import MaskNetwork
from mammosynth.tasks.mask.objectives.expected import ExpectedObjective, ExpectedRecipe
from mammosynth.tasks.view.objectives.cgan import CganObjective, CganRecipe
from mammosynth.tasks.view.radiomics_network import RadiomicGenerator
from mammosynth.training.objective import Objective
from mammosynth.training.processes import Processes, join_processes
from mammosynth.training.recipe import TrainingRecipe
from mammosynth.training.run import TrainingRun
from tests.support.drawn_breasts import mask_case
from tests.support.view_pairs import view_case
from tests.tasks.contrast.objectives import test_cyclegan
from tests.tasks.mask.objectives import test_dcgan

STEPS = 3


def _cyclegan() -> tuple[Objective, TrainingRecipe]:
    recipe = test_cyclegan.RECIPE.changed(batch_size=2)
    return test_cyclegan.objective(recipe, train=3), recipe


def _dcgan() -> tuple[Objective, TrainingRecipe]:
    subject = test_dcgan.objective(batch_size=4, learning_rate=1e-4)
    return subject, subject._recipe


def _mask() -> tuple[Objective, TrainingRecipe]:
    recipe = ExpectedRecipe(batch_size=2, crop=64)
    return ExpectedObjective(
        [mask_case(number) for number in range(2)], [], MaskNetwork((4, 4, 8, 8, 8, 4)), recipe
    ), recipe


def _cgan() -> tuple[Objective, TrainingRecipe]:
    cases = [view_case(number, lesion=number != 2) for number in range(3)]  # so that not every process has a lesion
    recipe = CganRecipe(batch_size=4, perceptual_weight=0.0)
    return CganObjective(cases, [], RadiomicGenerator([8, 16, 16], side=64), recipe), recipe


OBJECTIVES: dict[str, Callable[[], tuple[Objective, TrainingRecipe]]] = {
    "cyclegan": _cyclegan,
    "dcgan": _dcgan,
    "mask": _mask,
    "cgan": _cgan,
}


def steps_of(name: str, processes: Processes) -> list[dict[str, float]]:
    """The losses of an objective's first steps."""
    torch.manual_seed(0)
    objective, recipe = OBJECTIVES[name]()
    for layer in objective.networks.modules():
        if isinstance(layer, nn.Dropout | nn.Dropout2d):
            layer.p = 0.0  # which every process draws for itself
    # Adam's first steps are signs of gradients, in which rounding is not small.
    plain = {
        each: SGD([p for group in chosen.param_groups for p in group["params"]], lr=1e-3)
        for each, chosen in objective.optimizers().items()
    }
    objective.optimizers = lambda: plain  # type: ignore[method-assign]
    run = TrainingRun(objective, recipe, {}, processes)
    return [run.advance() for _ in range(STEPS)]


if __name__ == "__main__":
    torch.set_num_threads(1)
    with join_processes("cpu") as together:
        losses = {name: steps_of(name, together) for name in OBJECTIVES}
    if together.rank == 0:
        Path(sys.argv[1]).write_text(json.dumps(losses))
