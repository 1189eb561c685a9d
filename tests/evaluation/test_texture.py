"""Texture against fields and distributions that are known, and against the published values of the real images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from mammosynth.evaluation.texture import (
    SLOPE,
    Whitener,
    features,
    frechet_distance,
    gaps,
    halves_distances,
    interior,
    moments,
    power_law_exponent,
    through_codec,
)
from mammosynth.preprocessing.pairs import read_table
from tests.support.real_data import CDD_CESM


def power_law_field(exponent: float, seed: int = 0, side: int = 512) -> np.ndarray:
    """(side, side) float32 about 0.5, of power 1 / f ** exponent."""
    axis = np.fft.fftfreq(side)
    frequency = np.hypot(*np.meshgrid(axis, axis))
    frequency[0, 0] = np.inf
    noise = np.fft.fft2(np.random.default_rng(seed).normal(size=(side, side)))
    field = np.real(np.fft.ifft2(noise * frequency ** (-exponent / 2)))
    return (0.5 + 0.1 * field / field.std()).astype(np.float32)


@pytest.mark.slow
def test_moments_of_known_distributions() -> None:
    rng = np.random.default_rng(0)
    assert moments(rng.normal(2.0, 3.0, 400_000)) == pytest.approx((2.0, 9.0, 0.0, 3.0, 0.0), abs=0.1)
    exponential = moments(rng.exponential(1.0, 2_000_000))  # central moments n!·Σ(-1)^k/k!: 2, 9, 44
    assert exponential == pytest.approx((1.0, 1.0, 2.0, 9.0, 44.0), rel=0.05)
    assert moments(np.array([0.0, 0.0, 0.0, 1.0])) == pytest.approx((0.25, 0.1875, 1.1547005, 2.3333333, 3.8490018))


@pytest.mark.parametrize("exponent", [2.0, 3.0])
def test_the_exponent_of_a_power_law_is_found(exponent: float) -> None:
    everywhere = np.ones((512, 512), bool)
    found = [power_law_exponent(power_law_field(exponent, seed), everywhere) for seed in range(4)]
    assert np.mean(found) == pytest.approx(exponent, abs=0.1)
    blurred = ndimage.gaussian_filter(power_law_field(exponent), 2)
    assert power_law_exponent(blurred, everywhere) > exponent + 1


def test_a_breast_without_room_for_a_square_has_no_exponent() -> None:
    narrow = np.zeros((512, 512), bool)
    narrow[:, :100] = True
    field = power_law_field(3.0)
    assert np.isnan(power_law_exponent(field, narrow))
    assert np.isfinite(np.delete(features(field, narrow), SLOPE)).all()


@pytest.mark.slow
def test_features_see_blur_and_not_what_lies_outside() -> None:
    field, mask = power_law_field(2.5), np.zeros((512, 512), bool)
    mask[50:450, :300] = True
    own = features(field, mask)
    outside = np.where(mask | (np.arange(512) < 310), field, 0).astype(np.float32)
    assert own.shape == (34,)
    assert features(outside, mask) == pytest.approx(own, rel=0.02)
    blurred = features(ndimage.gaussian_filter(field, 1.5), mask)
    assert blurred[11] < 0.5 * own[11]  # contrast of neighbours


def test_the_distance_of_known_normal_distributions() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(0.0, 1.0, (20_000, 3))
    b = rng.normal(1.0, 2.0, (20_000, 3))
    assert frechet_distance(a, b) == pytest.approx(3 * (1.0 + (2.0 - 1.0) ** 2), rel=0.03)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-6)
    assert gaps(a, a + 10.0) == pytest.approx(1.0)


def test_whitened_rows_have_unit_variance_and_halves_are_near() -> None:
    rng = np.random.default_rng(2)
    pool = rng.normal(size=(400, 12)) * np.arange(1, 13)
    white = Whitener(pool)(pool)
    assert white.std(axis=0) == pytest.approx(1.0, abs=1e-6)
    near = halves_distances(white, 100, 20)
    assert near.max() < frechet_distance(white[:100], white[100:200] + 1.0)
    assert halves_distances(white, 50, 20).mean() > near.mean()  # fewer images, farther apart


def test_the_codec_takes_away_what_it_takes_from_real_images() -> None:
    noise = np.random.default_rng(3).uniform(0.4, 0.6, (128, 128)).astype(np.float32)
    coded = through_codec(noise, 75)
    assert coded.shape == noise.shape
    assert 0.01 < np.abs(coded - noise).mean() < 0.05
    assert np.abs(through_codec(noise, 91) - noise).mean() < np.abs(coded - noise).mean()


@pytest.mark.slow
@pytest.mark.skipif(not (CDD_CESM / "pairs.csv").is_file(), reason="needs CDD-CESM: set MAMMOSYNTH_CDD_CESM")
def test_real_images_have_their_known_moments_and_exponent() -> None:
    rows = [row for row in read_table(CDD_CESM, "pairs.csv", ("low_energy", "view")) if row["view"] == "CC"]
    found = []
    for row in rows:
        pixels = np.asarray(Image.open(CDD_CESM / "512" / "images" / row["low_energy"]).convert("L"), np.float32) / 255
        inner = interior(pixels)
        found.append([*moments(pixels[inner]), power_law_exponent(pixels, inner)])
    assert len(rows) == 130
    found = np.nanmean(found, axis=0)
    assert found[:5] == pytest.approx((0.3027, 0.02894, 0.8686, 3.983, 9.386), rel=1e-3)
    assert found[5] == pytest.approx(2.989, abs=0.046)  # half the interval given with it
