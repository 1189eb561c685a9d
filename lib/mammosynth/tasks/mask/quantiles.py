"""`from_quantiles`: numbers of any distribution from standard normal ones."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr


def from_quantiles(table: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Values at the ranks of standard normal numbers; none lies beyond the first or the last quantile.

    Args:
        table: (N, Q) quantiles of N distributions at equal steps, from the least value to the greatest.
        normal: (N,).

    Returns:
        (N,) float64.
    """
    steps = np.linspace(0, 1, table.shape[1])
    return np.array([np.interp(rank, steps, row) for rank, row in zip(ndtr(normal), table, strict=True)])
