"""Obuchowski-Rockette: do treatments differ for readers and cases like these, and by how much?

Figures of merit of readers under treatments are an analysis of variance whose errors are correlated because readers see
the same cases. Source: Obuchowski & Rockette (1995), doi:10.1080/03610919508813243; degrees of freedom and fixed
factors: Hillis (2007), doi:10.1002/sim.2532; Hillis (2014), doi:10.1002/sim.5926.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations

import numpy as np
from scipy import special, stats

from mammosynth.errors import DataError
from mammosynth.reading.statistics.covariance import METHODS, Method
from mammosynth.reading.statistics.estimate import LEVEL
from mammosynth.reading.statistics.figures import AUC, Figure
from mammosynth.reading.statistics.ratings import Ratings


class Fixed(StrEnum):
    """What a conclusion is confined to: these readers, or these cases, or neither."""

    NONE = "none"
    READERS = "readers"
    CASES = "cases"


@dataclass(frozen=True)
class Components:
    """Variance components.

    Attributes:
        reader: Of readers; may come out negative.
        treatment_reader: Of treatment by reader; may come out negative.
        error: Variance of a figure over cases.
        cov1: Covariance of one reader's figures under two treatments.
        cov2: Of two readers' figures under one treatment.
        cov3: Of two readers' figures under two treatments.
    """

    reader: float
    treatment_reader: float
    error: float
    cov1: float
    cov2: float
    cov3: float


@dataclass(frozen=True)
class Comparison:
    """A mean figure, or a difference of two, with its interval and its test.

    Attributes:
        value: Mean over readers, or difference of two.
        standard_error: Of the value.
        df: Degrees of freedom; infinite for a normal distribution.
        low: Of the interval; NaN if the standard error is 0, which no certainty is.
        high: Of the interval.
        t: Value, less what it is tested against, by its standard error; NaN if that is 0.
        p: Two-sided.
        null: What the value is tested against.
    """

    value: float
    standard_error: float
    df: float
    low: float
    high: float
    t: float
    p: float
    null: float

    def turned(self) -> Comparison:
        """A difference the other way round."""
        return replace(self, value=-self.value, low=-self.high, high=-self.low, t=-self.t)

    def log_odds(self, level: float = LEVEL) -> tuple[float, float]:
        """The interval that is symmetric on the scale of log-odds; of a mean figure, which lies in (0, 1).

        Near 1 it covers better than the published one; where value or standard error allow none, it is that one.
        """
        if not 0 < self.value < 1 or not self.standard_error > 0:
            return self.low, self.high
        half = stats.t.ppf((1 + level) / 2, self.df) * self.standard_error / (self.value * (1 - self.value))
        low, high = special.expit(special.logit(self.value) + np.array([-half, half]))
        return float(low), float(high)


@dataclass(frozen=True)
class Test:
    """Are all treatments equal?

    Attributes:
        f: F; NaN if nothing varies.
        df1: Numerator's degrees of freedom.
        df2: Denominator's; infinite for fixed readers.
        p: NaN where F is.
    """

    f: float
    df1: float
    df2: float
    p: float


@dataclass(frozen=True, eq=False)
class Analysis:
    """What a study of readers and treatments says.

    Attributes:
        figures: (T, R), one for each treatment and reader.
        covariance: (T, R, T, R) of these over cases.
        components: Variance components.
        means: T, each over readers.
        differences: For each pair of treatments (i, k) with i < k: i less k.
        test: Of all treatments; None if there is one.
    """

    figures: np.ndarray
    covariance: np.ndarray
    components: Components
    means: list[Comparison]
    differences: dict[tuple[int, int], Comparison]
    test: Test | None


def analyse(
    ratings: Ratings,
    *,
    figure: Figure = AUC,
    threshold: float | None = None,
    covariance: Method = METHODS["jackknife"],
    fixed: Fixed = Fixed.NONE,
    null: float = 0.0,
    level: float = LEVEL,
) -> Analysis:
    """The analysis of ratings.

    Args:
        ratings: Of a fully crossed study.
        figure: Of merit.
        threshold: The least rating that calls a case positive, for sensitivity, specificity and accuracy.
        covariance: One of `METHODS`, or a partial of it.
        fixed: What the conclusion is confined to.
        null: What the mean of each treatment is tested against; 0.5 for an AUC against chance.
        level: Of intervals.

    Raises:
        DataError: If a class of cases or readers are too few.
        ValueError: If a figure needs a threshold and has none.
    """
    scores = ratings.scores.reshape(-1, ratings.truth.size)
    if figure.binary:
        if threshold is None:
            raise ValueError(f"{figure.name} needs a threshold")
        scores = (scores >= threshold).astype(float)
    shape = ratings.scores.shape[:2]
    matrix = covariance(figure, scores, ratings.truth, ratings.patients)
    values = figure.values(scores, ratings.truth, np.ones((1, ratings.truth.size)))
    return analyse_figures(values.reshape(shape), matrix.reshape(*shape, *shape), fixed=fixed, null=null, level=level)


def analyse_figures(
    figures: np.ndarray,
    covariance: np.ndarray,
    *,
    fixed: Fixed = Fixed.NONE,
    null: float = 0.0,
    level: float = LEVEL,
) -> Analysis:
    """The analysis of figures of merit whose covariances over cases are known.

    Args:
        figures: (T, R).
        covariance: (T, R, T, R).
        fixed: See `analyse`.
        null: See `analyse`.
        level: See `analyse`.

    Raises:
        DataError: If there is one reader and readers are not fixed.
    """
    treatments, readers = figures.shape
    if readers < 2 and fixed is not Fixed.READERS:
        raise DataError("one reader, expected two or more to conclude on other readers; add readers or fix them")
    error, cov1, cov2, cov3 = _mean_covariances(covariance)
    ms_t, ms_r, ms_tr = _mean_squares(figures)
    shared = max(cov2 - cov3, 0)  # the correction; the model knows no negative one
    components = Components(
        reader=(ms_r - ms_tr) / treatments - cov1 + cov3 if treatments > 1 else ms_r - error + cov2,
        treatment_reader=ms_tr - error + cov1 + shared if treatments > 1 else np.nan,
        error=error,
        cov1=cov1,
        cov2=cov2,
        cov3=cov3,
    )
    denominator, df = {
        Fixed.NONE: lambda: (ms_tr + readers * shared, _df(ms_tr, readers * shared, (treatments - 1) * (readers - 1))),
        Fixed.READERS: lambda: (error - cov1 + (readers - 1) * shared, np.inf),
        Fixed.CASES: lambda: (ms_tr, float((treatments - 1) * (readers - 1))),
    }[fixed]()
    means = figures.mean(axis=1)
    spread = np.sqrt(2 / readers * max(denominator, 0))
    return Analysis(
        figures=figures,
        covariance=covariance,
        components=components,
        means=[_mean(figures[i], covariance[i, :, i], fixed, null, level) for i in range(treatments)],
        differences={
            (i, k): compare(means[i] - means[k], spread, df, level=level) for i, k in combinations(range(treatments), 2)
        },
        test=_test(ms_t, denominator, treatments - 1, df) if treatments > 1 else None,
    )


def compare(value: float, standard_error: float, df: float, *, null: float = 0.0, level: float = LEVEL) -> Comparison:
    """A value with the interval and the test of Student's distribution; normal if `df` is infinite.

    Args:
        value: Of an estimate.
        standard_error: Of the value; without one there is neither interval nor test.
        df: Degrees of freedom.
        null: What the value is tested against.
        level: Of the interval.
    """
    if not standard_error > 0 or not df > 0:
        return Comparison(value, standard_error, df, np.nan, np.nan, np.nan, np.nan, null)
    half = stats.t.ppf((1 + level) / 2, df) * standard_error
    t = (value - null) / standard_error
    return Comparison(value, standard_error, df, value - half, value + half, t, float(2 * stats.t.sf(abs(t), df)), null)


def _mean(figures: np.ndarray, covariance: np.ndarray, fixed: Fixed, null: float, level: float) -> Comparison:
    """Mean over readers under one treatment, from the variances of this treatment alone."""
    readers = figures.size
    error = np.trace(covariance) / readers
    cov2 = max((covariance.sum() - np.trace(covariance)) / (readers * (readers - 1)), 0) if readers > 1 else 0.0
    ms_r = figures.var(ddof=1) if readers > 1 else np.nan
    variance, df = {
        Fixed.NONE: (ms_r + readers * cov2, _df(ms_r, readers * cov2, readers - 1)),
        Fixed.READERS: (error + (readers - 1) * cov2, np.inf),
        Fixed.CASES: (ms_r, float(readers - 1)),
    }[fixed]
    mean = compare(float(figures.mean()), float(np.sqrt(variance / readers)), df, null=null, level=level)
    return replace(mean, low=max(mean.low, 0.0), high=min(mean.high, 1.0))  # every figure of merit lies in [0, 1]


def _mean_covariances(covariance: np.ndarray) -> tuple[float, float, float, float]:
    """Error, Cov1, Cov2, Cov3: means of the four kinds of elements; 0 where there is none."""
    treatments, readers = covariance.shape[:2]
    all_, same_reader = covariance.sum(), np.einsum("irkr->", covariance)
    same_treatment, both = np.einsum("iris->", covariance), np.einsum("irir->", covariance)
    pairs = treatments * (treatments - 1), readers * (readers - 1)

    def mean(total: float, count: int) -> float:
        return float(total / count) if count else 0.0

    return (
        mean(both, treatments * readers),
        mean(same_reader - both, pairs[0] * readers),
        mean(same_treatment - both, treatments * pairs[1]),
        mean(all_ - same_reader - same_treatment + both, pairs[0] * pairs[1]),
    )


def _mean_squares(figures: np.ndarray) -> tuple[float, float, float]:
    """MS(T), MS(R), MS(TR); NaN where there is no degree of freedom."""
    treatments, readers = figures.shape
    by_treatment, by_reader = figures.mean(axis=1, keepdims=True), figures.mean(axis=0, keepdims=True)
    rest = figures - by_treatment - by_reader + figures.mean()
    free = (treatments - 1) * (readers - 1)
    return (
        float(readers * by_treatment.var(ddof=1)) if treatments > 1 else np.nan,
        float(treatments * by_reader.var(ddof=1)) if readers > 1 else np.nan,
        float((rest**2).sum() / free) if free else np.nan,
    )


def _df(mean_square: float, correction: float, df: int) -> float:
    """Hillis's degrees of freedom."""
    if mean_square > 0:
        return (mean_square + correction) ** 2 * df / mean_square**2
    return np.inf if correction > 0 else float(df)


def _test(ms_t: float, denominator: float, df1: int, df2: float) -> Test:
    if not denominator > 0:
        return Test(np.nan, df1, df2, np.nan)
    f = ms_t / denominator
    p = stats.f.sf(f, df1, df2) if np.isfinite(df2) else stats.chi2.sf(f * df1, df1)
    return Test(f, df1, df2, float(p))
