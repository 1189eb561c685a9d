import pytest
from scipy import stats

from mammosynth.errors import InvalidParameterError
from mammosynth.reading.statistics.obuchowski_rockette import Components, Fixed
from mammosynth.reading.statistics.power import cases_needed, power, published_components

VAN_DYKE = Components(0.0015349993, 0.0002004025, 0.0008022883, 0.0003466137, 0.0003440748, 0.0002390284)
PILOT = 114


def test_without_a_difference_power_is_alpha() -> None:
    for fixed in Fixed:
        assert power(VAN_DYKE, 0, readers=5, cases=200, pilot_cases=PILOT, fixed=fixed) == pytest.approx(0.05)


def test_power_is_that_of_noncentral_f() -> None:
    """Hillis, Obuchowski & Berbaum (2011): noncentrality r d2 / 2 over the expected denominator."""
    c, d, r, scale = VAN_DYKE, 0.05, 8, PILOT / 200
    shared = scale * (c.cov2 - c.cov3)
    mean_square = c.treatment_reader + scale * (c.error - c.cov1) - shared
    total = mean_square + r * shared
    df2 = total**2 / (mean_square**2 / (r - 1))
    expected = stats.ncf.sf(stats.f.ppf(0.95, 1, df2), 1, df2, r * d**2 / 2 / total)
    assert power(c, d, readers=r, cases=200, pilot_cases=PILOT) == pytest.approx(expected, rel=1e-6)


def test_power_of_one_fixed_reader_is_the_normal_one() -> None:
    error = (2 * (VAN_DYKE.error - VAN_DYKE.cov1)) ** 0.5
    expected = stats.norm.sf(1.959964 - 0.06 / error) + stats.norm.sf(1.959964 + 0.06 / error)
    found = power(VAN_DYKE, 0.06, readers=1, cases=PILOT, pilot_cases=PILOT, fixed=Fixed.READERS)
    assert found == pytest.approx(expected)


def test_the_least_number_of_cases_is_found() -> None:
    needed = cases_needed(VAN_DYKE, 0.05, (6, 10), pilot_cases=PILOT)
    for readers, cases in needed.items():
        assert cases is not None
        assert power(VAN_DYKE, 0.05, readers=readers, cases=cases, pilot_cases=PILOT) >= 0.8
        assert power(VAN_DYKE, 0.05, readers=readers, cases=cases - 1, pilot_cases=PILOT) < 0.8


def test_no_number_of_cases_makes_up_for_readers() -> None:
    assert cases_needed(VAN_DYKE, 0.02, (3,), pilot_cases=PILOT) == {3: None}


def test_non_inferiority_of_equal_treatments_is_superiority_by_the_margin() -> None:
    options = {"readers": 6, "cases": 300, "pilot_cases": PILOT}
    found = power(VAN_DYKE, 0.0, margin=0.05, **options)
    assert found == pytest.approx(power(VAN_DYKE, 0.05, **options), abs=1e-4)


def test_the_variance_of_an_auc_without_skill_is_mann_whitneys() -> None:
    found = published_components(
        auc=0.5, positive=20, negative=20, correlations=(0.5, 0.4, 0.3), reader=0.001, treatment_reader=0.0002
    )
    assert found.error == pytest.approx(41 / (12 * 400))
    assert (found.cov1, found.cov2, found.cov3) == pytest.approx(
        (found.error / 2, found.error * 0.4, found.error * 0.3)
    )


@pytest.mark.parametrize("changed", [{"readers": 1}, {"cases": 1}, {"margin": 0.0}], ids=["readers", "cases", "margin"])
def test_impossible_studies_are_refused(changed: dict[str, float]) -> None:
    with pytest.raises(InvalidParameterError, match="expected"):
        power(VAN_DYKE, 0.05, **{"readers": 5, "cases": 100, "pilot_cases": PILOT, **changed})


def test_components_without_variance_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="without any variance"):
        power(Components(0, 0, 0, 0, 0, 0), 0.05, readers=5, cases=100, pilot_cases=100)


def test_published_figures_are_checked() -> None:
    with pytest.raises(InvalidParameterError, match="expected 0 < auc < 1"):
        published_components(
            auc=1.0, positive=5, negative=5, correlations=(0.5, 0.4, 0.3), reader=0.0, treatment_reader=0.0
        )
