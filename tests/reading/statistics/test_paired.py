import numpy as np
import pytest
from scipy import stats

from mammosynth.reading.statistics.paired import benjamini_hochberg, mcnemar, wilcoxon


def test_wilcoxon_is_scipys_and_tells_its_effect() -> None:
    first, second = np.array([5.0, 4, 4, 3, 5, 2, 4]), np.array([3.0, 4, 2, 4, 1, 2, 3])
    found = wilcoxon(first, second)
    assert found.p == stats.wilcoxon(first - second).pvalue
    assert (found.pairs, found.different) == (7, 5)
    # differences 2, 2, -1, 4, 1 have ranks 3.5, 3.5, 1.5, 5, 1.5
    assert found.effect.value == pytest.approx((13.5 - 1.5) / 15)
    assert found.effect.low <= found.effect.value <= found.effect.high


def test_wilcoxon_turns_round() -> None:
    first, second = np.random.default_rng(0).integers(1, 6, (2, 40))
    forth, back = wilcoxon(first, second), wilcoxon(second, first)
    assert forth.p == back.p
    assert forth.effect.value == pytest.approx(-back.effect.value)


def test_mcnemar_is_the_binomial_test_of_discordant_pairs() -> None:
    first = np.repeat([True, True, False, False], (20, 9, 1, 10))
    second = np.repeat([True, False, True, False], (20, 9, 1, 10))
    found = mcnemar(first, second)
    assert found.p == pytest.approx(2 * 11 / 1024)
    assert (found.effect.value, found.pairs, found.different) == (pytest.approx(0.2), 40, 10)


@pytest.mark.parametrize("test", [wilcoxon, mcnemar])
def test_equal_answers_have_p_one(test) -> None:  # noqa: ANN001
    answers = np.array([1, 0, 1, 1, 0])
    found = test(answers, answers)
    assert (found.p, found.effect.value, found.different) == (1, 0, 0)


def test_benjamini_hochberg_by_hand() -> None:
    found = benjamini_hochberg({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"a": 0.02, "b": 0.04, "c": 0.04, "d": 0.02})


def test_a_declared_endpoint_without_a_test_counts() -> None:
    found = benjamini_hochberg({"a": 0.02, "b": float("nan")})
    assert found["a"] == pytest.approx(0.04)
    assert np.isnan(found["b"])
    assert benjamini_hochberg({}) == {}
