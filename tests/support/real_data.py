"""Folders of real images, which are not part of the repository. Tests that need them skip, loudly, without them."""

import os
from pathlib import Path

_BESIDE = Path(__file__).parents[3] / "shared" / "data"

REAL_DICOM = Path(os.environ.get("MAMMOSYNTH_TEST_DICOM", _BESIDE / "dicom"))
CDD_CESM = Path(os.environ.get("MAMMOSYNTH_CDD_CESM", _BESIDE / "cdd-cesm"))
