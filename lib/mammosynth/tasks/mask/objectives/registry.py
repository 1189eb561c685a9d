"""`OBJECTIVES`: those that the train.json of a mask bundle may name."""

from mammosynth.tasks.mask.objectives.dcgan import DcganObjective, DcganRecipe
from mammosynth.tasks.mask.objectives.expected import ExpectedObjective, ExpectedRecipe
from mammosynth.tasks.mask.objectives.pix2pix import Pix2pixObjective, Pix2pixRecipe
from mammosynth.training.objective import Training

OBJECTIVES = {
    "dcgan": Training(DcganRecipe, DcganObjective),
    "expected": Training(ExpectedRecipe, ExpectedObjective),
    "pix2pix": Training(Pix2pixRecipe, Pix2pixObjective),
}
