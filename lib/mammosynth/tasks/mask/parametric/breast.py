"""`ParametricBreast`: a compressed breast and its lesions as numbers that a person can choose.

Source: Piras et al., IEEE J Biomed Health Inform 2025: an ellipse profile (semi-axes a and b, orientation phi, centre
X0 and Y0, start angle), the angle theta of the nipple, skin on or off, one fibroglandular outline, any number of solid
benign and malignant lesions. Published for CC. MLO, with the edge of a pectoral muscle, is ours; so are the size of the
nipple, lesions and glands as free outlines, and what the profile does beyond its ends: it goes on along its tangent.

Lengths and places are in heights of the image, so that one breast can be drawn at any resolution: x from the chest
wall towards the nipple, y from the upper edge downwards. Angles are in degrees, positive downwards.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Discriminator, Field, Tag, model_validator
from pydantic.config import JsonDict

from mammosynth.errors import InvalidParameterError
from mammosynth.parameters import Parameters
from mammosynth.terms import ImageLaterality, ViewPosition

HEIGHTS: JsonDict = {"unit": "image heights"}
DEGREES: JsonDict = {"unit": "degrees"}
MM: JsonDict = {"unit": "mm"}
MOST_POINTS = 2000
"""Of an outline: ten times what the longest one of a fitted breast has."""
LEAST_AREA = 1e-6
"""Of an outline, in square image heights: a quarter of a pixel at 512."""
LEAST_SEEN = 0.02
"""Least depth and height of a breast within the image, in image heights."""

Place = Annotated[float, Field(ge=-1.0, le=2.0, json_schema_extra=HEIGHTS)]
SemiAxis = Annotated[float, Field(ge=0.001, le=1.0, json_schema_extra=HEIGHTS)]
Point = Annotated[tuple[Place, Place], Field(strict=False)]


class Part(BaseModel):
    """Something in a breast: frozen, of exactly the declared types, nothing unknown.

    Raises:
        ValueError: With what is wrong; the breast that it is given to says it in a sentence.
    """

    model_config = Parameters.model_config


class Ellipse(Part):
    """A filled ellipse."""

    x: Place
    """Centre, from the chest wall."""
    y: Place
    """Centre, from the upper edge."""
    a: SemiAxis
    """Semi-axis that lies along x while angle is 0."""
    b: SemiAxis
    """The other semi-axis."""
    angle: float = Field(default=0.0, ge=-180.0, le=180.0, json_schema_extra=DEGREES)
    """Of semi-axis a, from x downwards."""


class Outline(Part):
    """A filled free outline, closed from its last point to its first."""

    points: tuple[Point, ...] = Field(min_length=3, max_length=MOST_POINTS, strict=False)
    """(x, y) of each corner."""

    @model_validator(mode="after")
    def _check_area(self) -> Self:
        if area_of(self.points) < LEAST_AREA:
            raise ValueError("points around what is outlined; these enclose nothing")
        return self


def _shape(value: Any) -> str:
    return "outline" if isinstance(value, Outline) or (isinstance(value, dict) and "points" in value) else "ellipse"


Shape = Annotated[
    Annotated[Ellipse, Tag("ellipse")] | Annotated[Outline, Tag("outline")],
    Discriminator(_shape),
]


Pathology = Literal["benign", "malignant"]


class Lesion(Part):
    """A solid lesion."""

    pathology: Pathology
    """Which class of the label map it becomes."""
    shape: Shape
    """Ellipse or free outline; only what lies within the breast is drawn."""


class PectoralMuscle(Part):
    """A triangle between upper edge and chest wall, whose long side may bulge."""

    width: float = Field(default=0.25, ge=0.01, le=1.5, json_schema_extra=HEIGHTS)
    """Along the upper edge, from the chest wall."""
    foot: float = Field(default=0.6, ge=0.01, le=2.0, json_schema_extra=HEIGHTS)
    """Where the muscle ends at the chest wall, from the upper edge; beyond 1 it leaves by the lower edge."""
    bulge: float = Field(default=0.0, ge=-0.3, le=0.3)
    """How far its edge bulges towards the nipple, as a share of its length."""


class ParametricBreast(Parameters):
    """See the module.

    Raises:
        InvalidParameterError: With what is unknown, out of range or impossible.
    """

    view_position: ViewPosition = Field(default=ViewPosition.CC, strict=False)
    """CC as published; MLO with a pectoral muscle."""
    image_laterality: ImageLaterality = Field(default=ImageLaterality.LEFT, strict=False)
    """L: the chest wall is drawn at the left edge; R: at the right edge."""
    image_height_mm: float = Field(default=240.0, ge=50.0, le=500.0, json_schema_extra=MM)
    """Of the image; a larger number makes the same drawing a larger breast."""
    chest_wall: float = Field(default=0.0, ge=0.0, le=1.0, json_schema_extra=HEIGHTS)
    """Where the chest wall cuts the breast off, from the image's edge; above 0 in images that were padded."""
    a: float = Field(default=0.4, ge=0.03, le=1.5, json_schema_extra=HEIGHTS)
    """Semi-axis from the chest wall outwards."""
    b: float = Field(default=0.4, ge=0.03, le=1.5, json_schema_extra=HEIGHTS)
    """Semi-axis along the chest wall."""
    phi: float = Field(default=0.0, ge=-75.0, le=75.0, json_schema_extra=DEGREES)
    """Orientation: of semi-axis a, downwards."""
    x0: float = Field(default=0.0, ge=-1.0, le=1.0, json_schema_extra=HEIGHTS)
    """Centre of the ellipse, from the chest wall; negative behind it."""
    y0: float = Field(default=0.5, ge=-0.5, le=1.5, json_schema_extra=HEIGHTS)
    """Centre of the ellipse, from the upper edge."""
    start_angle: float = Field(default=90.0, ge=30.0, le=150.0, json_schema_extra=DEGREES)
    """From semi-axis a to where the ellipse starts and ends; beyond, the profile goes on straight to the chest wall."""
    theta: float = Field(default=0.0, ge=-80.0, le=80.0, json_schema_extra=DEGREES)
    """Of the nipple, on the ellipse, from semi-axis a."""
    nipple_diameter_mm: float = Field(default=9.0, ge=0.0, le=30.0, json_schema_extra=MM)
    """0 draws no nipple."""
    skin: bool = True
    """Whether skin is drawn."""
    skin_thickness_mm: float = Field(default=1.8, ge=0.3, le=12.0, json_schema_extra=MM)
    """Of the skin, if it is drawn."""
    fibroglandular: Shape | None = None
    """Outline of the fibroglandular tissue; without one there is none."""
    lesions: tuple[Lesion, ...] = Field(default=(), max_length=50, strict=False)
    """Drawn in this order, over everything else."""
    pectoral_muscle: PectoralMuscle | None = Field(
        default=None, json_schema_extra={"only_with": {"view_position": "MLO"}}
    )
    """Of an MLO view; a CC view has none."""

    @model_validator(mode="after")
    def _check_possible(self) -> Self:
        if self.pectoral_muscle is not None and self.view_position is not ViewPosition.MLO:
            raise InvalidParameterError(
                "parameter 'pectoral_muscle' is given for view position CC, which shows none; leave it out, or set "
                "view_position to MLO"
            )
        if abs(self.theta) > self.start_angle:
            raise InvalidParameterError(
                f"parameter 'theta' is {self.theta:g} degrees, expected at most start_angle ({self.start_angle:g}) "
                "either way: the nipple lies on the ellipse"
            )
        angle, phi = math.radians(self.theta), math.radians(self.phi)
        along, across = self.a * math.cos(angle), self.b * math.sin(angle)
        x = self.x0 + along * math.cos(phi) - across * math.sin(phi)
        y = self.y0 + along * math.sin(phi) + across * math.cos(phi)
        if x < LEAST_SEEN or not 0 <= y <= 1:
            raise InvalidParameterError(
                f"the nipple lies at x {x:.2f}, y {y:.2f} image heights, expected x of {LEAST_SEEN} or more and y "
                "from 0 to 1; move the breast by x0 and y0, or turn it by phi"
            )
        return self


def area_of(points: Any) -> float:
    """Area that a polygon encloses, without sign."""
    pairs = zip(points, [*points[1:], points[0]], strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs)) / 2


PARAMETRIC_SCHEMA: dict[str, Any] = ParametricBreast.model_json_schema()
"""JSON Schema of the parameters, with descriptions, limits, defaults and units."""
