"""What a synthesizer and a bundle give back: `Synthesis` and `SynthesisResult`."""

from __future__ import annotations

from dataclasses import dataclass

from mammosynth.mammogram import Mammogram
from mammosynth.provenance import Provenance


@dataclass(frozen=True, eq=False)
class Synthesis:
    """A synthesized image.

    Attributes:
        image: In the source's matrix, orientation and spacing; zero outside the breast.
        uncertainty: Standard deviation of the image over the members of an ensemble, as grey values in [0, 1], in the
            same matrix; None if it was not asked for.
    """

    image: Mammogram
    uncertainty: Mammogram | None = None


@dataclass(frozen=True, eq=False)
class SynthesisResult:
    """A synthesized image and where it comes from.

    Attributes:
        image: See `Synthesis`.
        provenance: Complete enough to make it again.
        uncertainty: See `Synthesis`.
    """

    image: Mammogram
    provenance: Provenance
    uncertainty: Mammogram | None = None
