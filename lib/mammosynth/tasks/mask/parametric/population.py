"""Random and median breasts: distributions of the parameters that were measured in real mammograms.

Measured by `tools/fit_parametric_breasts.py` on training images of CDD-CESM, kept in `population.json`: quantiles of
each parameter, rank correlations between them. Drawn by a Gaussian copula, so that nothing lies beyond what was
measured. Spacing was not known there: skin, nipple and height of the image are the defaults of `ParametricBreast`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from pydantic import ValidationError

from mammosynth.errors import InvalidParameterError
from mammosynth.tasks.mask.classes import LESION_CLASSES, LESIONS, BreastClass
from mammosynth.tasks.mask.parametric.breast import Ellipse, Lesion, ParametricBreast, Pathology, PectoralMuscle
from mammosynth.tasks.mask.parametric.draw import label_map, profile_of
from mammosynth.tasks.mask.quantiles import from_quantiles
from mammosynth.terms import ImageLaterality, ViewPosition

PROFILE = ("depth", "half_height", "elongation", "y0", "phi", "start_angle", "theta")
"""Of the ellipse: where it lies farthest from the chest wall, half of what it is high, a over b; then as they are. A
longer ellipse whose centre lies farther back looks the same, so a and x0 by themselves would say little."""
GLANDS = ("gland_x", "gland_y", "gland_a", "gland_b", "gland_angle")
"""Centre from the chest wall, in depths of the nipple, and below the nipple, in b; semi-axes in the root of a b."""
MUSCLE = ("width", "foot", "bulge")
LESION = ("diameter", "roundness", "off_centre")
"""Of the circle of the same area, in image heights; shorter over longer axis; from the centre of the glands, in their
semi-axes."""
SMALL = (128, 96)
"""On which it is tried whether a breast can be drawn; as wide for its height as where it will be."""
TRIES = 100
NIPPLE_DEPTH, GLANDS_INSIDE = 0.9, 0.75
"""Least depth of the nipple, of the deepest place, and least part of the glands' ellipse in the breast; chosen."""


def median_breast(
    view_position: ViewPosition = ViewPosition.CC, image_laterality: ImageLaterality = ImageLaterality.LEFT
) -> ParametricBreast:
    """Every parameter at its median, without lesions."""
    names, table = _table(view_position)
    return breast_of(dict(zip(names, table[:, table.shape[1] // 2], strict=True)), view_position, image_laterality)


def random_breast(
    seed: int,
    view_position: ViewPosition = ViewPosition.CC,
    image_laterality: ImageLaterality = ImageLaterality.LEFT,
    lesions: Sequence[Pathology] = (),
) -> ParametricBreast:
    """One breast of the population; the same for the same arguments.

    Args:
        seed: Of everything random.
        view_position: CC or MLO.
        image_laterality: L or R.
        lesions: A lesion is drawn for each.

    Raises:
        InvalidParameterError: If there is no room for so many.
    """
    random = np.random.default_rng(seed)
    names, table = _table(view_position)
    correlation = np.array(_population()[view_position]["correlation"])
    for _ in range(TRIES):
        drawn = from_quantiles(table, random.multivariate_normal(np.zeros(len(names)), correlation))
        try:
            breast = breast_of(dict(zip(names, drawn, strict=True)), view_position, image_laterality)
            breast = breast.changed(lesions=tuple(_lesion(breast, pathology, random) for pathology in lesions))
            labels = label_map(breast, SMALL).labels
        except InvalidParameterError:
            continue
        if _is_usual(breast, labels):
            return breast
    raise InvalidParameterError(
        f"no breast of {TRIES} that were drawn has room for {len(lesions)} lesions; take another seed, or fewer"
    )


def with_lesion(breast: ParametricBreast, pathology: Pathology, seed: int) -> ParametricBreast:
    """The same breast with one more lesion, of the population's size and place in the fibroglandular tissue.

    Args:
        breast: If its fibroglandular tissue is no ellipse, the lesion lies where the median breast has its own.
        pathology: Of the lesion.
        seed: Of everything random.

    Raises:
        InvalidParameterError: If the breast has as many lesions as it can, or no room for another.
    """
    random = np.random.default_rng(seed)
    own = breast.fibroglandular
    glands = own if isinstance(own, Ellipse) else median_breast(breast.view_position).fibroglandular
    lesion = _lesion(breast.changed(fibroglandular=glands), pathology, random)
    return breast.changed(lesions=(*breast.lesions, lesion))


def breast_of(
    values: Mapping[str, float], view_position: ViewPosition, image_laterality: ImageLaterality
) -> ParametricBreast:
    """The breast of measured values, by the names above.

    Raises:
        InvalidParameterError: If they fit no breast.
    """
    depth, half_height = _extents(values["elongation"], 1.0, values["phi"])
    b = values["half_height"] / half_height
    breast = ParametricBreast(
        view_position=view_position,
        image_laterality=image_laterality,
        pectoral_muscle=PectoralMuscle(**{n: values[n] for n in MUSCLE}) if MUSCLE[0] in values else None,
        a=float(values["elongation"] * b),
        b=float(b),
        x0=float(values["depth"] - depth * b),
        y0=float(values["y0"]),
        phi=float(values["phi"]),
        start_angle=float(values["start_angle"]),
        theta=float(values["theta"]),
    )
    return breast.changed(fibroglandular=_glands(breast, values))


def _glands(breast: ParametricBreast, values: Mapping[str, float]) -> Ellipse:
    x, y = profile_of(breast).at(breast.theta)
    size = float(np.sqrt(breast.a * breast.b))
    try:
        return Ellipse(
            x=float(values["gland_x"] * x),
            y=float(y + values["gland_y"] * breast.b),
            a=float(values["gland_a"] * size),
            b=float(values["gland_b"] * size),
            angle=float(values["gland_angle"]),
        )
    except ValidationError as error:
        problem = error.errors()[0]
        raise InvalidParameterError(
            f"fibroglandular.{problem['loc'][0]} is {problem['input']:g}: {problem['msg']}"
        ) from None


def values_of(breast: ParametricBreast) -> dict[str, float]:
    """The inverse of `breast_of`, of a breast whose fibroglandular tissue is an ellipse."""
    glands = breast.fibroglandular
    assert isinstance(glands, Ellipse)  # noqa: S101 (what the docstring says)
    x, y = map(float, profile_of(breast).at(breast.theta))
    size = float(np.sqrt(breast.a * breast.b))
    depth, half_height = _extents(breast.a, breast.b, breast.phi)
    own = (breast.x0 + depth, half_height, breast.a / breast.b)
    values = dict(zip(PROFILE, own, strict=False)) | {name: getattr(breast, name) for name in PROFILE[3:]}
    relative = (glands.x / x, (glands.y - y) / breast.b, glands.a / size, glands.b / size, glands.angle)
    values.update(zip(GLANDS, relative, strict=True))
    if breast.pectoral_muscle is not None:
        values.update({name: getattr(breast.pectoral_muscle, name) for name in MUSCLE})
    return values


def _is_usual(breast: ParametricBreast, labels: np.ndarray) -> bool:
    """Whether its nipple lies near the front, its glands inside, and its lesions are seen.

    A copula knows pairs of parameters alone.
    """
    places = profile_of(breast).at(np.linspace(-breast.start_angle, breast.start_angle, 181))
    front = places[(places[:, 1] > 0) & (places[:, 1] < 1), 0].max()
    nipple = profile_of(breast).at(breast.theta)[0]
    glands = breast.fibroglandular
    assert isinstance(glands, Ellipse)  # noqa: S101 (`breast_of` made it)
    seen = np.isin(labels, (BreastClass.FIBROGLANDULAR, *LESIONS)).sum() / SMALL[0] ** 2
    shown = {LESION_CLASSES[lesion.pathology] for lesion in breast.lesions} <= set(labels.ravel().tolist())
    return bool(shown and nipple > NIPPLE_DEPTH * front and seen > GLANDS_INSIDE * np.pi * glands.a * glands.b)


def _extents(a: float, b: float, phi: float) -> tuple[float, float]:
    """How far an ellipse reaches from its centre, along x and along y."""
    cosine, sine = math.cos(math.radians(phi)), math.sin(math.radians(phi))
    return math.hypot(a * cosine, b * sine), math.hypot(a * sine, b * cosine)


def _lesion(breast: ParametricBreast, pathology: Pathology, random: np.random.Generator) -> Lesion:
    quantiles = np.array([_population()["lesions"][pathology][name] for name in LESION])
    glands = breast.fibroglandular
    assert isinstance(glands, Ellipse)  # noqa: S101 (`breast_of` made it)
    for _ in range(TRIES):
        diameter, roundness, off_centre = from_quantiles(quantiles, random.standard_normal(len(LESION)))
        around = random.uniform(0, 2 * np.pi)
        turn = np.radians(glands.angle)
        along, across = off_centre * glands.a * np.cos(around), off_centre * glands.b * np.sin(around)
        x = float(glands.x + along * np.cos(turn) - across * np.sin(turn))
        y = float(glands.y + along * np.sin(turn) + across * np.cos(turn))
        long = float(diameter / 2 / np.sqrt(roundness))
        if 0 <= x <= 2 and 0 <= y <= 1 and _is_inside(breast, x, y, long):
            angle = float(random.uniform(-90, 90))
            return Lesion(pathology=pathology, shape=Ellipse(x=x, y=y, a=long, b=long * float(roundness), angle=angle))
    raise InvalidParameterError("the lesion does not fit into the breast")


def _is_inside(breast: ParametricBreast, x: float, y: float, radius: float) -> bool:
    labels = label_map(breast.changed(image_laterality=ImageLaterality.LEFT), SMALL).labels
    rows = np.clip(((y + radius * np.array([-1, 0, 0, 1])) * SMALL[0]).astype(int), 0, SMALL[0] - 1)
    columns = np.clip(((x + radius * np.array([0, -1, 1, 0])) * SMALL[0]).astype(int), 0, SMALL[1] - 1)
    return bool((labels[rows, columns] > 0).all())


def _table(view_position: ViewPosition) -> tuple[list[str], np.ndarray]:
    quantiles = _population()[view_position]["quantiles"]
    return list(quantiles), np.array(list(quantiles.values()))


@cache
def _population() -> dict[str, Any]:
    return json.loads(files("mammosynth.tasks.mask.parametric").joinpath("population.json").read_text("utf-8"))
