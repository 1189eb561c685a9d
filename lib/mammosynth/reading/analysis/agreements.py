"""Agreement between arms, between readers, and of readers with themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mammosynth.errors import DataError
from mammosynth.reading.analysis.table import Crossed, crossed
from mammosynth.reading.protocol import Protocol
from mammosynth.reading.questions import Category, Likert, Question
from mammosynth.reading.statistics.agreement import (
    Measurement,
    Weights,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac2,
    krippendorff_alpha,
    light_kappa,
    mean_kappa,
    percent_agreement,
)
from mammosynth.reading.statistics.estimate import Bootstrap


def between_arms(protocol: Protocol, name: str, rows: pd.DataFrame, bootstrap: Bootstrap) -> dict[str, Any]:
    """Kappa of each reader's answers in an arm and in the reference arm, and their mean.

    Args:
        protocol: Of the study.
        name: Of the question.
        rows: First readings of it.
        bootstrap: How patients are resampled.

    Returns:
        weights, and by arm: mean, readers.

    Raises:
        DataError: If it was not answered in the reference arm and another, or no case has all answers.
    """
    count, weights = _scale(protocol.questions[name])
    read = list(rows["arm"].unique())
    if protocol.reference_arm not in read or len(read) < 2:
        others = " or ".join(arm for arm in protocol.arms if arm != protocol.reference_arm)
        raise DataError(
            f"{name} was answered in {', '.join(read)} alone, expected {protocol.reference_arm}, and {others}"
        )
    answers = _numbers(protocol, name, rows, ("arm", "reader"))
    values, (arms, readers), patients = answers.values, answers.labels, answers.patients
    reference = values[arms.index(protocol.reference_arm)]
    shared: dict[str, Any] = {"weights": weights, "patients": patients, "bootstrap": bootstrap}
    found = {}
    for number, arm in enumerate(arms):
        if arm == protocol.reference_arm:
            continue
        pairs = list(zip(values[number], reference, strict=True))
        found[arm] = {
            "mean": mean_kappa(pairs, count, **shared),
            "readers": {
                reader: cohen_kappa(*pair, count, **shared) for reader, pair in zip(readers, pairs, strict=True)
            },
            "same_answer": {
                reader: percent_agreement(*pair, patients=patients, bootstrap=bootstrap)
                for reader, pair in zip(readers, pairs, strict=True)
            },
            "tables": {reader: _cross_table(*pair, count) for reader, pair in zip(readers, pairs, strict=True)},
        }
    return {"weights": weights, "arms": found, "cases": len(patients)}


def between_readers(protocol: Protocol, name: str, rows: pd.DataFrame, bootstrap: Bootstrap) -> dict[str, Any]:
    """Agreement of all readers in each arm, by several measures.

    Args:
        protocol: Of the study.
        name: Of the question.
        rows: First readings of it.
        bootstrap: How patients are resampled.

    Returns:
        weights, and by arm: light_kappa (the mean of all pairs), fleiss_kappa (without order), gwet_ac2,
        krippendorff_alpha.

    Raises:
        DataError: If there is one reader, or no case has all answers.
    """
    count, weights = _scale(protocol.questions[name])
    if rows["reader"].nunique() < 2:
        raise DataError(f"{name} was answered by one reader, expected two or more")
    is_ordered = weights is Weights.QUADRATIC
    found = {}
    for arm, own in rows.groupby("arm", sort=False):
        answers = _numbers(protocol, name, own, ("reader",))
        values = answers.values
        shared: dict[str, Any] = {"patients": answers.patients, "bootstrap": bootstrap}
        found[str(arm)] = {
            "light_kappa": light_kappa(values, count, weights=weights, **shared),
            "fleiss_kappa": fleiss_kappa(values, count, **shared),
            "gwet_ac2": gwet_ac2(values, count, weights=weights, **shared),
            "krippendorff_alpha": krippendorff_alpha(
                values, count, measurement=Measurement.ORDINAL if is_ordered else Measurement.NOMINAL, **shared
            ),
            "cases": len(answers.items),
        }
    return {"weights": weights, "arms": found}


def within_readers(protocol: Protocol, name: str, rows: pd.DataFrame, bootstrap: Bootstrap) -> dict[str, Any]:
    """Kappa of two readings of the same case in the same arm, over all readers and of each.

    Args:
        protocol: Of the study.
        name: Of the question.
        rows: All readings of it.
        bootstrap: How patients are resampled.

    Returns:
        weights, mean (all pairs together), readers, pairs.

    Raises:
        DataError: If no case was read twice.
    """
    count, weights = _scale(protocol.questions[name])
    number = rows.assign(number=_category_numbers(protocol.questions[name], rows))
    pairs = number.pivot(index=["reader", "arm", "item", "patient"], columns="occasion", values="number")
    if set(pairs) != {1, 2} or pairs.dropna().empty:
        raise DataError(f"{name}: no case was read twice by a reader")
    pairs = pairs.dropna().astype(int)

    def kappa(own: pd.DataFrame) -> Any:
        patients = own.index.get_level_values("patient").to_numpy()
        return cohen_kappa(
            own[1].to_numpy(), own[2].to_numpy(), count, weights=weights, patients=patients, bootstrap=bootstrap
        )

    readers = {str(reader): kappa(own) for reader, own in pairs.groupby("reader", sort=False)}
    return {"weights": weights, "mean": kappa(pairs), "readers": readers, "pairs": len(pairs)}


def _scale(question: Question) -> tuple[int, Weights]:
    """How many categories a question has, and whether their distance counts."""
    if isinstance(question, Category):
        return len(question.categories), Weights.QUADRATIC if question.ordered else Weights.IDENTITY
    if isinstance(question, Likert):
        return question.levels, Weights.QUADRATIC
    return 2, Weights.IDENTITY


def _category_numbers(question: Question, rows: pd.DataFrame) -> Any:
    if isinstance(question, Category):
        return rows["answer"].map(question.categories.index)
    if isinstance(question, Likert):
        return rows["answer"].astype(int) - 1
    return rows["decision"].astype(int)


def _numbers(protocol: Protocol, name: str, rows: pd.DataFrame, over: tuple[str, ...]) -> Crossed:
    numbered = rows.assign(number=_category_numbers(protocol.questions[name], rows))
    found = crossed(numbered, "number", over)
    if not found.items:
        raise DataError(f"{name}: no case has the answers of all readers in all arms")
    return replace(found, values=found.values.astype(int))


def _cross_table(first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    """(k, k) counts; rows: the reference arm."""
    table = np.zeros((count, count), int)
    np.add.at(table, (second, first), 1)
    return table
