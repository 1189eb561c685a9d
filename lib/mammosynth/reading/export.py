"""The answers of a closed study as tables, and as DICOM Structured Reports, that other programs read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pandas as pd
from pydicom.dataset import Dataset

from mammosynth.atomic import write_bytes
from mammosynth.dicom.write import write_instance
from mammosynth.errors import DataError, UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.reading.analysis.closed_study import ClosedStudy
from mammosynth.reading.design import Reading
from mammosynth.reading.imrmc import imrmc_text
from mammosynth.reading.protocol import Protocol
from mammosynth.reading.statistics.ratings import Ratings
from mammosynth.reading.structured_report import Given, Occasion, structured_report

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


def write_structured_reports(
    study: ClosedStudy,
    folder: Path,
    read: Callable[[str], Mammogram],
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> int:
    """Write a DICOM SR of each reading that has an answer, training left out, in the study of its sources.

    Args:
        study: Closed and verified.
        folder: Made if it is absent; files in it are replaced. They are called by the reader's place in the protocol,
            session and position.
        read: Gives the image that the protocol names.
        progress: Called with how many are written, how many there are, and the name of the last.

    Returns:
        How many were written.

    Raises:
        NotFoundError: If an image is not there.
        UnsupportedImageError: If one is no DICOM, or those of a case are of several patients.
        OutputError: If a file cannot be written.
    """
    protocol = study.protocol

    @cache
    def header(source: str) -> Dataset:
        found = read(source).header
        if found is None:
            raise UnsupportedImageError(
                f"{source}: is no DICOM, expected DICOM, since a Structured Report refers to its images by their UIDs"
            )
        return found

    occasions = list(_occasions(study))
    for number, occasion in enumerate(occasions, start=1):
        reading = occasion.reading
        images = [header(source) for source in protocol.cases[reading.case].images[reading.arm]]
        reader = protocol.readers.index(reading.reader) + 1
        name = f"reader-{reader:02}-session-{reading.session}-reading-{reading.position:03}.dcm"
        write_instance(structured_report(protocol, occasion, images), folder / name)
        progress(number, len(occasions), name)
    return len(occasions)


def _occasions(study: ClosedStudy) -> Iterator[Occasion]:
    place = ["reader", "session", "position"]
    for _, rows in study.answers.groupby(place, sort=False):
        first = rows.iloc[0]
        reading = Reading(*(first[name] for name in (*place, "case", "arm", "occasion")))
        answers = [Given(*each) for each in zip(rows["question"], rows["target"], rows["answer"], strict=True)]
        yield Occasion(study.protocol.name, study.content["study"]["head"], reading, answers, max(rows["at"]))


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
