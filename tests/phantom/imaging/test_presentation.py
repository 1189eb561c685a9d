from dataclasses import replace

import numpy as np
import pytest

from mammosynth.phantom.imaging.presentation import (
    PresentationStyle,
    draw_style,
    present_low_energy,
    present_recombined,
)

STYLE = PresentationStyle()
FAT, GLAND = 0.050, 0.078  # attenuation per mm of the low-energy beam, about


def attenuation(pixel_mm: float, *, gland_mm: float = 15, muscle_mm: float = 0) -> np.ndarray:
    """A half-elliptic breast of fat, 50 mm thick with a rounded rim, a ball of gland in it, a muscle in the corner."""
    row, column = (
        (np.arange(round(side / pixel_mm)) + 0.5) * pixel_mm - offset for side, offset in ((160, 80), (120, 0))
    )
    y, x = row[:, None], column[None]
    radius = np.hypot(y / 65, x / 85)
    depth = (1 - radius) * radius / np.maximum(np.hypot(y / 65**2, x / 85**2), 1e-9)
    if muscle_mm:
        depth = np.maximum(depth, np.where(y < 0, 85 - x, depth))  # an axillary tail up to the image's border
    thickness = 50 * np.sqrt(np.clip(1 - np.clip(1 - depth / 25, 0, None) ** 2, 0, None)) * (depth > 0)
    gland = gland_mm * np.exp(-(((y - 20) ** 2 + (x - 40) ** 2) / (2 * 8**2)))
    muscle = np.where((y + 80) / 90 + x / 35 < 1, muscle_mm, 0.0)
    return FAT * thickness + (GLAND - FAT) * np.minimum(gland + muscle, thickness)


def low_energy(pixel_mm: float = 0.8, **anatomy: float) -> np.ndarray:
    return np.exp(-attenuation(pixel_mm, **anatomy)).astype(np.float32)


def test_air_is_black_and_values_are_display_values() -> None:
    signal = low_energy()
    display = present_low_energy(signal, pixel_mm=0.8, style=STYLE)
    assert display.dtype == np.float32
    assert display.shape == signal.shape
    assert (display[signal == 1] == 0).all()
    assert display.min() == 0
    assert 0.5 < display.max() <= 1


def test_noise_in_air_is_not_shown() -> None:
    noise = np.random.default_rng(3).normal(0, 0.03, low_energy().shape)
    display = present_low_energy((low_energy() * (1 + noise)).astype(np.float32), pixel_mm=0.8, style=STYLE)
    assert (display[-20:, -20:] == 0).all()


def test_an_image_of_air_only_is_black() -> None:
    assert not present_low_energy(np.ones((40, 30), np.float32), pixel_mm=2.0, style=STYLE).any()


@pytest.mark.parametrize("radius", [0.5, 1, 3])
def test_a_spot_does_no_harm(radius: float) -> None:
    signal = np.ones((24, 28), np.float32)
    row, column = np.ogrid[:24, :28]
    signal[np.hypot(row - 12, column) < radius] = 0.1
    display = present_low_energy(signal, pixel_mm=8.0, style=STYLE)
    assert np.isfinite(display).all()
    assert (display[signal == 1] == 0).all()


def test_an_image_full_of_tissue_is_shown() -> None:
    tissue = np.exp(-2 - 0.2 * np.random.default_rng(1).random((40, 30))).astype(np.float32)
    assert present_low_energy(tissue, pixel_mm=2.0, style=STYLE).std() > 0.05


def test_fat_looks_alike_from_skin_to_chest_wall_although_the_breast_thins() -> None:
    display = present_low_energy(
        low_energy(0.4), pixel_mm=0.4, style=replace(STYLE, compression=0.0, evenness=0.0, rim=0.0)
    )
    profile = display[200, : round(82 / 0.4)]  # along the nipple line, up to 3 mm under the skin
    at = [profile[round(x / 0.4)] for x in (5, 60, 70, 78, 81)]
    assert max(at) - min(at) < 0.08
    raw = attenuation(0.4)[200]
    assert raw[round(5 / 0.4)] - raw[round(81 / 0.4)] > 1  # of a window that is a few tenths wide


def test_gland_is_brighter_than_fat() -> None:
    display = present_low_energy(low_energy(), pixel_mm=0.8, style=STYLE)
    assert display[125, 50] > display[60, 50] + 0.3


@pytest.mark.parametrize("pixel_mm", [0.4, 1.6, 3.2])
def test_an_image_looks_the_same_at_every_pixel_size(pixel_mm: float) -> None:
    reference = present_low_energy(low_energy(0.8), pixel_mm=0.8, style=STYLE)
    other = present_low_energy(low_energy(pixel_mm), pixel_mm=pixel_mm, style=STYLE)
    for y, x in ((100, 40), (110, 45), (60, 30), (80, 60)):
        shown = [image[round(y / size), round(x / size)] for image, size in ((reference, 0.8), (other, pixel_mm))]
        assert abs(shown[0] - shown[1]) < 0.06


def test_a_muscle_does_not_darken_the_breast() -> None:
    with_muscle = low_energy(muscle_mm=40)
    display = present_low_energy(with_muscle, pixel_mm=0.8, style=STYLE)
    told = present_low_energy(
        with_muscle, pixel_mm=0.8, style=STYLE, muscle=low_energy(muscle_mm=1e-6) - with_muscle > 1e-3
    )
    gland, fat, muscle = display[125, 50], display[150, 50], display[10, 5]
    assert muscle > 0.7
    assert gland > fat + 0.3
    assert abs(told[125, 50] - gland) < 0.1


def test_the_rim_is_shown_brighter_as_far_as_asked_for() -> None:
    plain, raised = (present_low_energy(low_energy(), pixel_mm=0.8, style=replace(STYLE, rim=rim)) for rim in (0, 0.6))
    assert raised[100, 100] - plain[100, 100] > 0.1  # 5 mm under the skin
    assert abs(raised[60, 30] - plain[60, 30]) < 0.01


def test_evenness_brings_faint_texture_nearer_to_strong_one() -> None:
    stripes = 0.02 * np.sin(np.arange(200) * 2 * np.pi / 10)[:, None] * np.where(np.arange(150) < 60, 1.0, 0.2)
    signal = (low_energy(gland_mm=0) * np.exp(-stripes)).astype(np.float32)
    shown = [present_low_energy(signal, pixel_mm=0.8, style=replace(STYLE, evenness=e, rim=0.0)) for e in (0.0, 0.8)]
    ratios = [image[80:120, 75:85].std() / image[80:120, 20:40].std() for image in shown]
    assert ratios[1] > 1.5 * ratios[0]


def test_a_boost_raises_small_detail_and_leaves_the_level() -> None:
    signal = low_energy(0.4)
    signal[200:202, 100:102] *= 0.97
    displays = [
        present_low_energy(signal, pixel_mm=0.4, style=replace(STYLE, fine_boost=boost)) for boost in (0.0, 3.0)
    ]
    contrast = [image[200, 100] - image[200, 110] for image in displays]
    assert contrast[1] > 1.4 * contrast[0] > 0
    assert abs(displays[0][150, 60] - displays[1][150, 60]) < 0.01


def test_the_same_input_gives_the_same_bits() -> None:
    first, second = (present_low_energy(low_energy(), pixel_mm=0.8, style=STYLE) for _ in range(2))
    assert np.array_equal(first, second)


def test_recombined_display_rises_with_iodine_from_a_known_grey() -> None:
    iodine = np.linspace(-3, 6, 50, dtype=np.float32).reshape(5, 10)
    inside = np.ones(iodine.shape, bool)
    display = present_recombined(iodine, inside, style=STYLE)
    assert display.dtype == np.float32
    assert (np.diff(display.ravel()) > 0).all()
    assert display.min() > 0
    assert display.max() < 1
    none, little = present_recombined(np.array([[0, 0.01]], np.float32), inside[:1, :2], style=STYLE)[0]
    assert none == pytest.approx(STYLE.iodine_grey, abs=1e-6)
    assert (little - none) / 0.01 == pytest.approx(STYLE.iodine_gain, rel=0.02)


def test_recombined_air_is_black() -> None:
    inside = np.array([[True, False]])
    assert present_recombined(np.ones((1, 2), np.float32), inside, style=STYLE)[0, 1] == 0


def test_a_seed_draws_one_style_and_other_seeds_draw_others() -> None:
    assert draw_style(4) == draw_style(4)
    assert len({draw_style(seed) for seed in range(20)}) == 20
