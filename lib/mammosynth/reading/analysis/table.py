"""`answer_table`: the answers that count, one a row, with what is true and what a number says of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from mammosynth.reading.protocol import WHOLE_CASE, Protocol
from mammosynth.reading.questions import YES, Category, RealOrGenerated, YesNo
from mammosynth.reading.tables import ANSWERED

COLUMNS = (
    "reader",
    "session",
    "position",
    "occasion",
    "case",
    "target",
    "item",
    "patient",
    "arm",
    "question",
    "answer",
    "rating",
    "decision",
    "truth",
    "is_positive",
    "revision",
    "duration_s",
    "at",
)
"""item: case and target together; rating, decision, is_positive: None where the question or the truth has none."""
TRAINING_SESSION = 0


def answer_table(protocol: Protocol, content: Mapping[str, Any]) -> pd.DataFrame:
    """The last answer to each question about each reading, training left out.

    Args:
        protocol: Of the study.
        content: As `StudyStore.content` gives it.

    Returns:
        Columns as `COLUMNS`, by reader as in the protocol, session, position, question as in the protocol, target.
    """
    design = {(each["reader"], each["session"], each["position"]): each for each in content["readings"]}
    last: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for record in content["records"]:
        if record["kind"] == ANSWERED and record["session"] != TRAINING_SESSION:
            key = (record["reader"], record["session"], record["position"], record["question"], record["target"])
            last[key] = record
    rows = [_row(protocol, design[key[:3]], record) for key, record in last.items()]
    readers, questions = list(protocol.readers), list(protocol.questions)
    rows.sort(
        key=lambda row: (
            readers.index(row["reader"]),
            row["session"],
            row["position"],
            questions.index(row["question"]),
            row["target"],
        )
    )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(protocol: Protocol, reading: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    content = json.loads(record["content"])
    name, target, case = record["question"], record["target"], reading["case"]
    question, value = protocol.questions[name], content["value"]
    truth = protocol.truth(name, case, target)
    return {
        **{key: reading[key] for key in ("reader", "session", "position", "occasion", "case", "arm")},
        "target": target,
        "item": case if target == WHOLE_CASE else f"{case} {target}",
        "patient": protocol.cases[case].patient,
        "question": name,
        "answer": value,
        "rating": question.rating(value),
        "decision": question.decision(value) if isinstance(question, YesNo | Category | RealOrGenerated) else None,
        "truth": truth,
        "is_positive": _is_positive(protocol, name, reading["arm"], truth),
        "revision": content["revision"],
        "duration_s": content["duration_s"],
        "at": record["at"],
    }


def _is_positive(protocol: Protocol, name: str, arm: str, truth: Any) -> bool | None:
    question = protocol.questions[name]
    if isinstance(question, RealOrGenerated):
        return protocol.arms[arm].generated
    if truth is None:
        return None
    if isinstance(question, Category):
        return question.decision(truth)
    return truth == YES if isinstance(question, YesNo) else bool(truth)


@dataclass(frozen=True, eq=False)
class Crossed:
    """Answers that cross readers, and arms if there are several.

    Attributes:
        values: (..., N), the axes before items as they were asked for.
        labels: Of each of these axes.
        items: N.
        patients: (N,), of the items.
    """

    values: np.ndarray
    labels: list[list[str]]
    items: list[str]
    patients: np.ndarray


def crossed(rows: pd.DataFrame, value: str, over: tuple[str, ...]) -> Crossed:
    """Answers as an array; items that somebody did not answer are left out.

    Args:
        rows: Of one question, first readings only.
        value: Column of the values.
        over: Columns of the axes before items: ("reader",) or ("arm", "reader").
    """
    labels = [list(rows[name].unique()) for name in over]
    keys: list[Any] = labels[0] if len(over) == 1 else list(product(*labels))
    wide = rows.pivot(index=["item", "patient"], columns=over[0] if len(over) == 1 else list(over), values=value)
    wide = wide[keys].dropna() if set(keys) <= set(wide) else wide[:0]
    values = wide.to_numpy().T.reshape(*map(len, labels), len(wide)) if len(wide) else np.empty((0, 0))
    items, patients = (wide.index.get_level_values(name) for name in ("item", "patient"))
    return Crossed(values, labels, list(items), patients.to_numpy())
