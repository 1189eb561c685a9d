"""How fine the detail of images is, so that every arm can be shown with that of the coarsest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from scipy import fft

from mammosynth.mammogram import Mammogram
from mammosynth.reading.blinding.pixels import breast_depth, breast_weight, placed
from mammosynth.reading.blinding.rule import BlindingRule

LEAST, MOST = 0.05, 0.5
"""Cycles a pixel: copies are never made coarser by measurement, and cannot be finer."""
_BINS = 45
_OWN = 0.3
"""Cycles a pixel of a source up to which it is the tissue's: in what is finer, whoever scaled or compressed the file
left periods."""
_SIDE = 64  # of the squares of tissue that spectra are taken of, in pixels of the copy
_SHARE = 1.0  # of the noise that is added, in amplitude: detail weaker than that is hidden by it


def finest_detail(image: Mammogram, rule: BlindingRule) -> float:
    """Cycles a pixel of a copy beyond which the tissue of an image has less than the noise that is added.

    What is finer than `_OWN` for a pixel of the source tells how its file was made.

    Args:
        image: Of any arm.
        rule: Its matrix and noise.

    Returns:
        `LEAST` to `MOST`; the most that its pixels can show if no square of tissue is large enough to tell.
    """
    canvas, frame, placement = placed(image, rule)
    most = min(MOST, _OWN / placement.scale)
    spectrum = tissue_spectrum(canvas, breast_weight(breast_depth(canvas, frame, rule, image.image_laterality), rule))
    if spectrum is None:
        return max(most, LEAST)
    hidden = spectrum < (_SHARE * max(rule.noise, 1e-4)) ** 2
    above = np.flatnonzero(~hidden)
    finest = MOST * (above[-1] + 1) / _BINS if above.size else LEAST
    return float(np.clip(min(finest, most), LEAST, MOST))


def coarsest(images: Mapping[str, Iterable[Mammogram]], rule: BlindingRule) -> float:
    """The detail of the arm that has least: the smallest of the arms' medians."""
    details = [np.median([finest_detail(image, rule) for image in own]) for own in images.values()]
    return float(min(details))


def tissue_spectrum(canvas: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    """Power by frequency of squares that are wholly breast, each windowed, their median.

    Returns:
        (45,) variance a pixel, if all frequencies had the power of that bin; bins from 0 to 0.5 cycles a pixel. None if
        there is no such square.
    """
    side = min(_SIDE, min(canvas.shape) // 6)
    window = np.hanning(side)[:, None] * np.hanning(side)[None, :]
    frequency = np.hypot(fft.fftfreq(side)[:, None], fft.fftfreq(side)[None, :])
    bins = np.minimum((frequency / MOST * _BINS).astype(int), _BINS)
    counts = np.bincount(bins.ravel(), minlength=_BINS + 1)
    powers = []
    for top in range(0, canvas.shape[0] - side + 1, side // 2):
        for left in range(0, canvas.shape[1] - side + 1, side // 2):
            part = slice(top, top + side), slice(left, left + side)
            if weight[part].min() < 1:
                continue
            values = canvas[part] - canvas[part].mean()
            power = np.abs(fft.fft2(values * window)) ** 2 / (window**2).sum()
            powers.append(np.bincount(bins.ravel(), power.ravel(), _BINS + 1)[:_BINS] / np.maximum(counts[:_BINS], 1))
    return np.median(powers, axis=0) if powers else None
