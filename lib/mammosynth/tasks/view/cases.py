"""`ViewCase`: both views of a breast, with what is known of how they were taken."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.look import Density, Look
from mammosynth.preprocessing.pairs import ViewPair
from mammosynth.tasks.view.roles import OTHER
from mammosynth.terms import ViewPosition


@dataclass(frozen=True, eq=False)
class ViewCase:
    """Both views of one breast.

    Attributes:
        views: As stored; the side of the chest wall is told by the pixels, not by the laterality.
        look: Digital or film.
        density: None if it is not known.
        has_true_aspect: False if the ratio of height to width of a view is a guess: nothing is learned of its shape.
        to: The view that is made; the other one is the source.
    """

    views: ViewPair
    look: Look
    density: Density | None = None
    has_true_aspect: bool = True
    to: ViewPosition = ViewPosition.MLO

    def reversed(self) -> ViewCase:
        """The same breast with source and target swapped."""
        return replace(self, to=OTHER[self.to])

    @property
    def source(self) -> Mammogram:
        """The view that the other one is made from."""
        return self.views.cc if self.to is ViewPosition.MLO else self.views.mlo

    @property
    def source_lesion(self) -> np.ndarray | None:
        """(H, W) bool, drawn on it; None if nothing is drawn."""
        return self.views.cc_lesion if self.to is ViewPosition.MLO else self.views.mlo_lesion

    @property
    def target(self) -> Mammogram:
        """The real one of those that are made."""
        return self.views.mlo if self.to is ViewPosition.MLO else self.views.cc

    @property
    def target_lesion(self) -> np.ndarray | None:
        """(H, W) bool, drawn on it; None if nothing is drawn."""
        return self.views.mlo_lesion if self.to is ViewPosition.MLO else self.views.cc_lesion

    @property
    def name(self) -> str:
        """Of the source."""
        return self.source.source_name

    @property
    def patient_id(self) -> str:
        """Groups the breasts of a patient."""
        return self.views.patient_id

    def digest(self) -> str:
        """SHA-256 of everything that a network learns from, hexadecimal."""
        told = f"{self.name}|{self.patient_id}|{self.look}|{self.density}|{self.has_true_aspect}"
        hashed = hashlib.sha256(told.encode())
        for pixels in (self.views.cc.pixels, self.views.mlo.pixels, self.views.cc_lesion, self.views.mlo_lesion):
            hashed.update(b"" if pixels is None else pixels.tobytes())
        return hashed.hexdigest()
