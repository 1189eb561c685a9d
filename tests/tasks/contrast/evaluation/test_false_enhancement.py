"""Hot pixels where the real image has none."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from mammosynth.tasks.contrast.evaluation.false_enhancement import (
    false_enhancement,
    hot_tissue,
    rates_elsewhere,
    real_rate,
)
from mammosynth.tasks.contrast.evaluation.protocol import Case
from tests.support.evaluation import phantom_case


def spotted(case: Case, rows: slice) -> np.ndarray:
    image = case.recombined.copy()
    image[rows, 60:160] += 0.3
    return image


def test_real_image_has_none_by_definition_and_a_flat_one_has_none_at_all() -> None:
    case = phantom_case()
    assert false_enhancement(case.recombined, case) == 0
    assert false_enhancement(np.full((512, 512), 0.3, np.float32), case) == 0


def test_rate_is_the_area_of_the_false_spot() -> None:
    case = phantom_case()
    spot = np.zeros((512, 512), bool)
    spot[380:400, 60:160] = True
    found = false_enhancement(spotted(case, slice(380, 400)), case) * case.normal.sum()
    # Smoothing with a sigma of 2 carries the spot over its edge, by less than three sigmas.
    assert (spot & case.normal).sum() < found < (ndimage.binary_dilation(spot, iterations=6) & case.normal).sum()


def test_rate_does_not_depend_on_the_window_and_grows_with_the_spot() -> None:
    case = phantom_case()
    small, large = spotted(case, slice(380, 400)), spotted(case, slice(380, 430))
    assert false_enhancement(0.5 * small + 0.1, case) == pytest.approx(false_enhancement(small, case), rel=1e-3)
    assert false_enhancement(large, case) > 1.5 * false_enhancement(small, case)


def test_a_lesion_in_its_place_is_not_false() -> None:
    case = phantom_case()
    brighter = case.recombined + 0.3 * case.lesion
    assert false_enhancement(brighter.astype(np.float32), case) == 0
    assert not hot_tissue(case.smooth(brighter), case)[case.lesion].any()


def test_real_tissue_that_is_hot_far_from_lesions_is_counted_for_the_real_image() -> None:
    case = phantom_case()
    assert real_rate(case) < 0.01
    assert real_rate(dataclasses.replace(case, recombined=spotted(case, slice(380, 400)))) > 0.02


def test_expected_rate_is_that_of_the_patients_other_images() -> None:
    rates = rates_elsewhere(np.array([0.1, 0.2, 0.3, 0.5, np.nan]), ["a", "a", "a", "b", "a"])
    np.testing.assert_allclose(rates, [0.25, 0.2, 0.15, np.nan, 0.2])
