"""`PoolDistance`: how far a set of images is from a pool of real ones, beside what halves of the pool differ by."""

from __future__ import annotations

import numpy as np

from mammosynth.evaluation.texture import Whitener, frechet_distance, halves_distances


class PoolDistance:
    """A Fréchet distance in the ten principal components of the pool's features, each of unit variance there.

    A few dozen images say nothing of the covariance of a thousand features, so the distance is taken where the pool
    itself varies the most; what differs in other directions alone is not seen. It still grows as images become fewer: a
    distance means something beside `halves` of as many images only.

    Args:
        pool: (N, F) float64, features of real images.
        standardised: See `Whitener`.
    """

    def __init__(self, pool: np.ndarray, *, standardised: bool = True) -> None:
        self.white = Whitener(pool, standardised=standardised)
        self._pool = self.white(pool)

    def __call__(self, rows: np.ndarray) -> float:
        """Of images, (M, F), from the whole pool."""
        return frechet_distance(self.white(rows), self._pool)

    def between(self, rows: np.ndarray, others: np.ndarray) -> float:
        """Of images, (M, F), from others, (K, F), by the pool's measure."""
        return frechet_distance(self.white(rows), self.white(others))

    def halves(self, count: int, draws: int) -> dict[str, float]:
        """What disjoint sets of so many real images differ by: the median and the 95th percentile over draws."""
        distances = halves_distances(self._pool, count, draws)
        return {"median": float(np.median(distances)), "95": float(np.percentile(distances, 95))}
