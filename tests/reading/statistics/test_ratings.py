import numpy as np
import pandas as pd
import pytest

from mammosynth.errors import DataError
from mammosynth.reading.statistics.ratings import Ratings


def table_of(
    readers: str = "ab", treatments: str = "xy", cases: tuple[str, ...] = ("9", "10", "11", "12")
) -> pd.DataFrame:
    rows = [
        (reader, treatment, case, str(number % 2), str(number))
        for reader in readers
        for treatment in treatments
        for number, case in enumerate(cases)
    ]
    return pd.DataFrame(rows, columns=["reader", "treatment", "case", "truth", "rating"])


def test_labels_are_sorted_as_numbers_where_they_are() -> None:
    ratings = Ratings.from_table(table_of().sample(frac=1, random_state=0))
    assert ratings.cases == ("9", "10", "11", "12")
    assert (ratings.treatments, ratings.readers) == (("x", "y"), ("a", "b"))
    assert ratings.scores[1, 0].tolist() == [0, 1, 2, 3]
    assert ratings.truth.tolist() == [False, True, False, True]


def test_columns_may_have_any_case_and_order_and_company() -> None:
    table = table_of()[["rating", "truth", "case", "treatment", "reader"]].rename(columns=str.upper).assign(note="")
    assert Ratings.from_table(table).scores.shape == (2, 2, 4)


@pytest.mark.parametrize(
    ("negative", "positive"), [("false", "True"), ("no", "YES"), ("negative", "positive"), ("0.0", "1.0")]
)
def test_words_of_truth(negative: str, positive: str) -> None:
    table = table_of()
    table["truth"] = table["truth"].map({"0": negative, "1": positive})
    assert Ratings.from_table(table).truth.tolist() == [False, True, False, True]


def test_other_words_of_truth_need_the_positive_one() -> None:
    table = table_of()
    table["truth"] = table["truth"].map({"0": "benign", "1": "cancer"})
    with pytest.raises(DataError, match="truth is benign, cancer, expected 1 for positive"):
        Ratings.from_table(table)
    assert Ratings.from_table(table, positive="cancer").truth.tolist() == [False, True, False, True]
    with pytest.raises(DataError, match="expected two labels of which one is malignant"):
        Ratings.from_table(table, positive="malignant")


def test_patients_group_cases() -> None:
    table = table_of().assign(patient=lambda rows: rows["case"].map({"9": "p", "10": "p", "11": "q", "12": "r"}))
    assert Ratings.from_table(table).patients.tolist() == [0, 0, 1, 2]


def changed(row: int, **values: str) -> pd.DataFrame:
    table = table_of()
    for name, value in values.items():
        table.loc[row, name] = value
    return table


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (table_of().drop(columns="truth"), "no column truth among reader, treatment, case, rating"),
        (table_of().iloc[:0], "no rows"),
        (changed(3, rating="high"), "row 4: rating is 'high', expected a number"),
        (changed(3, rating="inf"), "row 4: rating is 'inf', expected a number"),
        (changed(3, rating=""), "row 4: rating is empty"),
        (changed(3, reader=" "), "row 4: reader is empty"),
        (changed(3, truth="0"), "case 12: truth is 0 and 1, expected one"),
        (table_of().drop(index=5), "reader a, treatment y: no rating of case 10; expected every case by every reader"),
        (table_of().drop(index=[4, 5, 6, 7]), "reader a rated no case under treatment y"),
        (changed(0, case="13"), "reader a, treatment x: no rating of case 9"),
        (pd.concat((table_of(), table_of().iloc[[2]])), "reader a, treatment x, case 11: 2 ratings, expected one"),
        (table_of().assign(patient=[*"pqrs", *"pqrs", *"pqrs", *"pqrp"]), "case 12: patient is p and s, expected one"),
        (table_of().assign(Reader="a"), "column reader twice"),
    ],
)
def test_what_is_wrong_is_told(table: pd.DataFrame, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        Ratings.from_table(table)


def test_many_reasons_are_counted() -> None:
    table = table_of(cases=tuple(str(number) for number in range(100)))
    table["rating"] = "?"
    with pytest.raises(DataError, match="and 390 more") as error:
        Ratings.from_table(table)
    assert str(error.value).count("\n") == 11


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="expected"):
        Ratings.from_arrays(np.zeros((2, 3, 4)), np.zeros(5, bool))
