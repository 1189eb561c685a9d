"""`SynthesisResult`: what every synthesis gives back."""

from __future__ import annotations

from dataclasses import dataclass

from mammosynth.mammogram import Mammogram
from mammosynth.provenance import Provenance


@dataclass(frozen=True, eq=False)
class SynthesisResult:
    """A synthesized image and where it comes from.

    Attributes:
        image: In the source's matrix, orientation and spacing; zero outside the breast.
        provenance: Complete enough to make it again.
    """

    image: Mammogram
    provenance: Provenance
