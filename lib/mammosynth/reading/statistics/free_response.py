"""Free-response studies: marks on images become a figure of merit that Obuchowski-Rockette takes.

JAFROC's figure is the chance that a lesion is rated above the most suspicious mark on a normal case: an AUC of lesions
against normal cases, where the lesions of one case belong together and what is not marked lies below every rating.
Source: Chakraborty & Berbaum (2004), doi:10.1118/1.1769352.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from mammosynth.errors import DataError
from mammosynth.problems import Problems
from mammosynth.reading.statistics.ratings import Ratings

MARK_COLUMNS = ("reader", "treatment", "case", "lesion", "rating")
CASE_COLUMNS = ("case", "lesion")


def lesion_ratings(marks: pd.DataFrame, cases: pd.DataFrame) -> Ratings:
    """Ratings of lesions and of normal cases, to be analysed with the AUC.

    Marks beside the lesions of a positive case do not count in this figure.

    Args:
        marks: One row a mark: reader, treatment, case, lesion (empty if it hits none), rating. Several marks on one
            lesion, or beside all, count as the highest. A reader without a mark under a treatment still must stand in
            the table, with an empty case.
        cases: One row a lesion: case, lesion; a normal case is one row with an empty lesion. An optional column
            patient says which cases belong together.

    Returns:
        Items in place of cases: all lesions, then all normal cases.

    Raises:
        DataError: If columns are missing, a rating is no number, or a mark names a case or a lesion that is not there.
    """
    marks, cases = _texts(marks, MARK_COLUMNS), _texts(cases, CASE_COLUMNS)
    _check_items(cases)
    items = pd.concat((cases[cases["lesion"] != ""], cases[cases["lesion"] == ""]), ignore_index=True)
    labels = {name: sorted(set(marks[name])) for name in ("treatment", "reader")}
    placed = marks[marks["case"] != ""]
    ratings = _check_marks(placed, items)
    number = {key: index for index, key in enumerate(zip(items["case"], items["lesion"], strict=True))}
    scores = np.full((*(len(names) for names in labels.values()), len(items)), -np.inf)
    index = [placed[name].map(labels[name].index).to_numpy(int) for name in labels]
    item = np.array([number.get(key, -1) for key in zip(placed["case"], placed["lesion"], strict=True)], int)
    counts = item >= 0  # others lie beside the lesions of a positive case
    np.maximum.at(scores, (index[0][counts], index[1][counts], item[counts]), ratings[counts])
    patients = np.unique(items["patient"] if "patient" in items else items["case"], return_inverse=True)[1]
    return Ratings(
        scores=scores,
        truth=(items["lesion"] != "").to_numpy(),
        patients=patients,
        treatments=tuple(labels["treatment"]),
        readers=tuple(labels["reader"]),
        cases=tuple(f"{case} {lesion}".strip() for case, lesion in number),
    )


def _texts(table: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    if missing := [name for name in columns if name not in table]:
        raise DataError(f"no column {', '.join(missing)}, expected {', '.join(columns)}")
    return table.map(lambda value: "" if pd.isna(value) else str(value).strip())


def _check_items(cases: pd.DataFrame) -> None:
    problems = Problems()
    problems.add(
        *(
            f"case {row.case}, lesion {row.lesion or 'none'}: twice"
            for row in cases[cases.duplicated(["case", "lesion"])].itertuples()
        )
    )
    with_lesion, without = (set(cases["case"][cases["lesion"] != ""]), set(cases["case"][cases["lesion"] == ""]))
    problems.add(*(f"case {case}: with and without a lesion" for case in sorted(with_lesion & without)))
    problems.raise_if_any("list of cases: expected one row a lesion, and one with an empty lesion for a normal case:")


def _check_marks(marks: pd.DataFrame, items: pd.DataFrame) -> np.ndarray:
    problems = Problems()
    known = set(zip(items["case"], items["lesion"], strict=True)) | set(product(items["case"], [""]))
    ratings = pd.to_numeric(marks["rating"], errors="coerce").to_numpy(float)
    for row, rating in zip(marks.itertuples(), ratings, strict=True):
        where = f"reader {row.reader}, treatment {row.treatment}, case {row.case}"
        if (row.case, row.lesion) not in known:
            problems.add(
                f"{where}: lesion {row.lesion or 'none'} is not in the list of cases; correct the name, or add it"
            )
        if not np.isfinite(rating):
            problems.add(f"{where}: rating is {row.rating!r}, expected a number")
    problems.raise_if_any("marks cannot be analysed:")
    return ratings
