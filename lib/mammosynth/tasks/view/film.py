"""The border of a film: a digitised one is black beside the chest wall and above the axilla, where it was not exposed.

The sampled view is drawn as if there was none, then gets one: beside the chest wall as wide as the source's, for both
films lay in the same frame; above it as wide as drawn.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mammosynth.preprocessing.regions import largest

DARK = 0.08
"""Grey below which film was not exposed; breast behind the chest wall is far above it."""
WIDEST_PX = 24
"""What is wider is no border."""
ROWS = 0.3
"""Share of a column's rows in the breast that must be exposed where the film begins."""
ABOVE_PX = (0.0, 0.0, 0.0, 3.0, 5.0, 7.0, 9.0, 14.0)
"""Of the width above the axilla: about the quantiles in 334 training views."""


def exposed(pixels: np.ndarray, breast: np.ndarray) -> np.ndarray:
    """(N, N) bool: the breast without the film's border; as it is if all of it is dark.

    Args:
        pixels: (N, N) float32 in [0, 1].
        breast: (N, N) bool.
    """
    shown = ndimage.binary_fill_holes(largest(breast & (pixels > DARK)))
    return shown if shown.any() else breast


def border_of(pixels: np.ndarray, breast: np.ndarray) -> int:
    """How many columns of a view beside its chest wall are not exposed.

    Args:
        pixels: (N, N) float32 in [0, 1], chest wall on the left.
        breast: (N, N) bool, not empty.
    """
    rows = np.flatnonzero(breast[:, : WIDEST_PX + 2].any(axis=1))
    rows = rows[len(rows) // 8 : len(rows) - len(rows) // 8]
    if not rows.size:
        return 0
    first = np.argmax(pixels[rows, : WIDEST_PX + 2] > DARK, axis=1)
    width = int(np.ceil(np.median(first)))
    return width if width <= WIDEST_PX else 0


def without_border(pixels: np.ndarray, width: int) -> np.ndarray:
    """An (N, N) image with what lies beside its border mirrored into it; its fading column, too."""
    if not width:
        return pixels
    last = width + 1
    return np.concatenate([pixels[:, last : 2 * last][:, ::-1], pixels[:, last:]], axis=1)


def with_border(pixels: np.ndarray, width: int, random: np.random.Generator, *, above: bool = True) -> np.ndarray:
    """An (N, N) image with a border beside the chest wall, and, if it is asked for, one above of drawn width."""
    drawn = float(np.interp(random.uniform(), np.linspace(0, 1, len(ABOVE_PX)), ABOVE_PX)) if above else 0.0
    rows, columns = (np.clip(np.arange(pixels.shape[axis]) + 1 - wide, 0, 1) for axis, wide in ((0, drawn), (1, width)))
    return (pixels * rows[:, None] * columns).astype(np.float32)
