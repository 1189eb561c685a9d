"""Intervals fitted to errors whose law is known hold what they say, on other errors of the same law."""

from dataclasses import replace

import numpy as np
import pytest

from mammosynth.tasks.contrast.calibrate import Errors, bare_coverage, coverage, fit_calibration
from mammosynth.tasks.contrast.calibration import BARE, NORMAL_90, Calibration
from mammosynth.tasks.contrast.evaluation.coverage import held, summarise_coverage
from tests.support.evaluation import phantom_case

LAW = Calibration(constant=0.0009, spread=9.0, grey=0.04, contrast=0.7)
"""What errors are drawn from: far more than the members' spread, and more where it is bright."""


def drawn(images: int, seed: int, *, law: Calibration = LAW, pixels: int = 1500) -> list[Errors]:
    random = np.random.default_rng(seed)

    def one(index: int) -> Errors:
        image, spread = random.uniform(0.05, 0.8, pixels), random.uniform(0.002, 0.05, pixels)
        error = np.abs(random.normal(0, law.deviation(image, spread)))
        lesion = slice(0, 100)
        deviation = law.contrast * law.deviation(image[lesion], spread[lesion]).mean()
        contrast_error = abs(random.normal(0, deviation))
        return Errors(f"P{index}", error, image, spread, contrast_error, image[lesion], spread[lesion])

    return [one(index) for index in range(images)]


def test_the_law_of_the_errors_is_found_again() -> None:
    found = fit_calibration(drawn(300, 0), drawn(300, 1))
    assert found.grey == pytest.approx(LAW.grey, rel=0.1)
    assert found.spread == pytest.approx(LAW.spread, rel=0.15)
    assert found.contrast == pytest.approx(LAW.contrast, rel=0.1)


def test_intervals_hold_nine_tenths_of_pixels_and_contrasts_of_other_images() -> None:
    pixels, contrasts = coverage(drawn(400, 3), fit_calibration(drawn(200, 0), drawn(200, 1)))
    assert pixels == pytest.approx(0.9, abs=0.01)
    assert contrasts == pytest.approx(0.9, abs=0.04)
    assert bare_coverage(drawn(400, 3))[0] < 0.5


def test_errors_that_are_far_from_normal_are_held_too() -> None:
    heavy = [replace(e, error=e.error**3 * 20, contrast_error=e.contrast_error**3) for e in drawn(200, 0)]
    assert coverage(heavy, fit_calibration(heavy))[0] == pytest.approx(0.9, abs=0.001)


def test_patients_that_no_member_saw_weigh_as_much_as_the_others_however_few() -> None:
    seen, unseen = drawn(100, 0), drawn(10, 1, law=replace(LAW, constant=4 * LAW.constant, spread=36.0, grey=0.16))
    fitted = fit_calibration(seen, unseen)
    held_of_seen, held_of_unseen = coverage(seen, fitted)[0], coverage(unseen, fitted)[0]
    assert (held_of_seen + held_of_unseen) / 2 == pytest.approx(0.9, abs=0.01)
    assert held_of_unseen < 0.9 < held_of_seen


def test_images_without_a_lesion_tell_of_pixels_only() -> None:
    without = [replace(e, contrast_error=float("nan")) for e in drawn(4, 0)]
    with pytest.raises(ValueError, match="no image has a lesion with a ring around it"):
        fit_calibration(without)
    pixels, contrasts = coverage(without, LAW)
    assert 0.8 < pixels < 1
    assert np.isnan(contrasts)


def test_the_bare_spread_is_its_own_deviation() -> None:
    spread = np.array([0.0, 0.1, 0.3], np.float32)
    np.testing.assert_allclose(BARE.deviation(np.ones(3, np.float32), spread), spread)


def test_an_interval_is_judged_by_hand() -> None:
    case = phantom_case()
    image = np.clip(case.recombined - 0.1 * case.interior_lesion, 0, 1)  # wrong in the lesion alone
    spread = np.full(image.shape, 0.05, np.float32)
    wide, narrow = (Calibration(0.0, factor**2, 0.0, 1.0) for factor in (1.3, 1.1))
    # 0.1 lies within 1.645 * 1.3 * 0.05 = 0.107, and not within 1.645 * 1.1 * 0.05 = 0.090.
    found = held(case, image, spread, wide)
    assert (found["pixels"], found["contrasts"]) == (1, 1)
    assert found["pixel_width"] == pytest.approx(2 * NORMAL_90 * 0.065)
    assert found["contrast_width"] == pytest.approx(2 * NORMAL_90 * 0.065)
    found = held(case, image, spread, narrow)
    in_lesion = (case.scored & (image != case.recombined)).sum()
    assert found["pixels"] == pytest.approx(1 - in_lesion / case.scored.sum())
    assert found["contrasts"] == 0
    assert held(case, image, spread, replace(narrow, contrast=2.0))["contrasts"] == 1


def test_goals_have_two_ends() -> None:
    def rows(share: float) -> dict[str, list[dict[str, float]]]:
        row = {"pixels": share, "contrasts": share, "pixel_width": 0.1, "contrast_width": 0.1}
        return {"calibrated": [row], "spread": [{**row, "pixels": 0.1}]}

    for share, reached in ((0.5, False), (0.9, True), (1.0, False)):
        found = summarise_coverage({"model": rows(share)}, np.ones((3, 1)))["model"]
        assert [goal["reached"] for goal in found["goals"]] == [reached, reached]
        assert found["spread"]["pixels"]["value"] == 0.1
