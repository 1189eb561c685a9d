"""`BlindingRule` and `Hanging`: how images are made alike, and how they are laid out; stated once for every arm."""

from __future__ import annotations

import math
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_LEAST_COLUMNS = 64


class _Part(BaseModel):
    """As everything in a protocol: frozen, of exactly the declared types, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class BlindingRule(_Part):
    """What is done to every image of a study, in this order, so that it tells nothing but the anatomy.

    All distances are in pixels of the copy.
    """

    rows: Annotated[int, Field(ge=128, le=4096)] = 1280
    columns: Annotated[int, Field(ge=_LEAST_COLUMNS, le=4096)] = 1024
    """The matrix of every copy. The chest wall lies at its border, right of a right breast and left of a left one."""
    pixel_spacing_mm: Annotated[float, Field(gt=0.01, lt=2, allow_inf_nan=False)] | None = None
    """Images are scaled to it. Without one they are scaled to the matrix; then copies tell no sizes."""
    detail: Annotated[float, Field(gt=0.02, le=0.5, allow_inf_nan=False)] | None = None
    """Cycles a pixel beyond which nothing but noise is left. Without one: what the coarsest arm has, as measured."""
    border: Annotated[int, Field(ge=0, le=200)] = 24
    """How much of every image is cut off at its chest wall, top and bottom."""
    outline: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 40.0
    """Standard deviation of the Gaussian that smooths the outline of the breast, so that its shape alone is left."""
    edge: Annotated[int, Field(ge=0, le=200)] = 20
    """How much is then taken off the outline, which reaches into the air."""
    fade: Annotated[int, Field(ge=1, le=200)] = 12
    """From there the floor rises over so much, and then, from black to whole, the tissue over as much again."""
    floor: Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)] = 0.08
    """Grey of the darkest tissue, of the grey scale from black to white: air is black, and fat is not."""
    noise: Annotated[float, Field(ge=0, le=0.05, allow_inf_nan=False)] = 0.002
    """Standard deviation of what is added everywhere, of the whole grey scale: it hides steps of grey."""
    bits: Annotated[int, Field(ge=8, le=16)] = 12
    """Stored of every pixel."""

    def resolved(self, detail: float) -> BlindingRule:
        """The same with the detail that was measured, unless it states one."""
        return self if self.detail is not None else self.model_copy(update={"detail": detail})


class Hanging(_Part):
    """How the images of a case are laid out, row by row in the order of the protocol."""

    rows: Annotated[int, Field(ge=1, le=4)]
    columns: Annotated[int, Field(ge=1, le=8)]

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        if self.rows * self.columns > 16:
            raise ValueError(f"16 places at most; found {self.rows * self.columns}")
        return self

    @classmethod
    def of(cls, stated: Hanging | None, images: int) -> Hanging:
        """What a protocol states, else side by side up to three, and rows of as many columns from four on."""
        if stated is not None:
            return stated
        rows = 1 if images < 4 else math.isqrt(images)
        return cls(rows=rows, columns=-(-images // rows))

    def as_json(self) -> dict[str, Any]:
        """Rows and columns."""
        return self.model_dump()
