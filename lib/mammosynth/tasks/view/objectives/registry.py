"""`OBJECTIVES`: by name in a bundle's train.json."""

from __future__ import annotations

from mammosynth.tasks.view.objectives.cgan import CganObjective, CganRecipe
from mammosynth.tasks.view.objectives.expected import ExpectedObjective, ExpectedRecipe
from mammosynth.training.objective import Training

OBJECTIVES = {
    "expected": Training(ExpectedRecipe, ExpectedObjective),
    "cgan": Training(CganRecipe, CganObjective),
}
