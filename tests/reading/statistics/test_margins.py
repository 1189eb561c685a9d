import pytest
from scipy import stats

from mammosynth.reading.statistics.margins import equivalence, non_inferiority


def test_the_interval_decides_as_the_p_value_does() -> None:
    for difference in (-0.06, -0.03, 0.0, 0.03, 0.06):
        lower = non_inferiority(difference, 0.015, 12.5, 0.05)
        assert lower.shown == (lower.low > -0.05)
        both = equivalence(difference, 0.015, 12.5, 0.05)
        assert both.shown == (both.low > -0.05 and both.high < 0.05)


def test_non_inferiority_is_a_shifted_t_test() -> None:
    found = non_inferiority(-0.01, 0.02, 15, 0.05)
    assert found.p == pytest.approx(stats.t.sf(2.0, 15))
    assert found.low == pytest.approx(-0.01 - stats.t.ppf(0.975, 15) * 0.02)


def test_equivalence_is_the_worse_of_two_tests() -> None:
    assert equivalence(0.02, 0.02, float("inf"), 0.05).p == pytest.approx(stats.norm.sf(1.5))


@pytest.mark.parametrize(("standard_error", "margin"), [(0.0, 0.05), (0.02, 0.0), (0.02, -1.0)])
def test_margin_and_error_are_above_zero(standard_error: float, margin: float) -> None:
    with pytest.raises(ValueError, match="expected both above 0"):
        equivalence(0.0, standard_error, 10, margin)
