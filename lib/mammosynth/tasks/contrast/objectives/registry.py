"""`OBJECTIVES`: those that the train.json of a contrast bundle may name."""

from mammosynth.tasks.contrast.objectives.cyclegan import CycleGANObjective, CycleGANRecipe
from mammosynth.tasks.contrast.objectives.residual import ResidualObjective
from mammosynth.tasks.contrast.objectives.residual_recipe import ResidualRecipe
from mammosynth.training.objective import Training

OBJECTIVES = {
    "residual": Training(ResidualRecipe, ResidualObjective),
    "cyclegan": Training(CycleGANRecipe, CycleGANObjective),
}
