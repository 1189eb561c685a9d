"""What the pixels of a copy tell besides the anatomy: one number a trace, by the kind of leak that it would be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from mammosynth.reading.blinding.detail import MOST, tissue_spectrum
from mammosynth.reading.blinding.pixels import ROOM, breast_weight, floor_weight, whole_breast
from mammosynth.reading.blinding.rule import BlindingRule

_BORDER = 3  # rows and columns at the border
_REACH = 8  # beyond the fades: how far from the outline is surely outside, or surely tissue
_BANDS = 3
_LOW_BITS = 16  # the last four bits of a value
_CORNER = 12  # pixels at the border
_PERIODS = (2, 40)  # of steps of grey that are looked for, in grey levels
_SMOOTH = 3.0  # of the outline, in pixels: what deviates from it is rough
_BENT, _BENT_PX = 8.0, 2  # where the outline leaves a smoother one by so many pixels, it bends: a fold, a nipple
_CURVED = 0.02  # of the outline's pixels: up to so many leave a smoother one where it is curved, and tell its shape
_LINE = 9  # bins of a spectrum beside a line that it is compared with
_LEAKAGE = 3  # bins of the spectrum of tissue that the window of its squares spreads a frequency over
_TINY = 1e-12
_STEPS = 0.01
"""Of the tissue that rises within one pixel of a fade, what rings of whole pixels leave of it: so much that acquired
images of the same phantoms, low-energy, recombined, CC and MLO, are told least from each other."""

BORDER, OUTSIDE, DEPTH, COMB = "border pixels", "outside the breast", "bit depth", "histogram comb"
NOISE, RESAMPLING, EDGE, CLIPPING = "noise floor", "resampling", "edge of the breast", "clipping"
KINDS = (BORDER, OUTSIDE, DEPTH, COMB, NOISE, RESAMPLING, EDGE, CLIPPING)


@dataclass(frozen=True, eq=False)
class _View:
    """A copy and its parts."""

    pixels: np.ndarray
    rule: BlindingRule
    breast: np.ndarray
    inwards: np.ndarray
    outside: np.ndarray

    @property
    def tissue(self) -> np.ndarray:
        """Where surely no edge is."""
        return self.inwards > _reach(self.rule)

    @property
    def rings(self) -> list[np.ndarray]:
        """Pixels by their depth under the outline, a pixel each."""
        return [(self.inwards > depth) & (self.inwards <= depth + 1) for depth in range(2 * _reach(self.rule))]

    @property
    def values(self) -> np.ndarray:
        """Those of surely tissue; of a copy without any, all."""
        return self.pixels[self.tissue] if self.tissue.any() else self.pixels.ravel()


def traces(pixels: np.ndarray, rule: BlindingRule) -> dict[tuple[str, str], float]:
    """The traces of a copy, by kind and name; NaN where a copy has not what one is measured on.

    None of them follows from how bright, large or dense a breast is.

    Args:
        pixels: (H, W) of any whole numbers, 0 or more.
        rule: Of the study.
    """
    breast = whole_breast(pixels.astype(np.float32) / ((1 << rule.bits) - 1))
    reach = _reach(rule)
    margin = 2 * reach  # beyond the border of the image the breast goes on
    inwards = ndimage.distance_transform_edt(np.pad(breast, margin, mode="edge"))[margin:-margin, margin:-margin]
    outwards = ndimage.distance_transform_edt(~breast) if breast.any() else np.full(breast.shape, np.inf)
    view = _View(pixels, rule, breast, inwards, outwards > reach)
    found: dict[tuple[str, str], float] = {}
    for measure in (_border, _outside, _depth, _comb, _spectrum, _periodicity, _edge, _clipping):
        found.update(measure(view))
    return found


def _reach(rule: BlindingRule) -> int:
    return 2 * rule.fade + _REACH


_Traces = Iterator[tuple[tuple[str, str], float]]


def _border(view: _View) -> _Traces:
    rim = np.ones(view.pixels.shape, bool)
    rim[_BORDER:-_BORDER, _BORDER:-_BORDER] = False
    air = view.pixels[rim & view.outside]
    yield (BORDER, "spread of air"), float(air.std()) if air.size else np.nan
    yield (BORDER, "mean of air"), float(air.mean()) if air.size else np.nan
    yield (BORDER, "outermost line against the next"), _line_step(view)


def _line_step(view: _View) -> float:
    """How far the outermost column at the chest wall leaves the slope of the next, against how far the others do."""
    sums = view.tissue[:, 0].sum(), view.tissue[:, -1].sum()
    rows = view.tissue[:, 0] if sums[0] >= sums[1] else view.tissue[:, -1]
    lines = view.pixels[:, :8] if sums[0] >= sums[1] else view.pixels[:, :-9:-1]
    if rows.sum() < _LOW_BITS:
        return np.nan
    values = lines[rows].astype(float)
    bends = np.abs(np.diff(values, 2, axis=1)).mean(axis=0)
    return float(np.log10((bends[0] + 1) / (bends[3:].mean() + 1)))


def _outside(view: _View) -> _Traces:
    air = view.pixels[view.outside]
    yield (OUTSIDE, "share that is not 0"), float((air != 0).mean()) if air.size else np.nan
    yield (OUTSIDE, "mean"), float(air.mean()) if air.size else np.nan
    yield (OUTSIDE, "standard deviation"), float(air.std()) if air.size else np.nan


def _depth(view: _View) -> _Traces:
    yield (DEPTH, "highest value is beyond its bits"), float(view.pixels.max() >= 1 << view.rule.bits)
    for bits in (1, 2, 4):
        counts = np.bincount(view.values.astype(np.int64) % (1 << bits), minlength=1 << bits)
        expected = counts.sum() / (1 << bits)
        yield (DEPTH, f"last {bits} bits"), float(np.log10(((counts - expected) ** 2 / expected).sum() + 1))


def _comb(view: _View) -> _Traces:
    low, high = np.percentile(view.values, (2, 98)).astype(int)
    counts = np.bincount(view.values.astype(np.int64))[low : high + 1].astype(float)
    if counts.size < 2 * _PERIODS[1]:
        yield (COMB, "empty levels"), np.nan
        yield (COMB, "strongest period"), np.nan
        return
    expected = np.exp(-ndimage.uniform_filter1d(counts, _PERIODS[1])).sum()  # of that many values at random
    yield (COMB, "empty levels"), float(((counts == 0).sum() - expected) / np.sqrt(expected + 1))
    spectrum = np.abs(np.fft.rfft((counts - counts.mean()) * np.hanning(counts.size))) ** 2
    yield (COMB, "strongest period"), _line(spectrum, counts.size // _PERIODS[1] + 2)


def _spectrum(view: _View) -> _Traces:
    """Beyond the detail of the rule there must be the same noise in every copy."""
    most = (1 << view.rule.bits) - 1
    spectrum = tissue_spectrum(view.pixels.astype(np.float32) / most, view.tissue.astype(np.float32))
    first = (view.rule.detail or MOST) / MOST * (0 if spectrum is None else spectrum.size)
    beyond = np.array([]) if spectrum is None else spectrum[int(np.ceil(first)) + _LEAKAGE :]
    for number, part in enumerate(np.array_split(beyond, _BANDS), start=1):
        name = f"power beyond the detail, part {number} of {_BANDS}"
        yield (NOISE, name), float(np.log10(part.mean() + _TINY)) if part.size else np.nan


def _periodicity(view: _View) -> _Traces:
    """Interpolated pixels have second differences whose size repeats along rows and columns (Gallagher 2005)."""
    values = view.pixels.astype(np.float32)
    for axis, name in ((0, "rows"), (1, "columns")):
        second = np.abs(np.diff(values, 2, axis=axis))
        inside = view.tissue[1:-1] if axis == 0 else view.tissue[:, 1:-1]
        counts = inside.sum(axis=1 - axis)
        used = counts > 64  # noqa: PLR2004 (fewer give no mean worth the name)
        if used.sum() < 64:  # noqa: PLR2004
            yield (RESAMPLING, f"period along {name}"), np.nan
            continue
        means = (second * inside).sum(axis=1 - axis)[used] / counts[used]
        means = means - ndimage.uniform_filter1d(means, 9)
        power = np.abs(fft.rfft(means * np.hanning(means.size))) ** 2
        yield (RESAMPLING, f"period along {name}"), _line(power, means.size // 8)


def _line(power: np.ndarray, first: int) -> float:
    """How far the strongest line of a spectrum, from a bin on, stands above both sides of its neighbourhood.

    A period is a line. How a spectrum falls on the whole is the tissue's: its texture, and the shape of its histogram.
    """
    beside = ndimage.median_filter(power, _LINE, mode="mirror")
    half = _LINE // 2 + 1
    below, above = np.roll(beside, half), np.roll(beside, -half)
    above[-half:] = beside[-half:]
    ratio = (power / (np.maximum(below, above) + _TINY))[max(first, _LINE) :]
    return float(np.log10(ratio.max() / np.log(ratio.size) + _TINY))


def _edge(view: _View) -> _Traces:
    """How rough the outline is, and how far the image rises from it in another way than the rule says.

    At the border of the image, how round the corner is depends on the angle at which the outline meets it, and in a
    fold on the fold: that is not roughness.
    """
    rough = _from_smoother(view.breast, _SMOOTH)
    outline = view.breast & ~ndimage.binary_erosion(view.breast, border_value=1)
    bends = ndimage.binary_opening(_from_smoother(view.breast, _BENT), np.ones((_BENT_PX, _BENT_PX)))
    counted = ~ndimage.binary_dilation(bends, iterations=_CORNER)
    counted[:_CORNER] = counted[-_CORNER:] = counted[:, :_CORNER] = counted[:, -_CORNER:] = False
    share = (rough & counted).sum() / max((outline & counted).sum(), 1)
    yield (EDGE, "roughness"), float(np.log10(max(share, _CURVED)))
    air = np.median(view.pixels[view.outside]) if view.outside.any() else 0.0
    rings = [view.pixels[ring] for ring in view.rings]
    if not all(ring.size for ring in rings):
        yield (EDGE, "departure from the rule's rise"), np.nan
        return
    rise = np.array([ring.mean() - air for ring in rings])
    near, deep = np.split(rise, 2)
    # What is left of any copy: texture, as much as deeper, and steps of the rings, as large as the tissue's rise.
    risen = max(near.max() - _floor(view.rule), 1)
    usual = np.hypot(_departure(deep, None), _STEPS / view.rule.fade * risen)
    yield (EDGE, "departure from the rule's rise"), float(np.log10(_departure(near, view.rule) / usual + 0.1))


def _from_smoother(breast: np.ndarray, sigma: float) -> np.ndarray:
    """Where a breast and the same with a smoother outline differ."""
    return (ndimage.gaussian_filter(breast.astype(np.float32), sigma, mode="nearest") > 0.5) ^ breast  # noqa: PLR2004


def _departure(rise: np.ndarray, rule: BlindingRule | None) -> float:
    """Of the mean grey of rings under the outline from the rule's floor and tissue, root mean square.

    What the tissue itself does there, where a breast grows thinner, is the anatomy's: it may be any parabola. Without a
    rule the rings lie so deep that there is nothing but tissue: what that leaves is its texture, of which an edge has
    as much.
    """
    depth = np.arange(rise.size) + 0.5
    if rule is None:
        left = rise - np.polynomial.Polynomial.fit(depth, rise, 2)(depth)
        return float(np.sqrt((left**2).mean()))
    floor = _floor(rule)
    found = []
    for hidden in np.arange(0, 4, 0.25):  # of the outline's own rise, as far as it is taken for air
        below = depth + hidden + rule.edge
        tissue = np.stack([breast_weight(below, rule) * depth**power for power in range(3)], axis=1)
        left = rise - floor * floor_weight(below, rule)
        left = left - tissue @ np.linalg.lstsq(tissue, left, rcond=None)[0]
        found.append(float(np.sqrt((left**2).mean())))
    return min(found)


def _floor(rule: BlindingRule) -> float:
    """In the values of a copy."""
    return rule.floor * (1 - 2 * ROOM) * ((1 << rule.bits) - 1)


def _clipping(view: _View) -> _Traces:
    yield (CLIPPING, "share of tissue at 0"), float((view.values == 0).mean())
    yield (CLIPPING, "share of tissue at the highest value"), float((view.values >= (1 << view.rule.bits) - 1).mean())
