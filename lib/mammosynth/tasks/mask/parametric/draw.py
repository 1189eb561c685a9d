"""`label_map`: a parametric breast as the label map that networks and people see."""

from __future__ import annotations

import numpy as np

from mammosynth.errors import InvalidParameterError
from mammosynth.label_map import LabelMap
from mammosynth.tasks.mask.classes import CLASSES, LESION_CLASSES, BreastClass
from mammosynth.tasks.mask.parametric.breast import Ellipse, ParametricBreast, PectoralMuscle, Shape
from mammosynth.tasks.mask.parametric.profile import Profile
from mammosynth.terms import ImageLaterality

NAME = "parametric breast"
TURN = np.linspace(0, 360, 361)[:-1]
"""Degrees at which ellipses and the muscle's edge are sampled."""


def profile_of(breast: ParametricBreast) -> Profile:
    """The curve of its skin line."""
    return Profile(breast.a, breast.b, breast.phi, breast.x0, breast.y0, breast.start_angle)


def label_map(breast: ParametricBreast, shape: tuple[int, int] = (512, 512)) -> LabelMap:
    """A pixel is what its centre lies in, so that a breast is the same at every resolution.

    Args:
        breast: What is drawn.
        shape: (H, W).

    Returns:
        Of the table in `classes`, with spacing, view position and laterality.

    Raises:
        InvalidParameterError: If the profile closes before the chest wall, is more curved than its skin is thick,
            reaches beyond the image, or glands or a lesion lie outside the breast.
    """
    profile = profile_of(breast)
    skin = breast.skin_thickness_mm / breast.image_height_mm if breast.skin else 0.0
    _check_profile(profile, skin)
    wall = round(breast.chest_wall * shape[0])
    whole, shape = shape, (shape[0], shape[1] - wall)
    _check_width(breast, profile, shape)
    within = filled(profile.region(), shape)
    inner = filled(profile.region(skin), shape) if skin else within
    labels = np.where(within, np.uint8(BreastClass.SKIN), np.uint8(BreastClass.BACKGROUND))
    labels[inner] = BreastClass.ADIPOSE
    if breast.fibroglandular is not None:
        glands = filled(corners_of(breast.fibroglandular), shape)
        _check_inside(glands, inner, "parameter 'fibroglandular'")
        labels[glands & inner] = BreastClass.FIBROGLANDULAR
    if breast.pectoral_muscle is not None:
        labels[filled(_muscle(breast.pectoral_muscle), shape) & inner] = BreastClass.PECTORAL_MUSCLE
    if breast.nipple_diameter_mm:
        labels[filled(_nipple(breast, profile), shape)] = BreastClass.NIPPLE
    within = labels > 0
    for number, lesion in enumerate(breast.lesions, start=1):
        drawn = filled(corners_of(lesion.shape), shape)
        _check_inside(drawn, within, f"lesion {number} ({lesion.pathology})")
        labels[drawn & within] = LESION_CLASSES[lesion.pathology]
    labels = np.pad(labels, ((0, 0), (wall, 0)))
    if breast.image_laterality is ImageLaterality.RIGHT:
        labels = np.ascontiguousarray(labels[:, ::-1])
    spacing = breast.image_height_mm / whole[0]
    return LabelMap(labels, NAME, CLASSES, (spacing, spacing), breast.view_position, breast.image_laterality)


def corners_of(shape: Shape) -> np.ndarray:
    """(N, 2) x, y in image heights."""
    if not isinstance(shape, Ellipse):
        return np.array(shape.points)
    return Profile(shape.a, shape.b, shape.angle, shape.x, shape.y, 180.0).at(TURN)


def filled(corners: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: whose centres lie within a polygon in image heights, where it crosses itself by even and odd.

    Every side changes, in each row whose middle it crosses, what all pixels right of it are. skimage.draw.polygon asks
    every pixel about every side, which takes a hundred times as long.
    """
    height, width = shape
    x, y = (corners * height - 0.5).T
    lower, upper = np.minimum(y, np.roll(y, -1)), np.maximum(y, np.roll(y, -1))
    first, last = (np.clip(np.ceil(ends), 0, height).astype(int) for ends in (lower, upper))
    side = np.repeat(np.arange(len(x)), last - first)
    row = np.arange(len(side)) - np.repeat(np.cumsum(last - first) - last, last - first)
    share = (row - y[side]) / (np.roll(y, -1) - y)[side]
    crossing = x[side] + share * (np.roll(x, -1) - x)[side]
    column = np.clip(np.ceil(crossing), 0, width).astype(int)
    changes = np.bincount(row * (width + 1) + column, minlength=height * (width + 1)).reshape(height, width + 1)
    return np.cumsum(changes[:, :-1], axis=1) % 2 == 1


def _nipple(breast: ParametricBreast, profile: Profile) -> np.ndarray:
    """A disc that the profile halves."""
    x, y = map(float, profile.at(breast.theta))
    radius = breast.nipple_diameter_mm / 2 / breast.image_height_mm
    return Profile(radius, radius, 0.0, x, y, 180.0).at(TURN)


def _muscle(muscle: PectoralMuscle) -> np.ndarray:
    """Its edge, and the corner behind."""
    edge = muscle_edge(muscle.width, muscle.foot, muscle.bulge)
    return np.concatenate([edge, [[-1, edge[-1, 1]], [-1, -1], [edge[0, 0], -1]]])


def muscle_edge(width: float, foot: float, bulge: float) -> np.ndarray:
    """(N, 2) x, y of a muscle's edge, from the upper edge of the image to the chest wall, in image heights."""
    way = np.linspace(0, 1, len(TURN))[:, None]
    outwards = np.array([foot, width])  # across the edge, and as long
    return (1 - way) * [width, 0] + way * [0, foot] + 4 * bulge * way * (1 - way) * outwards


def _check_width(breast: ParametricBreast, profile: Profile, shape: tuple[int, int]) -> None:
    nipple, width = float(profile.at(breast.theta)[0]), shape[1] / shape[0]
    if nipple > width:
        raise InvalidParameterError(
            f"the nipple lies {nipple:.2f} image heights from the chest wall, but the image goes on for {width:.2f} "
            "only; draw a wider image, or lower a, x0 or chest_wall"
        )


def _check_profile(profile: Profile, skin: float) -> None:
    closing = profile.closes_at()
    if closing is not None and closing > 0:
        raise InvalidParameterError(
            f"the profile closes {closing:.2f} image heights before the chest wall; lower start_angle "
            f"({profile.start_angle:g}) or x0 ({profile.x0:g})"
        )
    if skin > (radius := profile.tightest_radius()):
        raise InvalidParameterError(
            f"the skin is {skin:.3f} image heights thick, but the ellipse bends with a radius of {radius:.3f}; lower "
            "skin_thickness_mm, or bring a and b nearer to each other"
        )


def _check_inside(drawn: np.ndarray, within: np.ndarray, name: str) -> None:
    if drawn.any() and not (drawn & within).any():
        raise InvalidParameterError(f"{name} lies outside the breast; move it inside, or leave it out")
