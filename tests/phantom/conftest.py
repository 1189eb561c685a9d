"""A cohort of phantoms, written once for all tests of this room."""

from pathlib import Path

import pytest

from mammosynth.phantom.clinic.cohort import write_cohort
from mammosynth.phantom.clinic.manifest import CohortSettings
from mammosynth.phantom.parameters import CaseParameters, LesionKind
from mammosynth.terms import ImageLaterality

SEEDS = (0, 8, 9)  # one of each split
SETTINGS = CohortSettings(
    CaseParameters(0, lesions=(LesionKind.SPICULATED,), sides=(ImageLaterality.RIGHT,), pixel_mm=3.6), maps=True
)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory) -> Path:
    """Right breasts at 3.6 mm, written by two processes; not to be changed."""
    folder = tmp_path_factory.mktemp("cohort") / "phantoms"
    write_cohort(folder, SETTINGS, SEEDS, workers=2)
    return folder
