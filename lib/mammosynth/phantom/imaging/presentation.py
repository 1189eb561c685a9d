"""From detector signal and iodine to the grey values that a reader sees (for processing to for presentation).

What vendors do is not published in detail; this does what their images show: the thickness of the breast is evened out
up to the skin, contrast of large scale is compressed, detail is raised, and a window with soft ends shows the result.
How strongly differs between vendors and exams: `PresentationStyle`. Everything is found from the image alone.

Smooth steps work on a grid of about 1 mm, so that an image of 2294 x 1914 pixels takes about a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mammosynth.phantom.imaging.depth import DEEPEST_MM, SKIN_ATTENUATION, Grid, depth_under_skin, find_breast

STREAM = 40  # purpose number of the random draws
WORKING_MM = 1.0
FINE_MM = 0.25  # grid of the finest filter
FAT_PERCENTILE = 12.0  # of equally deep pixels: fat, with noise and thin places below it
FADED = (0.06, 1.6)  # -log of the relative signal: air, and the first tissue that is shown in full
SIGMAS_MM = (0.5, 2.0, 8.0, 25.0)  # of the filters: detail between them is raised, contrast above them compressed
NOISE_SIGMA_MM = 0.25  # of the filter whose detail is not raised
LIFT_SIGMA_MM, LIFTED_MM = 2.0, 16.0
RIM_MM = 11.0  # depth to which fat is shown brighter, as in CDD-CESM's low-energy images
WINDOW_PERCENTILES = (50.0, 99.0)
TOE = 0.5  # share of the middle grey below which black is only approached
CORE_MM = 8.0  # the window is set on tissue deeper than this
MUSCLE_MM = 6.0  # what is narrower is no pectoral muscle


@dataclass(frozen=True)
class PresentationStyle:
    """What differs between the display processing of vendors and exams.

    Attributes:
        equalisation: Share of the thickness that is evened out, 0 to 1.
        compression: Share of the contrast above 25 mm that is taken away, 0 to 1.
        fine_boost: Added share of detail between 0.25 and 0.5 mm (sigma); finer is mostly noise.
        medium_boost: Of detail between 0.5 and 2 mm.
        coarse_boost: Of detail between 2 and 8 mm.
        evenness: 0 leaves local contrast as it is, 1 makes it the same everywhere.
        rim: How much brighter fat is shown at the skin than in the depth, in units of the window's upper half.
        middle_grey: Display value of the median of the deep breast.
        high_grey: Display value of its 99th percentile, above `middle_grey`.
        least_contrast: Difference of -log signal between these two below which the window gets no narrower: a fatty
            breast stays flat.
        curvature: Above 0 the window has more contrast in its bright than in its dark half, -1 to 1.
        iodine_grey: Display value of no iodine in the recombined image.
        iodine_gain: Display values per mg/cm2 of iodine there.
    """

    equalisation: float = 1.0
    compression: float = 0.4
    fine_boost: float = 1.9
    medium_boost: float = 1.0
    coarse_boost: float = 0.2
    evenness: float = 0.4
    rim: float = 0.4
    middle_grey: float = 0.23
    high_grey: float = 0.7
    least_contrast: float = 0.1
    curvature: float = 0.1
    iodine_grey: float = 0.155
    iodine_gain: float = 0.25


def draw_style(seed: int) -> PresentationStyle:
    """A style as exams differ in it.

    The ranges were fitted on the rows `train` of CDD-CESM: six statistics and the power per octave of low-energy CC
    views (`mammosynth realism`), grey levels and contrast of lesions of recombined images.

    Args:
        seed: Of the patient: all views of her look alike.
    """
    rng = np.random.default_rng([seed, STREAM])
    return PresentationStyle(
        compression=rng.uniform(0.3, 0.5),
        fine_boost=rng.uniform(1.8, 2.1),
        medium_boost=rng.uniform(0.5, 1.5),
        coarse_boost=rng.uniform(0.1, 0.3),
        evenness=rng.uniform(0.25, 0.6),
        rim=rng.uniform(0.25, 0.57),
        middle_grey=rng.uniform(0.165, 0.29),
        high_grey=rng.uniform(0.59, 0.83),
        least_contrast=rng.uniform(0.08, 0.13),
        curvature=rng.uniform(-0.25, 0.45),
        iodine_grey=rng.uniform(0.13, 0.18),
        iodine_gain=rng.uniform(0.19, 0.31),
    )


def present_low_energy(
    signal: np.ndarray, *, pixel_mm: float, style: PresentationStyle, muscle: np.ndarray | None = None
) -> np.ndarray:
    """A low-energy image as it is displayed.

    Args:
        signal: (H, W) float32 detector signal relative to air, chest wall at column 0.
        pixel_mm: Spacing at the detector.
        style: How it is processed.
        muscle: (H, W) bool, pectoral muscle, which the window does not look at; None: found from the image.

    Returns:
        (H, W) float32 in [0, 1], MONOCHROME2, air 0; all 0 if there is nothing but air, or a spot.
    """
    attenuation = -np.log(np.maximum(signal, np.float32(1e-6)), dtype=np.float32)
    fine = Grid(signal.shape, pixel_mm, FINE_MM)
    fine_attenuation = fine.reduce(attenuation)
    breast = find_breast(fine_attenuation)
    grid = Grid(breast.shape, fine.pixel_mm, WORKING_MM)
    small = grid.reduce(fine_attenuation)
    depth = depth_under_skin(fine_attenuation, breast, grid)
    if not (depth > 0).any():
        return np.zeros(signal.shape, np.float32)
    profile = _thickness_profile(small, depth, grid.pixel_mm, style.equalisation)
    even = _fill_air(small + np.interp(depth, *profile), depth)
    smooth = _smooth_change(even, depth, grid.pixel_mm, style)
    core = _core(even + smooth, depth, grid.pixel_mm, None if muscle is None else grid.reduce(fine.reduce(muscle)) > 0)
    middle, high = np.percentile((even + smooth)[core], WINDOW_PERCENTILES)
    full_depth = fine.enlarge(grid.enlarge(depth))
    image = attenuation + np.interp(full_depth, *profile).astype(np.float32)
    image = _raise_fine_detail(image, full_depth, fine, style) + fine.enlarge(grid.enlarge(smooth))
    rim = np.exp(-((full_depth / np.float32(RIM_MM)) ** 2))
    return _window(image, middle, high, rim, style) * _fade(attenuation, fine.enlarge(ndimage.binary_dilation(breast)))


def present_recombined(iodine_mg_cm2: np.ndarray, breast_mask: np.ndarray, *, style: PresentationStyle) -> np.ndarray:
    """A recombined image as it is displayed: a fixed sigmoid window on calibrated iodine.

    Args:
        iodine_mg_cm2: (H, W) float32, as recombination estimates it.
        breast_mask: (H, W) bool; everything else is air.
        style: `iodine_grey` and `iodine_gain` are used.

    Returns:
        (H, W) float32 in [0, 1], MONOCHROME2, air 0.
    """
    grey = style.iodine_grey
    offset, slope = np.log(grey / (1 - grey)), style.iodine_gain / (grey * (1 - grey))
    shown = _sigmoid(iodine_mg_cm2.astype(np.float32) * np.float32(slope) + np.float32(offset))
    return np.where(breast_mask, shown, np.float32(0))


def _thickness_profile(
    attenuation: np.ndarray, depth: np.ndarray, pixel_mm: float, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Depths in mm and what is to be added there so that fat looks the same at every depth."""
    edges = np.concatenate(
        (np.arange(0, 6, max(0.5, pixel_mm)), np.arange(6, DEEPEST_MM, max(1.0, pixel_mm)), [DEEPEST_MM])
    )
    centres = (edges[1:] + edges[:-1]) / 2
    index = np.digitize(depth, edges)
    depths, fat = np.array([0.0]), np.array([SKIN_ATTENUATION])
    for _ in range(3):  # thickness varies within a bin, too: from the second time on only by what is left
        rest = attenuation - np.interp(depth, depths, fat)
        levels = ndimage.labeled_comprehension(
            rest, index, np.arange(1, len(edges)), lambda v: np.percentile(v, FAT_PERCENTILE), float, np.nan
        )
        known = ~np.isnan(levels)
        levels = levels[known] + np.interp(centres[known], depths, fat)
        levels = np.maximum.accumulate(
            np.maximum(ndimage.gaussian_filter1d(levels, 0.7, mode="nearest"), SKIN_ATTENUATION)
        )
        depths, fat = np.concatenate(([0.0], centres[known])), np.concatenate(([SKIN_ATTENUATION], levels))
    return depths, strength * (fat[-1] - fat)


def _fill_air(image: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Every pixel of air takes the value of the nearest tissue, so that filters do not see the air."""
    nearest = ndimage.distance_transform_edt(
        depth <= min(1.0, depth.max() / 2), return_distances=False, return_indices=True
    )
    return image[tuple(nearest)].astype(np.float32)


def _smooth_change(even: np.ndarray, depth: np.ndarray, pixel_mm: float, style: PresentationStyle) -> np.ndarray:
    """What the smooth steps add."""
    blurred = [ndimage.gaussian_filter(even, s / pixel_mm, mode="nearest", truncate=3) for s in SIGMAS_MM]
    inside, change = depth > 0, np.zeros_like(even)
    for n, boost in enumerate((style.medium_boost, style.coarse_boost, 0.0)):
        band = blurred[n] - blurred[n + 1]
        gain = (1 + boost) * _even_contrast(band, inside, 2 * SIGMAS_MM[n + 1] / pixel_mm, style.evenness)
        change += (gain - 1) * band
    large = blurred[-1] - blurred[-1][inside].mean()
    return _weight(depth) * change - style.compression * large + _lift(even, depth, pixel_mm)


def _even_contrast(band: np.ndarray, inside: np.ndarray, sigma: float, evenness: float) -> np.ndarray:
    """Factors that bring the contrast of every place nearer to that of the whole breast."""
    local = ndimage.gaussian_filter(band**2, sigma, mode="nearest", truncate=2)
    return np.clip(np.mean(band[inside] ** 2) / np.maximum(local, 1e-12), 0.1, 10) ** (evenness / 2)


def _lift(even: np.ndarray, depth: np.ndarray, pixel_mm: float) -> np.ndarray:
    """What is missing to the level of fat near the skin, where the breast is thinner than its depth tells (nipple)."""
    deep = even[depth > CORE_MM]
    level = np.percentile(deep, FAT_PERCENTILE) if deep.size else even.mean()
    local = ndimage.gaussian_filter(even, LIFT_SIGMA_MM / pixel_mm, mode="nearest", truncate=3)
    return np.clip(level - local, 0, None) * np.clip(2 - 2 * depth / LIFTED_MM, 0, 1)


def _fade(attenuation: np.ndarray, breast: np.ndarray) -> np.ndarray:
    """(H, W) float32 from 0 in air to 1 where skin and what is under it attenuate."""
    low, high = FADED
    return np.where(breast > 0, np.clip((attenuation - low) / (high - low), 0, 1), 0).astype(np.float32)


def _weight(depth: np.ndarray) -> np.ndarray:
    """Detail is not raised at the skin."""
    return np.clip(depth / 5, 0, 1, dtype=np.float32)


def _raise_fine_detail(image: np.ndarray, depth: np.ndarray, fine: Grid, style: PresentationStyle) -> np.ndarray:
    small = fine.reduce(image)
    sharp, blurred = (
        ndimage.gaussian_filter(small, sigma / fine.pixel_mm, mode="nearest", truncate=3)
        for sigma in (NOISE_SIGMA_MM, SIGMAS_MM[0])
    )
    return image + style.fine_boost * _weight(depth) * fine.enlarge(sharp - blurred)


def _core(seen: np.ndarray, depth: np.ndarray, pixel_mm: float, muscle: np.ndarray | None) -> np.ndarray:
    """(H, W) bool: the deep breast without pectoral muscle; as much as there is of it if it has no depth."""
    if muscle is None:
        muscle = _find_muscle(seen, depth, pixel_mm)
    choices = (depth > CORE_MM) & ~muscle, depth > CORE_MM, depth > 0
    return next((core for core in choices if core.any()), np.ones(seen.shape, bool))


def _find_muscle(seen: np.ndarray, depth: np.ndarray, pixel_mm: float) -> np.ndarray:
    """(H, W) bool: what is bright on a large scale in the upper corner at the chest wall, if the breast fills it.

    In a CC view the corner is air, or fat.
    """
    inside = depth > 0
    nothing = np.zeros(seen.shape, bool)
    size = max(1, round(MUSCLE_MM / pixel_mm))
    if not inside[:size, :size].all() or min(seen.shape) < 4 * size:
        return nothing
    smooth = ndimage.gaussian_filter(seen, MUSCLE_MM / 2 / pixel_mm, mode="nearest")
    fat, bright = np.percentile(smooth[depth > min(CORE_MM, depth.max() / 2)], [FAT_PERCENTILE, 95])
    region = inside & (smooth > fat + 0.35 * (bright - fat))
    width, height = _run(region[0]), _run(region[:, 0])
    if not width or not height:
        return nothing
    # Glandular tissue may touch the muscle: nothing is muscle beyond the straight line between its ends.
    row, column = np.ogrid[: seen.shape[0], : seen.shape[1]]
    return region & (row / height + column / width < 1.3)


def _run(line: np.ndarray) -> int:
    """How many values from the first on are true."""
    return int(np.argmin(line)) if not line.all() else len(line)


def _window(image: np.ndarray, middle: float, high: float, rim: np.ndarray, style: PresentationStyle) -> np.ndarray:
    """A parabola through (middle, middle_grey) and (high, high_grey), raised at the rim, with soft ends."""
    t = (image - np.float32(middle)) / np.float32(max(high - middle, style.least_contrast)) + np.float32(
        style.rim
    ) * rim
    curve = t + np.float32(style.curvature) * np.clip(t, 0, 1) * (np.clip(t, 0, 1) - 1)
    curve += np.float32(style.curvature) * (np.maximum(t - 1, 0) - np.minimum(t, 0))  # slopes go on at both ends
    grey = style.middle_grey + np.float32(style.high_grey - style.middle_grey) * curve
    toe, shoulder = np.float32(TOE * style.middle_grey), np.float32(style.high_grey)
    dark = toe * np.exp(np.minimum(grey - toe, 0) / toe)
    bright = shoulder + (1 - shoulder) * np.tanh(np.maximum(grey - shoulder, 0) / (1 - shoulder))
    return np.where(grey < toe, dark, np.where(grey > shoulder, bright, grey)).astype(np.float32)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(x / 2)
