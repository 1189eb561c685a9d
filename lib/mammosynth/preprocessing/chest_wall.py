"""The breast at the chest wall: fat there may be as dark as air, and images may end before their matrix does."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from mammosynth.preprocessing.breast import REFERENCE_SIDE, THRESHOLD, chest_wall_on_left
from mammosynth.preprocessing.regions import Regions, close_round, dilate, filled

WALL_PX = 4
"""In pixels of the reference grid: within so many of the chest wall, breast reaches it."""
WALL_SEARCH_PX = 16
"""In pixels of the reference grid: how far inside the rim of the found breast the chest wall may lie."""
BITE_PX = 16
"""In pixels of the reference grid: half the width of a bite that is filled. Chosen: folds are wider."""
BITE_FADE_PX = 8.0
"""In pixels of the reference grid: how softly a filled bite ends in the air."""
BITE_LEAST_PX = 12
"""Pixels of the reference grid of the smallest bite."""
TISSUE_PX = (2, 7)
"""In pixels of the reference grid: from where to where around a bite tissue is looked at: beneath what fades."""
DARK = 0.1
"""Grey of tissue around a bite: skin, which ends a breast, is brighter. Chosen."""


def closed_at_wall(breast_mask: np.ndarray, *, wall_on_left: bool | None = None, columns: int = 1) -> np.ndarray:
    """The mask with its holes that are open to the chest wall filled.

    Fat at the chest wall may be as dark as air; `segment_breast` fills only what breast surrounds.

    Args:
        breast_mask: (H, W) bool with at least one True.
        wall_on_left: Where the chest wall is; told by the outline if None.
        columns: At the border of the image, in which breast reaches the wall.
    """
    wall_on_left = chest_wall_on_left(breast_mask) if wall_on_left is None else wall_on_left
    turned = breast_mask if wall_on_left else breast_mask[:, ::-1]
    wall = np.flatnonzero(turned[:, :columns].any(axis=1))
    if not wall.size:
        return breast_mask
    closed = np.pad(turned, ((0, 0), (1, 0)))
    closed[wall[0] : wall[-1] + 1, 0] = True
    for row in wall[[0, -1]]:
        closed[row, : np.argmax(turned[row]) + 1] = True
    closed = filled(closed)[:, 1:]
    return closed if wall_on_left else closed[:, ::-1]


def chest_wall_column(pixels: np.ndarray, breast_mask: np.ndarray) -> int:
    """The first column that the image itself reaches: what lies before it is padding.

    The rim of a segmented breast lies some pixels in the air, and dark fat may leave gaps at the wall, so the column is
    looked for in which half as many pixels are tissue as in those behind it.

    Args:
        pixels: (H, W) float32 in [0, 1], chest wall on the left.
        breast_mask: (H, W) bool with at least one True.
    """
    search = max(2, round(WALL_SEARCH_PX * max(pixels.shape) / REFERENCE_SIDE))
    first = int(np.argmax(breast_mask.any(axis=0)))
    near = slice(first, first + search)
    tissue = ((pixels[:, near] > THRESHOLD) & breast_mask[:, near].any(axis=1, keepdims=True)).sum(axis=0)
    return first + int(np.argmax(2 * tissue >= tissue[search // 2 :].max(initial=0)))


def without_bites(edge: np.ndarray, pixels: np.ndarray, *, wall_on_left: bool) -> np.ndarray:
    """How much of each pixel is breast, without the black bites that dark fat leaves near the chest wall.

    A display window may cut fat to black. Where it does so at the chest wall, or in a fold near it, an edge that is
    found by grey is ragged: what is dark between tissue that is nearly as dark belongs to the breast, and ends softly.

    Args:
        edge: (H, W) float32 in [0, 1], from `find_edge`.
        pixels: (H, W) float32 in [0, 1], MONOCHROME2.
        wall_on_left: Where the chest wall is.

    Returns:
        (H, W) float32 in [0, 1], nowhere less than `edge`; nothing is added in the half of the breast at the nipple.
    """
    turned, shown = (array if wall_on_left else array[:, ::-1] for array in (edge, pixels))
    breast = turned > 0.5
    columns = np.flatnonzero(breast.any(axis=0))
    if not columns.size:
        return edge
    wall, end = chest_wall_column(shown, breast), int(columns[-1]) + 1
    part = np.s_[:, wall : wall + max(1, (end - wall) // 2)]
    added = _bites(_reduced(breast[part], edge.shape), shown[part])
    if not added.any():
        return edge
    whole = turned.copy()
    size = (whole[part].shape[1], whole.shape[0])
    grown = np.asarray(Image.fromarray(added).resize(size, Image.Resampling.BILINEAR))
    whole[part] = np.maximum(whole[part], grown)
    return whole if wall_on_left else np.ascontiguousarray(whole[:, ::-1])


def _bites(breast: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """What is added on the reduced grid, float32 in [0, 1]; the first column is the chest wall.

    Args:
        breast: (h, w) bool.
        pixels: As many as the image has there.
    """
    whole = closed_at_wall(breast, wall_on_left=True, columns=WALL_PX)
    margin = BITE_PX + 1
    padded = close_round(np.pad(whole, margin, mode="edge"), BITE_PX)
    closed = padded[margin:-margin, margin:-margin]
    bites = Regions(closed & ~whole)
    wanted = np.zeros(bites.count, bool)
    for number in np.flatnonzero(bites.areas >= BITE_LEAST_PX):
        bite = bites.mask(np.arange(bites.count) == number)
        around = dilate(bite, 0, TISSUE_PX[1]) & ~dilate(bite, 0, TISSUE_PX[0]) & breast
        rows, columns = np.nonzero(around)
        near = pixels[rows * pixels.shape[0] // breast.shape[0], columns * pixels.shape[1] // breast.shape[1]]
        wanted[number] = near.size and np.median(near) < DARK
    added = bites.mask(wanted) | whole & ~breast
    if not added.any():
        return np.zeros(breast.shape, np.float32)
    depth = ndimage.distance_transform_edt(padded)[margin:-margin, margin:-margin]
    share = np.clip(depth / BITE_FADE_PX, 0, 1)
    return (share * share * (3 - 2 * share) * dilate(added, 2, 2)).astype(np.float32)


def _reduced(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A part of a mask of the given shape, on the grid on which a breast is segmented."""
    scale = max(1.0, max(shape) / REFERENCE_SIDE)
    size = (max(1, round(mask.shape[1] / scale)), max(1, round(mask.shape[0] / scale)))
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(image.resize(size, Image.Resampling.BOX)) > 127
