"""An estimate with its interval, and the resampling of patients that many intervals come from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, is_dataclass
from enum import Enum
from typing import Any

import numpy as np

LEVEL = 0.95
DRAWS = 1000


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
    of_patient = np.zeros(number, int)
    of_patient[patients] = 0 if strata is None else strata
    counts = np.empty((draws, number))
    for stratum in np.unique(of_patient):
        members = np.flatnonzero(of_patient == stratum)
        counts[:, members] = random.multinomial(len(members), np.full(len(members), 1 / len(members)), draws)
    return counts[:, patients]


def bootstrap(value: float, samples: np.ndarray, level: float = LEVEL) -> Estimate:
    """The percentile interval of a value from its resamples; those in which it is not defined are left out.

    Args:
        value: Of the data themselves.
        samples: (draws,).
        level: Of the interval.
    """
    known = samples[np.isfinite(samples)]
    if known.size < 2 or not np.isfinite(value):
        return Estimate(value, np.nan, np.nan, level=level, draws=known.size)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high), float(known.std(ddof=1)), level, known.size)


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
