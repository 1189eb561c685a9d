"""`blinded_pixels`: an image as every arm shows it; `Placement`: which pixel of the source lies where in it.

    display values -> matrix, chest wall at its border -> detail -> breast on its floor, faded edge -> border cut off
    -> noise -> bits

Every step is the same function for every arm. What is outside the breast is black; inside, what is finer than the
detail of the rule is gone; the same noise is on everything, so that neither sampling nor grey levels of a source show.
No tissue is as dark as air, so that the outline is that of the breast's shape, whatever the fat under it; and what a
detector, a film or a network does at the border of an image is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image
from scipy import fft, ndimage

from mammosynth.errors import UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.breast import (
    EDGE_SHARE,
    NO_BACKGROUND,
    chest_wall_on_left,
    segment_breast,
)
from mammosynth.preprocessing.chest_wall import closed_at_wall
from mammosynth.reading.blinding.rule import BlindingRule
from mammosynth.terms import ImageLaterality

Frame = tuple[slice, slice]
"""Rows and columns of a part of an image."""
ROOM = 0.05
"""Of the grey scale, free at each end, where the window does not show it: noise is never cut off there."""
_TAPER = 0.8  # of the detail: where it begins to fall
_ANISOTROPY = 1.01  # pixels may be this much longer than wide
_WALL = 50  # share of the columns that are the chest wall: 1 in so many
_WALL_REACH = 0.05  # of the columns: how far from the chest wall its grey is looked for
_LEAST_BREAST = 0.01  # of the matrix; less is no breast that was found
_STRAIGHT = 0.8  # of the breast's width a little further in: where it begins so wide, the image was cut or blacked out
_STRAIGHT_WIDTH = 0.1  # of the widest row: narrower, it is the fold under a breast
_ROUNDED, _FURTHER = 0.005, 0.02  # of the rows: corners that finding the breast rounds, and how far further in


@dataclass(frozen=True)
class Placement:
    """Where a source lies in its copy: x and y are columns and rows from the centre of the first pixel.

    Attributes:
        scale: Pixels of the copy for one of the source.
        left: Columns of the copy before the (mirrored) source.
        top: Rows before it; negative where the source begins above the copy.
        width: Of the source, in pixels.
        is_mirrored: Whether left and right are exchanged.
    """

    scale: float
    left: float
    top: float
    width: int
    is_mirrored: bool

    def to_copy(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the source is."""
        x = self.width - 1 - x if self.is_mirrored else x
        return (x + 0.5) * self.scale + self.left - 0.5, (y + 0.5) * self.scale + self.top - 0.5

    def to_source(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the copy is; it may be outside the source."""
        x = (x + 0.5 - self.left) / self.scale - 0.5
        return self.width - 1 - x if self.is_mirrored else x, (y + 0.5 - self.top) / self.scale - 0.5

    def mark_to_copy(self, mark: Mapping[str, Any]) -> dict[str, Any]:
        """A mark of `questions.Marks` on the source as one on the copy."""
        return self._moved(mark, self.to_copy(mark["x"], mark["y"]), self.scale)

    def mark_to_source(self, mark: Mapping[str, Any]) -> dict[str, Any]:
        """The way back."""
        return self._moved(mark, self.to_source(mark["x"], mark["y"]), 1 / self.scale)

    def _moved(self, mark: Mapping[str, Any], place: tuple[float, float], scale: float) -> dict[str, Any]:
        radii = {name: mark[name] * scale for name in ("radius", "radius_x", "radius_y") if name in mark}
        turned = {"angle": -mark["angle"]} if self.is_mirrored and "angle" in mark else {}
        return {**mark, "x": place[0], "y": place[1], **radii, **turned}

    def as_json(self) -> dict[str, Any]:
        """JSON values, of which `Placement(**values)` is the same."""
        return asdict(self)


def blinded_pixels(image: Mammogram, rule: BlindingRule, seed: int) -> tuple[np.ndarray, Placement]:
    """The copy of an image.

    Args:
        image: Of any arm; its laterality is known.
        rule: Of the study, with a detail.
        seed: Of the noise.

    Returns:
        (rows, columns) uint16, 0 to 2**bits - 1, with `ROOM` at both ends; and where the source lies in it.

    Raises:
        UnsupportedImageError: If no breast is found, the laterality is unknown, or the image does not fit the matrix.
    """
    if rule.detail is None:
        raise ValueError("the rule has no detail; measure it with `detail.coarsest`")
    canvas, frame, placement = placed(image, rule)
    depth = breast_depth(canvas, frame, rule, image.image_laterality)
    weight = breast_weight(depth, rule)
    shown_part = _without_border(canvas.shape, rule, image.image_laterality)
    if np.count_nonzero(weight) < _LEAST_BREAST * weight.size:
        raise UnsupportedImageError(f"{image.source_name}: no breast is found in it; take the image out of the study.")
    inner = _without_outermost(frame, rule, image.image_laterality)
    canvas[inner] = low_passed(without_air(canvas, weight, frame)[inner], rule.detail)
    shown = (rule.floor * floor_weight(depth, rule) + (1 - rule.floor) * canvas * weight)[shown_part]
    noise = np.random.default_rng(seed).standard_normal(shown.shape, np.float32) * np.float32(rule.noise)
    shown = ROOM + (1 - 2 * ROOM) * shown + noise
    most = (1 << rule.bits) - 1
    return np.rint(np.clip(shown, 0, 1) * most).astype(np.uint16), placement


def placed(image: Mammogram, rule: BlindingRule) -> tuple[np.ndarray, Frame, Placement]:
    """An image in the matrix of the copies and the border around it, its chest wall where that of its breast belongs.

    Returns:
        (rows + 2 border, columns + border) float32 in [0, 1]; the rows and columns of it that the image covers; where
        the source lies in the matrix.

    Raises:
        UnsupportedImageError: If nobody says which breast it is, or it does not fit into the matrix.
    """
    if image.image_laterality is None:
        raise UnsupportedImageError(
            f"{image.source_name}: nobody says whether it is a right or a left breast; say it in the file's name (_R_, "
            "_L_), or by the case's breasts."
        )
    shown = image.pixels if image.valid is None else np.where(image.valid, image.pixels, np.float32(0))
    breast = segment_breast(shown)
    wall_on_left = image.image_laterality is ImageLaterality.LEFT
    mirrored = bool(breast.any()) and chest_wall_on_left(breast) != wall_on_left
    shown, breast = (shown[:, ::-1], breast[:, ::-1]) if mirrored else (shown, breast)
    rows_used = _rows_used(breast)
    shown, cut = _without_padding(shown[rows_used], breast[rows_used], wall_on_left)
    extent = max(1, _extent(breast[rows_used], wall_on_left) - cut)
    scale = _scale(shown.shape, extent, image, rule)
    height, width, needed = (max(1, int(side * scale + 1e-6)) for side in (*shown.shape, extent))
    rows, columns = rule.rows + 2 * rule.border, rule.columns + rule.border
    width = min(width, columns)
    if height > rows or needed > columns:
        raise UnsupportedImageError(
            f"{image.source_name}: its breast is {height - 2 * rule.border} x {needed - rule.border} pixels of "
            f"{rule.pixel_spacing_mm} mm, the matrix of the "
            f"blinding has {rule.rows} x {rule.columns}; enlarge blinding.rows and columns, or pixel_spacing_mm."
        )
    top = (rows - height) // 2
    left = 0 if wall_on_left else columns - width
    # What a fraction of a pixel would cover is cut off away from the chest wall, so that the scale is exact.
    start = 0.0 if wall_on_left else max(0.0, shown.shape[1] - width / scale)
    box = (start, 0.0, min(start + width / scale, shown.shape[1]), min(height / scale, shown.shape[0]))
    small = Image.fromarray(np.ascontiguousarray(shown)).resize((width, height), Image.Resampling.BICUBIC, box)
    canvas = np.zeros((rows, columns), np.float32)
    frame = slice(top, top + height), slice(left, left + width)
    canvas[frame] = np.asarray(small)
    before = -cut * scale - rule.border if wall_on_left else columns - shown.shape[1] * scale
    above = top - rule.border - rows_used.start * scale
    return canvas, frame, Placement(scale, before, above, image.pixels.shape[1], mirrored)


def _without_border(shape: tuple[int, ...], rule: BlindingRule, image_laterality: ImageLaterality | None) -> Frame:
    """The matrix, in what `placed` gives."""
    first = rule.border if image_laterality is ImageLaterality.LEFT else 0
    return slice(rule.border, shape[0] - rule.border), slice(first, first + rule.columns)


def _without_outermost(frame: Frame, rule: BlindingRule, image_laterality: ImageLaterality | None) -> Frame:
    """What an image covers, but for half of the border, so that a line there does not ring into what is shown."""
    rows, columns = frame
    cut = rule.border // 2
    on_left = image_laterality is ImageLaterality.LEFT
    inner = slice(columns.start + cut, columns.stop) if on_left else slice(columns.start, columns.stop - cut)
    return slice(rows.start + cut, rows.stop - cut), inner


def _without_padding(shown: np.ndarray, breast: np.ndarray, wall_on_left: bool) -> tuple[np.ndarray, int]:
    """The image without what lies empty beyond its chest wall, and how many columns that are.

    Empty is what has less than a share of the grey a little further in: compressed, padding is not wholly black.
    """
    turned, found = (shown, breast) if wall_on_left else (shown[:, ::-1], breast[:, ::-1])
    columns = np.flatnonzero(found.any(axis=0))
    if not columns.size:
        return shown, 0
    near = slice(0, int(columns[0]) + max(2, round(_WALL_REACH * shown.shape[1])))
    rows = found[:, near].any(axis=1)
    greys = np.median(turned[rows, near], axis=0)
    cut = int(np.argmax(greys >= EDGE_SHARE * np.median(greys[greys.size // 2 :])))
    return (shown[:, cut:] if wall_on_left else shown[:, : shown.shape[1] - cut]), cut


def _rows_used(breast: np.ndarray) -> slice:
    """The rows without those above and below a breast that ends in a straight line: a film's frame, blacked out.

    An outline that curves away is skin, and the air beyond it belongs to the image.
    """
    rows = np.flatnonzero(breast.any(axis=1))
    if not rows.size:
        return slice(0, breast.shape[0])
    widths = breast.sum(axis=1)
    start = _straight_end(widths[rows[0] :])
    stop = _straight_end(widths[rows[-1] :: -1])
    return slice(
        0 if start is None else int(rows[0]) + start,
        breast.shape[0] if stop is None else int(rows[-1]) + 1 - stop,
    )


def _straight_end(widths: np.ndarray) -> int | None:
    """How many rows of a breast's end are its rounded corners, if it is straight; None if it curves away."""
    rounded, further = (max(1, round(share * widths.size)) for share in (_ROUNDED, _FURTHER))
    end, inner = widths[rounded], widths[min(rounded + further, widths.size - 1)]
    return rounded if end >= max(_STRAIGHT * inner, _STRAIGHT_WIDTH * widths.max()) else None


def _extent(breast: np.ndarray, wall_on_left: bool) -> int:
    """How many columns the breast reaches from the side of its chest wall; beyond it is air, which may be left out."""
    columns = np.flatnonzero(breast.any(axis=0))
    if not columns.size:
        return breast.shape[1]
    return int(columns[-1] + 1 if wall_on_left else breast.shape[1] - columns[0])


def _scale(shape: tuple[int, ...], extent: int, image: Mammogram, rule: BlindingRule) -> float:
    spacing = image.pixel_spacing_mm
    if spacing is not None and max(spacing) > _ANISOTROPY * min(spacing):
        raise UnsupportedImageError(
            f"{image.source_name}: its pixels are {spacing[0]} x {spacing[1]} mm, expected square ones; resample it."
        )
    if rule.pixel_spacing_mm is None:
        columns = rule.columns + rule.border
        return min((rule.rows + 2 * rule.border) / shape[0], max(columns / shape[1], (columns - rule.outline) / extent))
    if spacing is None:
        raise UnsupportedImageError(
            f"{image.source_name}: has no pixel spacing, and blinding.pixel_spacing_mm asks for one; leave that out."
        )
    return spacing[0] / rule.pixel_spacing_mm


def without_air(canvas: np.ndarray, weight: np.ndarray, frame: Frame) -> np.ndarray:
    """The image with the grey of its air as black, so that no air shows around the breast.

    Args:
        canvas: (H, W) float32 in [0, 1].
        weight: (H, W), 0 outside the breast.
        frame: Rows and columns that the image covers.
    """
    outside = canvas[frame][weight[frame] == 0]
    air = float(np.median(outside)) if outside.size else 0.0
    return np.clip((canvas - air) / (1 - air), 0, None) if air < NO_BACKGROUND else canvas


def low_passed(pixels: np.ndarray, detail: float) -> np.ndarray:
    """An (H, W) image without what is finer than a detail; at its border it goes on as in a mirror.

    Args:
        pixels: (H, W) float32.
        detail: In cycles a pixel, up to 0.5.
    """
    spectrum = fft.dctn(pixels, norm="ortho")
    y, x = (np.arange(side, dtype=np.float32) / (2 * side) for side in pixels.shape)
    frequency = np.hypot(y[:, None], x[None, :])
    share = np.clip((frequency - _TAPER * detail) / ((1 - _TAPER) * detail), 0, 1)
    return fft.idctn(spectrum * (0.5 + 0.5 * np.cos(np.pi * share)), norm="ortho").astype(np.float32)


def breast_depth(
    canvas: np.ndarray, frame: Frame, rule: BlindingRule, image_laterality: ImageLaterality | None
) -> np.ndarray:
    """How deep each pixel lies under the smoothed outline of the breast.

    Args:
        canvas: (H, W) float32 in [0, 1].
        frame: What the image covers of it; what is beside it is no air of its own.
        rule: Its outline, and the border that is not shown.
        image_laterality: Tells where the chest wall is: up to there a row is breast, dark fat included.

    Returns:
        (H, W) float32 pixels, 0 outside the breast and in rows of the border. Where the breast goes on beyond the
        matrix is no outline; where it ends with the image, within the matrix, is one.
    """
    whole, mask = np.zeros((2, *canvas.shape), bool)
    whole[frame] = whole_breast(canvas[frame], image_laterality)
    trusted = tuple(
        slice(part.start + rule.border * (part.start > 0), part.stop - rule.border * (part.stop < side))
        for part, side in zip(frame, canvas.shape, strict=True)
    )
    mask[trusted] = whole[trusted]
    return _depth(mask, rule).astype(np.float32)


def floor_weight(depth: np.ndarray, rule: BlindingRule) -> np.ndarray:
    """How much of the floor is shown, 0 to 1, by the (H, W) `breast_depth`."""
    return _rise(depth, rule.edge, rule)


def breast_weight(depth: np.ndarray, rule: BlindingRule) -> np.ndarray:
    """How much of each pixel's tissue is shown, 0 to 1: it rises where the floor has risen, beneath the outline."""
    return _rise(depth, rule.edge + rule.fade, rule)


def _rise(depth: np.ndarray, start: int, rule: BlindingRule) -> np.ndarray:
    share = np.clip((depth - start) / rule.fade, 0, 1)
    return share * share * (3 - 2 * share)


def whole_breast(pixels: np.ndarray, image_laterality: ImageLaterality | None = None) -> np.ndarray:
    """(H, W) bool: the breast up to the chest wall, where it nearly reaches that, dark fat included.

    Args:
        pixels: (H, W) float32 in [0, 1].
        image_laterality: Tells where the chest wall is; if None, the outline does.
    """
    breast = segment_breast(pixels)
    left = None if image_laterality is None else image_laterality is ImageLaterality.LEFT
    columns = max(1, pixels.shape[1] // _WALL)
    return closed_at_wall(breast, wall_on_left=left, columns=columns) if breast.any() else breast


def _depth(mask: np.ndarray, rule: BlindingRule) -> np.ndarray:
    smooth = ndimage.gaussian_filter(mask.astype(np.float32), rule.outline, mode="nearest") > 0.5
    margin = rule.edge + 2 * rule.fade + 1
    return ndimage.distance_transform_edt(np.pad(smooth, margin, mode="edge"))[margin:-margin, margin:-margin]
