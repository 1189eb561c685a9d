"""An `.imrmc` file is read back by a reader that knows the format's documentation only.

iMRMC user manual: free text, then N0, N1, NR, NM with a colon, then BEGIN DATA: and lines "reader, case, modality,
score"; truth has the reader -1 and the score 0 or 1. RJafroc asks for whole numbers as names of cases, too.
"""

from dataclasses import replace

import numpy as np
import pytest

from mammosynth.reading.imrmc import imrmc_text
from mammosynth.reading.statistics.ratings import Ratings
from tests.support.reading import drawn_ratings, van_dyke


def read_imrmc(text: str) -> tuple[dict[str, int], dict[int, int], dict[tuple[str, str, int], float]]:
    """Sizes, truth by case, and score by modality, reader and case."""
    lines = [line.strip() for line in text.splitlines()]
    begin = lines.index("BEGIN DATA:")
    sizes = {}
    for line in lines[:begin]:
        name, colon, size = line.partition(":")
        if colon and name in ("N0", "N1", "NR", "NM"):
            sizes[name] = int(size)
    truth, scores = {}, {}
    for line in filter(None, lines[begin + 1 :]):
        reader, case, modality, score = (field.strip() for field in line.split(","))
        if reader == "-1":
            assert int(case) not in truth
            truth[int(case)] = int(score)
        else:
            assert (modality, reader, int(case)) not in scores
            scores[modality, reader, int(case)] = float(score)
    return sizes, truth, scores


def test_van_dyke_comes_back() -> None:
    ratings = van_dyke()
    sizes, truth, scores = read_imrmc(imrmc_text(ratings))
    assert sizes == {"N0": 69, "N1": 45, "NR": 5, "NM": 2}
    assert truth == {int(case): int(of) for case, of in zip(ratings.cases, ratings.truth, strict=True)}
    for (modality, reader, case), score in scores.items():
        index = ratings.treatments.index(modality), ratings.readers.index(reader), ratings.cases.index(str(case))
        assert ratings.scores[index] == score
    assert len(scores) == ratings.scores.size


def test_every_digit_comes_back() -> None:
    ratings = Ratings.from_arrays(np.random.default_rng(0).normal(size=(2, 2, 6)), np.arange(6) < 3)
    _, _, scores = read_imrmc(imrmc_text(ratings))
    assert sorted(scores.values()) == sorted(ratings.scores.ravel())


def test_other_names_are_numbered_and_explained() -> None:
    ratings = replace(drawn_ratings(), readers=("Dr. A, Rome", "N0: B", "-1"), treatments=("BEGIN DATA:", "0"))
    text = imrmc_text(ratings, "Study\nBEGIN DATA:")
    sizes, truth, scores = read_imrmc(text)
    assert sizes == {"N0": 12, "N1": 12, "NR": 3, "NM": 2}
    assert {(modality, reader) for modality, reader, _ in scores} == {(m, r) for m in "12" for r in "123"}
    assert "reader 1 is Dr. A, Rome" in text.splitlines()
    assert "modality 2 is 0" in text.splitlines()
    assert len(truth) == 24


def test_marks_that_are_missing_have_no_place() -> None:
    ratings = drawn_ratings()
    ratings.scores[0, 0, 0] = -np.inf
    with pytest.raises(ValueError, match="not finite"):
        imrmc_text(ratings)
