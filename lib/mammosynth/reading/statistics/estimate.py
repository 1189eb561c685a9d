"""An estimate with its interval, and the resampling of patients that many intervals come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass
from enum import Enum, StrEnum
from typing import Any

import numpy as np
from scipy import stats

LEVEL = 0.95
DRAWS = 1000
_BLOCK = 4_000_000  # weights at a time: 32 MB

Statistic = Callable[[np.ndarray], np.ndarray]
"""(B, N) weights of cases -> (B,) values, NaN where it is not defined."""


@dataclass(frozen=True)
class Estimate:
    """A value and its interval.

    Attributes:
        value: NaN where it is not defined, as kappa of readers who all gave the same answer.
        low: NaN where there is no interval.
        high: NaN where there is no interval.
        standard_error: NaN where the interval does not come from one.
        level: Of the interval.
        draws: Resamples in which the value was defined; 0 if none were drawn.
    """

    value: float
    low: float
    high: float
    standard_error: float = np.nan
    level: float = LEVEL
    draws: int = 0


class Percentiles(StrEnum):
    """Which percentiles of the resamples are the interval."""

    BCA = "bca"
    PLAIN = "plain"


@dataclass(frozen=True)
class Bootstrap:
    """An interval from resampled patients.

    Attributes:
        draws: Resamples.
        seed: Of the draws; the same seed draws the same patients for every statistic.
        level: Of the interval.
        percentiles: Bias-corrected and accelerated, and widened for few patients; or plain, as most papers have it.

    Source: Efron (1987), doi:10.1080/01621459.1987.10478410; widening: Hesterberg (2015),
    doi:10.1080/00031305.2015.1089789, section 4.3.
    """

    draws: int = DRAWS
    seed: int = 0
    level: float = LEVEL
    percentiles: Percentiles = Percentiles.BCA

    def estimate(self, statistic: Statistic, patients: np.ndarray) -> Estimate:
        """The value of a statistic with its interval; see `estimates`."""
        return self.estimates(lambda weights: statistic(weights)[:, None], patients)[0]

    def estimates(self, statistics: Statistic, patients: np.ndarray) -> list[Estimate]:
        """Values of several statistics with their intervals; resamples in which one is not defined are left out.

        Args:
            statistics: (B, N) weights of cases -> (B, M) values.
            patients: (N,) int from 0.
        """
        values = statistics(np.ones((1, patients.size)))[0]
        samples = statistics(resample(patients, self.draws, self.seed)).T
        if self.percentiles is Percentiles.PLAIN or patients.max() < 1:
            left_out = [np.empty(0)] * len(values)
        else:
            left_out = list(without_each(statistics, patients).T)
        return [self._estimate(float(v), s, left) for v, s, left in zip(values, samples, left_out, strict=True)]

    def _estimate(self, value: float, samples: np.ndarray, left_out: np.ndarray) -> Estimate:
        known = samples[np.isfinite(samples)]
        if known.size < 2 or not np.isfinite(value):
            return Estimate(value, np.nan, np.nan, level=self.level, draws=known.size)
        at = np.array([(1 - self.level) / 2, (1 + self.level) / 2])
        if left_out.size:
            at = _accelerated(at, value, known, left_out)
        low, high = np.quantile(known, at)
        return Estimate(value, float(low), float(high), float(known.std(ddof=1)), self.level, known.size)


def _accelerated(at: np.ndarray, value: float, known: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Probabilities of BCa in place of `at`, from the value without each patient."""
    below = ((known < value).mean() + (known <= value).mean()) / 2
    bias = stats.norm.ppf(np.clip(below, 1 / known.size, 1 - 1 / known.size))
    deviations = np.nan_to_num(np.nanmean(left_out) - left_out) if np.isfinite(left_out).any() else np.zeros(1)
    spread = (deviations**2).sum() ** 1.5
    acceleration = (deviations**3).sum() / (6 * spread) if spread > 0 else 0.0
    wide = bias + np.sqrt(left_out.size / (left_out.size - 1)) * stats.t.ppf(at, left_out.size - 1)
    return stats.norm.cdf(bias + wide / (1 - acceleration * wide))


DEFAULT = Bootstrap()


def patient_index(clusters: np.ndarray | None, cases: int) -> np.ndarray:
    """Number of the patient of each case; without patients, each case is one of its own.

    Args:
        clusters: (N,) labels of patients, or None.
        cases: N.

    Returns:
        (N,) int from 0.

    Raises:
        ValueError: If there is not one label a case.
    """
    if clusters is None:
        return np.arange(cases)
    if len(clusters) != cases:
        raise ValueError(f"{len(clusters)} patients for {cases} cases, expected one a case")
    return np.unique(np.asarray(clusters), return_inverse=True)[1].reshape(-1)


def resample(patients: np.ndarray, draws: int, seed: int, strata: np.ndarray | None = None) -> np.ndarray:
    """How often each case counts in every resample of patients, drawn with replacement.

    Args:
        patients: (N,) int from 0, see `patient_index`.
        draws: Resamples.
        seed: Of the draws.
        strata: (N,) int, one value a patient; every stratum keeps its number of patients.

    Returns:
        (draws, N) float64.
    """
    random = np.random.default_rng(seed)
    number = patients.max() + 1
    of_patient = np.zeros(number, int) if strata is None else strata
    counts = np.empty((draws, number))
    for stratum in np.unique(of_patient):
        members = np.flatnonzero(of_patient == stratum)
        counts[:, members] = random.multinomial(len(members), np.full(len(members), 1 / len(members)), draws)
    return counts[:, patients]


def without_each(statistics: Statistic, patients: np.ndarray) -> np.ndarray:
    """Values of statistics without one patient at a time.

    Args:
        statistics: (B, N) weights of cases -> (B, M) values.
        patients: (N,) int from 0.

    Returns:
        (patients, M), computed in blocks so that memory does not grow with the square of N.
    """
    number, size = patients.max() + 1, max(_BLOCK // patients.size, 1)
    blocks = (np.arange(start, min(start + size, number)) for start in range(0, number, size))
    return np.vstack([statistics((block[:, None] != patients).astype(float)) for block in blocks])


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient of arrays, NaN where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0)


def json_ready(value: Any) -> Any:
    """Dataclasses as objects, arrays as lists; numbers that JSON has not (NaN, infinity) as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return json_ready(asdict(value))
    if isinstance(value, dict):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [json_ready(item) for item in value]
    if isinstance(value, np.generic):
        return json_ready(value.item())
    if isinstance(value, Enum):
        return value.value
    return None if isinstance(value, float) and not np.isfinite(value) else value
