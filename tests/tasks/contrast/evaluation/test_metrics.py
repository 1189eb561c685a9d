"""Metrics against values worked out by hand, and statistics against their formulas."""

import numpy as np
import pytest
from scipy import stats

from mammosynth.evaluation.similarity import ssim_map
from mammosynth.evaluation.statistics import (
    interval,
    resample_patients,
    weighted_auroc,
    weighted_correlation,
    weighted_mean,
    weighted_ratio,
)
from mammosynth.preprocessing.breast import erode
from mammosynth.tasks.contrast.evaluation.metrics import (
    affine_psnr,
    auroc,
    correlation,
    dice,
    ms_ssim,
    psnr,
    score_case,
)
from mammosynth.tasks.contrast.evaluation.protocol import hottest, smooth_within
from tests.support.breasts import half_ellipse
from tests.support.evaluation import phantom_case


def test_psnr_of_a_constant_error_is_minus_20_log10_of_it() -> None:
    real = np.full((4, 4), 0.5, np.float32)
    assert psnr(real + np.float32(0.1), real) == pytest.approx(20, abs=1e-4)
    assert psnr(real, real) == 100


def test_affine_psnr_forgives_window_and_inversion_but_not_noise() -> None:
    real = np.random.default_rng(0).uniform(size=(32, 32))
    assert affine_psnr(0.3 - 0.5 * real, real) == 100
    noisy = real + np.random.default_rng(1).normal(0, 0.3, real.shape)
    # The residual of the regression: variance * (1 - r^2).
    expected = -10 * np.log10(real.var() * (1 - np.corrcoef(noisy.ravel(), real.ravel())[0, 1] ** 2))
    assert affine_psnr(noisy, real) == pytest.approx(expected)


def test_ms_ssim_of_flat_images_is_the_luminance_of_the_coarsest_scale() -> None:
    a, b, scored = np.full((192, 192), 0.2), np.full((192, 192), 0.6), np.ones((192, 192), bool)
    luminance = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert ms_ssim(a, b, scored) == pytest.approx(luminance**0.1333)
    assert ms_ssim(a, a, scored) == pytest.approx(1)


def test_ms_ssim_forgives_grain_and_minds_shape_and_looks_inside_the_mask_only() -> None:
    rows, columns = np.mgrid[:192, :192] / 192
    shape = 0.5 + 0.3 * np.sin(6 * rows) * np.cos(7 * columns)
    grainy = shape + np.random.default_rng(0).normal(0, 0.05, shape.shape)
    scored = np.zeros(shape.shape, bool)
    scored[:, :96] = True
    assert ms_ssim(shape, grainy, scored) > ssim_map(shape, grainy)[scored].mean() + 0.3
    assert ms_ssim(shape, 1 - shape, scored) == 0
    half = np.where(columns < 0.75, shape, 1 - shape)
    assert ms_ssim(shape, half, scored) > 0.95


def test_auroc_is_the_chance_of_the_right_order() -> None:
    # Pairs: 3>1, 3>2, 2>1 are right, 2=2 counts half: 3.5 of 4.
    assert auroc(np.array([3.0, 2.0]), np.array([1.0, 2.0])) == pytest.approx(3.5 / 4)
    assert np.isnan(auroc(np.array([1.0]), np.array([])))


def test_dice_and_correlation() -> None:
    assert dice(np.array([True, True, False]), np.array([True, False, False])) == pytest.approx(2 / 3)
    assert correlation(np.array([1.0, 2, 3]), np.array([2.0, 4, 7])) == pytest.approx(
        stats.pearsonr([1, 2, 3], [2, 4, 7])[0]
    )
    assert correlation(np.ones(3), np.array([1.0, 2, 3])) == 0


def test_hottest_is_five_percent_of_the_interior() -> None:
    interior = np.zeros((20, 20), bool)
    interior[:10] = True
    values = np.arange(400.0).reshape(20, 20)
    hot = hottest(values, interior)
    assert hot.sum() == 10
    assert hot[9, 10:].all()


def test_smoothing_within_a_mask_keeps_a_flat_image_flat_up_to_its_edge() -> None:
    mask = half_ellipse(64, 64)
    np.testing.assert_allclose(smooth_within(np.where(mask, 0.4, 9), mask, 2)[mask], 0.4, rtol=1e-6)


def test_erosion_takes_the_rim_but_not_the_image_border() -> None:
    mask = np.zeros((20, 20), bool)
    mask[:, :10] = True
    eroded = erode(mask, 3)
    assert eroded[:, :7].all()
    assert not eroded[:, 7:].any()


def test_real_image_scores_perfectly_against_itself() -> None:
    case = phantom_case()
    scores = score_case(case, case.recombined)
    assert (scores["psnr"], scores["mae"]) == (100, 0)
    for metric in ("ssim", "ncc_interior", "dice_hot", "auroc_hot", "ncc_hp", "ssim_frame"):
        assert scores[metric] == pytest.approx(1, abs=2e-3), metric


def test_lesion_contrast_is_lesion_minus_ring() -> None:
    case = phantom_case()
    scores = score_case(case, case.recombined)
    assert scores["contrast_d"] == pytest.approx(0.4, abs=2e-3)
    assert scores["contrast_c"] == pytest.approx(0.4 / 0.02, rel=0.05)
    assert scores["auroc_lesion"] == pytest.approx(1)


def test_constant_image_finds_hot_spots_by_chance_only() -> None:
    case = phantom_case()
    scores = score_case(case, np.full(case.low_energy.shape, 0.3))
    assert scores["dice_hot"] == pytest.approx(0.05, abs=0.05)
    assert scores["auroc_hot"] == pytest.approx(0.5, abs=0.1)
    assert scores["ncc_interior"] == 0


def test_lesion_in_the_wrong_place_loses_its_hot_spot() -> None:
    case = phantom_case()
    scores = score_case(case, np.roll(case.recombined, 90, axis=0))
    assert scores["dice_hot"] < 0.2
    assert scores["ncc_interior"] < 0.3


def test_resampling_counts_patients_as_a_whole() -> None:
    weights = resample_patients(["a", "b", "a", "c"], draws=200)
    assert (weights[0] == 1).all()
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    np.testing.assert_array_equal(weights, resample_patients(["a", "b", "a", "c"], draws=200))


def test_weighted_statistics_are_those_of_the_repeated_cases() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=6), random.normal(size=6)
    counts = np.array([2, 0, 1, 3, 1, 1])
    repeat = np.repeat(np.arange(6), counts)
    weights = counts[None].astype(float)
    positive = np.array([True, False, True, False, False, True])
    assert weighted_mean(a, weights)[0] == pytest.approx(a[repeat].mean())
    assert weighted_correlation(a, b, weights)[0] == pytest.approx(np.corrcoef(a[repeat], b[repeat])[0, 1])
    assert weighted_ratio(a, b, weights)[0] == pytest.approx(a[repeat].mean() / b[repeat].mean())
    expected = auroc(a[repeat][positive[repeat]], a[repeat][~positive[repeat]])
    assert weighted_auroc(a, positive, weights)[0] == pytest.approx(expected)


def test_missing_values_are_left_out() -> None:
    assert weighted_mean(np.array([1.0, np.nan, 3.0]), np.ones((1, 3)))[0] == 2


@pytest.mark.slow
def test_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    random, hits = np.random.default_rng(0), 0
    for _ in range(200):
        values = random.normal(size=40)
        found = interval(weighted_mean(values, resample_patients([*map(str, range(40))], 300)))
        hits += found["low"] <= 0 <= found["high"]  # type: ignore[operator]
    assert 0.89 < hits / 200 < 0.99
