"""`OBJECTIVES`: those that the train.json of a mask bundle may name."""

from mammosynth.tasks.mask.objectives.adversarial import AdversarialObjective, AdversarialRecipe
from mammosynth.training.objective import Training

OBJECTIVES = {"adversarial": Training(AdversarialRecipe, AdversarialObjective)}
