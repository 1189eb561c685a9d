"""Thin things: vessels, ducts, fibrous strands, spicules and specks of calcium, drawn analytically.

They are polylines with a radius, or spheres, and are drawn onto the detector without voxels, so that they stay sharp at
any pixel size; what is thinner than a pixel keeps its volume.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_NARROWEST_PIXELS = 0.6  # radius below which a footprint is widened and thinned, its volume kept


@dataclass(frozen=True, eq=False)
class Curves:
    """Tubes of one kind.

    Attributes:
        points_mm: (N, S, 3) along each curve.
        radius_mm: (N, S).
    """

    points_mm: np.ndarray
    radius_mm: np.ndarray


def walk(
    rng: np.random.Generator,
    starts: np.ndarray,
    targets: np.ndarray,
    *,
    steps: int,
    wiggle: float,
    radii_mm: tuple[np.ndarray, np.ndarray],
    keep_inside: Callable[[np.ndarray], np.ndarray],
) -> Curves:
    """Grow curves from starts towards targets, all at once, each with a momentum of its own.

    Args:
        rng: Where the bends come from.
        starts: (N, 3) mm.
        targets: (N, 3) mm; a curve ends near its target, not on it.
        steps: Points per curve after the first.
        wiggle: Deviation of the change of direction per step, 0 for straight lines.
        radii_mm: (N,) at the start and at the end.
        keep_inside: Takes and returns (N, 3) positions, moving those that left the breast.
    """
    position = np.asarray(starts, float)
    length = np.linalg.norm(targets - position, axis=1, keepdims=True) / steps
    momentum = np.zeros_like(position)
    points = [position]
    for _ in range(steps):
        direction = targets - position
        direction /= np.linalg.norm(direction, axis=1, keepdims=True) + 1e-6
        momentum = 0.88 * momentum + rng.normal(0, 1, position.shape) * wiggle
        heading = direction + momentum
        heading /= np.linalg.norm(heading, axis=1, keepdims=True) + 1e-6
        position = keep_inside(position + heading * length)
        points.append(position)
    part = np.linspace(0, 1, steps + 1)
    radius = radii_mm[0][:, None] * (1 - part) + radii_mm[1][:, None] * part
    return Curves(np.stack(points, axis=1), radius)


def draw_tubes(
    shape: tuple[int, int],
    curves: Curves,
    to_pixels: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    pixel_mm: float,
) -> np.ndarray:
    """Path lengths through tubes.

    Each short piece of a tube of radius R is a disc of radius R on the detector; discs that follow each other add up to
    the chord 2 sqrt(R^2 - d^2) of the tube, lengthened where it runs obliquely to the detector.

    Args:
        shape: (H, W) of the detector.
        curves: In the coordinates that `to_pixels` takes.
        to_pixels: From (N, 3) mm to (N, 2) fractional (row, column) and (N,) magnification.
        pixel_mm: Spacing at the detector.

    Returns:
        (H, W) float32, mm.
    """
    if curves.points_mm.size == 0:
        return np.zeros(shape, np.float32)
    pixels, magnification = to_pixels(curves.points_mm.reshape(-1, 3))
    pixels = pixels.reshape(*curves.radius_mm.shape, 2)
    radius = curves.radius_mm * magnification.reshape(curves.radius_mm.shape) / pixel_mm
    places, radii, pieces_mm = _resample(curves.points_mm, pixels, radius)
    return _stamp(shape, places, radii, pieces_mm, _disc)


def draw_specks(shape: tuple[int, int], places: np.ndarray, radius_mm: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Path lengths through small spheres.

    Args:
        shape: (H, W) of the detector.
        places: (N, 2) fractional (row, column).
        radius_mm: (N,) at the detector.
        pixel_mm: Spacing at the detector.

    Returns:
        (H, W) float32, mm.
    """
    if len(places) == 0:
        return np.zeros(shape, np.float32)
    radii = radius_mm / pixel_mm
    return _stamp(shape, places, radii, 4 / 3 * radius_mm, _ball)


def _resample(
    points_mm: np.ndarray, pixels: np.ndarray, radius: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pieces half a pixel or half a radius long: (M, 2) places, (M,) radii in pixels, (M,) lengths in mm."""
    on_detector = np.linalg.norm(np.diff(pixels, axis=1), axis=2)
    length_mm = np.linalg.norm(np.diff(points_mm, axis=1), axis=2)
    middle = 0.5 * (radius[:, 1:] + radius[:, :-1])
    count = np.ceil(on_detector / np.maximum(0.5, 0.5 * middle)).astype(int).clip(1).ravel()
    segment = np.repeat(np.arange(count.size), count)
    first = np.cumsum(count) - count
    part = ((np.arange(segment.size) - first[segment] + 0.5) / count[segment]).astype(np.float64)

    def along(values: np.ndarray) -> np.ndarray:
        start, end = values[:, :-1].reshape(count.size, -1), values[:, 1:].reshape(count.size, -1)
        return start[segment] * (1 - part[:, None]) + end[segment] * part[:, None]

    return along(pixels), along(radius[..., None])[:, 0], length_mm.ravel()[segment] / count[segment]


def _disc(squared: np.ndarray, radius: np.ndarray) -> np.ndarray:
    return np.clip(radius - np.sqrt(squared) + 0.5, 0, 1)


def _ball(squared: np.ndarray, radius: np.ndarray) -> np.ndarray:
    return np.sqrt(np.clip(radius**2 - squared, 0, None)) + 0.05 * _disc(squared, radius)


def _stamp(
    shape: tuple[int, int],
    places: np.ndarray,
    radii: np.ndarray,
    weights_mm: np.ndarray,
    profile: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Add footprints; each adds up to weight * pi * radius^2, whatever the pixels."""
    result = np.zeros(shape[0] * shape[1])
    drawn = np.maximum(radii, _NARROWEST_PIXELS)
    reach = np.ceil(drawn + 0.5).astype(int)
    for size in np.unique(reach):
        chosen = np.flatnonzero(reach == size)
        for part in np.array_split(chosen, max(1, chosen.size * (2 * size + 1) ** 2 // 4_000_000)):
            result += _stamp_one_size(shape, places[part], radii[part], drawn[part], weights_mm[part], size, profile)
    return result.reshape(shape).astype(np.float32)


def _stamp_one_size(
    shape: tuple[int, int],
    places: np.ndarray,
    radii: np.ndarray,
    drawn: np.ndarray,
    weights_mm: np.ndarray,
    reach: int,
    profile: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    offsets = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2, indexing="ij"), -1).reshape(-1, 2)
    nearest = np.rint(places).astype(int)
    pixels = nearest[:, None] + offsets
    squared = ((pixels - places[:, None]) ** 2).sum(-1)
    footprint = profile(squared, drawn[:, None])
    footprint *= (weights_mm * np.pi * radii**2)[:, None] / footprint.sum(1, keepdims=True)
    seen = ((pixels >= 0) & (pixels < shape)).all(-1) & (footprint > 0)
    index = pixels[..., 0] * shape[1] + pixels[..., 1]
    return np.bincount(index[seen], footprint[seen], minlength=shape[0] * shape[1])
