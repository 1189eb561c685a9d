"""`ViewCase`: both views of a breast, with what is known of how they were taken."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mammosynth.preprocessing.look import Density, Look
from mammosynth.preprocessing.pairs import ViewPair


@dataclass(frozen=True, eq=False)
class ViewCase:
    """Both views of one breast.

    Attributes:
        views: As stored; the side of the chest wall is told by the pixels, not by the laterality.
        look: Digital or film.
        density: None if it is not known.
        has_true_aspect: False if the ratio of height to width of a view is a guess: nothing is learned of its shape.
    """

    views: ViewPair
    look: Look
    density: Density | None = None
    has_true_aspect: bool = True

    @property
    def name(self) -> str:
        """Of the craniocaudal image."""
        return self.views.cc.source_name

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
