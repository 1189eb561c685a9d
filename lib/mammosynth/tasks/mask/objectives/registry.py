"""`OBJECTIVES`: those that the train.json of a mask bundle may name."""

from mammosynth.tasks.mask.objectives.expected import ExpectedObjective, ExpectedRecipe
from mammosynth.training.objective import Training

OBJECTIVES = {"expected": Training(ExpectedRecipe, ExpectedObjective)}
