"""CBIS-DDSM's masses as The Cancer Imaging Archive publishes them, as cases of mask."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mammosynth.preprocessing.look import Look, density_of
from mammosynth.published.cbis_ddsm import read_masses
from mammosynth.tasks.mask.cases import MaskCase
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.labels.from_image import label_map_of

KINDS = {False: BreastClass.BENIGN_LESION, True: BreastClass.MALIGNANT_LESION}


def read_case(place: Path, row: Mapping[str, Any]) -> MaskCase:
    """An image with its masses, reduced.

    Raises:
        DataError: If a folder is missing, or does not hold what it should.
        MammoSynthError: If a file is no image that can be read, or shows no breast.
    """
    image, masses = read_masses(place, row)
    lesions = {KINDS[is_malignant]: mask for is_malignant, mask in masses.items()}
    return MaskCase(image, label_map_of(image, lesions), row["patient"], Look.FILM, density_of(row["density"]))
