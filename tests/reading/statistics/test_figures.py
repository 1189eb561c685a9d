import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mammosynth.reading.statistics.covariance import METHODS
from mammosynth.reading.statistics.estimate import resample
from mammosynth.reading.statistics.figures import ACCURACY, AUC, FIGURES, SENSITIVITY, SPECIFICITY, Figure
from tests.support.reading import drawn_ratings


def calls_of(figure: Figure, scores: np.ndarray) -> np.ndarray:
    return (scores >= 3).astype(float) if figure.binary else scores


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10_000), st.integers(2, 8))
def test_weighted_auc_is_scikit_learns(seed: int, levels: int) -> None:
    ratings = drawn_ratings(levels=levels, seed=seed)
    weights = np.random.default_rng(seed).integers(0, 3, (2, ratings.truth.size)) + 0.0
    weights[:, :2] = 1  # a case of either class is there
    weights[:, np.flatnonzero(ratings.truth)[0]] = weights[:, np.flatnonzero(~ratings.truth)[0]] = 1
    scores = ratings.scores.reshape(-1, ratings.truth.size)
    expected = [[roc_auc_score(ratings.truth, row, sample_weight=w) for row in scores] for w in weights]
    assert AUC.values(scores, ratings.truth, weights) == pytest.approx(np.array(expected))


def test_unmarked_lies_below_every_rating() -> None:
    scores, truth = np.array([[-np.inf, 1.0, -np.inf, -np.inf]]), np.array([True, True, False, False])
    assert AUC.values(scores, truth, np.ones((1, 4)))[0, 0] == pytest.approx((1 + 1 + 0.5 + 0.5) / 4)


def test_an_empty_class_has_no_auc() -> None:
    weights = np.array([[1.0, 1, 0, 0]])
    assert np.isnan(AUC.values(np.zeros((1, 4)), np.array([True, True, False, False]), weights)).all()


@pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES.keys())
def test_jackknife_is_the_variance_of_figures_without_one_case(figure: Figure) -> None:
    ratings = drawn_ratings()
    scores = calls_of(figure, ratings.scores.reshape(-1, ratings.truth.size))
    cases = np.arange(ratings.truth.size)
    left = np.stack(
        [
            figure.values(scores[:, cases != n], ratings.truth[cases != n], np.ones((1, cases.size - 1)))[0]
            for n in cases
        ]
    )
    expected = np.cov(left.T, ddof=1) * (cases.size - 1) ** 2 / cases.size
    assert METHODS["jackknife"](figure, scores, ratings.truth, ratings.patients) == pytest.approx(expected)


def test_delong_is_its_double_sum() -> None:
    ratings = drawn_ratings()
    scores, truth = ratings.scores.reshape(-1, ratings.truth.size), ratings.truth
    wins = [np.heaviside(np.subtract.outer(row[truth], row[~truth]), 0.5) for row in scores]
    expected = sum(np.cov(np.stack([w.mean(axis=axis) for w in wins])) / wins[0].shape[1 - axis] for axis in (0, 1))
    assert METHODS["delong"](AUC, scores, truth, ratings.patients) == pytest.approx(np.asarray(expected))


@pytest.mark.parametrize(("figure", "of"), [(SENSITIVITY, True), (SPECIFICITY, False)])
def test_variance_of_a_proportion_is_the_binomial_one(figure: Figure, of: bool) -> None:
    ratings = drawn_ratings()
    scores = calls_of(figure, ratings.scores.reshape(-1, ratings.truth.size))
    share = scores[:, ratings.truth == of].mean(axis=1)
    found = METHODS["delong"](figure, scores, ratings.truth, ratings.patients)
    assert np.diag(found) == pytest.approx(share * (1 - share) / ((ratings.truth == of).sum() - 1))


@pytest.mark.parametrize("figure", [AUC, SENSITIVITY, ACCURACY], ids=lambda figure: figure.name)
@pytest.mark.parametrize("method", ["jackknife", "delong"])
def test_patients_with_the_same_case_twice_count_once(figure: Figure, method: str) -> None:
    once = drawn_ratings(cases=60)
    truth, patients = np.tile(once.truth, 2), np.tile(once.patients, 2)
    scores = calls_of(figure, once.scores.reshape(-1, 60))
    twice = METHODS[method](figure, np.tile(scores, 2), truth, patients)
    assert twice == pytest.approx(METHODS[method](figure, scores, once.truth, once.patients), rel=1e-6)


def test_methods_agree_where_patients_have_cases_of_both_classes() -> None:
    random = np.random.default_rng(0)
    patients = np.repeat(np.arange(150), 2)
    truth = random.random(300) < 0.5
    scores = random.normal(size=150)[patients] + random.normal(0, 0.5, (3, 300)) + truth
    jackknife, delong, bootstrap = (method(AUC, scores, truth, patients) for method in METHODS.values())
    assert delong == pytest.approx(jackknife, rel=0.05)
    assert bootstrap == pytest.approx(jackknife, rel=0.3)


def test_strata_keep_their_numbers() -> None:
    strata = np.array([0, 0, 0, 1, 1])
    counts = resample(np.arange(5), 50, seed=0, strata=strata)
    assert (counts[:, :3].sum(axis=1) == 3).all()
    assert (counts[:, 3:].sum(axis=1) == 2).all()
