"""`OBJECTIVES`: those that the train.json of a mask bundle may name."""

from mammosynth.tasks.mask.objectives.adversarial import AdversarialObjective, AdversarialRecipe
from mammosynth.tasks.mask.objectives.pix2pix import Pix2pixObjective, Pix2pixRecipe
from mammosynth.training.objective import Training

OBJECTIVES = {
    "adversarial": Training(AdversarialRecipe, AdversarialObjective),
    "pix2pix": Training(Pix2pixRecipe, Pix2pixObjective),
}
