import numpy as np
import pandas as pd
import pytest

from mammosynth.errors import DataError
from mammosynth.reading.statistics.figures import AUC
from mammosynth.reading.statistics.free_response import lesion_ratings

CASES = pd.DataFrame([("p", "1"), ("p", "2"), ("q", "1"), ("n", ""), ("m", "")], columns=["case", "lesion"])
MARKS = [
    ("r", "x", "p", "1", "80"),
    ("r", "x", "p", "1", "60"),  # a second mark on the same lesion
    ("r", "x", "q", "", "99"),  # beside the lesion of a positive case
    ("r", "x", "n", "", "70"),
    ("r", "x", "n", "", "20"),
    ("s", "x", "", "", ""),  # no mark at all
]


def marks_of(*more: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame([*MARKS, *more], columns=["reader", "treatment", "case", "lesion", "rating"])


def test_lesions_stand_against_the_most_suspicious_mark_of_normal_cases() -> None:
    ratings = lesion_ratings(marks_of(), CASES)
    assert ratings.cases == ("p 1", "p 2", "q 1", "n", "m")
    assert ratings.scores[0].tolist() == [[80, -np.inf, -np.inf, 70, -np.inf], [-np.inf] * 5]
    assert ratings.patients[:2].tolist() == [ratings.patients[0]] * 2
    # lesion p 1 beats both; the two that were missed lose to n and tie with m
    value = AUC.values(ratings.scores[0], ratings.truth, np.ones((1, 5)))[0]
    assert value.tolist() == [(2 + 0.5 + 0.5) / 6, 0.5]


def test_patients_may_have_several_cases() -> None:
    ratings = lesion_ratings(marks_of(), CASES.assign(patient=list("aabbc")))
    assert ratings.patients.tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        (("r", "x", "z", "", "5"), "reader r, treatment x, case z: lesion none is not in the list of cases"),
        (("r", "x", "q", "7", "5"), "case q: lesion 7 is not in the list of cases"),
        (("r", "x", "q", "1", "high"), "case q: rating is 'high', expected a number"),
    ],
)
def test_bad_marks_are_told(mark: tuple[str, ...], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        lesion_ratings(marks_of(mark), CASES)


def test_bad_lists_of_cases_are_told() -> None:
    with pytest.raises(DataError, match="case p, lesion 1: twice"):
        lesion_ratings(marks_of(), pd.concat((CASES, CASES[:1])))
    with pytest.raises(DataError, match="case p: with and without a lesion"):
        lesion_ratings(marks_of(), pd.concat((CASES, pd.DataFrame([("p", "")], columns=CASES.columns))))
    with pytest.raises(DataError, match="no column lesion, expected case, lesion"):
        lesion_ratings(marks_of(), CASES[["case"]])
