"""Which of the images of a contrast-enhanced mammography exposure a DICOM instance is.

The standard has no attribute of its own for it; vendors say it in Image Type (0008,0008) value 3 or 4, or in the series
description. Words seen: LOW_ENERGY, LOW ENERGY, HIGH_ENERGY, RECOMBINED, SUBTRACTED, SUBTRACTION, CONTRAST.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # training runs where pydicom is not installed
    from pydicom.dataset import Dataset


class Exposure(StrEnum):
    """Role of an image in contrast-enhanced mammography."""

    LOW_ENERGY = "low energy"
    HIGH_ENERGY = "high energy"
    RECOMBINED = "recombined"


_WORDS = (
    (Exposure.RECOMBINED, re.compile(r"\b(RECOMBINED|SUBTRACTED|SUBTRACTION)\b")),
    (Exposure.HIGH_ENERGY, re.compile(r"\bHIGH ENERGY\b")),
    (Exposure.LOW_ENERGY, re.compile(r"\bLOW ENERGY\b")),
)

_CDD_CESM_RECOMBINED = re.compile(r"P\d+_[LR]_CM_")  # DM is the low-energy image


def exposure_of(header: Dataset) -> Exposure | None:
    """The role that the header states; None if it states none, as in ordinary mammography."""
    image_type = header.get("ImageType") or []
    return exposure_in(*map(str, image_type), str(header.get("SeriesDescription", "")))


def exposure_in_name(name: str) -> Exposure | None:
    """The role that a file's name states: in words, or as CDD-CESM has it (`P1_L_CM_CC`); None if it states none."""
    return Exposure.RECOMBINED if _CDD_CESM_RECOMBINED.match(name) else exposure_in(name)


def exposure_in(*texts: str) -> Exposure | None:
    """The role that the first of the texts to name one names; None if none does."""
    for text in texts:
        words = re.sub(r"[_-]+", " ", text.upper())
        for exposure, pattern in _WORDS:
            if pattern.search(words):
                return exposure
    return None
