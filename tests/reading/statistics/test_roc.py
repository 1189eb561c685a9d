import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import auc as area_under
from sklearn.metrics import roc_auc_score

from mammosynth.errors import DataError
from mammosynth.reading.statistics.covariance import METHODS
from mammosynth.reading.statistics.figures import AUC
from mammosynth.reading.statistics.proportions import wilson
from mammosynth.reading.statistics.roc import auc_difference, auc_interval, roc_curve
from tests.support.reading import drawn_ratings, van_dyke


def test_the_area_under_the_curve_is_the_auc() -> None:
    ratings = van_dyke()
    scores = ratings.scores[0, 1]
    false_positive, true_positive = roc_curve(scores, ratings.truth)
    assert area_under(false_positive, true_positive) == pytest.approx(roc_auc_score(ratings.truth, scores))
    assert auc_interval(scores, ratings.truth).value == pytest.approx(roc_auc_score(ratings.truth, scores))


def test_the_plain_interval_is_delongs() -> None:
    ratings = van_dyke()
    found = auc_interval(ratings.scores[0, 1], ratings.truth, logit=False)
    error = METHODS["delong"](AUC, ratings.scores[0, 1:2], ratings.truth, ratings.patients)[0, 0] ** 0.5
    assert (found.low, found.high) == pytest.approx((found.value - 1.959964 * error, found.value + 1.959964 * error))


def test_log_odds_turn_round_with_the_scale() -> None:
    ratings = van_dyke()
    found, turned = (auc_interval(sign * ratings.scores[0, 1], ratings.truth) for sign in (1, -1))
    assert (turned.low, turned.high) == pytest.approx((1 - found.high, 1 - found.low))


@pytest.mark.parametrize(("sign", "value"), [(1, 1), (-1, 0)])
def test_a_perfect_auc_has_an_interval(sign: int, value: int) -> None:
    truth = np.repeat([True, False], (12, 8))
    found, pairs = auc_interval(sign * truth.astype(float), truth), wilson(8 * value, 8)
    assert (found.value, found.low, found.high, found.standard_error) == (value, pairs.low, pairs.high, 0)


def test_one_positive_case_is_refused() -> None:
    with pytest.raises(DataError, match="1 positive case of 1 patient,"):
        auc_interval(np.arange(5.0), np.arange(5) == 4)


def test_difference_of_two_ratings_of_the_same_cases() -> None:
    ratings = drawn_ratings(cases=60)
    first, second = ratings.scores[:, 0]
    found = auc_difference(first, second, ratings.truth)
    values = [roc_auc_score(ratings.truth, scores) for scores in (first, second)]
    assert found.value == pytest.approx(values[0] - values[1])
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(found.value) / found.standard_error))
    assert np.isnan(auc_difference(first, first, ratings.truth).p)
