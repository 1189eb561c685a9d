"""The answers of a closed study as tables that other programs read."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from mammosynth.atomic import write_bytes
from mammosynth.errors import DataError
from mammosynth.reading.analysis.closed_study import ClosedStudy
from mammosynth.reading.imrmc import imrmc_text
from mammosynth.reading.protocol import Protocol
from mammosynth.reading.statistics.ratings import Ratings

_FOR_MRMC = ("auc", "sensitivity", "specificity", "accuracy")


def write_tables(study: ClosedStudy, folder: Path) -> list[str]:
    """Write answers.csv (the last answer to each question), records.csv (the whole chain), and for each question of an
    endpoint about truth a ratings table for `mammosynth study mrmc` and an .imrmc file.

    Args:
        study: Closed and verified.
        folder: Made if it is absent; files in it are replaced.

    Returns:
        Names of what was written.

    Raises:
        OutputError: If a file cannot be written.
    """
    protocol, table = study.protocol, study.answers
    written = [
        _write(folder / "answers.csv", _as_text(table)),
        _write(folder / "records.csv", pd.DataFrame(study.content["records"])),
    ]
    for name in {each.question: None for each in protocol.endpoints.values() if each.statistic in _FOR_MRMC}:
        ratings = _ratings(table, name)
        written.append(_write(folder / f"{name}.ratings.csv", ratings))
        if protocol.design.groups == 1:
            written += _write_imrmc(protocol, name, ratings, folder)
    return written


def _as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Answers and truths as JSON."""
    return table.assign(
        **{
            name: table[name].map(lambda value: None if value is None else json.dumps(value, ensure_ascii=False))
            for name in ("answer", "truth")
        }
    )


def _ratings(table: pd.DataFrame, name: str) -> pd.DataFrame:
    rows = table[(table["question"] == name) & (table["occasion"] == 1) & table["is_positive"].notna()]
    return pd.DataFrame(
        {
            "reader": rows["reader"],
            "treatment": rows["arm"],
            "case": rows["item"],
            "truth": rows["is_positive"].astype(int),
            "rating": rows["rating"],
            "patient": rows["patient"],
        }
    )


def _write_imrmc(protocol: Protocol, name: str, ratings: pd.DataFrame, folder: Path) -> list[str]:
    try:
        text = imrmc_text(Ratings.from_table(ratings, source=name), f"{protocol.title}, {name}")
    except DataError:
        return []  # readers left cases out, which the format does not know
    file = folder / f"{name}.imrmc"
    write_bytes(file, text.encode())
    return [file.name]


def _write(file: Path, table: pd.DataFrame) -> str:
    write_bytes(file, table.to_csv(index=False, lineterminator="\n").encode())
    return file.name
