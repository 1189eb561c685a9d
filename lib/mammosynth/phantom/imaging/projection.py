"""`project`: path lengths through a compressed breast along the diverging rays of a mammography unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter, maximum_filter

from mammosynth.parallel.threads import one_thread
from mammosynth.phantom.anatomy.breast import THIRD_SHEET, UPTAKE, Anatomy
from mammosynth.phantom.anatomy.compression import ColumnMap
from mammosynth.phantom.anatomy.curves import Curves, draw_specks, draw_tubes
from mammosynth.phantom.anatomy.lesions import Lesion
from mammosynth.phantom.imaging.paths import LesionPaths, PathLengths
from mammosynth.phantom.parameters import DETECTOR_MM
from mammosynth.terms import ViewPosition

SOURCE_TO_DETECTOR_MM = 660.0  # GE Senographe's focal distance; the source is above the chest wall edge
SUPPORT_MM = 15.0  # from the breast support to the detector: cover and grid, assumed
FINEST_RAY_MM = 0.4  # tissue between the rays is interpolated; thin things and noise are drawn at every pixel
_SAMPLES_AT_ONCE = 1_500_000  # memory: about 150 bytes per sample
_PECTORAL_MM = (5.5, 10.0)  # half thickness of the compressed muscle at the upper edge, assumed
_RIM_MM = 14.0  # tissue up to which rays are followed at every pixel
_DETAIL_TILE = 512  # pixels; detail finer than the rays repeats, which nobody can see
_VOLUME_MAPS = ("gland", "skin", "muscle", "tissue", "parenchyma")
_LESION_MAPS = ("length", "displaced", "avid")  # of each lesion, after those of the volume


@dataclass(frozen=True)
class Geometry:
    """Where the detector and the source are, in the coordinates of the compressed breast.

    Attributes:
        rows: Of the detector.
        columns: Of the detector.
        pixel_mm: Spacing at the detector.
        centre_mm: x of the middle of the detector, above which the source is.
        thickness_mm: Between the paddles; the support is that far below the paddle.
    """

    rows: int
    columns: int
    pixel_mm: float
    centre_mm: float
    thickness_mm: float

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the detector."""
        return self.rows, self.columns

    def shrinkage(self, height_mm: Any) -> Any:
        """Size at a height above the mid-plane relative to the size at the detector; 1 / magnification."""
        return 1 - (height_mm + (0.5 * self.thickness_mm + SUPPORT_MM)) / SOURCE_TO_DETECTOR_MM

    def to_pixels(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 2) fractional (row, column) of (N, 3) points (x, y, z) of the compressed breast, and magnification."""
        magnification = 1 / self.shrinkage(points[:, 1])
        sideways = (points[:, 0] - self.centre_mm) * magnification
        row = 0.5 * self.rows - sideways / self.pixel_mm - 0.5
        return np.stack((row, points[:, 2] * magnification / self.pixel_mm - 0.5), -1), magnification

    def with_pixels(self, pixel_mm: float) -> Geometry:
        """The same detector with other pixels; it is not smaller."""
        rows, columns = (int(np.ceil(n * self.pixel_mm / pixel_mm - 1e-9)) for n in (self.rows, self.columns))
        return Geometry(rows, columns, pixel_mm, self.centre_mm, self.thickness_mm)

    def detector_mm(self) -> tuple[np.ndarray, np.ndarray]:
        """(rows,) x relative to the middle and (columns,) z of the pixel centres."""
        x = (0.5 * self.rows - np.arange(self.rows) - 0.5) * self.pixel_mm
        return x, (np.arange(self.columns) + 0.5) * self.pixel_mm


def place_detector(column_map: ColumnMap, pixel_mm: float) -> Geometry:
    """Centre the breast (CC), or let it run off the upper edge (MLO)."""
    rows, columns = (round(size / pixel_mm) for size in DETECTOR_MM)
    thickness = float(column_map.thickness_mm.max())
    seen = column_map.x_mm[column_map.thickness_mm.max(1) > 0]
    centre = 0.5 * (seen[0] + seen[-1])
    if column_map.view_position is ViewPosition.MLO:
        reach = 0.5 * rows * pixel_mm * (1 - SUPPORT_MM / SOURCE_TO_DETECTOR_MM)
        centre = column_map.x_mm[-1] - reach
    return Geometry(rows, columns, pixel_mm, float(centre), thickness)


@one_thread()
def project(anatomy: Anatomy, column_map: ColumnMap, *, pixel_mm: float, device: str = "cpu") -> PathLengths:
    """Project one view.

    Args:
        anatomy: The uncompressed breast.
        column_map: How it was compressed for this view.
        pixel_mm: Spacing at the detector.
        device: Where the rays are followed; a torch device.
    """
    geometry = place_detector(column_map, pixel_mm)
    placed = [_PlacedLesion.place(lesion, column_map) for lesion in anatomy.lesions]
    volume, lesions = _follow_rays(anatomy, column_map, geometry, placed, device)
    tissue = volume["tissue"]
    inside = tissue > 3
    vessels, ducts, strands = (
        _draw_all(curves, column_map, geometry) * inside for curves in (anatomy.vessels, anatomy.ducts, anatomy.strands)
    )
    added = np.minimum(vessels + 0.8 * (ducts + strands), 0.9 * _fat(volume))
    nipple_px, bump = _nipple(anatomy, column_map, geometry, tissue)
    places, radii = anatomy.calcifications
    pixels, magnification = geometry.to_pixels(column_map.to_compressed(places))
    calcium = draw_specks(geometry.shape, pixels, radii * magnification, pixel_mm) * inside
    return PathLengths(
        view_position=column_map.view_position,
        pixel_mm=pixel_mm,
        compressed_thickness_mm=geometry.thickness_mm,
        nipple_px=nipple_px,
        adipose_mm=_fat(volume) - added,
        gland_mm=volume["gland"] + added + 0.65 * bump,
        skin_mm=volume["skin"] + 0.35 * bump,
        muscle_mm=volume["muscle"],
        calcium_mm=calcium,
        parenchyma_cm=0.1 * volume["parenchyma"],
        vessel_cm=0.1 * vessels,
        lesions=tuple(
            _lesion_paths(lesion, geometry, maps, inside) for lesion, maps in zip(placed, lesions, strict=True)
        ),
    )


@dataclass(frozen=True, eq=False)
class _PlacedLesion:
    """A lesion with its centre in the compressed breast; it is moved and turned, not squashed."""

    lesion: Lesion
    centre_mm: np.ndarray
    rotation: np.ndarray  # (2, 2) from (X, Y) to (x, y)

    @classmethod
    def place(cls, lesion: Lesion, column_map: ColumnMap) -> _PlacedLesion:
        return cls(lesion, column_map.to_compressed(lesion.centre_mm[None])[0], column_map.rotation)

    def to_compressed(self, local: np.ndarray) -> np.ndarray:
        """(N, 3) points of the compressed breast from points around the lesion's centre."""
        return np.concatenate((local[:, :2] @ self.rotation.T, local[:, 2:]), 1) + self.centre_mm


def _fat(volume: dict[str, np.ndarray]) -> np.ndarray:
    return np.maximum(volume["tissue"] - volume["gland"] - volume["skin"] - volume["muscle"], 0)


def _follow_rays(
    anatomy: Anatomy, column_map: ColumnMap, geometry: Geometry, placed: list[_PlacedLesion], device: str
) -> tuple[dict[str, np.ndarray], list[dict[str, np.ndarray]]]:
    """Integrate along every ray that meets the breast; maps at the pixels of the detector."""
    names = [*_VOLUME_MAPS, *(f"{kind} {n}" for n in range(len(placed)) for kind in _LESION_MAPS)]
    anatomy = anatomy.to(device)
    rays = geometry.with_pixels(max(geometry.pixel_mm, FINEST_RAY_MM))
    marcher = _Marcher(anatomy, column_map, rays, placed, device)
    at_rays = marcher.march_all(marcher.rays_that_hit())
    at_pixels = at_rays
    if rays != geometry:
        at_pixels = _resize(at_rays, rays, geometry)
        gland, fat = at_pixels[0], _fat(dict(zip(names, at_pixels, strict=True)))
        detail = _detail_between_rays(at_rays[0], rays, geometry, anatomy.parameters.seed)
        at_pixels[0] = np.clip(gland + detail, 0, gland + fat)
        rim = torch.as_tensor(np.flatnonzero(_rim(at_pixels[_VOLUME_MAPS.index("tissue")])), device=device)
        at_rim = _Marcher(anatomy, column_map, geometry, placed, device).march_all(rim)
        at_pixels.reshape(len(names), -1)[:, rim.cpu()] = at_rim.reshape(len(names), -1)[:, rim.cpu()]
    named = dict(zip(names, at_pixels, strict=True))
    lesions = [{kind: named[f"{kind} {n}"] for kind in _LESION_MAPS} for n in range(len(placed))]
    return {name: named[name] for name in _VOLUME_MAPS}, lesions


class _Marcher:
    """Everything that all rays of a view share."""

    def __init__(
        self, anatomy: Anatomy, column_map: ColumnMap, rays: Geometry, placed: list[_PlacedLesion], device: str
    ) -> None:
        self.anatomy, self.rays, self.placed, self.device = anatomy, rays, placed, device
        self.map_count = len(_VOLUME_MAPS) + len(_LESION_MAPS) * len(placed)
        self.is_mlo = column_map.view_position is ViewPosition.MLO
        top = 0.5 * rays.thickness_mm
        count = int(np.ceil(2 * top / max(0.8, 0.7 * rays.pixel_mm)))
        self.step_mm = 2 * top / count
        self.heights = (torch.arange(count + 1) * self.step_mm - top).to(device)
        x, z = rays.detector_mm()
        self.x, self.z = (torch.as_tensor(v, dtype=torch.float32, device=device) for v in (x, z))
        planes = (
            column_map.thickness_mm, column_map.inner_thickness_mm, column_map.reference_x, column_map.reference_z,
            column_map.reference_height_mm, column_map.reference_middle_mm,
        )  # fmt: skip
        self.planes = torch.as_tensor(np.stack(planes)[None], dtype=torch.float32, device=device)
        self.first = (float(column_map.x_mm[0]), float(column_map.z_mm[0]))
        self.last = (float(column_map.x_mm[-1]), float(column_map.z_mm[-1]))
        self.rotation = torch.as_tensor(column_map.rotation, dtype=torch.float32, device=device)
        self.pectoral_mm = np.random.default_rng([anatomy.parameters.seed, 30]).uniform(*_PECTORAL_MM)

    def rays_that_hit(self) -> torch.Tensor:
        """(M,) flat indices of the detector pixels whose rays may meet the breast."""
        x, z = (v.reshape(-1) for v in torch.meshgrid(self.x, self.z, indexing="ij"))
        hit = torch.zeros(len(x), dtype=torch.bool, device=self.device)
        for height in (-0.5 * self.rays.thickness_mm, 0.0, 0.5 * self.rays.thickness_mm):
            shrinkage = self.rays.shrinkage(height)
            hit |= self._planes_at(x * shrinkage, z * shrinkage, slice(0, 1))[0] > 0
        return torch.nonzero(hit)[:, 0]

    def march_all(self, pixels: torch.Tensor) -> np.ndarray:
        """(maps, H, W) integrals along the rays of these pixels, 0 elsewhere."""
        maps = torch.zeros((self.map_count, len(self.x) * len(self.z)), device=self.device)
        for part in torch.split(pixels, max(1, _SAMPLES_AT_ONCE // len(self.heights))):
            maps[:, part] = self.march(part)
        return maps.view(len(maps), len(self.x), len(self.z)).cpu().numpy()

    def march(self, pixels: torch.Tensor) -> torch.Tensor:
        """(maps, M) integrals along the rays of these pixels."""
        x, z = self.x[pixels // len(self.z)], self.z[pixels % len(self.z)]
        oblique = torch.sqrt(1 + (x**2 + z**2) / SOURCE_TO_DETECTOR_MM**2)
        heights = self.heights + (self._offset(pixels) - 0.5)[:, None] * self.step_mm
        shrinkage = self.rays.shrinkage(heights)
        places = (x[:, None] * shrinkage).view(-1), (z[:, None] * shrinkage).view(-1)
        thickness = self._planes_at(*places, slice(0, 1))[0].view(len(pixels), -1)
        share = ((0.5 * thickness - heights.abs()) / self.step_mm + 0.5).clamp(0, 1) * (thickness > 0.3)
        inside = torch.nonzero(share.view(-1))[:, 0]
        ray = inside // len(self.heights)
        weight = share.view(-1)[inside] * (oblique * self.step_mm)[ray]
        height = heights.view(-1)[inside]
        x, z = (place[inside] for place in places)
        point = torch.stack((x + self.rays.centre_mm, height, z), 1)
        maps = torch.zeros((self.map_count, len(pixels)), device=self.device)
        tissue, body = self._tissue(point, self._planes_at(x, z))
        for number, amount in enumerate(tissue):
            maps[number].index_add_(0, ray, amount * weight)
        for number, lesion in enumerate(self.placed):
            near, amounts = self._lesion(lesion, point, body, tissue[0])
            for k, amount in enumerate(amounts):
                maps[len(_VOLUME_MAPS) + len(_LESION_MAPS) * number + k].index_add_(0, ray[near], amount * weight[near])
        return maps

    def _offset(self, pixels: torch.Tensor) -> torch.Tensor:
        """(M,) in [0, 1): where on its first step a ray starts; equal starts would leave rings along the skin.

        A fixed pattern in which neighbours differ most (interleaved gradient noise, Jimenez 2014).
        """
        row, column = (pixels // len(self.z)).double(), (pixels % len(self.z)).double()
        return (52.9829189 * (0.06711056 * row + 0.00583715 * column).frac()).frac().float()

    def _planes_at(self, x: torch.Tensor, z: torch.Tensor, which: slice = slice(None)) -> torch.Tensor:
        """(6, N) of the column map at x relative to the middle of the detector and z; 0 outside."""
        x = x + self.rays.centre_mm
        ends = zip((z, x), self.first[::-1], self.last[::-1], strict=True)
        grid = torch.stack([2 * (v - low) / (high - low) - 1 for v, low, high in ends], -1)
        planes = self.planes[:, which]
        return F.grid_sample(planes, grid.view(1, -1, 1, 2), align_corners=True).view(planes.shape[1], -1)

    def _tissue(self, point: torch.Tensor, planes: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """What is at (N, 3) points of the compressed breast: (N,) shares for every volume map, and of all but skin."""
        thickness, inner, across, depth, height, middle = planes
        y = torch.minimum(torch.maximum(point[:, 1], -0.5 * thickness), 0.5 * thickness)
        sideways = torch.stack((across, y * height / thickness + middle), 1) @ self.rotation
        reference = torch.cat((sideways, depth[:, None]), 1)
        fields = self.anatomy.sample(reference)
        gland, dense = self.anatomy.gland_fraction(reference, fields)
        skin = ((y.abs() - 0.5 * inner) / self.step_mm + 0.5).clamp(0, 1)
        body = 1 - skin
        muscle = self._muscle(point, reference, fields) * body if self.is_mlo else torch.zeros_like(skin)
        body = body - muscle
        avid = gland * (1 + 0.5 * torch.tanh(fields[UPTAKE])).clamp(min=0.1)
        return [body * dense, skin, muscle, torch.ones_like(skin), body * avid], body

    def _muscle(self, point: torch.Tensor, reference: torch.Tensor, fields: torch.Tensor) -> torch.Tensor:
        """Share of muscle: a slab behind the fascia that grows thicker backwards, streaked along its fibres."""
        wobble = 2.0 * torch.tanh(fields[UPTAKE]) + 0.8 * fields[THIRD_SHEET]
        depth = wobble - reference[:, 2]
        half = (3.0 + 0.22 * depth).clamp(max=self.pectoral_mm)
        fibres = self.anatomy.tiles(point * torch.tensor((0.25, 1.0, 0.9), device=self.device), 0.35, slice(1, 2))[0]
        streaks = (1 + 0.18 * torch.tanh(1.5 * fibres)).clamp(max=1)
        return torch.sigmoid(depth / 0.8) * torch.sigmoid((half - (point[:, 1] - 2.0).abs()) / 0.8) * streaks

    def _lesion(
        self, placed: _PlacedLesion, point: torch.Tensor, body: torch.Tensor, gland: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Which points are near it; there: its share, the share of gland it displaces, its share times its avidity."""
        offset = point - torch.as_tensor(placed.centre_mm, dtype=torch.float32, device=self.device)
        near = torch.nonzero(offset.abs().amax(1) < placed.lesion.reach_mm)[:, 0]
        local = torch.cat((offset[near, :2] @ self.rotation, offset[near, 2:]), 1)
        filled, avid = placed.lesion.occupancy(local, self.anatomy.tiles)
        amount = filled * body[near]
        if placed.lesion.attenuation > 0:
            return near, (amount * placed.lesion.attenuation, filled * gland[near], amount * avid)
        return near, (amount, amount, amount * avid)


def _lesion_paths(
    placed: _PlacedLesion, geometry: Geometry, maps: dict[str, np.ndarray], inside: np.ndarray
) -> LesionPaths:
    lesion = placed.lesion

    def to_pixels(local: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return geometry.to_pixels(placed.to_compressed(local))

    centre, _ = geometry.to_pixels(placed.centre_mm[None])
    specks, magnification = to_pixels(lesion.specks_mm)
    calcium = draw_specks(geometry.shape, specks, lesion.speck_radius_mm * magnification, geometry.pixel_mm)
    spicules = draw_tubes(geometry.shape, lesion.spicules, to_pixels, geometry.pixel_mm) * inside
    return LesionPaths(
        kind=lesion.kind,
        centre_mm=tuple(float(v) for v in lesion.centre_mm),  # type: ignore[arg-type]
        position_px=(float(centre[0, 0]), float(centre[0, 1])),
        uptake_mg_ml=lesion.uptake_mg_ml,
        replaces_tissue=lesion.attenuation > 0,
        length_mm=maps["length"] + spicules,
        displaced_gland_mm=maps["displaced"],
        calcium_mm=calcium * inside,
        iodine_cm=0.1 * (maps["avid"] + 0.5 * spicules),
    )


def _draw_all(curves: tuple[Curves, ...], column_map: ColumnMap, geometry: Geometry) -> np.ndarray:
    drawn = np.zeros(geometry.shape, np.float32)
    for group in curves:
        compressed = column_map.to_compressed(group.points_mm.reshape(-1, 3)).reshape(group.points_mm.shape)
        drawn += draw_tubes(geometry.shape, Curves(compressed, group.radius_mm), geometry.to_pixels, geometry.pixel_mm)
    return drawn


def _nipple(
    anatomy: Anatomy, column_map: ColumnMap, geometry: Geometry, tissue: np.ndarray
) -> tuple[tuple[float, float], np.ndarray]:
    """Where the nipple is, and tissue that it adds beyond the skin edge; a blunt cone, mostly in profile."""
    rng = np.random.default_rng([anatomy.parameters.seed, 31])
    half_mm, length_mm, thick_mm = rng.uniform(3.5, 6.5), rng.uniform(2.0, 9.0), rng.uniform(6, 11)
    x, z = column_map.nipple
    (centre,), (magnification,) = geometry.to_pixels(np.array([[x, 0.0, z]]))
    row, column = ((np.arange(n) - c) * geometry.pixel_mm for n, c in zip(tissue.shape, centre, strict=True))
    along = column[None, :] / (length_mm * magnification)
    across = row[:, None] / (half_mm * magnification * (1 - 0.25 * np.clip(along, 0, 1)))
    squared = np.abs(across) ** 2.6 + np.where(along > 0, along, -0.12 * along) ** 2.6
    bump = thick_mm * np.sqrt(np.clip(1 - squared, 0, None))
    return (float(centre[0]), float(centre[1])), np.clip(bump - tissue, 0, None).astype(np.float32)


def _detail_between_rays(gland: np.ndarray, rays: Geometry, pixels: Geometry, seed: int) -> np.ndarray:
    """What the path through gland does between the rays: its spectrum goes on as 1/f^3, in the same proportion to it.

    With that slope all frequencies above the rays' Nyquist frequency hold as much variance as the octave below it.
    """
    octave = gaussian_filter(gland, 0.6) - gaussian_filter(gland, 1.2)
    deviation = np.sqrt(gaussian_filter(octave**2, 2.0 / rays.pixel_mm))
    noise = np.random.default_rng([seed, 32]).standard_normal((_DETAIL_TILE,) * 2, dtype=np.float32)
    cycles = np.hypot(np.fft.fftfreq(_DETAIL_TILE)[:, None], np.fft.rfftfreq(_DETAIL_TILE)[None]) / pixels.pixel_mm
    above = cycles > 0.5 / rays.pixel_mm
    amplitude = np.where(above, np.maximum(cycles, 1e-6) ** -1.5, 0)
    tile = np.fft.irfft2(np.fft.rfft2(noise) * amplitude, s=noise.shape)
    repeats = [int(np.ceil(n / _DETAIL_TILE)) for n in pixels.shape]
    detail = np.tile((tile / tile.std()).astype(np.float32), repeats)[: pixels.rows, : pixels.columns]
    return detail * _resize(deviation[None], rays, pixels)[0]


def _rim(tissue: np.ndarray) -> np.ndarray:
    """(H, W) bool: where the breast thins out, too steeply to interpolate between rays, and the air next to it."""
    thin = tissue < _RIM_MM
    return thin & (maximum_filter(tissue, 9) > 0)


def _resize(maps: np.ndarray, rays: Geometry, pixels: Geometry) -> np.ndarray:
    """(C, H, W) at the centres of the rays, linearly interpolated to the centres of the pixels."""
    rows = 0.5 * rays.rows - 0.5 - pixels.detector_mm()[0] / rays.pixel_mm
    columns = pixels.detector_mm()[1] / rays.pixel_mm - 0.5
    for axis, places in ((1, rows), (2, columns)):
        places = np.clip(places, 0, maps.shape[axis] - 1)
        lower = np.minimum(places.astype(int), maps.shape[axis] - 2)
        part = (places - lower).astype(np.float32)
        part = part[:, None] if axis == 1 else part
        maps = maps.take(lower, axis) * (1 - part) + maps.take(lower + 1, axis) * part
    return maps
