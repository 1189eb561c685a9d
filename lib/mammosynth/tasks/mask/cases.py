"""`MaskCase`: a mammogram with the label map of what is in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.look import Density, Look
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.terms import ViewPosition


@dataclass(frozen=True, eq=False)
class MaskCase:
    """One view, and what is where in it.

    Attributes:
        image: As stored; the side of the chest wall is told by the pixels, not by the laterality.
        labels: Of the table in `classes`, on the image's matrix.
        patient_id: Groups the views of a patient.
        look: Digital or film.
        density: None if it is not known.
    """

    image: Mammogram
    labels: LabelMap
    patient_id: str
    look: Look
    density: Density | None = None

    @property
    def name(self) -> str:
        """Of the image."""
        return self.image.source_name

    def digest(self) -> str:
        """SHA-256 of everything that a network learns from, hexadecimal."""
        told = f"{self.name}|{self.patient_id}|{self.look}|{self.density}|{self.image.view_position}"
        hashed = hashlib.sha256(told.encode())
        hashed.update(self.image.pixels.tobytes())
        hashed.update(self.labels.labels.tobytes())
        return hashed.hexdigest()


def view_of(labels: LabelMap) -> ViewPosition:
    """The label map's own view; MLO where it says none and a pectoral muscle is drawn."""
    has_muscle = bool((labels.labels == BreastClass.PECTORAL_MUSCLE).any())
    return labels.view_position or (ViewPosition.MLO if has_muscle else ViewPosition.CC)
