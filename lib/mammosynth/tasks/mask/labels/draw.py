"""`draw_label_map`: a breast that nobody has, drawn from the distributions of real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import ndtr, ndtri

from mammosynth.errors import InvalidParameterError, MammoSynthError
from mammosynth.label_map import LabelMap
from mammosynth.preprocessing.breast import skin_distance
from mammosynth.preprocessing.look import DENSITIES, Density
from mammosynth.tasks.mask.classes import CLASSES, BreastClass, is_lesion
from mammosynth.tasks.mask.labels.drawable import drawable, pixel_mm_of
from mammosynth.tasks.mask.labels.from_image import (
    BEFORE_MUSCLE_MM,
    BEHIND_NIPPLE_MM,
    FREE_OF_GLAND_MM,
    WORKING_SIDE,
    enlarged,
    muscle_normal,
)
from mammosynth.tasks.mask.labels.model import (
    GLAND_GRID,
    WAVES,
    BreastModel,
    breast_coordinates,
    released_model,
)
from mammosynth.tasks.mask.labels.outline import Outline, fill_outline
from mammosynth.terms import ImageLaterality, ViewPosition

SHAPE = (512, 400)
MOST_LESIONS = 8
GLAND_SCALES_MM, GLAND_WEIGHTS = (16.0, 6.0), (0.5, 0.4)
"""Of the noise that bends the gland's outline: lobes and lobules; outlines become about as long as real ones'."""
GLAND_SHIFT = np.array((0.05, 0.08))
"""Standard deviations of where the gland lies in a breast: turned, of half a turn, and stretched."""
CALCIFICATION_SHARE = 0.1
"""Of lesions that are clusters of calcifications (assumed: the drawn lesions of both sets are masses)."""
_CLUSTER_MM, _SPOT_MM, _SPOTS = (4.0, 12.0), (0.8, 1.8), (4, 12)
LESION_MM = (3.0, 60.0)
"""Least and largest diameter that can be asked for."""
_MOST_DEVIATIONS, _TRIES = 2.5, 60
_SKIN_TO_LESION_MM = 4.0
_MASS_MM = (4.0, 60.0)


class NoRoomError(MammoSynthError):
    """A breast is too small for the lesions that it must have."""


@dataclass(frozen=True)
class WantedLesion:
    """A lesion that must be there.

    Attributes:
        kind: One of `LESIONS`.
        diameter_mm: Least and largest: of a mass, the diameter of the circle of its area; of a cluster of
            calcifications, its length. None leaves it to the model.
    """

    kind: BreastClass
    diameter_mm: tuple[float, float] | None = None


def draw_label_map(
    seed: int,
    *,
    density: Density | None = None,
    lesions: int | Sequence[WantedLesion] = 0,
    view_position: ViewPosition = ViewPosition.CC,
    image_laterality: ImageLaterality = ImageLaterality.LEFT,
    shape: tuple[int, int] = SHAPE,
) -> LabelMap:
    """A new label map, drawable, of the released model; the same arguments give the same one.

    Args:
        seed: 0 or more; decides all that is not given.
        density: None: drawn, as often as in the model's breasts.
        lesions: How many, 0 to 8; fewer are drawn where there is no room for all. Benign or malignant masses as often
            as in the model's images, one in ten a cluster of calcifications. Or which, all of which are drawn.
        view_position: CC or MLO.
        image_laterality: Left breasts have their chest wall on the left.
        shape: (H, W); the height stands for 256 mm. A breast too large for it is drawn smaller.

    Returns:
        Without pixel spacing.

    Raises:
        InvalidParameterError: If a value is out of its range.
        NoRoomError: If there is no room for a lesion that was asked for by its kind.
    """
    number = lesions if isinstance(lesions, int) else len(lesions)
    wanted: Sequence[WantedLesion | None] = [None] * lesions if isinstance(lesions, int) else lesions
    if seed < 0 or number < 0 or len(wanted) > MOST_LESIONS or min(shape) < 64 or density not in (None, *DENSITIES):
        raise InvalidParameterError(
            f"seed {seed}, lesions {lesions}, shape {shape}, density {density}; expected a seed of 0 or more, 0 to "
            f"{MOST_LESIONS} lesions, at least 64 x 64 pixels, and density a, b, c or d"
        )
    model, rng = released_model(), np.random.default_rng([seed, 13])
    scale = min(1.0, WORKING_SIDE / shape[0])
    small = (round(shape[0] * scale), round(shape[1] * scale))
    frequencies = np.array([model.density[each] for each in DENSITIES])
    usual = str(rng.choice(DENSITIES, p=frequencies / frequencies.sum()))
    labels = _Drawing(model, view_position, small, rng).draw(density or usual, wanted)
    labels = enlarged(labels, shape)
    if image_laterality is ImageLaterality.RIGHT:
        labels = np.ascontiguousarray(labels[:, ::-1])
    return LabelMap(labels, f"drawn, seed {seed}", CLASSES, None, view_position, image_laterality)


class _Drawing:
    """One breast, chest wall on the left."""

    def __init__(
        self, model: BreastModel, view: ViewPosition, shape: tuple[int, int], rng: np.random.Generator
    ) -> None:
        self._model, self._view, self._shape, self._rng = model, model.views[str(view)], shape, rng
        self._is_mlo, self._pixel_mm = view is ViewPosition.MLO, pixel_mm_of(shape, None)

    def draw(self, density: str, lesions: Sequence[WantedLesion | None]) -> np.ndarray:
        breast = self._breast()
        muscle = self._muscle(breast) if self._is_mlo else np.zeros_like(breast)
        nipple, breast = self._nipple(breast, muscle)
        labels = np.where(breast, BreastClass.ADIPOSE, BreastClass.BACKGROUND).astype(np.uint8)
        labels[nipple] = BreastClass.NIPPLE
        breast = drawable(labels, self._pixel_mm) > 0
        depth = skin_distance(breast) * self._pixel_mm
        gland = self._gland(breast, muscle, nipple, depth, density)
        for region, kind in (
            (gland, BreastClass.FIBROGLANDULAR),
            (muscle, BreastClass.PECTORAL_MUSCLE),
            (depth <= self._log_normal(self._model.skin), BreastClass.SKIN),
            (nipple, BreastClass.NIPPLE),
        ):
            labels[region & breast] = kind
        labels = drawable(labels, self._pixel_mm)
        for wanted in lesions:
            labels = self._with_lesion(labels, depth, wanted)
        return drawable(labels, self._pixel_mm)

    def _log_normal(self, spread: tuple[float, float]) -> float:
        return float(np.exp(spread[0] + spread[1] * self._normal()))

    def _normal(self, size: int | None = None) -> np.ndarray:
        return np.clip(self._rng.standard_normal(size), -_MOST_DEVIATIONS, _MOST_DEVIATIONS)

    def _breast(self) -> np.ndarray:
        components = np.asarray(self._view.outline_components)
        *radii, above = np.exp(np.asarray(self._view.outline_mean) + self._normal(len(components)) @ components)
        height, width = (side * self._pixel_mm for side in self._shape)
        radii_mm, below = np.array(radii), radii[-1]
        if not self._is_mlo:
            above = radii[0]
        scale = min(1.0, 0.98 * height / (above + below), 0.95 * width / radii_mm[12:].max())
        free = max(0.0, height - scale * (above + below))
        # An oblique view goes on beyond the upper border, towards the arm.
        row = scale * above + (0.0 if self._is_mlo else free * self._rng.uniform(0.3, 0.7))
        outline = Outline(scale * radii_mm, scale * above, row / self._pixel_mm)
        return fill_outline(outline, self._pixel_mm, self._shape)

    def _muscle(self, breast: np.ndarray) -> np.ndarray:
        if self._view.muscle is None or self._rng.random() > self._view.muscle_seen:
            return np.zeros_like(breast)
        mean, covariance = (np.asarray(part) for part in self._view.muscle)
        width, height, bend = mean + np.linalg.cholesky(covariance + 1e-9 * np.eye(3)) @ self._normal(3)
        w = np.exp(width) * (np.flatnonzero(breast.any(axis=0))[-1] + 1)
        h = np.exp(height) * (np.flatnonzero(breast.any(axis=1))[-1] + 1)
        row, column = np.ogrid[: breast.shape[0], : breast.shape[1]]
        length = np.hypot(w, h)
        along = np.clip((row * h - column * w + w * w) / length**2, 0, 1)
        return breast & ((row * w + column * h - w * h) / length < bend * length * 4 * along * (1 - along))

    def _nipple(self, breast: np.ndarray, muscle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nipple, and the breast with it."""
        normal = muscle_normal(muscle)
        rows, columns = np.nonzero(breast)
        reach = rows * normal[0] + columns * normal[1]
        far = reach >= reach.max() - 1 / self._pixel_mm
        radius = self._log_normal(self._model.nipple) / self._pixel_mm
        half = radius * np.exp(self._rng.normal(0, 0.12)) * np.array((1.1, 0.9))
        out = self._rng.uniform(-0.6, 0.6) * half[1]
        row, column = np.median(rows[far]) + out * normal[0], np.median(columns[far]) + out * normal[1]
        y, x = np.ogrid[: breast.shape[0], : breast.shape[1]]
        across = (y - row) * normal[0] + (x - column) * normal[1]
        along = (y - row) * normal[1] - (x - column) * normal[0]
        nipple = (across / half[1]) ** 2 + (along / half[0]) ** 2 <= 1
        return nipple, breast | nipple

    def _gland(
        self, breast: np.ndarray, muscle: np.ndarray, nipple: np.ndarray, depth: np.ndarray, density: str
    ) -> np.ndarray:
        """Where gland usually is, bent by noise, as much of it as breasts of this density have."""
        near = ndimage.distance_transform_edt(~nipple) * self._pixel_mm < BEHIND_NIPPLE_MM
        tissue = breast & ~nipple & ((depth > FREE_OF_GLAND_MM + 1) | near)
        if muscle.any():
            tissue &= ndimage.distance_transform_edt(~muscle) * self._pixel_mm > BEFORE_MUSCLE_MM
        field = self._usual_gland(breast, density)
        for sigma, weight in zip(GLAND_SCALES_MM, GLAND_WEIGHTS, strict=True):
            noise = ndimage.gaussian_filter(self._rng.standard_normal(breast.shape), sigma / self._pixel_mm)
            field = field + weight * noise / max(noise.std(), 1e-9)
        mean, deviation = self._view.gland_share[density]
        share = 1 / (1 + np.exp(-(mean + deviation * self._normal())))
        whole = (breast & ~muscle & ~nipple & (depth > FREE_OF_GLAND_MM / 2)).sum()
        kept = min(1.0, share * whole / max(1, tissue.sum()))
        return tissue & (field >= np.quantile(field[tissue], 1 - kept)) if tissue.any() else tissue

    def _usual_gland(self, breast: np.ndarray, density: str) -> np.ndarray:
        """(H, W) quantile of a normal distribution below which gland is."""
        cells = ndtri(np.clip(np.asarray(self._view.gland_mean[density]), 0.01, 0.99))
        angle, reach = breast_coordinates(breast, self._pixel_mm)
        turn, stretch = GLAND_SHIFT * self._normal(2)
        at = ((angle / np.pi + 0.5 + turn) * GLAND_GRID[0] - 0.5, reach * np.exp(stretch) * GLAND_GRID[1] - 0.5)
        return ndimage.map_coordinates(cells, at, order=1, mode="nearest")

    def _with_lesion(self, labels: np.ndarray, depth: np.ndarray, wanted: WantedLesion | None) -> np.ndarray:
        """The label map with one more lesion; as it is if there is no room and none must be there."""
        free = np.isin(labels, (BreastClass.ADIPOSE, BreastClass.FIBROGLANDULAR)) & (depth > _SKIN_TO_LESION_MM)
        away = ndimage.binary_dilation(is_lesion(labels), iterations=max(1, round(3 / self._pixel_mm)))
        gland = free & (labels == BreastClass.FIBROGLANDULAR)
        kind, lesion = self._lesion() if wanted is None else (wanted.kind, self._wanted(wanted))
        for _ in range(_TRIES):
            places = np.argwhere(gland if gland.any() and self._rng.random() < 0.85 else free)
            if not len(places):
                break
            mask = _moved(lesion, places[self._rng.integers(len(places))], labels.shape)
            if mask is not None and free[mask].all() and not away[mask].any():
                drawn = labels.copy()
                drawn[mask] = kind
                return drawn
        if wanted is not None:
            raise NoRoomError(f"no room for a lesion ({kind.name.lower().replace('_', ' ')})")
        return labels

    def _lesion(self) -> tuple[BreastClass, np.ndarray]:
        """Class, and (h, w) bool with its middle in the middle."""
        if self._rng.random() < CALCIFICATION_SHARE:
            return BreastClass.CALCIFICATION, _spots(*self._cluster(_CLUSTER_MM))
        malignant = self._rng.random() < self._model.malignant
        kind = BreastClass.MALIGNANT_LESION if malignant else BreastClass.BENIGN_LESION
        diameter = self._log_normal(self._model.lesions[kind.name.lower()].diameter)
        return kind, self._mass(kind, float(np.clip(diameter, *_MASS_MM)))

    def _wanted(self, wanted: WantedLesion) -> np.ndarray:
        """(h, w) bool, of a size in the range that is asked for."""
        if wanted.kind is BreastClass.CALCIFICATION:
            low, high = wanted.diameter_mm or (2 * _CLUSTER_MM[0], 2 * _CLUSTER_MM[1])
            places, radii = self._cluster((low / 2, high / 2))
            length = self._rng.uniform(low, high) / self._pixel_mm
            farthest = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1)).max()
            return _spots(places * max(length - 2 * radii.mean(), 0) / farthest, radii)
        low, high = wanted.diameter_mm or _MASS_MM
        middle, deviation = self._model.lesions[wanted.kind.name.lower()].diameter
        share = self._rng.uniform(*ndtr((np.log((low, high)) - middle) / deviation))
        diameter = np.clip(np.exp(middle + deviation * ndtri(share)), low, high)
        return self._mass(wanted.kind, float(diameter), of_area=True)

    def _mass(self, kind: BreastClass, diameter_mm: float, *, of_area: bool = False) -> np.ndarray:
        """A disk with waves about its outline; `of_area`: of the area that a circle of this diameter has."""
        phase = self._rng.uniform(0, 2 * np.pi, len(WAVES))
        # Rayleigh amplitudes have the spread that was fitted.
        height = self._rng.rayleigh(np.asarray(self._model.lesions[kind.name.lower()].waves))

        def reach(angle: np.ndarray) -> np.ndarray:
            waves = (height * np.cos(WAVES * angle[..., None] + phase)).sum(axis=-1)
            return np.clip(1 + waves, 0.35, 2.0)

        radius = diameter_mm / 2 / self._pixel_mm
        if of_area:
            radius /= float(np.sqrt((reach(np.linspace(0, 2 * np.pi, 720, endpoint=False)) ** 2).mean()))
        side = int(2.2 * radius) + 3
        y, x = np.mgrid[-side : side + 1, -side : side + 1]
        return np.hypot(y, x) <= radius * reach(np.arctan2(y, x))

    def _cluster(self, half_mm: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        """(N, 2) places and (N,) radii of spots scattered over an ellipse of such half axes, in pixels."""
        half = self._rng.uniform(*half_mm, 2) / self._pixel_mm
        places, radii = [], []
        for _ in range(self._rng.integers(*_SPOTS)):
            angle, reach = self._rng.uniform(0, 2 * np.pi), np.sqrt(self._rng.random())
            places.append(half * reach * (np.sin(angle), np.cos(angle)))
            radii.append(self._rng.uniform(*_SPOT_MM) / self._pixel_mm)
        return np.array(places), np.array(radii)


def _spots(places: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """(h, w) bool, odd, the origin of places in the middle."""
    side = int(np.abs(places).max() + radii.max()) + 2
    y, x = np.mgrid[-side : side + 1, -side : side + 1]
    near = [np.hypot(y - row, x - column) <= r for (row, column), r in zip(places, radii, strict=True)]
    return np.any(near, axis=0)


def _moved(mask: np.ndarray, middle: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """The mask on a larger matrix; None if it does not fit in."""
    top, left = int(middle[0]) - mask.shape[0] // 2, int(middle[1]) - mask.shape[1] // 2
    rows, columns = np.nonzero(mask)
    rows, columns = rows + top, columns + left
    if rows.min() < 0 or columns.min() < 0 or rows.max() >= shape[0] or columns.max() >= shape[1]:
        return None
    moved = np.zeros(shape, bool)
    moved[rows, columns] = True
    return moved
