"""Which of the images of a contrast-enhanced mammography exposure a DICOM instance is.

The standard has no attribute of its own for it; vendors say it in Image Type (0008,0008) value 3 or 4, or in the series
description. Words seen: LOW_ENERGY, LOW ENERGY, HIGH_ENERGY, RECOMBINED, SUBTRACTED, SUBTRACTION, CONTRAST.
"""

from __future__ import annotations

import re
from enum import StrEnum

from pydicom.dataset import Dataset

from mammosynth.errors import UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.terms import Task


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


def exposure_of(header: Dataset) -> Exposure | None:
    """The role that the header states; None if it states none, as in ordinary mammography."""
    image_type = header.get("ImageType") or []
    return exposure_in(*map(str, image_type), str(header.get("SeriesDescription", "")))


def exposure_in(*texts: str) -> Exposure | None:
    """The role that the first of the texts to name one names; None if none does."""
    for text in texts:
        words = re.sub(r"[_-]+", " ", text.upper())
        for exposure, pattern in _WORDS:
            if pattern.search(words):
                return exposure
    return None


def refuse_wrong_exposure(source: Mammogram, task: Task) -> None:
    """Let only images pass that the task can start from: contrast starts from low energy, or ordinary mammography.

    Raises:
        UnsupportedImageError: If the header says that the image is recombined or of high energy.
    """
    exposure = exposure_of(source.header) if source.header is not None else None
    if task == Task.CONTRAST and exposure in (Exposure.RECOMBINED, Exposure.HIGH_ENERGY):
        raise UnsupportedImageError(
            f"{source.source_name}: Image Type or Series Description says {exposure}, expected low energy; "
            "choose the low-energy image of the same view"
        )
