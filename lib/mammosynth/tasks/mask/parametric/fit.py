"""`fit`: the parametric breast that is most like a label map, and how like it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from scipy import ndimage
from scipy.optimize import least_squares
from scipy.spatial import cKDTree
from skimage.measure import approximate_polygon, find_contours, label, regionprops

from mammosynth.counts import count_of
from mammosynth.errors import UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.preprocessing.breast import chest_wall_on_left
from mammosynth.tasks.mask.cases import view_of
from mammosynth.tasks.mask.classes import LESION_CLASSES, BreastClass
from mammosynth.tasks.mask.parametric.breast import (
    LEAST_SEEN,
    Ellipse,
    Lesion,
    Outline,
    ParametricBreast,
    Pathology,
    PectoralMuscle,
    Shape,
)
from mammosynth.tasks.mask.parametric.draw import filled, label_map, muscle_edge
from mammosynth.tasks.mask.parametric.profile import Profile
from mammosynth.terms import ImageLaterality, ViewPosition

NIPPLE_RADIUS = 7 / 512
"""Of the opening that takes a nipple off the outline, in image heights."""
BORDER = 2.0
"""Pixels from the image's border within which an outline is a cut."""
FRAYED = 8 / 512
"""The same from the chest wall, in image heights: there, tissue is dark in parts."""
SHORTEST = 40 / 512
"""Part of a skin line that is used, in image heights: in a tight crop, the nipple parts it in two."""
POINTS = 400
"""Of the outline, at most."""
TOLERANCE = 3 / 512
"""Residual in image heights from which on a point of the outline counts less: folds, arms, cut corners."""
PRIOR = np.array([0.0, 0.0, 4e-4, 2e-4, 0.0, 1e-4])
"""What leaves undecided outlines at phi 0, centre at the chest wall, start angle 90: residual per unit below."""
UNITS = np.array([1.0, 1.0, 30.0, 1.0, 1.0, 30.0])
"""log a, log b, phi, x0, y0, start angle: what one step of the search means."""
LOWEST = np.array([np.log(0.03), np.log(0.03), -75.0, -1.0, -0.5, 30.0])
HIGHEST = np.array([np.log(1.5), np.log(1.5), 75.0, 1.0, 1.5, 150.0])
"""The limits of `ParametricBreast`."""
TURNS = (-15.0, 15.0, 45.0)
"""Values of phi from which the search starts; the best end counts."""
FURTHEST_NIPPLE = 60.0
"""Degrees from semi-axis a, for nipples that are not drawn."""
SMALLEST = 2e-5
"""Area of an island that is measured, in square image heights: 5 pixels at 512."""
SIMPLER = 0.4 / 512
"""Largest distance of a free outline from what it follows, in image heights."""

Glands = Literal["outline", "ellipse"]


@dataclass(frozen=True)
class Fit:
    """A measured breast.

    Attributes:
        breast: Its parameters.
        iou: Intersection over union of the breast in the label map and as it is drawn from the parameters.
        residual_px: Median distance of the label map's outline from the fitted profile, in its pixels.
        residual_mm: The same in millimetres; None if the label map has no spacing.
    """

    breast: ParametricBreast
    iou: float
    residual_px: float
    residual_mm: float | None


def fit(labels: LabelMap, glands: Glands = "outline") -> Fit:
    """Measure a label map.

    The profile is fitted to the outline by least squares of distances that count less the larger they are (soft L1),
    so that folds of skin, a nipple and the cut of an image do not bend it.

    Args:
        labels: Of the table in `classes`, of at least breast and background. The side of the chest wall is told by the
            pixels.
        glands: Fibroglandular tissue as a free outline, or as the ellipse of the same moments.

    Returns:
        Parameters and quality. Calcifications and all but the largest island of fibroglandular tissue are left out; a
        nipple that is not drawn is placed where the breast is deepest, or protrudes.

    Raises:
        UnsupportedImageError: If there is no breast, or too little of its outline lies within the image.
    """
    whole = _oriented(labels)
    wall = _chest_wall(whole > 0)
    pixels = whole[:, wall:]
    within = pixels > 0
    height = len(pixels)
    smooth = _opened(within, NIPPLE_RADIUS * height)
    outline = _outline(smooth)
    if len(outline) < 20:
        raise UnsupportedImageError(
            f"{labels.source_name}: {count_of(len(outline), 'pixel')} of a skin line lie within the image, expected "
            "20 or more; give a label map that shows where the breast ends"
        )
    profile = _fitted(outline / height)
    drawable = filled(profile.region(), (pixels.shape[0], pixels.shape[1]))
    view = view_of(labels)
    height_mm = labels.pixel_spacing_mm[0] * height if labels.pixel_spacing_mm else None
    breast = ParametricBreast(
        view_position=view,
        image_laterality=_side(labels),
        chest_wall=wall / height,
        a=profile.a,
        b=profile.b,
        phi=profile.phi,
        x0=profile.x0,
        y0=profile.y0,
        start_angle=profile.start_angle,
        theta=_theta(pixels, smooth, profile),
        pectoral_muscle=_muscle(pixels) if view is ViewPosition.MLO else None,
        fibroglandular=_glands(np.where(drawable, pixels, 0), glands),
        lesions=_lesions(np.where(drawable, pixels, 0)),
    )
    if height_mm is not None:
        breast = breast.changed(image_height_mm=float(np.clip(height_mm, 50, 500)))
    breast = breast.changed(**_thicknesses(pixels, outline / height, breast.image_height_mm, profile))
    drawn = _oriented(label_map(breast, (whole.shape[0], whole.shape[1])))[:, wall:] > 0
    residual = float(np.median(np.abs(_distances(profile, outline / height)))) * height
    return Fit(
        breast,
        float((drawn & within).sum() / (drawn | within).sum()),
        residual,
        None if labels.pixel_spacing_mm is None else residual * labels.pixel_spacing_mm[0],
    )


def _side(labels: LabelMap) -> ImageLaterality:
    return ImageLaterality.LEFT if chest_wall_on_left(labels.labels > 0) else ImageLaterality.RIGHT


def _oriented(labels: LabelMap) -> np.ndarray:
    if not (labels.labels > 0).any():
        raise UnsupportedImageError(f"{labels.source_name}: no breast is drawn, every pixel is background; draw one")
    return labels.labels if _side(labels) is ImageLaterality.LEFT else labels.labels[:, ::-1]


def _chest_wall(within: np.ndarray) -> int:
    """Column at which the breast is cut off: where most rows of its middle start."""
    rows = np.flatnonzero(within.any(axis=1))
    middle = rows[len(rows) // 4 : max(3 * len(rows) // 4, 1)]
    return int(np.median(np.argmax(within[middle], axis=1)))


def _opened(mask: np.ndarray, radius: float) -> np.ndarray:
    """What discs of that radius can fill; at the image's border the breast goes on."""
    margin = int(radius) + 2
    padded = np.pad(mask, margin, mode="edge")
    core = ndimage.distance_transform_edt(padded) > radius
    opened = ndimage.distance_transform_edt(~core) <= radius
    return opened[margin:-margin, margin:-margin] & mask


def _outline(mask: np.ndarray) -> np.ndarray:
    """(N, 2) x, y in pixels from the image's corner, of the skin line, without cuts by the image's border."""
    whole = ndimage.binary_fill_holes(mask)
    contours = find_contours(np.pad(whole, 1, mode="edge").astype(np.float32), 0.5)
    contours = [each for each in contours if len(each) > SHORTEST * len(mask)]
    if not contours:
        return np.empty((0, 2))
    points = np.concatenate(contours)[:, ::-1] - 0.5
    sides = np.array([mask.shape[1], mask.shape[0]])
    points = points[((points > BORDER) & (points < sides - BORDER)).all(axis=1) & (points[:, 0] > FRAYED * len(mask))]
    return points[:: max(1, round(len(points) / POINTS))]


def _fitted(outline: np.ndarray) -> Profile:
    low, high = outline.min(axis=0), outline.max(axis=0)
    depth, half = high[0], max((high[1] - low[1]) / 2, 0.05)
    start = np.array([np.log(depth), np.log(half), 0.0, 0.0, low[1] + half, 90.0])
    start = np.clip(start, LOWEST + 1e-3, HIGHEST - 1e-3)
    weight = PRIOR * np.sqrt(len(outline)) / TOLERANCE

    def residuals(values: np.ndarray) -> np.ndarray:
        profile = _profile(values * UNITS)
        undecided = weight * (values - np.array([0, 0, 0, 0, 0, 3.0]))
        # A profile that closes before the chest wall is no breast.
        closed = len(outline) * max(profile.closes_at() or 0.0, 0.0)
        return np.concatenate([_distances(profile, outline) / TOLERANCE, undecided, [closed]])

    found = [
        least_squares(
            residuals,
            np.clip(start + [0, 0, turn, 0, 0, 0], LOWEST, HIGHEST) / UNITS,
            bounds=(LOWEST / UNITS, HIGHEST / UNITS),
            loss="soft_l1",
            diff_step=1e-4,
            max_nfev=60,
        )
        for turn in TURNS
    ]
    profile = _profile(min(found, key=lambda each: each.cost).x * UNITS)
    while (profile.closes_at() or 0.0) > 0:
        profile = replace(profile, start_angle=profile.start_angle - 1)
    return profile


def _profile(values: np.ndarray) -> Profile:
    a, b, phi, x0, y0, start_angle = map(float, values)
    return Profile(float(np.exp(a)), float(np.exp(b)), phi, x0, y0, start_angle)


def _distances(profile: Profile, places: np.ndarray) -> np.ndarray:
    """(N,) distance of places from the profile, positive outside, in image heights."""
    degrees = np.linspace(-profile.start_angle, profile.start_angle, 121)
    arc, normals = profile.at(degrees), profile.normal_at(degrees)
    way = np.linspace(0.01, 1.2, 60)[:, None]
    upper, lower = profile.tangents()
    curve = np.concatenate([arc, arc[0] + way * upper, arc[-1] + way * lower])
    normal = np.concatenate([normals, np.repeat(normals[[0, -1]], len(way), axis=0)])
    _, nearest = cKDTree(curve).query(places)
    return ((places - curve[nearest]) * normal[nearest]).sum(axis=1)


def _theta(pixels: np.ndarray, smooth: np.ndarray, profile: Profile) -> float:
    """Of the drawn nipple; else of what protrudes; else of the deepest place."""
    furthest = min(FURTHEST_NIPPLE, profile.start_angle)
    degrees = np.arange(-furthest, furthest + 0.1, 0.5)
    x, y = profile.at(degrees).T
    seen = (y > 0.01) & (y < 0.99) & (x > LEAST_SEEN) & (x < (pixels.shape[1] - BORDER) / len(pixels))
    if not seen.any():
        return 0.0
    parts, _ = ndimage.label((pixels > 0) & ~smooth)
    sizes = np.bincount(parts.ravel(), minlength=1)
    candidates = [pixels == BreastClass.NIPPLE]
    candidates += [
        parts == number for number in 1 + np.argsort(-sizes[1:])[:3] if sizes[number] > SMALLEST * len(pixels) ** 2
    ]
    for candidate in candidates:
        angle = _angle_of(candidate, profile, len(pixels)) if candidate.any() else 180.0
        if abs(angle) < furthest and seen[np.argmin(abs(degrees - angle))]:
            return angle
    return float(degrees[np.argmax(np.where(seen, x, -1))])


def _angle_of(mask: np.ndarray, profile: Profile, height: int) -> float:
    y, x = (np.array(ndimage.center_of_mass(mask)) + 0.5) / height
    turn = np.radians(profile.phi)
    right, down = x - profile.x0, y - profile.y0
    along, across = right * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - right * np.sin(turn)
    return float(np.degrees(np.arctan2(across / profile.b, along / profile.a)))


def _thicknesses(
    pixels: np.ndarray, outline: np.ndarray, height_mm: float, profile: Profile
) -> dict[str, float | bool]:
    """Of skin and nipple, from their areas."""
    pixel = height_mm / len(pixels)
    nipple = 2 * np.sqrt((pixels == BreastClass.NIPPLE).sum() / np.pi) * pixel
    found: dict[str, float | bool] = {"skin": False, "nipple_diameter_mm": float(np.clip(nipple, 0, 30))}
    if area := int((pixels == BreastClass.SKIN).sum()):
        steps = np.linalg.norm(np.diff(ndimage.gaussian_filter1d(outline, 3, axis=0), axis=0), axis=1)
        length = steps[steps < 10 * np.median(steps)].sum() * height_mm - nipple  # where the image cuts it, it jumps
        thickest = min(12.0, 0.99 * profile.tightest_radius() * height_mm)
        found.update(skin=True, skin_thickness_mm=float(np.clip(area * pixel**2 / length, 0.3, thickest)))
    return found


def _glands(pixels: np.ndarray, kind: Glands) -> Shape | None:
    # A lesion covers what it lies in.
    covered = (pixels == BreastClass.FIBROGLANDULAR) | (pixels >= BreastClass.BENIGN_LESION)
    if not (pixels == BreastClass.FIBROGLANDULAR).any():
        return None
    region = max(regionprops(label(ndimage.binary_fill_holes(covered))), key=lambda each: each.area)
    if region.area < SMALLEST * len(pixels) ** 2:
        return None
    return _free(region, pixels.shape) if kind == "outline" else _ellipse(region, len(pixels))


def _lesions(pixels: np.ndarray) -> tuple[Lesion, ...]:
    found = []
    for pathology in get_args(Pathology):
        for region in regionprops(label(pixels == LESION_CLASSES[pathology])):
            if region.area >= SMALLEST * len(pixels) ** 2:
                found.append(Lesion(pathology=pathology, shape=_free(region, pixels.shape)))
    return tuple(found)


def _free(region: Any, shape: tuple[int, ...]) -> Outline:
    """The outline of a region, as few corners as follow it."""
    mask = np.pad(region.image_filled, 1).astype(np.float32)
    contour = max(find_contours(mask, 0.5), key=len)[:-1, ::-1]
    corner = np.array([region.bbox[1], region.bbox[0]])
    points = (contour - 0.5 + corner) / shape[0]
    simple = approximate_polygon(np.concatenate([points, points[:1]]), SIMPLER)[:-1]
    return Outline(points=tuple((float(x), float(y)) for x, y in (simple if len(simple) > 2 else points)))


def _ellipse(region: Any, height: int) -> Ellipse:
    """The ellipse of the same second moments."""
    y, x = (region.coords + 0.5).T / height
    spread, directions = np.linalg.eigh(np.cov(np.stack([x, y])))
    along = directions[:, 1]
    return Ellipse(
        x=float(x.mean()),
        y=float(y.mean()),
        a=float(2 * np.sqrt(spread[1])),
        b=float(2 * np.sqrt(spread[0])),
        angle=float(np.degrees(np.arctan2(along[1], along[0]))),
    )


def _muscle(pixels: np.ndarray) -> PectoralMuscle | None:
    """Its edge, fitted where it lies within the breast."""
    muscle = pixels == BreastClass.PECTORAL_MUSCLE
    rows = np.flatnonzero(muscle.any(axis=1))
    if len(rows) < 5:
        return None
    height = len(pixels)
    edge = (muscle.shape[1] - np.argmax(muscle[:, ::-1], axis=1))[rows]
    front = (muscle.shape[1] - np.argmax(pixels[:, ::-1] > 0, axis=1))[rows]
    clear = front - edge > 0.02 * height
    if clear.sum() < 5:
        return None
    y, x = (rows[clear] + 0.5) / height, edge[clear] / height

    def residuals(values: np.ndarray) -> np.ndarray:
        curve = muscle_edge(*values)
        order = np.argsort(curve[:, 1])
        return np.interp(y, curve[order, 1], curve[order, 0]) - x

    start = [np.clip(x.max(), 0.02, 1.4), np.clip((rows[-1] + 1) / height, 0.02, 1.9), 0.0]
    low, high = [0.01, 0.01, -0.3], [1.5, 2.0, 0.3]
    found = least_squares(residuals, start, bounds=(low, high), loss="soft_l1", f_scale=TOLERANCE, diff_step=1e-3)
    width, foot, bulge = map(float, found.x)
    return PectoralMuscle(width=width, foot=foot, bulge=bulge)
