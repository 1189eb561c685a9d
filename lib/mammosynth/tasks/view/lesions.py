"""Where a lesion of one view lies in the other, how large and how bright it is there.

Both views show how far a lesion is from the nipple, in the direction of the chest wall: that depth is nearly kept. Its
height is nearly free. Both are linear in what the source shows, with a normal error, fitted to lesions that
are drawn on both views.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import nn

from mammosynth.preprocessing.frame import extend_smoothly
from mammosynth.preprocessing.look import Look

BAND_DEVIATIONS = 1.645
"""On either side: nine lesions of ten."""
RING = (5, 25)
"""Pixels of the frame from a lesion's border that its contrast is against."""
SOFTNESS = 1.5
SPOT_SOFTNESS = 0.12
"""Of what brings a lesion to its contrast, as a share of its size: a large one would have a hard edge else."""
DARKEST = 0.05
"""Quantile of the breast below which no lesion makes it darker: drawings of skin and large ones hold dark fat."""
EXPECTED_SHARES = {Look.FILM: 1.0, Look.DIGITAL: 0.65}
"""Of its contrast that a lesion has in an expected image, which does not know where it lies: digital lesions are drawn
so large that more costs more error than a ridge regression has without any."""
FINE_PX = 4.0
"""An expected image shows what of a lesion is finer than this."""
DRAWN_SHARE = 0.5
"""Of the error that a drawn place has: samples are nearer to the place that is expected than real lesions are."""
LEAST_CASES = 8
"""Fewer lesions leave the depth as it is."""
_PASSES = 4


@dataclass(frozen=True)
class Box:
    """The breast in a frame: chest wall, nipple, upper and lower end, in pixels."""

    left: float
    right: float
    top: float
    bottom: float

    @classmethod
    def of(cls, breast: np.ndarray) -> Box:
        """Of an (N, N) bool mask, not empty."""
        rows, columns = np.flatnonzero(breast.any(axis=1)), np.flatnonzero(breast.any(axis=0))
        return cls(float(columns[0]), float(columns[-1] + 1), float(rows[0]), float(rows[-1] + 1))

    def place(self, mask: np.ndarray) -> tuple[float, float]:
        """Depth from the nipple as a share of the breast's, and height as a share, of an (N, N) bool mask."""
        row, column = ndimage.center_of_mass(mask)
        return (self.right - column) / (self.right - self.left), (row - self.top) / (self.bottom - self.top)

    def point(self, depth: float, height: float) -> tuple[float, float]:
        """Row and column of a place."""
        return self.top + height * (self.bottom - self.top), self.right - depth * (self.right - self.left)


class LesionModel(nn.Module):
    """Line and error of depth and height, gain of contrast and of size."""

    depth: torch.Tensor
    height: torch.Tensor
    gains: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("depth", torch.tensor([0.0, 1.0, 0.08]))
        self.register_buffer("height", torch.tensor([0.5, 0.0, 0.12]))
        self.register_buffer("gains", torch.ones(2))

    def fit(self, pairs: np.ndarray) -> None:
        """Learn from lesions.

        Args:
            pairs: (N, 8): depth, height, contrast and size (root of the area) in the source, then in the other view.
        """
        if len(pairs) < LEAST_CASES:
            return
        for name, column in (("depth", 0), ("height", 1)):
            slope, start = np.polyfit(pairs[:, column], pairs[:, column + 4], 1)
            error = pairs[:, column + 4] - start - slope * pairs[:, column]
            getattr(self, name).copy_(torch.tensor([start, slope, error.std(ddof=2)]))
        contrast = pairs[:, 6].mean() / max(pairs[:, 2].mean(), 1e-3)
        size = np.median(pairs[:, 7] / pairs[:, 3])
        self.gains.copy_(torch.tensor([np.clip(contrast, 0.5, 1.5), np.clip(size, 0.6, 1.6)]))

    def place(self, depth: float, height: float, random: np.random.Generator | None) -> tuple[float, float]:
        """Depth and height in the other view, as expected or as drawn."""
        found = []
        for name, given, limits in (("depth", depth, (0.03, 0.97)), ("height", height, (0.12, 0.92))):
            start, slope, deviation = (float(value) for value in getattr(self, name))
            error = 0.0 if random is None else DRAWN_SHARE * deviation * float(np.clip(random.normal(), -2, 2))
            found.append(float(np.clip(start + slope * given + error, *limits)))
        return found[0], found[1]

    def band(self, depth: float) -> tuple[float, float]:
        """Depths between which the middle of the lesion lies in nine views of ten."""
        start, slope, deviation = (float(value) for value in self.depth)
        middle, reach = start + slope * depth, BAND_DEVIATIONS * deviation
        return middle - reach, middle + reach


@dataclass(frozen=True, eq=False)
class Placed:
    """A lesion in the other view.

    Attributes:
        mask: (N, N) bool.
        band: (N, N) bool: where it must lie with a chance of nine in ten; not cut to the breast.
        detail: (N, N) float32: what it adds to the tissue, before it is brought to its contrast.
        contrast: That the source lets expect; NaN where it has none worth a number.
    """

    mask: np.ndarray
    band: np.ndarray
    detail: np.ndarray
    contrast: float


def lesion_contrast(pixels: np.ndarray, mask: np.ndarray, breast: np.ndarray) -> float:
    """Mean grey of a lesion minus that of its ring in the breast; NaN where one of them is empty.

    Args:
        pixels: (N, N) float32 in [0, 1].
        mask: (N, N) bool, of the lesion.
        breast: (N, N) bool.
    """
    distance = ndimage.distance_transform_edt(~mask)
    ring = (distance > RING[0]) & (distance <= RING[1]) & breast
    return float(pixels[mask].mean() - pixels[ring].mean()) if mask.any() and ring.any() else float("nan")


def place_lesion(
    source: np.ndarray,
    source_breast: np.ndarray,
    lesion: np.ndarray,
    breast: np.ndarray,
    model: LesionModel,
    random: np.random.Generator | None,
) -> Placed:
    """One lesion, carried over.

    Args:
        source: (N, N) float32, in the frame.
        source_breast: (N, N) bool.
        lesion: (N, N) bool, one part, not empty.
        breast: (N, N) bool of the other view, not empty.
        model: Where it goes.
        random: Draws the place; None for the one that is expected.
    """
    ours, theirs = Box.of(source_breast), Box.of(breast)
    depth, height = ours.place(lesion)
    made_depth, made_height = model.place(depth, height, random)
    row, column = _inside(theirs.point(made_depth, made_height), breast)
    scale = float(model.gains[1])
    detail, mask = _carried(source, source_breast, lesion, (row, column), scale)
    low, high = model.band(depth)
    columns = np.arange(len(source))
    reach = scale * lesion.any(axis=0).sum() / 2
    first, last = theirs.point(high, 0)[1] - reach, theirs.point(low, 0)[1] + reach
    band = np.broadcast_to((columns >= first) & (columns <= last), source.shape)
    contrast = lesion_contrast(source, lesion, source_breast) * float(model.gains[0])
    return Placed(mask & breast, band, detail, contrast)


def show_lesion(
    pixels: np.ndarray, breast: np.ndarray, placed: Placed, *, share: float = 1.0, smooth: bool = False
) -> np.ndarray:
    """An image with the lesion in it, as bright against its ring as is expected.

    Args:
        pixels: (N, N) float32 in [0, 1].
        breast: (N, N) bool.
        placed: The lesion.
        share: Of that contrast.
        smooth: Whether it fades into its surroundings, as an expected image has it: only what is fine is its own.

    Returns:
        (N, N) float32 in [0, 1].
    """
    wide = 3 * SOFTNESS if smooth else max(SOFTNESS, SPOT_SOFTNESS * float(placed.mask.sum()) ** 0.5)
    alpha, spot = (
        ndimage.gaussian_filter(placed.mask.astype(np.float32), softness) * breast for softness in (SOFTNESS, wide)
    )
    coarse = ndimage.gaussian_filter(placed.detail, FINE_PX) if smooth else 0
    shown = pixels + alpha * (placed.detail - coarse)
    for _ in range(_PASSES):
        lacking = share * placed.contrast - lesion_contrast(shown, placed.mask, breast)
        if not np.isfinite(lacking):
            break
        shown = shown + spot * np.float32(lacking)
    darkest = np.quantile(pixels[breast], DARKEST) if breast.any() else 0.0
    shown = np.maximum(shown, np.minimum(pixels, np.float32(darkest)))
    return np.clip(shown, 0, 1).astype(np.float32)


def parts_of(lesions: np.ndarray) -> list[np.ndarray]:
    """The connected parts of a drawing, the largest first."""
    numbers, count = ndimage.label(lesions)
    parts = [numbers == number for number in range(1, count + 1)]
    return sorted(parts, key=lambda part: -int(part.sum()))


def _inside(point: tuple[float, float], breast: np.ndarray) -> tuple[float, float]:
    """The point, moved up or down in its column until it lies well in the breast."""
    column = int(np.clip(point[1], 0, breast.shape[1] - 1))
    rows = np.flatnonzero(breast[:, column])
    if not rows.size:
        return point
    margin = 0.15 * (rows[-1] - rows[0])
    return float(np.clip(point[0], rows[0] + margin, rows[-1] - margin)), point[1]


def _carried(
    source: np.ndarray, source_breast: np.ndarray, lesion: np.ndarray, to: tuple[float, float], scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """What the lesion adds to its surroundings, and its mask, at another place and of another size."""
    rows, columns = np.flatnonzero(lesion.any(axis=1)), np.flatnonzero(lesion.any(axis=0))
    margin = 6
    box = (
        slice(max(rows[0] - margin, 0), rows[-1] + 1 + margin),
        slice(max(columns[0] - margin, 0), columns[-1] + 1 + margin),
    )
    wide = ndimage.binary_dilation(lesion[box], iterations=2)
    tissue = source_breast[box] & ~wide  # air beside it would make its surroundings dark
    added = (source[box] - extend_smoothly(source[box], tissue)) * source_breast[box]
    size = tuple(max(3, round(scale * length)) for length in added.shape)
    small, drawn = (
        np.asarray(Image.fromarray(part.astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR))
        for part in (added, lesion[box].astype(np.float32))
    )
    middle = ndimage.center_of_mass(drawn)
    detail, mask = np.zeros_like(source), np.zeros(source.shape, bool)
    top, left = round(to[0] - middle[0]), round(to[1] - middle[1])
    come = tuple(
        slice(max(-at, 0), min(length, whole - at))
        for at, length, whole in zip((top, left), size, source.shape, strict=True)
    )
    go = tuple(slice(at + part.start, at + part.stop) for at, part in zip((top, left), come, strict=True))
    detail[go], mask[go] = small[come], drawn[come] > 0.5
    return detail, mask
