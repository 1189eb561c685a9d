"""A cohort of phantoms, written once for all tests of this room."""

from pathlib import Path

import pytest

from mammosynth.parallel.local import LocalEngine
from mammosynth.phantom.clinic.cohort import write_cohort
from tests.support.cohort import SEEDS, SETTINGS
from tests.support.shared import made_once


@pytest.fixture(scope="session")
def cohort(tmp_path_factory) -> Path:
    """Right breasts at 3.6 mm; not to be changed."""
    return made_once(
        tmp_path_factory, "cohort", lambda folder: write_cohort(folder, SETTINGS, SEEDS, engine=LocalEngine(1))
    )
