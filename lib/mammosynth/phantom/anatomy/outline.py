"""`draw_shape`: how large a breast is, and what its compressed outline looks like in both views.

The uncompressed breast is half a superellipsoid, which is enough: nobody sees it, and compression keeps the order of
its points and their volume. What everybody sees is the compressed outline, which is drawn from measured ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.polynomial import chebyshev

from mammosynth.phantom.parameters import DETECTOR_MM, Density
from mammosynth.terms import ViewPosition

if TYPE_CHECKING:
    import torch

Points = TypeVar("Points", np.ndarray, "torch.Tensor")

ANGLES = {ViewPosition.CC: (-90.0, 90.0), ViewPosition.MLO: (-90.0, 60.0)}
"""Degrees around a point of the chest wall over which outlines are measured: -90 medial or caudal, 0 to the nipple."""
DEGREE = 6  # of the Chebyshev series of log(radius / size) over the angle

# Mean and the strongest modes (each times its standard deviation) of those coefficients, in 105 CC and 79 MLO
# low-energy images of the `train` rows of CDD-CESM (doi 10.7937/29kw-ae92, CC BY 4.0), by tools/measure_outlines.py.
OUTLINE_MEAN = {
    ViewPosition.CC: np.array([0.1025, 0.0146, -0.0470, 0.0158, 0.0338, -0.0086, -0.0041]),
    ViewPosition.MLO: np.array([0.2172, 0.1663, 0.0037, 0.0050, 0.0425, 0.0080, -0.0052]),
}
OUTLINE_MODES = {
    ViewPosition.CC: np.array(
        [
            [0.0267, 0.0024, 0.0756, 0.0040, -0.0197, 0.0023, 0.0000],
            [-0.0006, 0.0191, -0.0019, 0.0161, -0.0029, -0.0034, 0.0020],
            [-0.0006, 0.0008, 0.0021, 0.0022, 0.0082, 0.0032, -0.0067],
            [0.0016, -0.0027, -0.0019, 0.0041, -0.0039, 0.0081, -0.0006],
            [-0.0021, 0.0019, -0.0003, -0.0024, -0.0042, -0.0002, -0.0057],
        ]
    ),
    ViewPosition.MLO: np.array(
        [
            [0.0384, 0.0853, -0.0145, -0.0157, 0.0125, 0.0049, -0.0053],
            [-0.0086, -0.0110, -0.0546, -0.0276, 0.0026, 0.0004, -0.0021],
            [-0.0268, 0.0132, -0.0051, 0.0134, 0.0083, -0.0069, 0.0062],
            [0.0063, -0.0048, -0.0028, 0.0069, 0.0177, 0.0065, 0.0038],
            [-0.0055, 0.0010, 0.0043, -0.0068, 0.0024, 0.0092, -0.0009],
        ]
    ),
}
VIEW_CORRELATION = np.array([-0.39, -0.68, 0.19, -0.41, 0.14])
"""Of the first CC mode (wide and flat) with the MLO modes: 73 breasts of the same data that have both views."""
MODE_LIMIT = 2.0  # standard deviations; no outline is stranger than the measured ones

RUN_OFF = 0.3  # depths above the measured angles over which the MLO outline straightens (fits the same 79 images)
LEAST_FRONT = 0.31  # depths; what is left in front of the chest wall there, 5th percentile of the same images
MUSCLE_ANGLE_DEG = (20.3, 6.3)  # mean and standard deviation in 63 of the same images where its edge is found
MUSCLE_ANGLE_RANGE_DEG = (10.0, 32.0)
MUSCLE_CORRELATION = 0.33  # of angle and foot, likewise
MUSCLE_FOOT = (0.12, 0.33)  # depths above the nipple; 0.21 +- 0.33 likewise, which positioning (below) selects again
MUSCLE_BULGE = (0.004, 0.008)  # of the edge's length, likewise; negative is hollow
LARGEST_MUSCLE = 0.85  # of the breast's depth at the detector's edge; 0.63 +- 0.15 likewise

THICKNESS_MM = {Density.A: 69.0, Density.B: 64.0, Density.C: 54.0, Density.D: 44.0}
"""Mean compressed thickness: VICTRE's 60, 55, 45, 35 mm for these densities, plus 9 mm for a cohort mean of 59 mm."""
THICKNESS_SD_MM = 14.2  # within a density, for 16 mm over all: Yaffe et al. 2009, PMC2787062
THICKNESS_RANGE_MM = (25.0, 90.0)
VOLUME_CM3 = 616.0  # median of breast CT, class V3 of Hernandez et al. 2015
VOLUME_SPREAD = 0.45  # of the logarithm; V1 = 276 and V5 = 1174 cm3 give 0.56, but not all of those fit the detector
VOLUME_CORRELATION = 0.85  # of log volume with thickness (assumed)
FLATNESS_CORRELATION = -0.6  # of the first CC mode with log volume: large breasts are deeper (assumed)
OBLIQUITY_DEG = (45.0, 50.0)  # of the MLO view (assumed; 40 to 60 are in use)
MAGNIFICATION = 1.08  # of the middle of the breast, only to place it on the detector
DEPTH_RULE_MM = 10.0  # between the views of a well-positioned breast: the rule of the posterior nipple line
UPPER_SHARE = 1.1  # of the lower half's area that MLO shows above the nipple in front of the muscle (assumed)
POSITIONINGS = 40  # tries; the last one is taken as it is


@dataclass(frozen=True)
class PectoralEdge:
    """The front of the pectoral muscle in the MLO view, from the chest wall up to the detector's edge.

    Attributes:
        foot_x_mm: Where it leaves the chest wall.
        top_x_mm: The detector's edge.
        width_mm: Distance from the chest wall there.
        bulge: Of its middle towards the nipple, relative to its length; negative is hollow.
    """

    foot_x_mm: float
    top_x_mm: float
    width_mm: float
    bulge: float

    def depth_mm(self, x_mm: np.ndarray) -> np.ndarray:
        """Distance of the edge from the chest wall, 0 below the foot."""
        length = self.top_x_mm - self.foot_x_mm
        way = np.clip((x_mm - self.foot_x_mm) / length, 0, None)
        return self.width_mm * way + 4 * self.bulge * length * way * (1 - way)


@dataclass(frozen=True)
class Outline:
    """The compressed breast in one view, seen along the beam.

    Attributes:
        view_position: CC or MLO.
        coefficients: Chebyshev series over the angle of log(radius / size), seen from the chest wall behind the nipple.
        size_mm: Size.
        thickness_mm: At the plateau.
        tilt: Of the paddle: relative loss of thickness from chest wall to nipple.
        obliquity_deg: Rotation of the compression axis about the axis of the breast, 0 in CC.
        nipple_x_mm: Position of the nipple along the image's vertical; 0 is the middle of the detector.
        pectoral_edge: None in CC.
    """

    view_position: ViewPosition
    coefficients: tuple[float, ...]
    size_mm: float
    thickness_mm: float
    tilt: float
    obliquity_deg: float = 0.0
    nipple_x_mm: float = 0.0
    pectoral_edge: PectoralEdge | None = None

    @cached_property
    def curve_mm(self) -> tuple[np.ndarray, np.ndarray]:
        """Points along the skin, less than a millimetre apart: x (ascending) and z.

        Above the angles measured in MLO, the outline goes on to the edge of the detector and beyond.
        """
        low, high = ANGLES[self.view_position]
        angle = np.linspace(low, high, 361)
        radius = self.size_mm * np.exp(
            chebyshev.chebval(chebyshev_axis(angle, self.view_position), np.array(self.coefficients))
        )
        x, z = radius * np.sin(np.radians(angle)), radius * np.cos(np.radians(angle))
        if self.view_position is ViewPosition.MLO:
            x, z = _run_off(x, z, depth=float(np.interp(0, angle, radius)), top=DETECTOR_MM[0] / 2 - self.nipple_x_mm)
        x = np.maximum.accumulate(x)  # an overhang is cut
        return x + self.nipple_x_mm, np.clip(z, 0, None)

    def front_mm(self, x_mm: np.ndarray) -> np.ndarray:
        """Distance of the skin from the chest wall, 0 beside the breast."""
        x, z = self.curve_mm
        return np.interp(x_mm, x, z, left=0.0, right=0.0)

    @property
    def depth_mm(self) -> float:
        """From the chest wall to the nipple."""
        return float(self.front_mm(np.array(self.nipple_x_mm)))

    @property
    def width_mm(self) -> float:
        """Along the chest wall."""
        x, _ = self.curve_mm
        return float(x[-1] - x[0])


@dataclass(frozen=True)
class BreastShape:
    """A breast: uncompressed (semi-axes), and how it looks under compression (outlines).

    The skin is where (X / half_width)^2 + (Y / half_height)^2 + (Z / depth)^fullness = 1 with Z >= 0.

    Attributes:
        half_width_mm: X, lateral.
        half_height_mm: Y, cranial.
        depth_mm: Z; the nipple is at (0, 0, depth).
        fullness: 2 is an ellipsoid, more is fuller.
        thickness_mm: Under compression, CC.
        skin_mm: Thickness of the skin.
        craniocaudal: Outline in CC.
        mediolateral_oblique: Outline in MLO.
    """

    half_width_mm: float
    half_height_mm: float
    depth_mm: float
    fullness: float
    thickness_mm: float
    skin_mm: float
    craniocaudal: Outline
    mediolateral_oblique: Outline

    @property
    def volume_mm3(self) -> float:
        """Of the uncompressed breast in front of the chest wall."""
        cylinder = np.pi * self.half_width_mm * self.half_height_mm * self.depth_mm
        return float(cylinder * self.fullness / (self.fullness + 1))

    def outline(self, view_position: ViewPosition) -> Outline:
        """The outline in one view."""
        return self.craniocaudal if view_position is ViewPosition.CC else self.mediolateral_oblique

    def radius(self, points: Points) -> Points:
        """Normalised radius, 1 at the skin.

        Args:
            points: (..., 3) millimetres in the uncompressed breast; behind the chest wall it goes on as a cylinder.
        """
        x, y, z = points[..., 0] / self.half_width_mm, points[..., 1] / self.half_height_mm, points[..., 2]
        return (x**2 + y**2 + (z.clip(min=0) / self.depth_mm) ** self.fullness) ** 0.5


def draw_shape(seed: int, density: Density) -> BreastShape:
    """Draw a breast: denser breasts are thinner, thicker breasts are larger, larger breasts are deeper.

    Args:
        seed: 0 or more.
        density: BI-RADS composition category.
    """
    rng = np.random.default_rng([seed, 20])
    thickness = float(np.clip(rng.normal(THICKNESS_MM[density], THICKNESS_SD_MM), *THICKNESS_RANGE_MM))
    large = _correlated(rng, np.clip((thickness - 59) / 16, -MODE_LIMIT, MODE_LIMIT), VOLUME_CORRELATION)
    volume = 1e3 * VOLUME_CM3 * np.exp(VOLUME_SPREAD * np.clip(large, -MODE_LIMIT, MODE_LIMIT))
    flat = _correlated(rng, large, FLATNESS_CORRELATION)
    craniocaudal = _draw_craniocaudal(rng, volume, thickness, flat)
    oblique = _draw_oblique(rng, volume, thickness, flat)
    for _ in range(POSITIONINGS):
        if _is_well_positioned(oblique, craniocaudal):
            break
        oblique = _draw_oblique(rng, volume, thickness, flat)
    fullness = rng.uniform(1.8, 2.6)  # assumed, like the ranges below
    depth = craniocaudal.depth_mm * rng.uniform(0.78, 0.92)
    across = volume * (fullness + 1) / (np.pi * depth * fullness)  # product of the other two semi-axes
    flatness = rng.uniform(0.88, 1.05)
    return BreastShape(
        half_width_mm=float(np.sqrt(across / flatness)),
        half_height_mm=float(np.sqrt(across * flatness)),
        depth_mm=depth,
        fullness=fullness,
        thickness_mm=thickness,
        skin_mm=rng.uniform(1.2, 1.9),
        craniocaudal=craniocaudal,
        mediolateral_oblique=oblique,
    )


def chebyshev_axis(angle_deg: np.ndarray, view_position: ViewPosition) -> np.ndarray:
    """The angles of a view mapped onto -1 to 1."""
    low, high = ANGLES[view_position]
    return (2 * angle_deg - low - high) / (high - low)


def _draw_craniocaudal(rng: np.random.Generator, volume: float, thickness: float, flat: float) -> Outline:
    weights = np.append(flat, rng.normal(size=len(OUTLINE_MODES[ViewPosition.CC]) - 1))
    unit = Outline(ViewPosition.CC, _coefficients(weights, ViewPosition.CC), 1.0, thickness, rng.uniform(0, 0.06))
    return replace(unit, size_mm=_size(*unit.curve_mm, thickness, volume, turning=np.pi))


def _draw_oblique(rng: np.random.Generator, volume: float, thickness: float, flat: float) -> Outline:
    known = float(VIEW_CORRELATION @ VIEW_CORRELATION)
    noise = rng.normal(size=len(VIEW_CORRELATION))
    along = VIEW_CORRELATION * (VIEW_CORRELATION @ noise) / known
    weights = flat * VIEW_CORRELATION + noise - (1 - np.sqrt(1 - known)) * along
    thickness = thickness * rng.uniform(0.98, 1.08)  # a little thicker than CC (assumed)
    unit = Outline(ViewPosition.MLO, _coefficients(weights, ViewPosition.MLO), 1.0, thickness, rng.uniform(0, 0.06))
    x, z = unit.curve_mm
    below = x <= 0
    size = _size(x[below], z[below], thickness, volume / 2, turning=np.pi / 2)
    margin = rng.uniform(5, 22)  # below the breast (assumed)
    nipple = margin - DETECTOR_MM[0] / 2 / MAGNIFICATION - size * x[0]
    placed = replace(unit, size_mm=size, nipple_x_mm=nipple, obliquity_deg=rng.uniform(*OBLIQUITY_DEG))
    muscle = _draw_muscle(rng, placed)
    # What the muscle takes of the lower half has to be added to it.
    lower = (nipple - muscle.foot_x_mm) * float(muscle.depth_mm(np.array(nipple))) / 2
    size = _size(x[below], z[below], thickness, volume / 2 + thickness * lower, turning=np.pi / 2)
    return replace(placed, size_mm=size, pectoral_edge=muscle)


def _is_well_positioned(oblique: Outline, craniocaudal: Outline) -> bool:
    """Whether the nipple is as deep as in CC, and the upper half is on the detector, in front of the muscle."""
    x = np.linspace(oblique.curve_mm[0][0], DETECTOR_MM[0] / 2, 200)
    breast = oblique.front_mm(x)
    if oblique.pectoral_edge is not None:
        breast = np.clip(breast - oblique.pectoral_edge.depth_mm(x), 0, None)
    above = x > oblique.nipple_x_mm
    deep = abs(oblique.depth_mm - craniocaudal.depth_mm) < DEPTH_RULE_MM
    return bool(deep and breast[above].sum() > UPPER_SHARE * breast[~above].sum())


def _draw_muscle(rng: np.random.Generator, outline: Outline) -> PectoralEdge:
    top = DETECTOR_MM[0] / 2
    high = rng.normal()
    above = MUSCLE_FOOT[0] + MUSCLE_FOOT[1] * high
    foot = min(outline.nipple_x_mm + above * outline.depth_mm, top - 50)
    angle = MUSCLE_ANGLE_DEG[0] + MUSCLE_ANGLE_DEG[1] * _correlated(rng, high, MUSCLE_CORRELATION)
    angle = np.radians(np.clip(angle, *MUSCLE_ANGLE_RANGE_DEG))
    width = min(float(np.tan(angle)) * (top - foot), LARGEST_MUSCLE * float(outline.front_mm(np.array(top))))
    return PectoralEdge(foot, top, width, rng.normal(*MUSCLE_BULGE))


def _coefficients(weights: np.ndarray, view_position: ViewPosition) -> tuple[float, ...]:
    weights = np.clip(weights, -MODE_LIMIT, MODE_LIMIT)
    return tuple(float(value) for value in OUTLINE_MEAN[view_position] + weights @ OUTLINE_MODES[view_position])


def _size(x: np.ndarray, z: np.ndarray, thickness: float, volume: float, *, turning: float) -> float:
    """Factor on an outline that gives a plate with a semicircular rim its volume (Steiner's formula)."""
    area, rim = ((z[1:] + z[:-1]) / 2 * np.diff(x)).sum(), thickness / 2
    length = float(np.hypot(np.diff(x), np.diff(z)).sum())
    linear = (2 - np.pi / 2) * rim**2 * length
    corner = (1 - 2 * (np.pi / 4 - 1 / 3)) * rim**3 * turning
    missing = volume - corner
    return float((linear + np.sqrt(linear**2 + 4 * thickness * area * missing)) / (2 * thickness * area))


def _run_off(x: np.ndarray, z: np.ndarray, *, depth: float, top: float) -> tuple[np.ndarray, np.ndarray]:
    """Go on to the top, straightening, and nowhere closer to the chest wall than axillary tissue allows."""
    slope = np.clip((z[-1] - z[-20]) / max(x[-1] - x[-20], 1e-6), -1, 0.3)
    beyond = np.arange(0.5, max(top + 40 - x[-1], 1), 0.5)
    length = RUN_OFF * depth
    after = z[-1] + slope * length * (1 - np.exp(-beyond / length))
    x, z = np.append(x, x[-1] + beyond), np.append(z, np.clip(after, 0, None))
    way = np.clip(x / (0.8 * depth), 0, 1)
    return x, (z**6 + (LEAST_FRONT * depth * way**2 * (3 - 2 * way)) ** 6) ** (1 / 6)


def _correlated(rng: np.random.Generator, value: float, correlation: float) -> float:
    return float(correlation * value + np.sqrt(1 - correlation**2) * rng.normal())
