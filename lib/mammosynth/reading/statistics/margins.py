"""Non-inferiority and equivalence of a difference that has a standard error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class MarginTest:
    """Is a difference within a margin?

    Attributes:
        margin: Above 0, in the units of the difference.
        low: Of the two-sided interval of level 1 - 2 alpha, which decides.
        high: Of the same interval.
        p: One-sided; of equivalence, the greater of two.
        alpha: One-sided level.
        shown: Whether p < alpha.
    """

    margin: float
    low: float
    high: float
    p: float
    alpha: float
    shown: bool


def non_inferiority(
    difference: float, standard_error: float, df: float, margin: float, *, alpha: float = 0.025
) -> MarginTest:
    """Is the new treatment worse by less than the margin?

    Args:
        difference: New less reference, greater is better.
        standard_error: Of the difference, above 0.
        df: Of Student's distribution; infinite for normal.
        margin: Above 0.
        alpha: One-sided.

    Raises:
        ValueError: If margin or standard error are not above 0.
    """
    p = _upper(difference + margin, standard_error, df, margin)
    return _test(difference, standard_error, df, margin, p, alpha)


def equivalence(
    difference: float, standard_error: float, df: float, margin: float, *, alpha: float = 0.05
) -> MarginTest:
    """Does the difference lie within plus and minus the margin? Two one-sided tests; arguments as `non_inferiority`.

    Source: Schuirmann (1987), doi:10.1007/BF01068419.
    """
    sides = (_upper(margin + sign * difference, standard_error, df, margin) for sign in (1, -1))
    return _test(difference, standard_error, df, margin, max(sides), alpha)


def _upper(distance: float, standard_error: float, df: float, margin: float) -> float:
    if not margin > 0 or not standard_error > 0:
        raise ValueError(f"margin {margin} and standard error {standard_error}, expected both above 0")
    return float(stats.t.sf(distance / standard_error, df))


def _test(difference: float, standard_error: float, df: float, margin: float, p: float, alpha: float) -> MarginTest:
    half = float(stats.t.ppf(1 - alpha, df)) * standard_error
    return MarginTest(margin, difference - half, difference + half, p, alpha, bool(np.less(p, alpha)))
