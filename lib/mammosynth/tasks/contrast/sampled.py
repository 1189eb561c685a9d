"""`draw_contrast`: one plausible recombined image about the expected one.

Window, strength of detail and rim are drawn as real images have them. Detail is the low-energy image's own, in relief,
as two exposures between which the breast moved a little leave it when one is taken from the other; and grain, stronger
where there is more tissue. Where the members of an ensemble differ, samples differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from mammosynth.preprocessing.bands import evenly
from mammosynth.tasks.contrast.style import (
    BANDS,
    DARK,
    DEVIATION,
    LOOK,
    MEAN,
    RIM,
    SIGMAS,
    ContrastStyle,
    Zones,
    given_of,
    measure_look,
)

LEVEL_SPREAD, SLOPE_SPREAD, BAND_SPREAD, RIM_SPREAD = 0.4, 0.4, 0.6, 0.5
"""Of what real images vary by: with all of it, the image of one seed would be farther from the real one than it looks
better. Chosen on `val`, four seeds of every image."""
SLOPES = (0.5, 2.0)
"""By which the contrast of an image may be made weaker or stronger."""
RELIEF = (0.15, 0.5, 0.8, 0.8, 0.5)
"""Share of every band's power that is relief; the rest is grain. Chosen on `val`, by numbers and by eye."""
FLAT = 0.3
"""How much of the low-energy image as it is, of either sign, is in its relief."""
ASKED = (1.29, 1.11, 0.75, 0.97, 0.48)
"""How strong bands must be drawn for what is measured to be as strong as in training images: relief of one band lies in
the next one, too, and 8-bit JPEG takes from what is weak. The last band is weaker than theirs: it costs most."""
HOT, HOT_FROM, HOT_PX = 0.6, 1.5, (3.0, 32.0)
"""How much brighter spots become that the expected image shows, which is dim where one may be or not be; from so many
standard deviations of what varies within these widths."""
LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
SMALL_GAINS = (-1.0, -1.0, -1.0, -0.44, 0.38, 2.9, 4.0)
LARGE_GAINS, LARGE_PX = (-1.0, -1.0, -0.78, -0.34, 0.09, 1.25, 2.0), 400
"""Levels and quantiles of what is added to each of these spots in one image, as a multiple of it, and from how many
pixels it is a large one: real spots of 118 training images as multiples of those that networks expected which had not
seen the patient, minus 1. Ends are chosen."""
MODULATION = 0.5
"""Exponent with which grain grows with the strength of the relief about it."""
OCTAVE = 1.55
"""Strength of every octave of grain finer than the frame beside the one before: of two full-resolution images."""
LEAST_OCTAVE = 1.5
"""A source this many times finer than the frame has grain of its own."""


@dataclass(frozen=True, eq=False)
class DrawnContrast:
    """A sample in the frame.

    Attributes:
        fields: (2, H, W) float32: offset and gain.
        grain: (H, W) float32: standard deviation of its finest grain.
    """

    fields: np.ndarray
    grain: np.ndarray


def draw_contrast(
    fields: np.ndarray,
    low_energy: np.ndarray,
    breast: np.ndarray,
    is_mlo: bool,
    style: ContrastStyle,
    random: np.random.Generator,
) -> DrawnContrast:
    """One sample.

    Args:
        fields: (M, 2, H, W) float32: offset and gain of every member.
        low_energy: (H, W) float32 in [0, 1], in the frame.
        breast: (H, W) bool, not empty.
        is_mlo: Of the view.
        style: What is known of real images.
        random: Where everything random comes from.
    """
    zones = Zones(breast)
    mean = fields.mean(axis=0)
    expected = np.clip(mean[0] + mean[1] * low_energy, 0, 1) * breast
    own, _ = measure_look(expected, zones)
    low_look, low_bands = measure_look(low_energy, zones)
    known = given_of(own, low_look, is_mlo)
    trend, look = style.looks.expected_and_drawn(known, random, _SPREADS)
    # What is expected of the window is not applied: all samples would share its error.
    slope = np.float32(np.clip(np.exp(look[DEVIATION] - trend[DEVIATION]), *SLOPES))
    level = expected[zones.inside].mean()
    made = slope * (mean + _mixture(fields, mean, float(style.factor), random))
    made[0] += np.float32((level + DARK) * np.exp(look[MEAN] - trend[MEAN]) - DARK - slope * level)
    missing = np.sqrt(np.maximum(np.exp(2 * look[BANDS]) - slope**2 * np.exp(2 * own[BANDS]), 0)) * ASKED
    detail, grain = _detail(low_bands, zones, missing.astype(np.float32), random)
    made[0][zones.split.box] += detail
    made[0] += slope * _spots(expected, zones, random)
    change = look[RIM] - zones.rim(np.clip(made[0] + made[1] * low_energy, 0, 1))
    made[0] += zones.at_rim(change)
    finest = np.zeros(breast.shape, np.float32)
    finest[zones.split.box] = grain
    return DrawnContrast(made, finest)


def finer_grain(grain: np.ndarray, scale: float, random: np.random.Generator) -> np.ndarray:
    """Grain that is too fine for the frame.

    Args:
        grain: (H, W) float32: standard deviation of the frame's finest grain, in the source's matrix.
        scale: Pixels of the source in a pixel of the frame.
        random: Draws it.

    Returns:
        (H, W) float32, zero where `grain` is; all of it zero if the source is no finer than the frame.
    """
    finer, strength = np.zeros_like(grain), 1.0
    while scale >= LEAST_OCTAVE:
        strength, scale = strength * OCTAVE, scale / 2
        step = scale if scale >= LEAST_OCTAVE else 1.0
        noise = random.standard_normal([int(side / step) + 1 for side in grain.shape], np.float32)
        noise -= ndimage.uniform_filter(noise, 3)
        noise *= np.float32(strength * 3 / 8**0.5)  # of unit variance again
        finer += _resized(noise, grain.shape, Image.Resampling.BICUBIC)
    return finer * grain


def _mixture(fields: np.ndarray, mean: np.ndarray, factor: float, random: np.random.Generator) -> np.ndarray:
    """(2, H, W): what one sample has of what members differ by."""
    drawn = random.normal(size=len(fields)) * factor / len(fields) ** 0.5
    mixture = np.zeros_like(mean)
    for share, member in zip(drawn, fields, strict=True):
        mixture += np.float32(share) * (member - mean)
    return mixture


def _detail(
    low_bands: list[np.ndarray], zones: Zones, strengths: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Relief and grain in the breast's box, and the standard deviation of the finest grain."""
    weight = zones.breast[zones.split.box].astype(np.float32)
    angle, flat = random.uniform(0, 2 * np.pi), FLAT * random.normal()
    detail, finest = np.zeros_like(weight), np.zeros_like(weight)
    for number, (band, strength, share) in enumerate(zip(low_bands, strengths, RELIEF, strict=True)):
        down, right = np.gradient(band)
        moved = _of_unit(np.cos(angle, dtype=np.float32) * down + np.sin(angle, dtype=np.float32) * right, zones)
        relief = _of_unit(np.float32(flat) * _of_unit(band, zones) + moved, zones)
        about = _local_strength(relief, weight, max(4, 3 * SIGMAS[number])) ** np.float32(MODULATION)
        noise = _noise(number, weight.shape, random) * about
        unit = evenly(noise[zones.within]) + 1e-6
        detail += np.float32(strength * share**0.5) * relief
        detail += np.float32(strength * (1 - share) ** 0.5 / unit) * noise
        if not number:
            finest = np.float32(strength * (1 - share) ** 0.5 / unit) * about * noise.std() / about.mean()
    return detail * weight, finest * weight


def _of_unit(band: np.ndarray, zones: Zones) -> np.ndarray:
    """A band of unit strength."""
    return band / np.float32(evenly(band[zones.within]) + 1e-6)


def _local_strength(band: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """(H, W) float32, above 0: root of the mean square about every pixel, within the breast."""
    return np.sqrt(_smooth(band * band, weight, sigma)) + np.float32(1e-4)


def _smooth(pixels: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """(H, W) float32: Gaussian smoothing within the breast, on a grid that is as coarse as it allows."""
    step = max(1, int(sigma) // 2)
    small = tuple(max(1, side // step) for side in pixels.shape)
    total, share = (_resized(each, small, Image.Resampling.BOX) for each in (pixels * weight, weight))
    smooth = [ndimage.gaussian_filter(each, sigma / step) for each in (total, share)]
    return _resized(smooth[0] / (smooth[1] + np.float32(1e-3)), pixels.shape, Image.Resampling.BILINEAR)


def _spots(expected: np.ndarray, zones: Zones, random: np.random.Generator) -> np.ndarray:
    """(H, W) float32: what is added to places brighter than their surroundings, beyond what is usual in the breast."""
    weight = zones.breast.astype(np.float32)
    high = _smooth(expected, weight, HOT_PX[0]) - _smooth(expected, weight, HOT_PX[1])
    excess = np.maximum(high - np.float32(HOT_FROM * high[zones.inside].std()), 0) * weight
    labels, count = ndimage.label(excess)
    large, drawn = np.bincount(labels.ravel())[1:] >= LARGE_PX, random.random(count)
    gains = np.where(large, np.interp(drawn, LEVELS, LARGE_GAINS), np.interp(drawn, LEVELS, SMALL_GAINS))
    return excess * np.concatenate([[0], HOT + gains]).astype(np.float32)[labels]


def _noise(number: int, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """White noise as a band of `SIGMAS` holds it, drawn on a grid that is as coarse as the band allows."""
    if not number:
        white = random.standard_normal(shape, np.float32)
        return ndimage.gaussian_filter(white, 0.5) - ndimage.gaussian_filter(white, SIGMAS[0])
    step = SIGMAS[number - 1]
    white = random.standard_normal([side // step + 6 for side in shape], np.float32)
    coarse = ndimage.gaussian_filter(white, 1) - ndimage.gaussian_filter(white, 2)
    noise = _resized(coarse, tuple(side * step for side in coarse.shape), Image.Resampling.BICUBIC)
    return noise[2 * step : 2 * step + shape[0], 2 * step : 2 * step + shape[1]]


def _resized(pixels: np.ndarray, shape: tuple[int, ...], kernel: Image.Resampling) -> np.ndarray:
    if pixels.shape == shape:
        return pixels
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels, np.float32)).resize((shape[1], shape[0]), kernel))


_SPREADS = np.ones(LOOK)
_SPREADS[MEAN], _SPREADS[DEVIATION] = LEVEL_SPREAD, SLOPE_SPREAD
_SPREADS[BANDS], _SPREADS[RIM] = BAND_SPREAD, RIM_SPREAD
