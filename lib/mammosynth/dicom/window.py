"""The window in which a result opens."""

from __future__ import annotations

import numpy as np

_UNCERTAINTY_SHOWN = 0.25  # white in the window of an uncertainty, in grey values; chosen, equal for all to be compared
_MAXIMUM = np.iinfo(np.uint16).max
_PERCENTILES = (1.0, 99.5)


def breast_window(stored_values: np.ndarray) -> tuple[int, int]:
    """Centre and width of the linear window (PS3.3 C.11.2.1.2.1) that shows the breast from black to white.

    Args:
        stored_values: (H, W) uint16, before anything is burned in; 0 is background.
    """
    breast = stored_values[stored_values > 0]
    low, high = np.percentile(breast, _PERCENTILES).round() if breast.size else (0, _MAXIMUM)
    return _window(int(low), max(int(high), int(low) + 1))


def uncertainty_window() -> tuple[int, int]:
    """Centre and width that show the values of an uncertainty."""
    return _window(0, round(_UNCERTAINTY_SHOWN * _MAXIMUM))


def _window(black: int, white: int) -> tuple[int, int]:
    """Centre and width of the linear window in which one value is black and another, a higher one, white."""
    width = white - black + 1
    return black + width // 2, width
