"""What the cohort of the phantom's tests is made with."""

from mammosynth.phantom.clinic.manifest import CohortSettings
from mammosynth.phantom.parameters import CaseParameters, LesionKind
from mammosynth.terms import ImageLaterality

SEEDS = (0, 8, 9)  # one of each split
SETTINGS = CohortSettings(
    CaseParameters(0, lesions=(LesionKind.SPICULATED,), sides=(ImageLaterality.RIGHT,), pixel_mm=3.6), maps=True
)
