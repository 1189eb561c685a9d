"""`Ratings`: what every reader said of every case under every treatment, checked once and then an array."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mammosynth.counts import count_of
from mammosynth.problems import Problems
from mammosynth.reading.statistics.estimate import patient_index

COLUMNS = ("reader", "treatment", "case", "truth", "rating")
PATIENT = "patient"
_POSITIVE = ("1", "true", "yes", "positive")
_NEGATIVE = ("0", "false", "no", "negative")
_TOLD = 10  # sentences of one kind; the rest is counted


@dataclass(frozen=True, eq=False)
class Ratings:
    """A fully crossed study: every reader rated every case once under every treatment.

    Attributes:
        scores: (T, R, N) float64, higher is more suspicious; -inf is lower than any rating.
        truth: (N,) bool, True where the case is positive.
        patients: (N,) int from 0, the same for cases of one patient.
        treatments: T labels.
        readers: R labels.
        cases: N labels.
    """

    scores: np.ndarray
    truth: np.ndarray
    patients: np.ndarray
    treatments: tuple[str, ...]
    readers: tuple[str, ...]
    cases: tuple[str, ...]

    @classmethod
    def from_arrays(cls, scores: np.ndarray, truth: np.ndarray, patients: np.ndarray | None = None) -> Ratings:
        """Ratings with numbers from 1 as labels.

        Args:
            scores: (T, R, N).
            truth: (N,) bool.
            patients: (N,) labels; without them, each case is a patient.

        Raises:
            ValueError: If shapes do not agree.
        """
        scores, truth = np.asarray(scores, float), np.asarray(truth, bool)
        if scores.ndim != 3 or truth.shape != scores.shape[2:]:
            raise ValueError(f"scores {scores.shape} and truth {truth.shape}, expected (T, R, N) and (N,)")
        labels = [tuple(str(number + 1) for number in range(length)) for length in scores.shape]
        return cls(scores, truth, patient_index(patients, truth.size), *labels)

    @classmethod
    def from_table(cls, table: pd.DataFrame, *, positive: str | None = None, source: str = "ratings") -> Ratings:
        """Ratings from a long table, whatever the order of its rows.

        Labels are sorted by number if all of their kind are numbers, else as texts.

        Args:
            table: One row a rating, with columns reader, treatment, case, truth, rating, and patient if a patient has
                several cases.
            positive: The label of positive truth; without it, 1/0, true/false, yes/no and positive/negative are known.
            source: What sentences call the table.

        Raises:
            DataError: With everything that is wrong: columns, numbers, truth, doubled and missing ratings.
        """
        problems = Problems()
        rows = _clean(table, problems, source)
        problems.raise_if_any()
        ratings = _numbers(rows, problems)
        truth = _truth(rows, positive, problems)
        _check_constant(rows, "truth", problems)
        if PATIENT in rows:
            _check_constant(rows, PATIENT, problems)
        _check_crossed(rows, problems)
        problems.raise_if_any(f"{source}: {count_of(len(problems), 'reason')} why it cannot be analysed:")
        labels = [_sorted(rows[name]) for name in ("treatment", "reader", "case")]
        index = tuple(
            pd.Categorical(rows[name], categories=kind).codes
            for name, kind in zip(("treatment", "reader", "case"), labels, strict=True)
        )
        scores = np.empty([len(kind) for kind in labels])
        scores[index] = ratings
        first = np.unique(index[2], return_index=True)[1]
        patients = rows[PATIENT].to_numpy()[first] if PATIENT in rows else None
        return cls(scores, truth[first], patient_index(patients, len(first)), *(tuple(kind) for kind in labels))


def _clean(table: pd.DataFrame, problems: Problems, source: str) -> pd.DataFrame:
    rows = table.rename(columns=lambda name: str(name).strip().lower())
    if missing := [name for name in COLUMNS if name not in rows]:
        problems.add(
            f"{source}: no column {', '.join(missing)} among {', '.join(map(str, table.columns))}; "
            f"expected {', '.join(COLUMNS)}, separated by commas"
        )
        return rows
    if doubled := sorted(set(rows.columns[rows.columns.duplicated()])):
        problems.add(f"{source}: column {', '.join(doubled)} twice, expected once")
        return rows
    names = [*COLUMNS, *([PATIENT] if PATIENT in rows else [])]
    rows = rows[names].map(lambda value: "" if pd.isna(value) else str(value).strip())
    if rows.empty:
        problems.add(f"{source}: no rows, expected one a rating")
    for name in names:
        empty = np.flatnonzero(rows[name] == "")
        _tell(problems, (f"row {row + 1}: {name} is empty, expected a value" for row in empty))
    return rows


def _numbers(rows: pd.DataFrame, problems: Problems) -> np.ndarray:
    ratings = pd.to_numeric(rows["rating"], errors="coerce").to_numpy(float)
    bad = np.flatnonzero(~np.isfinite(ratings))
    _tell(problems, (f"row {row + 1}: rating is {rows['rating'].iloc[row]!r}, expected a number" for row in bad))
    return ratings


def _truth(rows: pd.DataFrame, positive: str | None, problems: Problems) -> np.ndarray:
    found = sorted(set(rows["truth"]))
    words = [word.lower().removesuffix(".0") for word in found]
    if positive is not None:
        if positive not in found or len(found) > 2:
            problems.add(f"truth is {', '.join(found)}, expected two labels of which one is {positive}")
        return (rows["truth"] == positive).to_numpy()
    if set(words) - {*_POSITIVE, *_NEGATIVE}:
        problems.add(
            f"truth is {', '.join(found[:_TOLD])}, expected 1 for positive and 0 for negative cases "
            "(or true/false, yes/no, positive/negative); or say which label is the positive one"
        )
    is_positive = {label: word in _POSITIVE for label, word in zip(found, words, strict=True)}
    return rows["truth"].map(is_positive).to_numpy(bool)


def _check_constant(rows: pd.DataFrame, name: str, problems: Problems) -> None:
    """A case has one truth and one patient."""
    several = rows.groupby("case")[name].unique()
    several = several[several.map(len) > 1]
    _tell(
        problems,
        (f"case {case}: {name} is {' and '.join(sorted(found))}, expected one" for case, found in several.items()),
    )


def _check_crossed(rows: pd.DataFrame, problems: Problems) -> None:
    sizes = rows.groupby(["reader", "treatment", "case"]).size()
    _tell(
        problems,
        (
            f"reader {reader}, treatment {treatment}, case {case}: {count} ratings, expected one"
            for (reader, treatment, case), count in sizes[sizes > 1].items()
        ),
    )
    cases = set(rows["case"])
    found = rows.groupby(["reader", "treatment"])["case"].agg(set)
    for treatment in _sorted(rows["treatment"]):
        for reader in _sorted(rows["reader"]):
            missing = cases - found.get((reader, treatment), set())
            if len(missing) == len(cases):
                problems.add(f"reader {reader} rated no case under treatment {treatment}; {_CROSSED}")
                continue
            _tell(
                problems,
                (
                    f"reader {reader}, treatment {treatment}: no rating of case {case}; {_CROSSED}"
                    for case in _sorted(missing)
                ),
            )


_CROSSED = "expected every case by every reader under every treatment: add what is missing, or leave it out everywhere"


def _tell(problems: Problems, sentences: Iterable[str]) -> None:
    told = list(sentences)
    problems.add(*told[:_TOLD])
    if len(told) > _TOLD:
        problems.add(f"and {len(told) - _TOLD} more like the last one")


def _sorted(labels: Iterable[str]) -> list[str]:
    unique = sorted(set(labels))
    numbers = pd.to_numeric(pd.Series(unique, dtype=object), errors="coerce").to_numpy(float)
    return [unique[index] for index in np.argsort(numbers, kind="stable")] if np.isfinite(numbers).all() else unique
