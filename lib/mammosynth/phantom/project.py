"""One view of a phantom breast: low-energy and recombined display images with the mask of the lesion.

Smooth things (outline, thickness, muscle, where parenchyma lies) are drawn on a coarse grid and interpolated; texture
is sampled from small periodic noise tiles. The same breast therefore looks the same at every resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from mammosynth.phantom.breast import Breast
from mammosynth.terms import ImageLaterality, ViewPosition

FIELD_MM = (2294 * 0.094, 1914 * 0.094)  # height, width: a common 24 x 18 cm detector with 0.094 mm pixels
_COARSE_ROWS = 320  # for what is smooth
_FINEST_TEXTURE_MM = 0.188  # below it there is only noise and calcium
_TILE = 256  # noise tile, pixels
_TILE_MM = 130.0
_SPECTRAL_SLOPE = 3.0  # of the power spectrum; mammograms have 3.17 (CC), 3.30 (MLO): Chen et al. 2012, PMC3298563
_DETAIL_SCALE = 5.3  # a second tile, this much smaller, continues the spectrum where the first one ends
_DETAIL_FROM = 12  # cycles per tile; lower frequencies would show that the tile repeats


@dataclass(frozen=True, eq=False)
class PhantomView:
    """A view as it is hung: the chest wall of a right breast is on the right.

    Attributes:
        low_energy: (H, W) float32 in [0, 1], MONOCHROME2 display values, air 0.
        recombined: (H, W) float32 in [0, 1], the contrast image of the same moment.
        lesion_mask: (H, W) bool, True on the mass.
        pixel_spacing_mm: (row, column).
    """

    low_energy: np.ndarray
    recombined: np.ndarray
    lesion_mask: np.ndarray
    pixel_spacing_mm: tuple[float, float]


def project(
    breast: Breast, view_position: ViewPosition, image_laterality: ImageLaterality, *, rows: int
) -> PhantomView:
    """Draw one view.

    Args:
        breast: What to draw.
        view_position: CC or MLO; the mass is at the same depth behind the nipple in both.
        image_laterality: R mirrors, so that the chest wall is on the right.
        rows: Height in pixels, at least 32; the width follows from the detector's 2294 : 1914.

    Raises:
        ValueError: If there are too few rows.
    """
    if rows < 32:
        raise ValueError(f"rows is {rows}, expected 32 or more")
    spacing = FIELD_MM[0] / rows
    columns = round(FIELD_MM[1] / spacing)
    is_mlo = view_position is ViewPosition.MLO
    nipple = _nipple_mm(breast, is_mlo)
    y, x = _axis_mm(rows, spacing), _axis_mm(columns, spacing)

    drawn_mm = max(spacing, _FINEST_TEXTURE_MM)
    drawn = _draw(breast, is_mlo, nipple, _axis_mm(rows, spacing, drawn_mm), _axis_mm(columns, spacing, drawn_mm))
    low_energy, recombined, edge_mm, relative = (_interpolate(field, y, x, drawn_mm) for field in drawn)
    low_energy += _specks(breast, y, x, nipple, is_mlo, spacing)

    rng = np.random.default_rng([breast.seed, 1 + is_mlo])
    inside = np.clip(edge_mm / spacing + 0.5, 0, 1)
    side = slice(None, None, -1 if image_laterality is ImageLaterality.RIGHT else 1)

    def expose(image: np.ndarray, strength: float) -> np.ndarray:
        grain = gaussian_filter(rng.standard_normal((rows, columns), dtype=np.float32), 0.6)
        exposed = np.clip(image + np.float32(strength) * grain, 0.02, 1) * inside
        return np.ascontiguousarray(exposed[:, side], dtype=np.float32)

    lesion_mask = np.ascontiguousarray((relative < 1)[:, side])
    return PhantomView(expose(low_energy, 0.012), expose(recombined, 0.026), lesion_mask, (spacing, spacing))


def _draw(
    breast: Breast, is_mlo: bool, nipple: tuple[float, float], y: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Low-energy and recombined image without noise, distance to the skin, squared distance to the mass in radii."""
    rng = np.random.default_rng([breast.seed, 0])
    tiles = [_power_law_tile(rng, from_cycles) for from_cycles in (1, 1, 1, _DETAIL_FROM)]
    coarse_mm = FIELD_MM[0] / _COARSE_ROWS
    edge_mm, muscle = (_interpolate(field, y, x, coarse_mm) for field in _outline(breast, is_mlo, nipple))
    rim = np.clip(edge_mm / (0.5 * breast.thickness_mm), 0, 1)
    thickness = np.sqrt(1 - (1 - rim) ** 2)
    lobules = _sample(tiles, 2, y[:, None], x[None, :])
    gland = _parenchyma(breast, tiles, y, x, nipple, edge_mm, is_mlo) * (1 - 0.85 * muscle)
    relative = _squared_radii_from_mass(breast, y, x, nipple, is_mlo)
    mass = np.sqrt(np.clip(1 - relative, 0, 1))
    skin = np.exp(-(((edge_mm - 0.8) / 0.9) ** 2))

    low_energy = (0.23 + 0.035 * lobules) * thickness**0.6 + 0.12 * skin + (0.32 + 0.02 * lobules) * muscle
    low_energy += 0.55 * gland * thickness**0.5 * (1 - 0.3 * mass) + 0.20 * mass
    recombined = (0.28 + 0.008 * lobules) * thickness**0.3 + 0.05 * np.exp(-np.clip(edge_mm, 0, None) / 6)
    recombined += 0.04 * (gland - 0.3) * thickness + 0.03 * muscle
    smooth_gland = gaussian_filter(gland, 2.0 / (y[1] - y[0]), truncate=2.5)
    recombined += 2 * breast.parenchymal_enhancement * smooth_gland * thickness
    recombined += breast.mass.uptake * mass**0.7 * (1 + 0.15 * lobules)
    return low_energy, recombined, edge_mm, relative


def _nipple_mm(breast: Breast, is_mlo: bool) -> tuple[float, float]:
    """(y, x) with the chest wall at x = 0."""
    if is_mlo:
        return 0.60 * FIELD_MM[0], breast.depth_mm * 1.05
    return 0.5 * FIELD_MM[0] + 0.5 * (breast.lateral_mm - breast.medial_mm), breast.depth_mm


def _position_mm(
    breast: Breast, nipple: tuple[float, float], is_mlo: bool, depth: float, lateral: float, cranial: float
) -> tuple[float, float]:
    """Where a point of the breast appears; lateral is up in CC, the oblique mean of lateral and cranial is in MLO."""
    up = (lateral + cranial) / np.sqrt(2) if is_mlo else lateral
    return nipple[0] - up, nipple[1] - depth


def _outline(breast: Breast, is_mlo: bool, nipple: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the skin (mm, negative outside) and pectoral muscle (0 to 1) on the coarse grid."""
    spacing = FIELD_MM[0] / _COARSE_ROWS
    y = (np.arange(_COARSE_ROWS) + 0.5)[:, None] * spacing
    x = (np.arange(round(FIELD_MM[1] / spacing)) + 0.5)[None, :] * spacing
    up, down = (nipple[0] - y) / breast.lateral_mm, (y - nipple[0]) / breast.medial_mm
    p = breast.fullness
    reach = nipple[1] * np.clip(1 - np.abs(np.where(up > 0, up, down)) ** p, 0, 1) ** (1 / p)
    if is_mlo:  # above the nipple the skin runs on to the armpit
        tail = nipple[1] * (0.58 + 0.42 * np.exp(-((np.clip(up, 0, None) / 0.68) ** 2)))
        reach = np.where(up > 0, tail, reach)
    bulge = 4.5 * np.exp(-(((y - nipple[0]) / 4.0) ** 4))  # the nipple in profile
    inside = x < reach + bulge
    edge = distance_transform_edt(inside, spacing) - distance_transform_edt(~inside, spacing)
    padded = np.pad(edge, ((0, 0), (8, 0)), mode="edge")
    edge = gaussian_filter(padded, 1.8)[:, 8:]
    if not is_mlo:
        return edge, np.zeros_like(edge)
    below = np.clip(y / breast.muscle_height_mm, 0, 1)
    muscle_edge = breast.muscle_width_mm * (1 - below**1.25)
    return edge, np.clip((muscle_edge - x) / 3.0, 0, 1) * (below < 1)


def _parenchyma(
    breast: Breast,
    tiles: list[np.ndarray],
    y: np.ndarray,
    x: np.ndarray,
    nipple: tuple[float, float],
    edge_mm: np.ndarray,
    is_mlo: bool,
) -> np.ndarray:
    """Dense tissue, 0 to 1: power-law texture and strands that converge on the nipple, within fat."""
    dy, dx = y[:, None] - np.float32(nipple[0]), np.float32(nipple[1]) - x[None, :]
    distance = np.sqrt(dy**2 + dx**2) + 1
    fan = np.arctan2(dy, np.abs(dx) + 6) * np.float32(60) + (7 if is_mlo else 0)
    radial = _sample(tiles, 0, fan, distance / 2.0)
    cloud = _sample(tiles, 1, dy + 300, dx * 0.9 + 300)
    strands = 1 - 1.6 * np.abs(_sample(tiles, 2, fan * 1.7, distance / 1.2))
    reach = 0.62 if is_mlo else 0.7
    envelope = _step(edge_mm, 5 + 7 * (1 - breast.density), 22)
    envelope = envelope * _step(x[None, :] + 5 * cloud, 2, 20 + 18 * (1 - breast.density))
    envelope = envelope * np.exp(-((np.abs(dy - 4) / (reach * breast.lateral_mm)) ** 4))
    cone = np.exp(-((dy / 7) ** 2)) * np.exp(-((distance / 26) ** 2))
    level = 0.55 * radial + 0.6 * cloud + 0.45 * strands + 2.2 * envelope + 1.2 * cone
    threshold = 2.75 - 1.6 * breast.density
    return envelope**0.5 / (1 + np.exp(-(level - threshold) / 0.42)) * (0.78 + 0.12 * radial + 0.10 * strands)


def _squared_radii_from_mass(
    breast: Breast, y: np.ndarray, x: np.ndarray, nipple: tuple[float, float], is_mlo: bool
) -> np.ndarray:
    """How far from the middle of the mass; 1 on its outline."""
    mass = breast.mass
    cy, cx = _position_mm(breast, nipple, is_mlo, mass.depth_mm, mass.lateral_mm, mass.cranial_mm)
    dy, dx = (y[:, None] - cy) * mass.elongation**0.5, (x[None, :] - cx) / mass.elongation**0.5
    angle = np.arctan2(dy, dx) + (0.7 if is_mlo else 0)
    swings = (a * np.cos(k * angle + k) for a, k in zip(mass.lobulation, (2, 3, 5), strict=True))
    return (dy**2 + dx**2) / (mass.radius_mm * (1 + sum(swings))) ** 2


def _specks(
    breast: Breast, y: np.ndarray, x: np.ndarray, nipple: tuple[float, float], is_mlo: bool, spacing: float
) -> np.ndarray:
    """Calcifications; those smaller than a pixel keep their area times brightness."""
    image = np.zeros((len(y), len(x)), dtype=np.float32)
    for speck in breast.calcifications:
        cy, cx = _position_mm(breast, nipple, is_mlo, speck.depth_mm, speck.lateral_mm, speck.cranial_mm)
        sigma = max(speck.radius_mm, 0.6 * spacing)
        near_y, near_x = np.abs(y - cy) < 4 * sigma, np.abs(x - cx) < 4 * sigma
        squared = (y[near_y, None] - cy) ** 2 + (x[None, near_x] - cx) ** 2
        image[np.ix_(near_y, near_x)] += 0.5 * (speck.radius_mm / sigma) ** 2 * np.exp(-squared / (2 * sigma**2))
    return image


def _power_law_tile(rng: np.random.Generator, from_cycles: int) -> np.ndarray:
    """(256, 256) periodic Gaussian field of deviation 1, were it not for the frequencies left out."""
    frequency = np.hypot(np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)[None, :]) * _TILE
    amplitude = np.maximum(frequency, 1) ** (-_SPECTRAL_SLOPE / 2)
    amplitude[0, 0] = 0
    spectrum = np.fft.rfft2(rng.standard_normal((_TILE, _TILE))) * amplitude
    deviation = np.fft.irfft2(spectrum, s=(_TILE, _TILE)).std()
    spectrum[frequency < from_cycles] = 0
    return (np.fft.irfft2(spectrum, s=(_TILE, _TILE)) / deviation).astype(np.float32)


def _sample(tiles: list[np.ndarray], number: int, y_mm: np.ndarray, x_mm: np.ndarray) -> np.ndarray:
    """The field of a tile at these places, continued to finer detail by the last tile."""
    y_mm, x_mm = np.broadcast_arrays(y_mm, x_mm)
    value = np.zeros(y_mm.shape, dtype=np.float32)
    for tile, scale in ((tiles[number], 1.0), (tiles[-1], _DETAIL_SCALE)):
        to_pixels = np.float32(scale * _TILE / _TILE_MM)
        weight = np.float32(scale ** (-(_SPECTRAL_SLOPE - 2) / 2))
        places = np.stack((y_mm * to_pixels + 31 * number, x_mm * to_pixels))
        value += weight * map_coordinates(tile, places, order=1, mode="grid-wrap")
    return value


def _axis_mm(count: int, spacing: float, drawn_mm: float | None = None) -> np.ndarray:
    """Pixel centres along an axis of `count * spacing` mm, for pixels of another size if given."""
    size = drawn_mm or spacing
    return ((np.arange(int(np.ceil(count * spacing / size - 1e-6))) + 0.5) * size).astype(np.float32)


def _interpolate(field: np.ndarray, y_mm: np.ndarray, x_mm: np.ndarray, field_mm: float) -> np.ndarray:
    """The field, given at pixel centres `field_mm` apart, at other places; linear."""
    result = field.astype(np.float32, copy=False)
    for axis, places_mm in enumerate((y_mm, x_mm)):
        places = np.clip(places_mm / field_mm - 0.5, 0, result.shape[axis] - 1)
        lower = np.minimum(places.astype(int), result.shape[axis] - 2)
        part = (places - lower).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
        result = result.take(lower, axis) * (1 - part) + result.take(lower + 1, axis) * part
    return result


def _step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
