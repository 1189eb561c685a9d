"""`build_anatomy`: one uncompressed breast from a seed, as smooth fields, curves and lesions.

Tissue is where a smooth field exceeds a threshold. Fields are kept on a grid of about a millimetre and interpolated, so
edges stay crisp at pixels much smaller than the grid. Ranges without a source are assumptions, chosen by looking.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from mammosynth.phantom.anatomy.curves import Curves, walk
from mammosynth.phantom.anatomy.lesions import Lesion, draw_lesion
from mammosynth.phantom.anatomy.noise import NoiseTiles, draw_tiles
from mammosynth.phantom.anatomy.outline import BreastShape, draw_shape
from mammosynth.phantom.parameters import BreastParameters, Density

VOLUMETRIC_DENSITY = {  # asked for; the mean with the usual mix is near 19 % (Yaffe et al. 2009, PMC2787062)
    Density.A: 0.08,
    Density.B: 0.135,
    Density.C: 0.23,
    Density.D: 0.38,
}
_CURVE_SHARE = {Density.A: 0.012, Density.B: 0.014, Density.C: 0.012, Density.D: 0.008}  # of the volume, in thin curves
_TILE_SLOPES, _TILE_LOWEST = (3.2, 2.6, 3.6), (1.5, 3.0, 2.0)
_BEHIND_MM = 60.0  # tissue behind the chest wall plane that the MLO view pulls in
_RADIAL_MM = 55.0  # radius of the sphere of directions around the nipple, on which radial texture is drawn
_SHELL = 0.09  # half width of a ligament sheet, in deviations of its field
_POTENTIAL, _SHEETS, _LOBULE = 0, slice(1, 4), 5  # channels
UPTAKE, THIRD_SHEET = 4, 3  # channels that muscle and enhancement take from, too
_FIELD_RADIUS = 1.12  # fields are computed up to here; beyond there is fat without sheets
_OUTSIDE = (-40.0, 1.0, 1.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Pattern:
    """How the parenchyma of a breast looks; drawn per breast so that cohorts are mixtures.

    Attributes:
        cloudy: Weight of smooth, low-frequency texture.
        reticular: Weight of sheets and strands.
        nodular: Weight of round lobules.
        sharpness: Of the border between gland and fat; larger is sharper.
        off_axis_mm: Where the gland's axis meets the chest wall, (lateral, cranial) from the breast's own.
        subcutaneous: Thickness of the fat under the skin, relative to the radius.
        retromammary_mm: Of the fat behind the gland.
        concentration: How strongly gland keeps to the middle.
        ligament: Strength of Cooper's ligaments.
        lobule: How much the content of connective tissue in fat varies.
    """

    cloudy: float
    reticular: float
    nodular: float
    sharpness: float
    off_axis_mm: tuple[float, float]
    subcutaneous: float
    retromammary_mm: float
    concentration: float
    ligament: float
    lobule: float


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A breast before compression; coordinates are (lateral, cranial, towards the nipple) in mm.

    Attributes:
        parameters: What was asked for; the density is filled in.
        shape: Its surface.
        pattern: Its parenchyma.
        tiles: Its noise.
        fields: (D, H, W, 6) float32 over (Z, Y, X).
        origin_mm: (3,) of the first voxel.
        voxel_mm: Grid step.
        vessels: Arteries and veins.
        ducts: From the nipple.
        strands: Fibrous, mostly towards the nipple.
        calcifications: Benign: (N, 3) places and (N,) radii, mm.
        lesions: In the order asked for.
    """

    parameters: BreastParameters
    shape: BreastShape
    pattern: Pattern
    tiles: NoiseTiles
    fields: torch.Tensor
    origin_mm: torch.Tensor
    voxel_mm: float
    vessels: tuple[Curves, ...]
    ducts: tuple[Curves, ...]
    strands: tuple[Curves, ...]
    calcifications: tuple[np.ndarray, np.ndarray]
    lesions: tuple[Lesion, ...]

    def sample(self, points: torch.Tensor) -> torch.Tensor:
        """(C, N) fields at (N, 3) points."""
        return _interpolate(self.fields, points, self.origin_mm, self.voxel_mm)

    def gland_fraction(self, points: torch.Tensor, fields: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Share of glandular tissue at (N, 3) points with their (C, N) fields.

        Returns:
            (N,) parenchyma alone, which enhances, and (N,) everything of glandular composition.
        """
        fine = self.tiles(points + 13.0, 0.40, slice(1, 2))[0]
        return _gland_fraction(fields, fine, self.pattern)

    def to(self, device: str) -> Anatomy:
        """The same breast with its fields on another device."""
        tiles = NoiseTiles(self.tiles.values.to(device))
        return replace(self, tiles=tiles, fields=self.fields.to(device), origin_mm=self.origin_mm.to(device))


def build_anatomy(parameters: BreastParameters, *, voxel_mm: float = 1.0) -> Anatomy:
    """Build a breast; the same parameters give the same breast, bit for bit on a CPU.

    Args:
        parameters: Its seed and what is not left to the seed.
        voxel_mm: Grid step; 1 for pixels up to a millimetre.

    Raises:
        ValueError: If the grid step is not positive.
    """
    if voxel_mm <= 0:
        raise ValueError(f"voxel_mm is {voxel_mm}, expected more than 0")
    seed = parameters.seed
    density = parameters.density or Density(np.random.default_rng([seed, 10]).choice(list(Density)))
    patient = seed if parameters.patient_seed is None else parameters.patient_seed
    shape = draw_shape(patient, density)
    pattern = _draw_pattern(np.random.default_rng([patient, 11]), shape, density)
    tiles = draw_tiles(seed, _TILE_SLOPES, _TILE_LOWEST, size=128 if voxel_mm <= 2 else 32)
    fields, origin = _build_fields(shape, pattern, tiles, voxel_mm, _draw_target(patient, density))
    rng = np.random.default_rng([seed, 13])
    vessels, ducts = _draw_vessels(rng, shape), _draw_ducts(rng, shape)
    anatomy = Anatomy(
        parameters=replace(parameters, density=density),
        shape=shape,
        pattern=pattern,
        tiles=tiles,
        fields=fields,
        origin_mm=origin,
        voxel_mm=voxel_mm,
        vessels=vessels,
        ducts=ducts,
        strands=(_draw_strands(rng, shape, density),),
        calcifications=_draw_calcifications(np.random.default_rng([seed, 14]), shape),
        lesions=(),
    )
    return replace(anatomy, lesions=_draw_lesions(anatomy))


def _draw_target(seed: int, density: Density) -> float:
    """Volumetric density of the fields; thin curves add the rest."""
    wanted = VOLUMETRIC_DENSITY[density] * np.random.default_rng([seed, 12]).uniform(0.75, 1.3)
    return max(0.055, wanted - _CURVE_SHARE[density])


def _draw_pattern(rng: np.random.Generator, shape: BreastShape, density: Density) -> Pattern:
    cloudy, reticular, nodular = rng.dirichlet((1.6, 1.6, 0.9))
    dense = {Density.A: 0.0, Density.B: 0.25, Density.C: 0.65, Density.D: 1.0}[density]
    return Pattern(
        cloudy=cloudy,
        reticular=reticular,
        nodular=nodular,
        sharpness=rng.uniform(3.0, 8.0),
        off_axis_mm=(rng.normal(0.08, 0.16) * shape.half_width_mm, rng.normal(0.06, 0.12) * shape.half_height_mm),
        subcutaneous=rng.uniform(0.08, 0.18) - 0.04 * dense,
        retromammary_mm=rng.uniform(-6, 10) * (1 - 0.6 * dense),
        concentration=(1.5 - 0.7 * dense) * rng.uniform(0.75, 1.2),
        ligament=rng.uniform(0.7, 1.1) * (0.5 + 2.2 * dense - 0.8 * dense**2),
        lobule=rng.uniform(0.7, 1.3),
    )


def _build_fields(
    shape: BreastShape, pattern: Pattern, tiles: NoiseTiles, voxel_mm: float, target: float
) -> tuple[torch.Tensor, torch.Tensor]:
    axes = [
        torch.arange(-half - 4, half + 4 + voxel_mm, voxel_mm) for half in (shape.half_width_mm, shape.half_height_mm)
    ]
    axes.append(torch.arange(-_BEHIND_MM, shape.depth_mm + 4 + voxel_mm, voxel_mm))
    origin = torch.stack([axis[0] for axis in axes])
    size = tuple(len(axis) for axis in reversed(axes))
    z, y, x = torch.meshgrid(*reversed(axes), indexing="ij")
    grid = torch.stack((x, y, z), -1).view(-1, 3)
    used = torch.nonzero(shape.radius(grid) < _FIELD_RADIUS)[:, 0]
    points = grid[used]
    fields = _fields_at(points, shape, pattern, tiles)
    inside = torch.nonzero((shape.radius(points) < 1) & (points[:, 2] > 0))[:, 0]
    fields[_POTENTIAL] -= _threshold(fields[:, inside[:: max(1, len(inside) // 40_000)]], pattern, target)
    everywhere = torch.tensor(_OUTSIDE).repeat(len(grid), 1)
    everywhere[used] = fields.T
    return everywhere.view(*size, len(_OUTSIDE)), origin


def _fields_at(points: torch.Tensor, shape: BreastShape, pattern: Pattern, tiles: NoiseTiles) -> torch.Tensor:
    """(C, N), the potential before its threshold."""
    radial = _radial_coordinates(points, shape)
    return torch.stack(
        (
            _potential(points, radial, shape, pattern, tiles) * pattern.sharpness,
            tiles(points * torch.tensor((1.0, 1.0, 0.7)) + 11.0, 0.62, slice(2, 3))[0],
            tiles(radial * torch.tensor((1.0, 1.0, 1.2)) + 71.0, 0.55, slice(2, 3))[0],
            tiles(points + 51.0, 0.45, slice(2, 3))[0],
            tiles(points + 91.0, 1.6, slice(0, 1))[0],
            tiles(points + 31.0, 0.5, slice(0, 1))[0],
        )
    )


def _threshold(fields: torch.Tensor, pattern: Pattern, target: float) -> float:
    """The level of the potential at which the breast has the volumetric density asked for."""
    low, high = float(fields[_POTENTIAL].min()) - 5, float(fields[_POTENTIAL].max()) + 5
    for _ in range(22):
        level = 0.5 * (low + high)
        shifted = torch.cat((fields[:1] - level, fields[1:]))
        share = _gland_fraction(shifted, torch.zeros_like(fields[0]), pattern)[1].mean()
        low, high = (level, high) if share > target else (low, level)
    return 0.5 * (low + high)


def _radial_coordinates(points: torch.Tensor, shape: BreastShape) -> torch.Tensor:
    """Direction from the nipple (stereographic) and distance to it, so that texture converges on the nipple."""
    offset = points - torch.tensor((0.0, 0.0, shape.depth_mm))
    distance = offset.norm(dim=1, keepdim=True) + 1e-3
    direction = offset / distance
    plane = direction[:, :2] / (1 + direction[:, 2:].abs()) * (2 * _RADIAL_MM)
    return torch.cat((plane, distance / 3.0), 1)


def _potential(
    points: torch.Tensor, radial: torch.Tensor, shape: BreastShape, pattern: Pattern, tiles: NoiseTiles
) -> torch.Tensor:
    """(N,) where parenchyma is likely: a mixture of textures plus the envelope of the gland."""
    smooth_radial = tiles(radial, 1.0, slice(0, 2))
    smooth = tiles(points * torch.tensor((1.0, 1.0, 0.75)), 0.95, slice(0, 1))[0]
    fine_radial = tiles(radial + 37.0, 0.42, slice(1, 2))[0]
    cloud = 0.6 * smooth_radial[0] + 0.5 * smooth
    texture = (0.45 + 1.0 * pattern.cloudy) * cloud + 0.25 * smooth_radial[1] + 0.2 * fine_radial
    texture = texture + (0.35 + 1.1 * pattern.reticular) * _ridges(points, radial, tiles)
    texture = texture + 1.3 * pattern.nodular * _nodules(points, tiles)
    return texture + _envelope(points, shape, pattern, 0.05 * smooth + 0.04 * smooth_radial[1])


def _ridges(points: torch.Tensor, radial: torch.Tensor, tiles: NoiseTiles) -> torch.Tensor:
    """Sheets at four scales, two of them converging on the nipple, with fat lobules between them."""
    third = slice(2, 3)
    stretched = radial * torch.tensor((1.0, 1.0, 1.25))
    sheets = (
        0.55 * (1 - 1.5 * tiles(stretched + 5.0, 0.62, third).abs()),
        0.55 * (1 - 1.5 * tiles(points * torch.tensor((1.0, 1.0, 0.8)) + 29.0, 0.50, third).abs()),
        0.40 * (1 - 1.4 * tiles(stretched + 83.0, 0.30, third).abs()),
        0.34 * (1 - 1.4 * tiles(points + 19.0, 0.26, third).abs()),
    )
    return torch.stack(sheets).sum(0)[0]


def _nodules(points: torch.Tensor, tiles: NoiseTiles) -> torch.Tensor:
    """Round lobules: the places where a narrow-band field is far from zero."""
    lobes = tiles(points + 67.0, 0.34, slice(2, 3))[0]
    return (lobes.abs() - 0.8).clamp(-0.8, 0.9)


def _envelope(points: torch.Tensor, shape: BreastShape, pattern: Pattern, wobble: torch.Tensor) -> torch.Tensor:
    """Fat under the skin and behind the gland, gland off the axis at the chest wall and on it at the nipple."""
    depth = points[:, 2]
    lean = torch.tensor((*pattern.off_axis_mm, 0.0)) * (1 - depth / shape.depth_mm).clamp(0, 1)[:, None]
    off_axis = shape.radius(points - lean)
    radius = shape.radius(points)
    rim = 1 - pattern.subcutaneous
    envelope = -pattern.concentration * _step(off_axis + wobble, 0.30, 1.02 - pattern.subcutaneous)
    envelope = envelope - 3.6 * _step(radius + wobble, rim - 0.08, rim + 0.05)
    behind = pattern.retromammary_mm
    envelope = envelope - 1.9 * _step(-depth + 90 * wobble, -behind - 24, -behind + 6)
    sideways = (points[:, :2] ** 2).sum(1)
    to_nipple = ((points - torch.tensor((0.0, 0.0, shape.depth_mm))) ** 2).sum(1)
    return envelope + 1.6 * torch.exp(-sideways / (2 * 9.0**2)) * torch.exp(-to_nipple / 24.0**2)


def _gland_fraction(fields: torch.Tensor, fine: torch.Tensor, pattern: Pattern) -> tuple[torch.Tensor, torch.Tensor]:
    uptake, lobule = fields[UPTAKE], fields[_LOBULE]
    gland = torch.sigmoid(fields[_POTENTIAL] * 1.45 + fine * 0.7) * (
        0.72 + 0.28 * torch.tanh(1.2 * fine + 0.3 * uptake)
    )
    sheets = (1 - (fields[_SHEETS] / (1.9 * _SHELL)) ** 2).clamp(min=0) ** 2
    ligament = (0.12 * sheets[0] + 0.14 * sheets[1] + 0.09 * sheets[2]).clamp(max=0.3) * pattern.ligament * (1 - gland)
    dense = (gland + ligament).clamp(max=1)
    in_fat = 0.006 + 0.11 * pattern.lobule * torch.sigmoid(2.6 * uptake + 1.7 * lobule - 1.5)
    return gland, dense + (1 - dense) * in_fat


def _draw_vessels(rng: np.random.Generator, shape: BreastShape) -> tuple[Curves, ...]:
    count = int(rng.integers(3, 7))
    angle = rng.uniform(0, 2 * np.pi, count)
    starts = _on_ring(shape, angle, np.full(count, 0.86), rng.uniform(-5, 15, count))
    fraction = rng.uniform(0.3, 0.75, count)
    ends = _on_ring(
        shape, angle + rng.normal(0, 0.5, count), 0.8 * fraction, shape.depth_mm * np.sqrt(1 - fraction**2) * 0.86
    )
    keep = _inside(shape)
    trunks = walk(
        rng, starts, ends, steps=60, wiggle=0.13, keep_inside=keep,
        radii_mm=(rng.uniform(0.7, 1.5, count), rng.uniform(0.1, 0.4, count)),
    )  # fmt: skip
    branching = trunks.points_mm[np.repeat(np.arange(count), 2), rng.integers(10, 55, 2 * count)]
    tips = branching + rng.normal(0, 22, branching.shape) + (0, 0, 18)
    thin = (np.full(2 * count, 0.6), np.full(2 * count, 0.1))
    return trunks, walk(rng, branching, keep(tips), steps=35, wiggle=0.16, radii_mm=thin, keep_inside=keep)


def _draw_ducts(rng: np.random.Generator, shape: BreastShape) -> tuple[Curves, ...]:
    count = int(rng.integers(9, 16))
    angle, fraction = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.1, 0.55, count)
    starts = np.array((0, 0, 0.95 * shape.depth_mm)) + rng.normal(0, 2, (count, 3))
    ends = _on_ring(shape, angle, fraction, rng.uniform(0.15, 0.6, count) * shape.depth_mm)
    keep = _inside(shape)
    main = walk(
        rng, starts, ends, steps=45, wiggle=0.12, keep_inside=keep,
        radii_mm=(np.full(count, 0.9), np.full(count, 0.35)),
    )  # fmt: skip
    branching = main.points_mm[np.repeat(np.arange(count), 3), rng.integers(8, 42, 3 * count)]
    tips = branching + rng.normal(0, 13, branching.shape) + (0, 0, -12)
    thin = (np.full(3 * count, 0.45), np.full(3 * count, 0.2))
    return main, walk(rng, branching, tips, steps=25, wiggle=0.16, radii_mm=thin, keep_inside=keep)


def _draw_strands(rng: np.random.Generator, shape: BreastShape, density: Density) -> Curves:
    """Fewer where there is less fat to see them in; lengths and radii follow gamma distributions, assumed."""
    count = {Density.A: 220, Density.B: 260, Density.C: 260, Density.D: 200}[density]
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    direction[:, 2] = np.abs(direction[:, 2])
    size = np.array((shape.half_width_mm, shape.half_height_mm, shape.depth_mm))
    starts = direction * size * (rng.uniform(0.25, 0.97, (count, 1)) ** 0.6) * 0.96
    heading = np.array((0, 0, shape.depth_mm)) - starts
    heading /= np.linalg.norm(heading, axis=1, keepdims=True) + 1e-6
    heading = heading * rng.choice((1, -1), (count, 1)) + rng.normal(0, 0.6, (count, 3))
    ends = starts + heading * rng.gamma(3, 7.5, (count, 1))
    radius = 0.1 + rng.gamma(2.2, 0.12, count)
    radius *= (shape.radius(ends) < 0.98) & (ends[:, 2] > 1)
    return walk(rng, starts, ends, steps=14, wiggle=0.22, radii_mm=(radius, 0.6 * radius), keep_inside=_inside(shape))


def _draw_calcifications(rng: np.random.Generator, shape: BreastShape) -> tuple[np.ndarray, np.ndarray]:
    """A few benign ones in many breasts, scattered; now and then a coarse one."""
    count = int(rng.poisson(2.0))
    angle, fraction = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 0.6, count))
    places = _on_ring(shape, angle, fraction * 0.9, rng.uniform(0.1, 0.7, count) * shape.depth_mm)
    return places, np.clip(rng.lognormal(np.log(0.2), 0.5, count), 0.08, 1.2)


def _draw_lesions(anatomy: Anatomy) -> tuple[Lesion, ...]:
    seed = anatomy.parameters.seed
    return tuple(
        draw_lesion(np.random.default_rng([seed, 20, number]), kind, partial(_find_place, anatomy, number))
        for number, kind in enumerate(anatomy.parameters.lesions)
    )


def _find_place(anatomy: Anatomy, number: int, radius_mm: float) -> np.ndarray:
    """Inside the breast, away from skin and chest wall, in or beside parenchyma where there is any."""
    rng = np.random.default_rng([anatomy.parameters.seed, 21, number])
    shape = anatomy.shape
    size = np.array((shape.half_width_mm, shape.half_height_mm, shape.depth_mm))
    places = rng.uniform(-1, 1, (400, 3)) * size
    places[:, 2] = np.abs(places[:, 2])
    margin = radius_mm / size.min()
    allowed = places[(shape.radius(places) < 0.9 - margin) & (places[:, 2] > radius_mm + 6)]
    potential = anatomy.sample(torch.as_tensor(allowed, dtype=torch.float32))[_POTENTIAL].numpy()
    good = np.flatnonzero(potential > -3.5)
    return allowed[good[0] if good.size else int(np.argmax(potential))]


def _on_ring(shape: BreastShape, angle: np.ndarray, fraction: np.ndarray, depth_mm: np.ndarray) -> np.ndarray:
    sideways = (fraction * shape.half_width_mm * np.cos(angle), fraction * shape.half_height_mm * np.sin(angle))
    return np.stack((*sideways, depth_mm), -1)


def _inside(shape: BreastShape) -> Callable[[np.ndarray], np.ndarray]:
    def pull_in(points: np.ndarray) -> np.ndarray:
        radius = shape.radius(points)
        outside = radius > 0.965
        points = points.copy()
        points[outside, :2] *= 0.955 / radius[outside, None]
        points[outside, 2] *= 0.97
        return points

    return pull_in


def _interpolate(fields: torch.Tensor, points: torch.Tensor, origin: torch.Tensor, voxel_mm: float) -> torch.Tensor:
    """(C, N) trilinear, the nearest voxel outside; gathers all fields of a voxel at once, as they lie side by side."""
    depth, height, width = fields.shape[:3]
    last = torch.tensor((width, height, depth), dtype=torch.float32, device=fields.device) - 1
    places = torch.minimum(((points - origin) / voxel_mm).clamp(min=0), last)
    lower = torch.minimum(places.floor(), last - 1)
    (fx, fy, fz), (x, y, z) = (places - lower).unbind(1), lower.to(torch.int32).unbind(1)
    first = (z * height + y) * width + x
    corners = torch.tensor([0, 1, width, width + 1], dtype=torch.int32, device=fields.device)
    corners = torch.cat((corners, corners + height * width))
    across = torch.stack(((1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy), 1)
    weights = torch.cat((across * (1 - fz)[:, None], across * fz[:, None]), 1)
    table = fields.reshape(-1, fields.shape[-1])
    sampled = F.embedding_bag(first[:, None] + corners, table, mode="sum", per_sample_weights=weights)
    return sampled.T.contiguous()


def _step(values: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """0 below `low`, 1 above `high`, smooth between."""
    part = ((values - low) / (high - low)).clamp(0, 1)
    return part * part * (3 - 2 * part)
