"""Where the breast is: its mask, the side of its chest wall, and how deep each pixel lies under the skin."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image
from scipy import ndimage

from mammosynth.preprocessing.regions import Part, Regions, box_around, close_round, dilate, filled, largest

REFERENCE_SIDE = 512
"""Longest side in pixels of the grid on which a breast is segmented; the filters below are sized for it."""
THRESHOLD = 4 / 255
"""Grey above background that counts as tissue; Otsu's threshold was not used because it cuts dark fat and skin."""
SMOOTHING_PX = 2.0
OPENING_PX = 2
NO_BACKGROUND = 0.25
"""A darkest corner brighter than this is tissue: the image shows no air."""
EDGE_SHARE = 0.25
"""Of the way from air to the tissue under the skin: where a pixel is wholly breast. Chosen: below skin, above noise."""
EDGE_NOISE = 1.5 / 255
"""Grey above air that is still air; 8-bit images have steps of 1/255."""
EDGE_SMOOTHING_PX, EDGE_SEARCH_PX, EDGE_TISSUE_PX = 0.25, (-3.0, 10.0), (7.0, 16.0)
"""In pixels of the reference grid: smoothing before the edge is looked for; how deep under the rim of the found breast
it may lie (negative: outside it); and how deep the tissue lies that it is compared with."""
EDGE_SPECK_PX, EDGE_NOTCH_PX, EDGE_FADE_PX = 2.0, 4.0, 3.0
"""In pixels of the reference grid: side of a speck in the air that is no skin, half-width of a notch of dark fat that
is closed, and how far the skin may fade into the air."""
WINDOW_PX = 8
"""Rows of the reduced grid that are looked at together when the edge is found: of no effect on what is found."""


def segment_breast(
    pixels: np.ndarray, valid: np.ndarray | None = None, *, background: float | None = None
) -> np.ndarray:
    """The largest connected region that is brighter than air, holes filled.

    Images larger than 512 pixels are segmented on a reduced grid. Labels and markers are dropped unless they touch the
    breast. The pectoral muscle belongs to the mask.

    Args:
        pixels: (H, W) float32 in [0, 1], MONOCHROME2.
        valid: (H, W) bool, False on padding; None if every pixel is valid.
        background: Grey value of air. None: the darkest corner of the image.

    Returns:
        (H, W) bool; all False if nothing is brighter than air.
    """
    shown = pixels if valid is None else np.where(valid, pixels, np.float32(0))
    small = _reduce(shown)
    unit = max(small.shape) / REFERENCE_SIDE
    smooth = ndimage.gaussian_filter(small, max(0.5, SMOOTHING_PX * unit))
    level = _air_level(smooth) if background is None else background + THRESHOLD
    mask = smooth > level
    if opening := round(OPENING_PX * unit):
        mask = ndimage.binary_opening(mask, iterations=opening)
    mask = _enlarge(filled(largest(mask)), pixels.shape)
    return mask if valid is None else mask & valid


def find_edge(pixels: np.ndarray, breast_mask: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """How much of each pixel is breast: the image's own edge, at its own resolution.

    `segment_breast` finds the breast on a reduced, smoothed grid, so its rim lies up to some pixels of that grid in the
    air, and wavers. Here the edge is looked for near that rim: where the image has come a quarter of the way from air
    to the tissue nearby, a pixel is breast; from there to air, share by share, as the image itself fades.

    Args:
        pixels: (H, W) float32 in [0, 1], MONOCHROME2.
        breast_mask: (H, W) bool, from `segment_breast`.
        valid: (H, W) bool, False on padding; None if every pixel is valid.

    Returns:
        (H, W) float32: 1 in the breast, holes included, 0 in air, between them at the skin; all 0 if the mask is empty.
    """
    if not breast_mask.any():
        return np.zeros(pixels.shape, np.float32)
    shown = pixels if valid is None else np.where(valid, pixels, np.float32(0))
    small = _reduce(shown)
    unit = max(small.shape) / REFERENCE_SIDE
    depth = _depth(_reduce(breast_mask.astype(np.float32)) > 0.5) / unit
    scale = max(pixels.shape) / REFERENCE_SIDE
    sigma = EDGE_SMOOTHING_PX * scale
    air, noise = _darkest_corner(shown, sigma if sigma > 0.3 else 0)
    if air > NO_BACKGROUND:
        air, noise = 0.0, 0.0
    start = max(EDGE_NOISE, 3 * noise)
    end = np.maximum(EDGE_SHARE * (_level_under_skin(small, depth, unit) - air), max(THRESHOLD, 2 * start))

    # Far from the rim all is breast or all is air, so what takes time is done in the windows along it only.
    breast = _nearest(depth > 0, pixels.shape)
    outside = ~breast
    fading = np.zeros(pixels.shape, np.float32)
    depths, ends = Image.fromarray(depth), Image.fromarray(end)
    for window in _windows((depth >= EDGE_SEARCH_PX[0]) & (depth <= EDGE_SEARCH_PX[1]), pixels.shape):
        deep = _resized_part(depths, pixels.shape, window)
        smooth = _smoothed_part(shown, window, sigma if sigma > 0.3 else 0)
        share = np.clip((smooth - (air + start)) / (_resized_part(ends, pixels.shape, window) - start), 0, 1)
        outside[window] = deep < EDGE_SEARCH_PX[0]
        breast[window] = (share >= 1) & (deep >= EDGE_SEARCH_PX[0]) | (deep > EDGE_SEARCH_PX[1])
        fading[window] = share * share * (3 - 2 * share)

    edge = np.zeros(pixels.shape, np.float32)
    if (searched := depth >= EDGE_SEARCH_PX[0]).any():
        near = _enlarged_box(box_around(searched, round(EDGE_NOTCH_PX * unit) + 2), depth.shape, pixels.shape)
        edge[near] = _cleaned(breast[near], outside[near], fading[near], scale)
    return edge if valid is None else edge * valid


def _cleaned(breast: np.ndarray, outside: np.ndarray, fading: np.ndarray, scale: float) -> np.ndarray:
    """The share of breast in every pixel without what is no edge: holes, notches, and specks and folds in the air."""
    found = Regions(breast)
    breast = close_round(found.mask(found.areas >= (EDGE_SPECK_PX * scale) ** 2), EDGE_NOTCH_PX * scale)
    air = Regions(~largest(breast))
    breast = ~air.mask(air.holding(outside))
    # What fades from the breast is its edge; noise, marks and folds of skin elsewhere are not.
    reach = dilate(breast, 0, max(1, round(EDGE_FADE_PX * scale))) & ~outside
    faded = Regions(reach & (fading > 0) | breast)
    return np.maximum(breast, fading * faded.mask(faded.holding(breast)))


def chest_wall_on_left(breast_mask: np.ndarray) -> bool:
    """Whether the chest wall is on the left, decided from the outline: the breast narrows towards the nipple.

    The laterality attribute is not used, because publishers and viewers mirror images.

    Args:
        breast_mask: (H, W) bool with at least one True.
    """
    columns = np.flatnonzero(breast_mask.any(axis=0))
    box = breast_mask[:, columns[0] : columns[-1] + 1]
    half = box.shape[1] // 2
    return int(box[:, :half].sum()) >= int(box[:, box.shape[1] - half :].sum())


def skin_distance(breast_mask: np.ndarray) -> np.ndarray:
    """Distance of every breast pixel to the skin; chest wall, upper and lower image edge do not count as skin.

    Args:
        breast_mask: (H, W) bool, chest wall on the left.

    Returns:
        (H, W) float32 in pixels, 0 outside the breast.
    """
    distance = np.zeros(breast_mask.shape, np.float32)
    rows = np.flatnonzero(breast_mask.any(axis=1))
    if rows.size == 0:
        return distance
    top, bottom = rows[0], rows[-1] + 1
    # Every row is filled from the chest wall to its outermost breast pixel; rows above and below go on as they end.
    filled = np.cumsum(breast_mask[top:bottom, ::-1], axis=1)[:, ::-1] > 0
    margin = 64
    padded = np.pad(filled, ((margin, margin), (margin, 0)), mode="edge")
    # The image's outer edge is air, also where the breast reaches it.
    padded = np.pad(padded, ((0, 0), (0, 1)))
    distance[top:bottom] = ndimage.distance_transform_edt(padded)[margin:-margin, margin:-1]
    return distance * breast_mask


def erode(mask: np.ndarray, width: float) -> np.ndarray:
    """The mask without its rim; the image's border, where breast or chest wall go on, is no rim.

    Args:
        mask: (H, W) bool.
        width: Of the rim, in pixels.
    """
    margin = int(width) + 1
    padded = np.pad(mask, margin, mode="edge")
    return (ndimage.distance_transform_edt(padded) > width)[margin:-margin, margin:-margin]


def _reduce(pixels: np.ndarray) -> np.ndarray:
    longest = max(pixels.shape)
    if longest <= REFERENCE_SIDE:
        return pixels
    height, width = (max(1, round(side * REFERENCE_SIDE / longest)) for side in pixels.shape)
    reduced = Image.fromarray(np.ascontiguousarray(pixels, np.float32)).resize((width, height), Image.Resampling.BOX)
    return np.asarray(reduced)


def _enlarge(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if mask.shape == shape:
        return mask
    # A slightly smoothed mask has its half-way contour where the steps were, without the steps.
    smooth = ndimage.gaussian_filter(mask.astype(np.float32), 1.0, mode="nearest")
    return _resized(smooth, shape, Image.Resampling.BICUBIC) > 0.5


def _resized(
    pixels: np.ndarray, shape: tuple[int, ...], kernel: Image.Resampling = Image.Resampling.BILINEAR
) -> np.ndarray:
    image = Image.fromarray(np.ascontiguousarray(pixels, np.float32))
    return np.array(image.resize((shape[1], shape[0]), kernel))


def _resized_part(grid: Image.Image, shape: tuple[int, ...], part: Part) -> np.ndarray:
    """A part of what `_resized` gives."""
    rows, columns = part
    left, right = (column * grid.width / shape[1] for column in (columns.start, columns.stop))
    top, bottom = (row * grid.height / shape[0] for row in (rows.start, rows.stop))
    size = columns.stop - columns.start, rows.stop - rows.start
    return np.asarray(grid.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom)))


def _nearest(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    image = Image.fromarray(mask.astype(np.uint8)).resize((shape[1], shape[0]), Image.Resampling.NEAREST)
    return np.array(image).view(bool)


def _smoothed_part(pixels: np.ndarray, part: Part, sigma: float) -> np.ndarray:
    """A part of the smoothed image, as if all of it had been smoothed."""
    if not sigma:
        return pixels[part]
    reach = int(3 * sigma + 0.5)
    wide = tuple(slice(max(0, side.start - reach), side.stop + reach) for side in part)
    smooth = ndimage.gaussian_filter(pixels[wide], sigma, radius=reach)
    return smooth[tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(part, wide, strict=True))]


def _air_level(smooth: np.ndarray) -> float:
    air, noise = _darkest_corner(smooth)
    return THRESHOLD if air > NO_BACKGROUND else air + max(THRESHOLD, 4 * noise)


def _darkest_corner(pixels: np.ndarray, sigma: float = 0.0) -> tuple[float, float]:
    """Median and standard deviation, of the image smoothed by `sigma`."""
    (height, width), side = pixels.shape, max(2, min(pixels.shape) // 32)
    corners = [
        _smoothed_part(pixels, (rows, columns), sigma)
        for rows in (slice(0, side), slice(max(0, height - side), height))
        for columns in (slice(0, side), slice(max(0, width - side), width))
    ]
    darkest = min(corners, key=np.median)
    return float(np.median(darkest)), float(darkest.std())


def _depth(mask: np.ndarray) -> np.ndarray:
    """Distance to the rim, negative outside; the image's border is no rim."""
    if mask.all():
        return np.full(mask.shape, REFERENCE_SIDE, np.float32)
    margin = 24
    padded = np.pad(mask, margin, mode="edge")
    depth = ndimage.distance_transform_edt(padded) - ndimage.distance_transform_edt(~padded)
    return depth[margin:-margin, margin:-margin].astype(np.float32)


def _level_under_skin(small: np.ndarray, depth: np.ndarray, unit: float) -> np.ndarray:
    """Mean of the tissue near every place of the rim; far from the rim of no meaning."""
    under = (depth > EDGE_TISSUE_PX[0]) & (depth < EDGE_TISSUE_PX[1])
    inside = under if under.any() else depth > 0
    weight = ndimage.gaussian_filter(inside.astype(np.float32), max(1.0, EDGE_TISSUE_PX[1] / 2 * unit))
    total = ndimage.gaussian_filter(np.where(inside, small, np.float32(0)), max(1.0, EDGE_TISSUE_PX[1] / 2 * unit))
    usual = float(np.median(small[inside]))
    return (total + 1e-4 * usual) / (weight + 1e-4)


def _windows(mask: np.ndarray, shape: tuple[int, ...]) -> Iterator[Part]:
    """Parts of an image that together hold all of a mask on its reduced grid, and what is interpolated from it."""
    mask = dilate(mask, 1, 0)
    for top in range(0, mask.shape[0], WINDOW_PX):
        columns = np.flatnonzero(mask[top : top + WINDOW_PX].any(axis=0))
        if columns.size:
            bottom = min(top + WINDOW_PX, mask.shape[0])
            yield _enlarged_box((slice(top, bottom), slice(columns[0], columns[-1] + 1)), mask.shape, shape)


def _enlarged_box(box: Part, grid_shape: tuple[int, ...], shape: tuple[int, ...]) -> Part:
    """The part of an image that a part of its reduced grid covers."""
    rows, columns = (
        slice(int(part.start * size // side), int(-(-part.stop * size // side)))
        for part, side, size in zip(box, grid_shape, shape, strict=True)
    )
    return rows, columns
