"""`draw_view`: one plausible view: an outline that is drawn, the woman's own tissue in it, as strong as a drawn style.

What is coarse comes from the expected view, what is fine from the source: its bands are laid into the outline
and brought to the strength that the style asks for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mammosynth.preprocessing.bands import Bands, evenly
from mammosynth.preprocessing.breast import erode, skin_distance
from mammosynth.preprocessing.frame import extend_smoothly, fill_outside
from mammosynth.preprocessing.look import Look
from mammosynth.preprocessing.regions import largest
from mammosynth.tasks.view.film import border_of, exposed, with_border, without_border
from mammosynth.tasks.view.frame import chest_wall
from mammosynth.tasks.view.muscle import MUSCLES, draw_muscle, with_muscle
from mammosynth.tasks.view.roles import OTHER
from mammosynth.tasks.view.style import SIGMAS, StyleModel, interior, measure_style
from mammosynth.tasks.view.warp import Laid, lay
from mammosynth.terms import ViewPosition

LEVEL = 0.53
"""Of the chance of breast, where the outline is that is expected."""
DRAWN_LEVEL, LEVEL_SPREAD = 0.48, 0.02
"""The same of a sample, by which most of both outlines overlaps; and how far samples differ in it."""
LEVEL_LIMITS = (0.25, 0.75)
WALL_PX = 12
"""How far outlines go on towards the chest wall: bites are closed, the fold below the breast is not."""
OUTLINE_PX = 6.0
"""Smoothing of the chance before an outline is drawn."""
STYLE_SPREAD = 0.5
COARSE_SPREAD = 0.5
"""Of the coarse field that differs from sample to sample, beside the style's own strength of the coarsest band."""
COARSE_PX = 40.0
SURE, FILLED_PX = 0.85, 6.0
"""Chance of breast from which the expected view is believed, and how softly it goes on beyond."""
SKIN_PX = 3.5
"""Pixels over which the skin comes out of the air."""
RIM_PX, RIM_LIMITS = 40, (0.1, 1.1)
"""Depth to which the fall of grey towards the skin is taken from the source, and how far it may go."""
LESION_MARGIN_PX = 4
DEEP_PX = 15
LEAST_FALL = 0.4
"""By less the fall towards the skin is not divided out of the source."""
EXPECTED_SHARE = 0.6
"""Of what the expected view has within the bands: the source has it as well, elsewhere."""
COARSE = 4
"""The first band that is laid once: dense tissue towards the axilla would be seen to be the same."""
GAINS = (0.7, 1.5)
"""By which a band may be made weaker or stronger."""
GRAIN = {Look.FILM: 1.15, Look.DIGITAL: 1.0}
"""Strength to which grain brings the finest detail, as a share of the style's: what is carried over is too smooth."""
COARSE_GAINS = (0.9, 1.1)
"""By which what is coarser than all bands may be."""
PASSES = 3


MUSCLE_FREE = 0.1
"""Share of muscle below which a pixel is tissue before it."""
TONES = (0.01, *np.linspace(0.04, 0.96, 15), 0.99)
TONE_SLOPES = (0.6, 1.5)
EXTREMES, BEYOND = (0.002, 0.998), 0.25
"""Quantiles of the source's tissue, and by which share of its distance tissue may be darker or brighter than these."""


@dataclass(frozen=True, eq=False)
class Source:
    """What is known of the source in the frame.

    Attributes:
        pixels: (512, 512) float32 in [0, 1].
        breast: (512, 512) bool, not empty.
        muscle: (512, 512) bool, see `source_muscle`.
        view: Of it.
        look: Of it.
    """

    pixels: np.ndarray
    breast: np.ndarray
    muscle: np.ndarray
    view: ViewPosition
    look: Look


@dataclass(frozen=True, eq=False)
class Drawn:
    """A sample in the frame.

    Attributes:
        pixels: (512, 512) float32 in [0, 1].
        laid: Where its tissue is in the source.
    """

    pixels: np.ndarray
    laid: Laid


def draw_view(
    source: Source,
    expected: np.ndarray,
    chance: np.ndarray,
    breast: np.ndarray,
    styles: StyleModel,
    random: np.random.Generator,
    *,
    lesions: np.ndarray,
    kept_free: np.ndarray,
) -> Drawn:
    """One sample.

    Args:
        source: In the frame.
        expected: (512, 512) float32: the expected view.
        chance: (512, 512) float32: of breast at every pixel.
        breast: (512, 512) bool, not empty, see `draw_outline`.
        styles: What is known of the other view's style.
        random: Where everything random comes from.
        lesions: (512, 512) bool: of the source, which are not laid into the view.
        kept_free: (512, 512) bool: of the view, where no muscle should be.
    """
    look, inside, to = source.look, source.breast, OTHER[source.view]
    hidden = ndimage.binary_dilation(lesions, iterations=LESION_MARGIN_PX) if lesions.any() else lesions
    hidden = hidden | source.muscle
    pixels = np.where(hidden, extend_smoothly(source.pixels, inside & ~hidden), source.pixels)
    border = border_of(pixels, inside) if look is Look.FILM else 0
    pixels = without_border(pixels, border)
    laid = lay(breast, inside, hidden)
    rim = _Rim.of(pixels, inside)
    flat = pixels / np.maximum(rim.fall(inside), LEAST_FALL) * inside
    tissue = inside & ~source.muscle
    own = measure_style(pixels, exposed(pixels, tissue) if look is Look.FILM else tissue)
    style = styles.draw(own, random, STYLE_SPREAD)
    gains = np.clip(np.exp(style[3:] - own[3:]), *GAINS)
    detail, coarse = _bands(flat, inside, gains)
    first = ndimage.gaussian_filter(laid.first, SIGMAS[COARSE - 1])
    fine = laid.carry(detail) + first * laid.carry_first(coarse)
    filled = _filled(expected, chance, breast)
    coarsest = _coarsest(filled, breast)
    base = coarsest + (1 - (1 - EXPECTED_SHARE) * first) * (filled - coarsest)
    base = base + COARSE_SPREAD * _coarse(random, base, breast)
    muscle, contrast = np.zeros(breast.shape, np.float32), 0.0
    if to is ViewPosition.MLO:
        (tries,) = random.spawn(1)  # as many as there need be, without another grain or border
        muscle, contrast = draw_muscle(breast, MUSCLES[look], tries, kept_free)
    seen = erode(breast, DEEP_PX) & (muscle < MUSCLE_FREE)
    greys = flat[erode(inside, DEEP_PX) & ~source.muscle]
    toned = _as_strong(_toned(base + fine, seen, greys), fine, seen)
    toned = _within(toned, greys)
    image = with_muscle(toned, base, fine, breast, muscle, contrast)
    image = _exposed(image * rim.fall(breast), breast, style)
    image = _grainy(image, breast, float(np.exp(style[3])) * GRAIN[look], random) * _soft(breast)
    image = with_border(image, border, random, above=to is ViewPosition.MLO) if look is Look.FILM else image
    return Drawn(np.clip(image, 0, 1).astype(np.float32), laid)


def draw_outline(chance: np.ndarray, random: np.random.Generator | None) -> np.ndarray:
    """(N, N) bool: the outline at a level of the chance of breast, which is drawn; see `_straight`."""
    level = LEVEL if random is None else DRAWN_LEVEL + LEVEL_SPREAD * float(random.normal())
    return _straight(outline_at(chance, level))


def _straight(outline: np.ndarray) -> np.ndarray:
    """The outline without bites at the chest wall and at the upper border, where the breast goes on."""
    wall, column = chest_wall(outline), np.arange(outline.shape[1])
    first = np.argmax(outline, axis=1)[:, None]  # 0 also in rows without breast
    straight = outline | ((column >= np.maximum(wall, first - WALL_PX)) & (column < first))
    above = np.flatnonzero(straight[0])
    closed = np.pad(straight, ((1, 0), (0, 0)))
    closed[0] = (column >= above[0]) & (column <= above[-1]) if above.size else False
    return ndimage.binary_fill_holes(closed)[1:]


def outline_at(chance: np.ndarray, level: float) -> np.ndarray:
    """(N, N) bool: where the chance of breast is above a level; the largest part, smooth, without holes."""
    smooth = ndimage.gaussian_filter(chance, OUTLINE_PX)
    return ndimage.binary_fill_holes(largest(smooth > np.clip(level, *LEVEL_LIMITS)))


def _filled(expected: np.ndarray, chance: np.ndarray, breast: np.ndarray) -> np.ndarray:
    """The expected view as if it was sure of its outline: where it is not, it goes on as where it is."""
    sure = (chance > SURE) & breast
    if not sure.any():
        return expected * breast
    share = np.clip(ndimage.gaussian_filter(sure.astype(np.float32), FILLED_PX), 0, 1)
    filled = ndimage.gaussian_filter(fill_outside(expected, sure), FILLED_PX)
    return (share * expected + (1 - share) * filled) * breast


def _bands(pixels: np.ndarray, breast: np.ndarray, gains: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two of (N, N): the bands of a view that are fine, each times its gain, and those that are coarse."""
    bands = Bands(breast, SIGMAS)
    made = np.zeros((2, *pixels.shape), np.float32)
    for number, (gain, band) in enumerate(zip(gains, bands.split(pixels)[0], strict=True)):
        made[(int(number >= COARSE), *bands.box)] += np.float32(gain) * band
    return made[0] * breast, made[1] * breast


def _coarse(random: np.random.Generator, base: np.ndarray, breast: np.ndarray) -> np.ndarray:
    """Smooth noise, as strong as the expected view is itself."""
    noise = ndimage.gaussian_filter(random.normal(size=base.shape).astype(np.float32), COARSE_PX)
    noise = (noise - noise[breast].mean()) / (noise[breast].std() + 1e-6)
    return noise * base[breast].std() * breast


def _coarsest(image: np.ndarray, breast: np.ndarray) -> np.ndarray:
    """(N, N): what an image has beyond all bands."""
    bands, coarsest = Bands(breast, SIGMAS), np.zeros_like(image)
    coarsest[bands.box] = bands.split(image)[1]
    return coarsest * breast


def _toned(image: np.ndarray, seen: np.ndarray, greys: np.ndarray) -> np.ndarray:
    """The image with about the distribution of other greys in what is seen of it."""
    if not seen.any() or not greys.size:
        return image
    own, wanted = np.quantile(image[seen], TONES), np.quantile(greys, TONES)
    steps = np.diff(own) + 1e-4
    slopes = np.clip(np.diff(wanted) / steps, *TONE_SLOPES)
    places = own[0] + np.concatenate([[0], np.cumsum(steps)])
    tones = np.concatenate([[0], np.cumsum(slopes * steps)])
    tones += wanted[len(TONES) // 2] - tones[len(TONES) // 2]
    places, tones = (np.concatenate([each[:1] - 1, each, each[-1:] + 1]) for each in (places, tones))
    return np.interp(image, places, tones).astype(np.float32)


def _as_strong(image: np.ndarray, fine: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The image with detail as strong as it was before other tones made it weaker."""
    if not seen.any():
        return image
    share = np.cov(image[seen], fine[seen])[0, 1] / (fine[seen].var() + 1e-9)
    return image + np.float32(max(1 - share, 0)) * fine


def _within(image: np.ndarray, greys: np.ndarray) -> np.ndarray:
    """The image, hardly darker or brighter than other greys are."""
    if not greys.size:
        return image
    limited = np.clip(image, *np.quantile(greys, EXTREMES))
    return limited + np.float32(BEYOND) * (image - limited)


def _exposed(image: np.ndarray, breast: np.ndarray, style: np.ndarray) -> np.ndarray:
    """Of the grey and the spread that a style has, within limits."""
    inside = interior(breast)
    gain = np.clip(np.exp(style[1]) / (image[inside].std() + 1e-5), *COARSE_GAINS)
    return (style[0] + gain * (image - image[inside].mean())) * breast


def _grainy(image: np.ndarray, breast: np.ndarray, wanted: float, random: np.random.Generator) -> np.ndarray:
    """The image with as much grain as makes its finest detail as strong as is wanted."""
    own = evenly((image - ndimage.gaussian_filter(image, SIGMAS[0]))[interior(breast)])
    return image + np.sqrt(max(wanted**2 - own**2, 0.0)) * _grain(breast, random)


def _grain(breast: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """White noise without what is coarser than a pixel, of unit strength, in the breast."""
    noise = random.normal(size=breast.shape).astype(np.float32)
    noise -= ndimage.gaussian_filter(noise, SIGMAS[0])
    return noise / noise.std() * breast


@dataclass(frozen=True, eq=False)
class _Rim:
    """How grey falls towards the skin: its share of that deeper inside, at the depths below `RIM_PX`."""

    shares: np.ndarray

    @classmethod
    def of(cls, pixels: np.ndarray, breast: np.ndarray) -> _Rim:
        depth = skin_distance(breast)
        bins = np.arange(RIM_PX + 1)
        means = np.array(
            [pixels[(depth > low) & (depth <= low + 1)].mean() if low < depth.max() else np.nan for low in bins]
        )
        inner = depth > RIM_PX
        level = pixels[inner].mean() if inner.any() else np.nanmean(means)
        return cls(np.clip(ndimage.gaussian_filter1d(np.nan_to_num(means, nan=level), 1.5) / level, *RIM_LIMITS))

    def fall(self, breast: np.ndarray) -> np.ndarray:
        """(N, N) float32: the share at every pixel."""
        depth = np.arange(len(self.shares)) + 0.5
        return np.interp(skin_distance(breast), depth, self.shares).astype(np.float32)


def _soft(breast: np.ndarray) -> np.ndarray:
    """(N, N) float32: how the skin comes out of the air."""
    return np.clip(skin_distance(breast) / SKIN_PX, 0, 1) ** 0.7
