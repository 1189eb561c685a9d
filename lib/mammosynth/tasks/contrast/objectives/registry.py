"""`OBJECTIVES`: those that the train.json of a contrast bundle may name, and those that are fitted to such a bundle."""

from mammosynth.task import Rendering
from mammosynth.tasks.contrast.objectives.cyclegan import CycleGANObjective, CycleGANRecipe
from mammosynth.tasks.contrast.objectives.residual import ResidualObjective
from mammosynth.tasks.contrast.objectives.residual_recipe import ResidualRecipe
from mammosynth.tasks.contrast.objectives.sampled import SampledObjective, SampledRecipe
from mammosynth.tasks.contrast.style import StyledEnsemble
from mammosynth.training.objective import Training

EXPECTED = (Rendering.EXPECTED,)
OBJECTIVES = {
    "residual": Training(ResidualRecipe, ResidualObjective, renderings=EXPECTED),
    "cyclegan": Training(CycleGANRecipe, CycleGANObjective, renderings=EXPECTED),
    "sampled": Training(
        SampledRecipe,
        SampledObjective,
        network=f"{StyledEnsemble.__module__}.{StyledEnsemble.__qualname__}",
        renderings=(Rendering.EXPECTED, Rendering.SAMPLED),
    ),
}
