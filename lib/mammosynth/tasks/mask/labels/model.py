"""What real breasts look like, as distributions: what label maps are drawn from, and how it is fitted.

Only means, directions and spreads are kept, never a breast. Numbers of the released model, and which images it was
fitted on, are in `breasts.json`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.measure import find_contours

from mammosynth.label_map import LabelMap
from mammosynth.preprocessing.breast import chest_wall_on_left, skin_distance
from mammosynth.preprocessing.look import DENSITIES, Density
from mammosynth.preprocessing.regions import largest
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.labels.drawable import pixel_mm_of
from mammosynth.tasks.mask.labels.outline import ANGLES, outline_of, polar

GLAND_GRID = (16, 12)
"""Cells of the gland's mean map: by angle and by share of the way from the chest wall to the outline."""
WAVES = np.arange(2, 9)
"""Of a lesion's outline, per turn."""
KEPT_VARIANCE, MOST_COMPONENTS = 0.99, 14
_LEAST_LESION_PX, _LEAST_OF_DENSITY = 30, 8
_REJECTIONS, _MOST_DEVIATIONS = 3, 3.0


@dataclass(frozen=True)
class ViewModel:
    """Breasts in one view position.

    Attributes:
        outline_mean: (50,) logarithm of millimetres: radii in `outline.ANGLES`, then how far the breast goes up.
        outline_components: (k, 50), each one standard deviation long.
        gland_mean: For each density, (16, 12) share of breasts with gland in a cell of `GLAND_GRID`.
        gland_share: For each density, mean and standard deviation of the logit of the gland's share of the tissue.
        muscle: Mean and covariance of the logarithms of its width (of the breast's) and height, and of its bend (of its
            length); None where there is none.
        muscle_seen: Share of views that show it.
    """

    outline_mean: list[float]
    outline_components: list[list[float]]
    gland_mean: dict[str, list[list[float]]]
    gland_share: dict[str, tuple[float, float]]
    muscle: tuple[list[float], list[list[float]]] | None
    muscle_seen: float


@dataclass(frozen=True)
class LesionModel:
    """Masses of one class.

    Attributes:
        diameter: Mean and standard deviation of the logarithm of its millimetres.
        waves: Standard deviation of each of `WAVES` of the outline, relative to the mean radius.
    """

    diameter: tuple[float, float]
    waves: list[float]


@dataclass(frozen=True)
class BreastModel:
    """Everything that a label map is drawn from.

    Attributes:
        fitted_on: Images, in words.
        views: By view position.
        density: Share of the breasts of each density.
        skin: Mean and standard deviation of the logarithm of its millimetres.
        nipple: Mean and standard deviation of the logarithm of its mean radius in millimetres.
        lesions: By the name of the class.
        malignant: Share of the masses.
    """

    fitted_on: str
    views: dict[str, ViewModel]
    density: dict[str, float]
    skin: tuple[float, float]
    nipple: tuple[float, float]
    lesions: dict[str, LesionModel]
    malignant: float

    def to_json(self) -> str:
        """With four digits; see `from_json`."""
        return json.dumps(_rounded(asdict(self)), indent=None, separators=(", ", ": ")) + "\n"

    @classmethod
    def from_json(cls, text: str) -> BreastModel:
        """The inverse of `to_json`."""
        values = json.loads(text)
        values["views"] = {name: ViewModel(**view) for name, view in values["views"].items()}
        values["lesions"] = {name: LesionModel(**lesion) for name, lesion in values["lesions"].items()}
        return cls(**values)


@cache
def released_model() -> BreastModel:
    """Fitted on the training images of CDD-CESM and CBIS-DDSM by `tools/fit_label_maps.py`."""
    return BreastModel.from_json(files("mammosynth.tasks.mask.labels").joinpath("breasts.json").read_text())


def fit_model(label_maps: Sequence[tuple[LabelMap, Density]], fitted_on: str) -> BreastModel:
    """The distributions of label maps of real breasts.

    Args:
        label_maps: With known view position; each with its density. At least a dozen of each view.
        fitted_on: Which images, in words.
    """
    breasts = [(_upright(label_map), density) for label_map, density in label_maps]
    views = {}
    for view in sorted({str(label_map.view_position) for label_map, _ in label_maps}):
        shown = [one for one, (whole, _) in zip(breasts, label_maps, strict=True) if str(whole.view_position) == view]
        views[view] = _fit_view(shown)
    densities = np.array([density for _, density in label_maps])
    lesions, counts = {}, {}
    for kind in (BreastClass.BENIGN_LESION, BreastClass.MALIGNANT_LESION):
        outlines = [outline for (labels, pixel_mm), _ in breasts for outline in _lesions(labels == kind, pixel_mm)]
        lesions[kind.name.lower()] = _fit_lesions(outlines)
        counts[kind] = len(outlines)
    return BreastModel(
        fitted_on=fitted_on,
        views=views,
        density={density: float((densities == density).mean()) for density in DENSITIES},
        skin=_spread([np.log(_skin_mm(*breast)) for breast, _ in breasts]),
        nipple=_spread([np.log(radius) for breast, _ in breasts if (radius := _nipple_mm(*breast))]),
        lesions=lesions,
        malignant=counts[BreastClass.MALIGNANT_LESION] / sum(counts.values()),
    )


def _upright(label_map: LabelMap) -> tuple[np.ndarray, float]:
    """Labels with the chest wall on the left, cut to the breast, and millimetres per pixel."""
    labels, pixel_mm = label_map.labels, pixel_mm_of(label_map.labels.shape, label_map.pixel_spacing_mm)
    labels = labels if chest_wall_on_left(labels > 0) else labels[:, ::-1]
    rows, columns = np.flatnonzero((labels > 0).any(axis=1)), np.flatnonzero((labels > 0).any(axis=0))
    return labels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], pixel_mm


def _fit_view(breasts: Sequence[tuple[tuple[np.ndarray, float], Density]]) -> ViewModel:
    outlines = np.array([outline_vector(labels > 0, pixel_mm) for (labels, pixel_mm), _ in breasts])
    for _ in range(_REJECTIONS):  # outlines of arms, folds and film
        away = np.abs(outlines - np.median(outlines, axis=0)) / (np.std(outlines, axis=0) + 1e-6)
        outlines = outlines[away.max(axis=1) < _MOST_DEVIATIONS]
    average = outlines.mean(axis=0)
    _, lengths, directions = np.linalg.svd(outlines - average, full_matrices=False)
    kept = int(np.searchsorted(np.cumsum(lengths**2) / np.sum(lengths**2), KEPT_VARIANCE)) + 1
    kept = min(kept, MOST_COMPONENTS)
    components = directions[:kept] * lengths[:kept, None] / np.sqrt(max(1, len(outlines) - 1))

    mean: dict[str, Any] = {}
    share: dict[str, tuple[float, float]] = {}
    for density in DENSITIES:
        # A rare density borrows from all: none is drawn from a few breasts.
        own = [breast for breast, said in breasts if said == density]
        used = own if len(own) >= _LEAST_OF_DENSITY else [breast for breast, _ in breasts]
        mean[density] = np.mean([gland_cells(*breast) for breast in used], axis=0)
        mean[density] = ndimage.gaussian_filter(mean[density], 0.7, mode="nearest").tolist()
        shares = [np.clip(_gland_share(labels), 0.01, 0.97) for labels, _ in used]
        share[density] = _spread([np.log(s / (1 - s)) for s in shares])
    muscles = [found for (labels, _), _ in breasts if (found := _muscle(labels)) is not None]
    seen = len(muscles) / len(breasts)
    muscle = None
    if len(muscles) >= _LEAST_OF_DENSITY:
        muscle = (np.mean(muscles, axis=0).tolist(), np.cov(np.transpose(muscles)).tolist())
    return ViewModel(average.tolist(), components.tolist(), mean, share, muscle, seen if muscle else 0.0)


def outline_vector(breast: np.ndarray, pixel_mm: float) -> np.ndarray:
    """(50,) as of `ViewModel.outline_mean`."""
    outline = outline_of(breast, pixel_mm)
    return np.log(np.r_[outline.radii_mm, max(1.0, outline.above_mm)])


def gland_cells(labels: np.ndarray, pixel_mm: float) -> np.ndarray:
    """(16, 12) share of each cell of `GLAND_GRID` that is gland or a lesion; 0 where there is no tissue.

    Args:
        labels: (H, W) uint8, chest wall on the left.
        pixel_mm: Millimetres per pixel.
    """
    breast = labels > 0
    cells = cells_of(breast, pixel_mm)
    tissue = np.isin(labels, (BreastClass.ADIPOSE, BreastClass.FIBROGLANDULAR)) | (labels > BreastClass.NIPPLE)
    gland = tissue & (labels != BreastClass.ADIPOSE)
    size = GLAND_GRID[0] * GLAND_GRID[1]
    counts = np.bincount(cells[tissue], minlength=size)
    return (np.bincount(cells[gland], minlength=size) / np.maximum(1, counts)).reshape(GLAND_GRID)


def cells_of(breast: np.ndarray, pixel_mm: float) -> np.ndarray:
    """(H, W) number of the cell of `GLAND_GRID` in which every pixel lies.

    Args:
        breast: (H, W) bool, chest wall on the left.
        pixel_mm: Millimetres per pixel.
    """
    angle, reach = breast_coordinates(breast, pixel_mm)
    by_angle = np.clip((angle / np.pi + 0.5) * GLAND_GRID[0], 0, GLAND_GRID[0] - 1).astype(int)
    by_reach = np.clip(reach * GLAND_GRID[1], 0, GLAND_GRID[1] - 1).astype(int)
    return by_angle * GLAND_GRID[1] + by_reach


def breast_coordinates(breast: np.ndarray, pixel_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) angle from the middle of the chest wall, and the share of the way from there to the outline."""
    outline, left = outline_of(breast, pixel_mm), float(np.flatnonzero(breast.any(axis=0))[0])
    angle, distance = polar(breast.shape, outline.row, left)
    return angle, distance * pixel_mm / np.interp(angle, ANGLES, outline.radii_mm)


def _gland_share(labels: np.ndarray) -> float:
    gland = (labels == BreastClass.FIBROGLANDULAR).sum()
    return float(gland / max(1, gland + (labels == BreastClass.ADIPOSE).sum()))


def _muscle(labels: np.ndarray) -> list[float] | None:
    """Logarithm of width and height, bend."""
    muscle = labels == BreastClass.PECTORAL_MUSCLE
    if muscle.mean() < 0.005:
        return None
    height, width = float(muscle.sum(axis=0).max()), float(muscle.sum(axis=1).max())
    length = np.hypot(width, height)
    # A triangle of this width and height has half of their product as its area; a parabola of sag s has 2/3 s length.
    bend = (float(muscle.sum()) - width * height / 2) * 1.5 / length**2
    return [float(np.log(width / labels.shape[1])), float(np.log(height / labels.shape[0])), bend]


def _skin_mm(labels: np.ndarray, pixel_mm: float) -> float:
    depth = skin_distance(labels > 0)
    rim = ((depth > 0) & (depth <= 1.5)).sum() / 1.25
    return float((labels == BreastClass.SKIN).sum() / max(1, rim)) * pixel_mm + 1e-3


def _nipple_mm(labels: np.ndarray, pixel_mm: float) -> float:
    return float(np.sqrt((labels == BreastClass.NIPPLE).sum() / np.pi)) * pixel_mm


def _lesions(mask: np.ndarray, pixel_mm: float) -> list[tuple[float, np.ndarray]]:
    """Diameter in millimetres and relative waves of every piece."""
    pieces, count = ndimage.label(mask)
    found = []
    for number in range(1, count + 1):
        piece = largest(ndimage.binary_fill_holes(pieces == number))
        if piece.sum() < _LEAST_LESION_PX:
            continue
        middle = ndimage.center_of_mass(piece)
        outline = max(find_contours(np.pad(piece, 1).astype(float), 0.5), key=len) - 1
        angle = np.arctan2(outline[:, 0] - middle[0], outline[:, 1] - middle[1])
        radius = np.hypot(outline[:, 0] - middle[0], outline[:, 1] - middle[1])
        order = np.argsort(angle)
        grid = np.linspace(-np.pi, np.pi, 128, endpoint=False)
        even = np.interp(grid, angle[order], radius[order], period=2 * np.pi)
        spectrum = 2 * np.abs(np.fft.rfft(even / even.mean())) / grid.size
        found.append((2 * float(np.sqrt(piece.sum() / np.pi)) * pixel_mm, spectrum[WAVES]))
    return found


def _fit_lesions(outlines: Sequence[tuple[float, np.ndarray]]) -> LesionModel:
    diameters = _spread([np.log(diameter) for diameter, _ in outlines])
    waves = np.sqrt(np.mean([waves**2 for _, waves in outlines], axis=0) / 2)
    return LesionModel(diameters, waves.tolist())


def _spread(values: Sequence[Any]) -> tuple[float, float]:
    """Mean and standard deviation, robust against a tenth that went wrong."""
    low, middle, high = np.percentile(values, [16, 50, 84])
    return float(middle), float(high - low) / 2


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value
