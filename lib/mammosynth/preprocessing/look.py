"""`Look`, `Density`: how a mammogram was taken, and how dense the breast is."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, get_args

Density = Literal["a", "b", "c", "d"]
"""ACR BI-RADS breast composition."""
DENSITIES: tuple[Density, ...] = get_args(Density)
_BY_TEXT: Mapping[str, Density] = {
    number_or_letter: density
    for number, density in enumerate(DENSITIES, start=1)
    for number_or_letter in (str(number), density, density.upper())
}


def density_of(text: str) -> Density | None:
    """The density that tables write as 1 to 4 or as a to d; None for anything else."""
    return _BY_TEXT.get(text)


class Look(StrEnum):
    """How an image was taken."""

    DIGITAL = "digital"
    FILM = "film"


JPEG_QUALITY = {Look.DIGITAL: 75, Look.FILM: 91}
"""Through which the published real images of each look went; generated ones are judged after the same."""
