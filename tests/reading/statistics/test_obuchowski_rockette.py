from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from mammosynth.errors import DataError
from mammosynth.reading.statistics.covariance import METHODS
from mammosynth.reading.statistics.figures import AUC, SENSITIVITY
from mammosynth.reading.statistics.obuchowski_rockette import Analysis, Fixed, analyse, analyse_figures
from mammosynth.reading.statistics.ratings import Ratings
from tests.support.reading import drawn_ratings, van_dyke, van_dyke_table

TOLERANCE = {"abs": 1e-6, "rel": 1e-6}


def analysis_of(name: str, fixed: Fixed = Fixed.NONE) -> Analysis:
    return analyse(van_dyke(), covariance=METHODS[name], fixed=fixed)


def test_van_dyke_with_jackknife_covariances_is_as_printed() -> None:
    """MRMCaov, VanDyke, empirical AUC, random readers and cases; F, df and p in full from its components."""
    found = analysis_of("jackknife")
    difference = found.differences[0, 1]
    assert [mean.value for mean in found.means] == pytest.approx([0.8970370, 0.9408374], **TOLERANCE)
    assert difference.value == pytest.approx(-0.04380032, **TOLERANCE)
    assert difference.standard_error == pytest.approx(0.02074862, **TOLERANCE)
    assert (difference.low, difference.high) == pytest.approx((-0.08795950, 0.00035885), **TOLERANCE)
    assert found.test is not None
    assert found.test.f == pytest.approx(4.456319, **TOLERANCE)
    assert found.test.df2 == pytest.approx(15.25967, **TOLERANCE)
    assert found.test.p == difference.p == pytest.approx(0.05166569, **TOLERANCE)
    assert asdict(found.components) == pytest.approx(
        {
            "reader": 0.0015349993,
            "treatment_reader": 0.0002004025,
            "error": 0.0008022883,
            "cov1": 0.0003466137,
            "cov2": 0.0003440748,
            "cov3": 0.0002390284,
        },
        abs=1e-10,
    )


def test_van_dyke_with_delong_covariances_is_as_published() -> None:
    found = analysis_of("delong")
    assert found.test is not None
    assert found.test.f == pytest.approx(4.484854, **TOLERANCE)
    assert found.test.df2 == pytest.approx(15.066108, **TOLERANCE)
    assert found.test.p == pytest.approx(0.0512330, **TOLERANCE)
    assert found.differences[0, 1].standard_error == pytest.approx(0.02068250, **TOLERANCE)


def test_bootstrap_covariances_come_near_delongs() -> None:
    ratings = van_dyke()
    scores = ratings.scores.reshape(10, -1)
    drawn = METHODS["bootstrap"](AUC, scores, ratings.truth, ratings.patients, draws=5000)
    expected = METHODS["delong"](AUC, scores, ratings.truth, ratings.patients)
    assert drawn == pytest.approx(expected, abs=0.1 * expected.max())


def test_order_and_names_change_nothing() -> None:
    table = van_dyke_table().sample(frac=1, random_state=1)
    table["reader"] = "Dr " + table["reader"]
    table["truth"] = table["truth"].map({"0": "No", "1": "yes"})
    assert analyse(Ratings.from_table(table)).test == analyse(van_dyke()).test


def test_fixed_cases_are_a_paired_t_test_of_readers() -> None:
    found = analysis_of("delong", Fixed.CASES)
    expected = stats.ttest_rel(*found.figures)
    difference = found.differences[0, 1]
    assert (difference.t, difference.p, difference.df) == pytest.approx((expected.statistic, expected.pvalue, 4))
    assert (difference.low, difference.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    of_one = stats.ttest_1samp(found.figures[0], 0).confidence_interval(0.95)
    assert (found.means[0].low, found.means[0].high) == pytest.approx((of_one.low, of_one.high))


def test_fixed_readers_are_a_normal_test_of_the_mean_difference() -> None:
    found = analysis_of("delong", Fixed.READERS)
    contrast = np.concatenate((np.full(5, 0.2), np.full(5, -0.2)))
    error = np.sqrt(contrast @ found.covariance.reshape(10, 10) @ contrast)
    difference = found.differences[0, 1]
    assert difference.standard_error == pytest.approx(error)
    assert difference.p == pytest.approx(2 * stats.norm.sf(abs(difference.value) / error))


def test_one_fixed_reader_is_delongs_test() -> None:
    ratings = van_dyke()
    one = Ratings.from_arrays(ratings.scores[:, :1], ratings.truth)
    found = analyse(one, covariance=METHODS["delong"], fixed=Fixed.READERS).differences[0, 1]
    covariance = METHODS["delong"](AUC, one.scores[:, 0], one.truth, one.patients)
    assert found.standard_error == pytest.approx(np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]))


@pytest.mark.parametrize("fixed", Fixed)
def test_the_correction_is_never_negative(fixed: Fixed) -> None:
    """With Cov2 below Cov3 the result is that of Cov2 = Cov3."""
    figures = np.array([[0.80, 0.84, 0.91], [0.86, 0.85, 0.93]])

    def covariance(cov2: float) -> np.ndarray:
        matrix = np.full((2, 3, 2, 3), 0.0003)
        for i in range(2):
            matrix[i, :, i, :] = cov2
        for r in range(3):
            matrix[:, r, :, r] = 0.0004
            matrix[0, r, 0, r] = matrix[1, r, 1, r] = 0.001
        return matrix

    below, equal = (analyse_figures(figures, covariance(cov2), fixed=fixed) for cov2 in (0.0001, 0.0003))
    assert below.components.cov2 < below.components.cov3
    assert below.test is not None
    assert equal.test is not None
    assert asdict(below.test) == pytest.approx(asdict(equal.test))
    assert asdict(below.differences[0, 1]) == pytest.approx(asdict(equal.differences[0, 1]))


def test_three_treatments_have_three_differences_and_one_test() -> None:
    found = analyse(drawn_ratings(treatments=3))
    assert set(found.differences) == {(0, 1), (0, 2), (1, 2)}
    assert found.test is not None
    assert found.test.df1 == 2
    total = found.differences[0, 1].value + found.differences[1, 2].value
    assert found.differences[0, 2].value == pytest.approx(total)


def test_one_treatment_has_a_mean_and_no_test() -> None:
    found = analyse(drawn_ratings(treatments=1), null=0.5)
    assert found.test is None
    assert found.differences == {}
    assert found.means[0].t == pytest.approx((found.means[0].value - 0.5) / found.means[0].standard_error)


@pytest.mark.parametrize("name", METHODS)
def test_constant_ratings_are_an_auc_of_one_half_without_a_test(name: str) -> None:
    ratings = Ratings.from_arrays(np.ones((2, 3, 20)), np.arange(20) % 2 == 0)
    found = analyse(ratings, covariance=METHODS[name])
    assert (found.figures == 0.5).all()
    assert found.test is not None
    assert np.isnan(found.test.p)
    assert found.differences[0, 1].value == 0
    assert np.isnan([found.differences[0, 1].low, found.means[0].high]).all()  # no certainty, either


def test_one_reader_is_refused_unless_fixed() -> None:
    with pytest.raises(DataError, match="one reader, expected two or more .* or fix them"):
        analyse(drawn_ratings(readers=1))


def test_one_class_is_refused_where_it_is_needed() -> None:
    ratings = Ratings.from_arrays(np.arange(40.0).reshape(2, 2, 10), np.ones(10, bool))
    with pytest.raises(DataError, match="0 negative cases of 0 patients, expected cases of two or more for the auc"):
        analyse(ratings)
    assert analyse(ratings, figure=SENSITIVITY, threshold=20).means[1].value == 1


def test_a_figure_of_yes_and_no_needs_a_threshold() -> None:
    with pytest.raises(ValueError, match="sensitivity needs a threshold"):
        analyse(drawn_ratings(), figure=SENSITIVITY)


def test_log_odds_stay_below_one() -> None:
    mean = analysis_of("jackknife").means[1]
    low, high = mean.log_odds()
    assert mean.value < high < 1
    assert np.log(high / (1 - high)) + np.log(low / (1 - low)) == pytest.approx(
        2 * np.log(mean.value / (1 - mean.value))
    )
