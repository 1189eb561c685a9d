"""Tissue that is drawn: strands, vessels, masses, fat between them and grain, as strong as a style asks for.

No network is asked. A field is smooth noise on a grid that is laid along the strands, from the chest wall to the
nipple, and bent; it is a function of place, so it has no seams and no resolution. Fields of many sizes give the power
law of mammograms (Burgess 1999, doi:10.1117/12.349652). Those near their zeros are ridges (ridged noise:
Musgrave in Ebert et al., Texturing and Modeling, 2003), a net about darker lobules; long thin ones are straight
streaks, as ligaments are. A mammogram is a projection, so nets of several layers, each in a direction of its own, lie
over each other. How much of each there is differs from image to image. Then the strength of every band is set
to the style's, in adipose and in dense tissue apart, so that images differ as real ones do; last come the slope to the
skin, the edge at the chest wall, and masses.

What the numbers below are, was chosen by eye and by the distance of 34 features on training images; see the model card.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from mammosynth.preprocessing.look import Look
from mammosynth.tasks.mask.bands import Bands, smooth
from mammosynth.tasks.mask.classes import BreastClass, is_lesion
from mammosynth.tasks.mask.drawing import BEHIND_NIPPLE_PX, ROWS, Drawing
from mammosynth.tasks.mask.lesions import calcification_form, lesion_form
from mammosynth.tasks.mask.muscle import draw_muscle
from mammosynth.tasks.mask.style import Style, lesion_contrast, measure_rim, rim_profile, wall_share
from mammosynth.tasks.mask.vessels import draw_vessels

TABLE = (64, 128)
"""Cells of a field before it repeats."""
OCTAVES = ((80, 1.04, 0.5), (44, 1.1, 0.6), (24, 1.16, 0.6))
FINE_OCTAVES = ((13, 1.35, 0.45), (7.5, 1.7, 0.3), (4.6, 2.0, 0.2), (3.0, 2.3, 0.16), (2.0, 2.3, 0.11))
"""Size across in pixels of the frame, length over size, strength. Coarse ones lie along the strands, fine ones each in
a layer of its own."""
RIDGES = ((17, 1.5, 0.8), (10, 1.9, 1.0), (6, 2.3, 0.8), (3.6, 2.6, 0.5))
STREAKS = ((1.7, 7, 0.8), (2.2, 7, 1.0), (3.0, 7, 1.0), (4.5, 6, 1.0))
STREAK_FROM, STREAK_TURN, STREAK_BEND, DIRECTIONS = 0.6, 0.8, (45, 7.0), 4
"""Of a field's value, from where it is a streak; spread in radians of their directions about that from the chest wall;
size and reach of what bends them; how many directions each size has."""
BENDS = ((70, 14.0), (28, 2.1), (12, 0.6))
"""Size and reach of what bends the grid, in pixels."""
UNEVEN = ((90, 70, 0.3), (40, 30, 0.22))
"""Size along, size across, strength: where tissue is rich in detail and where it is plain."""
GRAIN = ((0.3, 0.7, 0.58), (0.6, 1.15, 0.57), (1.1, 2.2, 0.62))
"""Smoothing in pixels of white noise from, to, and its share of the strength of the finest bands."""
CLOUDS, NET, STREAK, VESSEL = 0.038, 0.035, 0.008, 0.3
UNEVENLY = 0.35
"""Strengths before bands are set, and the power of unevenness by which they differ from place to place."""
LAYERS, LAYER_TURN, LAYER_BENDS = 3, 0.6, ((60, 7.0), (24, 2.0))
"""How many nets lie over each other; spread in radians of their directions; size and reach of what bends each."""
TAILS = (0.6, 0.6, 0.4, 0.3)
"""Of the finest bands: how much is taken from what is stronger than usual, for strands of real breasts stand out less
than drawn ones."""
WALL = 2.0
"""Columns at the chest wall that look otherwise."""
RIM_NEARBY = 3.0
"""Standard deviation in pixels of what is nearby where the rim is brightened."""
PASSES = 3
"""Of the setting of bands, which overlap, and of lesions, whose edges are soft."""
CALCIFICATION = 0.35
"""Grey that a usual one adds."""
LEAST_CONTRAST = 0.03
"""Of a lesion to its ring: real ones in dense tissue may be darker than it, but what was drawn must show."""
FINER, FINEST_CELL = (0.7, 0.4, 0.25), 0.8
"""Sizes in pixels of the frame of the strands that are added where the label map is finer than the frame, and the
least size in pixels of the label map."""
FINER_LENGTH, FINER_TURNS, FINER_STRENGTH = 7, (0.5, -0.6), 0.9
"""Length over size; radians of their two directions about that from the chest wall; of the finest band's strength."""
QUANTUM, BLUR = 0.52, 0.45
"""Standard deviation of quantum noise in one pixel of the frame, of the finest band's: in a smaller pixel it is as much
more as the pixel is narrower, since there are fewer quanta. Smoothing of it in pixels of the label map, as the
detector's."""


@dataclass(frozen=True)
class _Character:
    """What differs from image to image and no style says: factors about 1."""

    unevenness: float
    ridges: float
    streaks: float
    vessels: float
    grain: float

    @classmethod
    def draw(cls, random: np.random.Generator) -> _Character:
        return cls(*(float(np.exp(spread * random.normal())) for spread in (0.3, 0.3, 0.4, 0.5, 0.15)))


@dataclass(frozen=True, eq=False)
class _Grid:
    """Where every pixel lies: along the strands and across them, in pixels of the frame. (H, W) float32."""

    along: torch.Tensor
    across: torch.Tensor


def draw_tissue(drawing: Drawing, style: Style, look: Look, random: np.random.Generator) -> np.ndarray:
    """A mammogram of a label map.

    Args:
        drawing: The label map in the frame.
        style: How the image looks as a whole.
        look: How soft its muscle is.
        random: Where everything random comes from.

    Returns:
        (512, W) float32 in [0, 1], 0 in air.
    """
    breast = torch.from_numpy(drawing.breast.astype(np.float32))
    dense = _mask(drawing, dense=True)
    character = _Character.draw(random)
    grid, bends = _bent_grid(drawing, random)
    uneven = torch.stack([gain * _field(random, grid, along, across) for along, across, gain in UNEVEN]).sum(0)
    uneven = (uneven * character.unevenness).exp()
    share = _dense_share(dense, breast, bends)
    nearby = smooth(share, 25)
    octaves = [gain * _noise(random, grid, size, stretch) for size, stretch, gain in OCTAVES]
    layers = [_layer(random, breast) for _ in FINE_OCTAVES]
    octaves += [gain * _noise(random, own, *sides) for own, (*sides, gain) in zip(layers, FINE_OCTAVES, strict=True)]

    border = (share * (1 - share) * 4).clamp(min=0) ** 0.7
    gland = (share + 0.25 * sum(octaves[1:4]) * border).clamp(0, 1.3)
    image = style.adipose + 1.05 * (style.dense - style.adipose) * gland
    net = CLOUDS * sum(octaves) + NET * character.ridges * _ridges(random, breast)
    image = image + uneven**UNEVENLY * net * (0.25 + share)
    streaks = STREAK * character.streaks * _streaks(random, grid)
    image = image + uneven**UNEVENLY * streaks * (0.4 + 0.6 * nearby)
    vessels = torch.from_numpy(draw_vessels(drawing, random))
    vessels = VESSEL * character.vessels * float(np.exp(style.adipose_bands[3])) * vessels
    image = image + vessels * (1 - 0.6 * share)
    masses = torch.from_numpy(is_lesion(drawing.labels).astype(np.float32))
    image = image + 0.2 * max(np.nan_to_num(style.lesion), 0.0) * smooth(masses, 4)

    softly = smooth(dense, 5)
    grains = [min(gain * character.grain, 0.95) for *_, gain in GRAIN]
    image = _with_strength(image, drawing, style, softly, breast, grains)
    image = image + _grain(random, style, softly, uneven, breast, grains)
    # Bands are set before: they would make lines of a muscle's border, and rings of calcifications.
    image = image + style.adipose * torch.from_numpy(draw_muscle(drawing, look, random))
    image = _with_skin(image, drawing, style, _field(random, grid, 30, 40))
    image = _with_rim(image.clamp(min=0) * smooth(breast, 0.8) * breast, drawing, style)
    image = _with_wall(image, drawing, style)
    image = _with_lesions(image, drawing, style, random)
    image = (image + CALCIFICATION * torch.from_numpy(calcification_form(drawing.labels, random))) * breast
    return image.clamp(0, 1).numpy()


def draw_finer(pixels: np.ndarray, drawing: Drawing, style: Style, random: np.random.Generator) -> np.ndarray:
    """What an image on a matrix that is finer than the frame has beyond the frame's own detail.

    Strands that are too thin for the frame, and quantum noise, which is nearly white.

    Args:
        pixels: (H, W) float32, the image enlarged to the label map's matrix.
        drawing: Of the label map.
        style: Of the image.
        random: Where it comes from.

    Returns:
        (H, W) float32 in [0, 1].
    """
    scale = drawing.shape[0] / drawing.labels.shape[0]
    y, x = (torch.arange(side, dtype=torch.float32) / scale for side in pixels.shape)
    y, x = y[:, None], x[None]
    image = torch.from_numpy(pixels)
    finest = float(np.exp(style.adipose_bands[0]))
    brightness = 0.5 + image / max(style.dense, 0.05)
    for size in FINER:
        for turn in FINER_TURNS if size * scale >= FINEST_CELL else ():
            turned = _turned(y, x, turn + 0.2 * random.normal())
            strand = (_noise(random, turned, size, FINER_LENGTH) - 0.3).clamp(min=0) - 0.27
            image = image + FINER_STRENGTH * finest * size / FINER[0] * brightness * strand
    noise = torch.from_numpy(random.standard_normal(pixels.shape, np.float32))
    noise = smooth(noise, BLUR) - smooth(noise, scale / 2)  # the frame has its own
    image = image + QUANTUM * finest * scale * brightness.sqrt() * noise
    return (image.clamp(0, 1) * (torch.from_numpy(pixels) > 0)).numpy()


def _bent_grid(drawing: Drawing, random: np.random.Generator) -> tuple[_Grid, torch.Tensor]:
    """The grid, and (2, H, W) the finer bends, by which drawn borders are frayed."""
    height, width = drawing.labels.shape
    bends = [gain * _bend(random, size, (height, width)) for size, gain in BENDS]
    down, inwards = torch.stack(bends).sum(0)
    row, column = drawing.nipple
    skin = np.flatnonzero(drawing.breast[int(row) : int(row) + 2].any(axis=0)).max(initial=0)
    if skin > column + BEHIND_NIPPLE_PX:  # drawn within the breast: angles would leap at a line from there to the skin
        column = float(skin)
    y = torch.arange(height, dtype=torch.float32)[:, None] - row
    x = column + BEHIND_NIPPLE_PX - torch.arange(width, dtype=torch.float32)[None]
    distance = torch.hypot(*torch.broadcast_tensors(y, x))
    along = distance + inwards
    angle = torch.atan2(*torch.broadcast_tensors(y, x)) + down / distance.clamp(min=50)
    # Strands spread as they leave the nipple, by less than a fan would.
    across = angle * along.clamp(min=40) ** 0.5 * 9
    return _Grid(along, across), 1.4 * bends[1] + 2.1 * bends[2]


def _dense_share(dense: torch.Tensor, breast: torch.Tensor, bends: torch.Tensor) -> torch.Tensor:
    """Soft and frayed: a drawn line says where the gland ends to some millimetres."""
    height, width = dense.shape
    y, x = torch.arange(height)[:, None] + bends[0], torch.arange(width)[None] + bends[1]
    frayed = _sample(smooth(dense, 3), y, x)
    return ((smooth(frayed, 12) / smooth(breast, 12).clamp(min=0.3)) * breast).clamp(0, 1)


def _ridges(random: np.random.Generator, breast: torch.Tensor) -> torch.Tensor:
    """Nets about darker lobules; fine ridges where coarse ones are. Zero mean, unit spread in the breast."""
    total = torch.zeros_like(breast)
    for _ in range(LAYERS):
        grid, presence = _layer(random, breast), torch.ones_like(breast)
        for size, stretch, gain in RIDGES:
            crest = (1 - (_noise(random, grid, size, stretch).abs() / 0.9).clamp(max=1)) ** 1.6
            total = total + gain * crest * presence
            presence = (0.35 + 1.3 * crest).clamp(0, 1.4)
    inside = total[breast > 0]
    return (total - inside.mean()) / (inside.std() + 1e-6)


def _layer(random: np.random.Generator, breast: torch.Tensor) -> _Grid:
    """A grid of its own direction, bent a little."""
    height, width = breast.shape
    down, right = torch.stack([reach * _bend(random, size, (height, width)) for size, reach in LAYER_BENDS]).sum(0)
    y = torch.arange(height, dtype=torch.float32)[:, None] + down
    x = torch.arange(width, dtype=torch.float32)[None] + right
    return _turned(y, x, LAYER_TURN * random.normal())


def _streaks(random: np.random.Generator, grid: _Grid) -> torch.Tensor:
    """Thin, bright and straight, here and there, from the chest wall to the nipple and across each other."""
    total = torch.zeros_like(grid.along)
    height, width = total.shape
    cell, reach = STREAK_BEND
    bend = reach * _bend(random, cell, (height, width))
    y = torch.arange(height, dtype=torch.float32)[:, None] + bend[0]
    x = torch.arange(width, dtype=torch.float32)[None] + bend[1]
    for size, stretch, gain in STREAKS:
        for turn in STREAK_TURN * random.normal(size=DIRECTIONS):
            streak = (_noise(random, _turned(y, x, turn), size, stretch) - STREAK_FROM).clamp(min=0)
            total = total + gain * streak * torch.sigmoid(3 * _field(random, grid, 60, 45))
    return total


def _turned(y: torch.Tensor, x: torch.Tensor, turn: float) -> _Grid:
    """A straight grid that goes so many radians aside from the one across the chest wall."""
    cosine, sine = float(np.cos(turn)), float(np.sin(turn))
    return _Grid(x * cosine + y * sine + 2 * ROWS, y * cosine - x * sine + 2 * ROWS)  # places in fields are positive


def _grain(
    random: np.random.Generator,
    style: Style,
    share: torch.Tensor,
    uneven: torch.Tensor,
    breast: torch.Tensor,
    grains: Sequence[float],
) -> torch.Tensor:
    """Noise, as part of the finest bands: `grains` says how much of each."""
    usual = smooth(uneven * breast, 20) / (smooth(breast, 20) + 1e-3)
    local = torch.sqrt(uneven / (usual + 1e-3))
    total = torch.zeros_like(breast)
    for band, (finest, coarsest, _) in enumerate(GRAIN):
        noise = smooth(torch.from_numpy(random.normal(size=breast.shape).astype(np.float32)), finest)
        noise = noise - smooth(noise, coarsest)
        adipose, glandular = _wanted(style, band)
        total = total + grains[band] * noise / noise.std() * (adipose * (1 - share) + glandular * share) * local
    return total


def _with_strength(
    image: torch.Tensor,
    drawing: Drawing,
    style: Style,
    share: torch.Tensor,
    breast: torch.Tensor,
    grains: Sequence[float],
) -> torch.Tensor:
    """Bands and means of both tissues as the style has them; `share` is what is dense, `grains` come on top."""
    masks = [drawing.measured(dense=kind) for kind in (False, True)]
    adipose_mask, dense_mask = (torch.from_numpy(mask) for mask in masks)
    bands = Bands(breast)
    for number in range(PASSES):
        parts, image = bands.split(image)
        if number == 0:
            tamed = [_without_tails(own, breast, tail) for own, tail in zip(parts, TAILS, strict=False)]
            parts = [*tamed, *parts[len(TAILS) :]]
        for band, own in enumerate(parts):
            left = (1 - grains[band] ** 2) ** 0.5 if band < len(grains) else 1.0
            wanted = _wanted(style, band)
            gains = [
                (left * target / (own[mask].std() + 1e-5)).clamp(0.3, 4)
                for target, mask in zip(wanted, (adipose_mask, dense_mask), strict=True)
            ]
            image = image + own * (gains[0] * (1 - share) + gains[1] * share)
    lift = style.adipose - image[adipose_mask].mean(), style.dense - image[dense_mask].mean()
    return image + lift[0] * (1 - share) + lift[1] * share


def _without_tails(band: torch.Tensor, breast: torch.Tensor, tail: float) -> torch.Tensor:
    usual = band[breast > 0].std() / tail + 1e-6
    return usual * torch.asinh(band / usual)


def _wanted(style: Style, band: int) -> tuple[float, float]:
    """Standard deviation of a band in adipose and in dense tissue."""
    return float(np.exp(style.adipose_bands[band])), float(np.exp(style.dense_bands[band]))


def _with_rim(image: torch.Tensor, drawing: Drawing, style: Style) -> torch.Tensor:
    """As bright at every depth as the style has it.

    What is darkened is darkened by a factor; what is brightened gains what adipose tissue nearby needs, and keeps its
    detail: a factor that lifts dark fat would bleach a gland beside it.
    """
    breast = torch.from_numpy(drawing.breast.astype(np.float32))
    nearby = smooth(breast, RIM_NEARBY) + 1e-3
    for _ in range(PASSES):
        found = np.maximum(measure_rim(image.numpy(), drawing), 0.02)
        gains = np.clip(np.array(style.rim) / found, 0.2, 5)
        profile = torch.from_numpy(rim_profile(list(gains), drawing))
        usual = smooth(image.clamp(max=style.adipose) * breast, RIM_NEARBY) / nearby
        image = (image * profile.clamp(max=1) + usual * (profile - 1).clamp(min=0)) * breast
    return image


def _with_wall(image: torch.Tensor, drawing: Drawing, style: Style) -> torch.Tensor:
    """As bright at the chest wall as the style has it."""
    gain = float(np.clip(style.wall / max(wall_share(image.numpy(), drawing), 0.05), 0, 5))
    nearness = np.exp(-((np.maximum(drawing.column - 1, 0) / WALL) ** 2)).astype(np.float32)
    return image * (1 + (gain - 1) * torch.from_numpy(nearness))


def _with_lesions(image: torch.Tensor, drawing: Drawing, style: Style, random: np.random.Generator) -> torch.Tensor:
    """Lesions in their form, as much brighter than their ring as the style has them."""
    lesion = is_lesion(drawing.labels)
    contrast = float(np.nan_to_num(style.lesion))
    form = torch.from_numpy(lesion_form(drawing.labels, random))
    image = image + max(contrast, LEAST_CONTRAST) * form
    softly = smooth(torch.from_numpy(lesion.astype(np.float32)), 2)
    for _ in range(PASSES):
        missing = max(contrast, LEAST_CONTRAST) - lesion_contrast(image.clamp(0, 1).numpy(), lesion)
        if not np.isfinite(missing):
            break
        image = image + missing * softly
    return image


def _with_skin(image: torch.Tensor, drawing: Drawing, style: Style, unevenness: torch.Tensor) -> torch.Tensor:
    skin = 0.8 * smooth(_class(drawing, BreastClass.SKIN), 0.8)
    return image * (1 - skin) + skin * style.skin * torch.exp(0.12 * unevenness)


def _noise(random: np.random.Generator, grid: _Grid, size: float, stretch: float) -> torch.Tensor:
    return _field(random, grid, size * stretch, size)


def _field(random: np.random.Generator, grid: _Grid, along: float, across: float) -> torch.Tensor:
    """Smooth noise of unit spread, whose cells have these lengths in pixels."""
    white = torch.from_numpy(random.normal(size=TABLE).astype(np.float32))
    table = smooth(F.pad(white[None, None], (4, 4, 4, 4), mode="circular")[0, 0], 0.8)[4:-4, 4:-4]
    table = F.pad((table / table.std())[None, None], (0, 1, 0, 1), mode="circular")[0, 0]
    return _sample(table, (grid.along / along) % TABLE[0], (grid.across / across) % TABLE[1])


def _bend(random: np.random.Generator, size: float, shape: tuple[int, int]) -> torch.Tensor:
    """(2, H, W): smooth noise of about unit spread; its cells have this length in pixels."""
    cells = [int(np.ceil(side / size)) + 3 for side in shape]
    coarse = torch.from_numpy(random.normal(size=(1, 2, *cells)).astype(np.float32))
    fine = F.interpolate(coarse, scale_factor=float(size), mode="bicubic", align_corners=False)
    start = int(size)
    return fine[0, :, start : start + shape[0], start : start + shape[1]]


def _sample(table: torch.Tensor, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Bilinear; places beyond the border take its value."""
    height, width = table.shape
    places = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], dim=-1)[None].float()
    found = F.grid_sample(table[None, None], places, mode="bilinear", padding_mode="border", align_corners=True)
    return found[0, 0]


def _mask(drawing: Drawing, *, dense: bool) -> torch.Tensor:
    return torch.from_numpy(drawing.tissue(dense=dense).astype(np.float32))


def _class(drawing: Drawing, kind: BreastClass) -> torch.Tensor:
    return torch.from_numpy((drawing.labels == kind).astype(np.float32))
