"""How many readers and cases a study needs, from variance components of a pilot or of published studies.

Source: Hillis, Obuchowski & Berbaum (2011), doi:10.1016/j.acra.2010.09.007.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
from scipy import stats

from mammosynth.counts import count_of
from mammosynth.errors import InvalidParameterError
from mammosynth.reading.statistics.obuchowski_rockette import Components, Fixed

ALPHA = 0.05
POWER = 0.8
_MOST_CASES = 1_000_000


def published_components(
    *,
    auc: float,
    positive: int,
    negative: int,
    correlations: tuple[float, float, float],
    reader: float,
    treatment_reader: float,
) -> Components:
    """Components from figures that papers print.

    Args:
        auc: Expected, between 0 and 1.
        positive: Cases.
        negative: Cases.
        correlations: Of a figure's errors: one reader under two treatments, two readers under one treatment, two
            readers under two treatments.
        reader: Variance of readers.
        treatment_reader: Variance of treatment by reader.

    Raises:
        InvalidParameterError: If the AUC or a correlation is out of range, or there are no cases.

    Source: variance of an AUC: Hanley & McNeil (1982), doi:10.1148/radiology.143.1.7063747.
    """
    if not 0 < auc < 1 or min(positive, negative) < 1 or not all(0 <= r < 1 for r in correlations):
        raise InvalidParameterError(
            f"auc {auc}, {positive} positive and {negative} negative cases, correlations {correlations}; "
            "expected 0 < auc < 1, cases of both kinds, 0 <= correlation < 1"
        )
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    error = (auc * (1 - auc) + (positive - 1) * (q1 - auc**2) + (negative - 1) * (q2 - auc**2)) / (positive * negative)
    return Components(reader, treatment_reader, error, *(r * error for r in correlations))


def power(
    components: Components,
    difference: float,
    *,
    readers: int,
    cases: int,
    pilot_cases: int,
    fixed: Fixed = Fixed.NONE,
    margin: float | None = None,
    alpha: float = ALPHA,
) -> float:
    """Chance that a study of two treatments shows what is there.

    Args:
        components: At `pilot_cases` cases; negative variances count as 0.
        difference: True difference of the mean figures; with a margin, new less reference.
        readers: Two or more, unless they are fixed.
        cases: Of the study, with the share of positive ones in the pilot.
        pilot_cases: To which the components belong.
        fixed: What the conclusion is confined to.
        margin: Of non-inferiority, above 0; without it, two-sided superiority.
        alpha: Of the two-sided test; half of it for non-inferiority.

    Returns:
        In [0, 1].

    Raises:
        InvalidParameterError: If readers or cases are too few, or the components have no variance.
    """
    if readers < (1 if fixed is Fixed.READERS else 2) or min(cases, pilot_cases) < 2:
        raise InvalidParameterError(
            f"{count_of(readers, 'reader')}, {count_of(cases, 'case')}, {count_of(pilot_cases, 'pilot case')}; "
            "expected two or more of each (one reader is enough if readers are fixed)"
        )
    if margin is not None and not margin > 0:
        raise InvalidParameterError(f"margin {margin}, expected above 0")
    variance, df = _expected(components, readers, pilot_cases / cases, fixed)
    if not variance > 0:
        raise InvalidParameterError("components without any variance; give those of a pilot or of a published study")
    shift = difference if margin is None else difference + margin
    centre = shift / np.sqrt(2 / readers * variance)
    bound = stats.t.ppf(1 - alpha / 2, df)
    upper = _beyond(bound, df, centre)
    return upper if margin is not None else upper + _beyond(bound, df, -centre)


def cases_needed(
    components: Components,
    difference: float,
    readers: Iterable[int],
    *,
    pilot_cases: int,
    fixed: Fixed = Fixed.NONE,
    margin: float | None = None,
    alpha: float = ALPHA,
    target: float = POWER,
) -> dict[int, int | None]:
    """The least number of cases that reaches a power, for each number of readers; None if no number of cases does.

    Args:
        components: See `power`.
        difference: See `power`.
        readers: Numbers to try.
        pilot_cases: See `power`.
        fixed: See `power`.
        margin: See `power`.
        alpha: See `power`.
        target: Power to reach.

    Raises:
        InvalidParameterError: See `power`.
    """
    of = partial(power, components, difference, pilot_cases=pilot_cases, fixed=fixed, margin=margin, alpha=alpha)
    needed: dict[int, int | None] = {}
    for number in readers:
        low, high = 1, 2
        while of(readers=number, cases=high) < target and high < _MOST_CASES:
            low, high = high, 2 * high
        if of(readers=number, cases=high) < target:
            needed[number] = None
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if of(readers=number, cases=middle) >= target else (middle, high)
        needed[number] = high
    return needed


def _expected(components: Components, readers: int, scale: float, fixed: Fixed) -> tuple[float, float]:
    """Denominator of F and its degrees of freedom, as they are to be expected; covariances shrink with the cases."""
    error, cov1 = components.error * scale, components.cov1 * scale
    shared = max(components.cov2 - components.cov3, 0) * scale
    mean_square = max(components.treatment_reader, 0) + max(error - cov1 - shared, 0)
    if fixed is Fixed.READERS:
        return error - cov1 + (readers - 1) * shared, np.inf
    if fixed is Fixed.CASES:
        return mean_square, readers - 1
    total = mean_square + readers * shared
    return total, (total / mean_square) ** 2 * (readers - 1) if mean_square > 0 else np.inf


def _beyond(bound: float, df: float, centre: float) -> float:
    return float(stats.norm.sf(bound - centre) if np.isinf(df) else stats.nct.sf(bound, df, centre))
