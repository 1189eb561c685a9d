"""Contrast-to-noise ratio of fat and fibroglandular tissue, and the regions it is taken from."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammosynth.errors import DataError
from mammosynth.tasks.contrast.evaluation.protocol import Case
from mammosynth.tasks.contrast.evaluation.tissue import (
    Tissue,
    contrast_to_noise,
    find_tissue,
    otsu_threshold,
    read_drawn,
    tissue_of,
)
from mammosynth.terms import ViewPosition
from tests.support.evaluation import phantom_case


def two_tissues(view_position: ViewPosition = ViewPosition.CC) -> tuple[Case, np.ndarray]:
    """A fatty breast with a disc of fibroglandular tissue."""
    case = phantom_case()
    y, x = np.mgrid[:512, :512]
    gland = ((y - 380) ** 2 + (x - 120) ** 2 < 40**2) & case.breast
    grain = np.random.default_rng(0).normal(0, 0.01, case.breast.shape)
    low_energy = (case.breast * (0.3 + 0.3 * gland + grain)).astype(np.float32)
    return dataclasses.replace(case, low_energy=low_energy, view_position=view_position), gland


def test_ratio_is_difference_of_means_over_sum_of_deviations_with_its_sign() -> None:
    fat, gland = np.zeros((2, 32, 32), bool)
    fat[:16], gland[16:] = True, True
    pixels = np.zeros((32, 32), np.float32)
    pixels[:16, ::2], pixels[:16, 1::2] = 0.1, 0.3  # mean 0.2, deviation 0.1
    pixels[16:, ::2], pixels[16:, 1::2] = 0.4, 0.8  # mean 0.6, deviation 0.2
    ratio = contrast_to_noise(pixels, Tissue(fat, gland))
    assert ratio == pytest.approx((0.2 - 0.6) / (0.1 + 0.2), rel=1e-5)
    # A linear normalisation with a positive slope changes nothing.
    assert contrast_to_noise(2 * pixels - 1, Tissue(fat, gland)) == pytest.approx(ratio, rel=1e-5)


def test_region_that_is_too_small_gives_no_ratio() -> None:
    fat, gland = np.ones((32, 32), bool), np.zeros((32, 32), bool)
    gland[0, :199] = True
    assert np.isnan(contrast_to_noise(np.ones((32, 32)), Tissue(fat, gland)))


def test_threshold_lies_between_two_classes() -> None:
    values = np.concatenate([np.linspace(0, 0.1, 500), np.linspace(0.9, 1, 300)])
    assert 0.1 < otsu_threshold(values) <= 0.9


def test_rule_finds_fat_and_gland_away_from_skin_and_lesion() -> None:
    case, gland = two_tissues()
    tissue = find_tissue(case)
    assert (tissue.fibroglandular & ~gland).sum() == 0
    assert tissue.fibroglandular.sum() > 0.7 * gland.sum()
    assert not (tissue.adipose & gland).any()
    assert not ((tissue.adipose | tissue.fibroglandular) & ~case.normal).any()


def test_flat_image_has_no_tissue() -> None:
    assert not find_tissue(phantom_case()).adipose.any()


def test_corner_of_the_pectoral_muscle_is_left_out_of_mlo_views_only() -> None:
    def in_corner(view_position: ViewPosition) -> bool:
        tissue = find_tissue(two_tissues(view_position)[0])
        return bool(tissue.adipose[:140, :60].any())

    assert in_corner(ViewPosition.CC)
    assert not in_corner(ViewPosition.MLO)


def draw(folder: Path, name: str, rows: slice, size: int = 512) -> None:
    region = np.zeros((size, size), np.uint8)
    region[rows, 100:200] = 255
    Image.fromarray(region).save(folder / name)


def test_drawn_regions_replace_the_rule_and_are_turned_with_the_case(tmp_path: Path) -> None:
    draw(tmp_path, "a_adipose.png", slice(100, 150))
    draw(tmp_path, "a_fibroglandular.png", slice(300, 350))
    drawn = read_drawn(tmp_path, ["a.png", "b.png"])
    assert list(drawn) == ["a.png"]
    tissue = tissue_of(dataclasses.replace(phantom_case(), mirrored=True), drawn)
    assert tissue.is_drawn
    assert tissue.adipose[120, 512 - 150]
    assert not tissue.adipose[120, 150]


def test_bad_regions_are_listed_together_with_what_is_accepted(tmp_path: Path) -> None:
    draw(tmp_path, "a_adipose.png", slice(100, 150))
    draw(tmp_path, "b_adipose.png", slice(100, 150), size=256)
    draw(tmp_path, "b_fibroglandular.png", slice(300, 350))
    draw(tmp_path, "c_adipose.png", slice(100, 150))
    draw(tmp_path, "c_fibroglandular.png", slice(140, 190))
    draw(tmp_path, "d_adipose.png", slice(0, 0))
    with pytest.raises(DataError) as refused:
        read_drawn(tmp_path, ["a.png", "b.png", "c.png", "d.png"])
    for expected in (
        "a_fibroglandular.png: is missing, expected both",
        "b_adipose.png: is 256 x 256, expected 512 x 512",
        "c_adipose.png, c_fibroglandular.png: overlap",
        "d_adipose.png: no pixel is above 127",
    ):
        assert expected in str(refused.value)


def test_folder_without_any_region_is_refused_with_the_names_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no region of any image, expected .* for example a_adipose\.png"):
        read_drawn(tmp_path, ["a.png"])


def test_region_that_is_no_image_is_refused(tmp_path: Path) -> None:
    draw(tmp_path, "a_fibroglandular.png", slice(300, 350))
    (tmp_path / "a_adipose.png").write_bytes(b"no")
    with pytest.raises(DataError, match=r"a_adipose\.png: cannot be read"):
        read_drawn(tmp_path, ["a.png"])
