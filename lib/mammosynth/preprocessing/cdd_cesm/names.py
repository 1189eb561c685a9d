"""`ImageName`: what the name of a CDD-CESM image says, however it is spelt."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import PurePath

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"})
_NAME = re.compile(r"P(\d+)_([LR])_(DM|CM|CESM)_(CC|MLO)_?(\d*)", re.IGNORECASE)


class Kind(StrEnum):
    """Of the two images of an exposure, in the data set's own words."""

    LOW_ENERGY = "DM"
    RECOMBINED = "CM"


@dataclass(frozen=True)
class ImageName:
    """One image of the archive.

    Attributes:
        patient: Number of the patient.
        side: L or R.
        view: CC or MLO.
        repeat: 1 for the first image of a view; the archive has a second one of two views (`..._MLO2`, `..._MLO_2`).
        kind: Low energy or recombined.
    """

    patient: int
    side: str
    view: str
    repeat: int
    kind: Kind

    @property
    def stem(self) -> str:
        """The name without suffix, spelt in one way."""
        return f"P{self.patient}_{self.side}_{self.kind}_{self.view}" + (f"_{self.repeat}" if self.repeat > 1 else "")

    @property
    def patient_id(self) -> str:
        """As in the column `patient`."""
        return f"P{self.patient}"

    @property
    def pair(self) -> tuple[int, str, str, int]:
        """What both images of an exposure have in common; sorts by number of the patient."""
        return self.patient, self.side, self.view, self.repeat

    @property
    def partner(self) -> ImageName:
        """The other image of the exposure."""
        return replace(self, kind=Kind.RECOMBINED if self.kind is Kind.LOW_ENERGY else Kind.LOW_ENERGY)


def parse_name(text: str) -> ImageName | None:
    """The image that a file name, with or without suffix, or a cell of the annotations stands for; None if none.

    Blanks are dropped (`P3_L_CM_CC .jpg`); letters may be small; CESM is another word for CM.
    """
    name = re.sub(r"\s", "", text)
    if PurePath(name).suffix.lower() in SUFFIXES:
        name = PurePath(name).stem
    if (match := _NAME.fullmatch(name)) is None:
        return None
    patient, side, kind, view, repeat = match.groups()
    return ImageName(
        patient=int(patient),
        side=side.upper(),
        view=view.upper(),
        repeat=int(repeat or 1),
        kind=Kind.LOW_ENERGY if kind.upper() == "DM" else Kind.RECOMBINED,
    )
