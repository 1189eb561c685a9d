"""Pixels of copies: where the source lies in them, and what is left of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mammosynth.errors import UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.reading.blinding.detail import coarsest, finest_detail
from mammosynth.reading.blinding.pixels import ROOM, Placement, blinded_pixels, low_passed
from mammosynth.reading.blinding.rule import BlindingRule
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.blinded import RULE, acquired, generated, read, tissue

SMALL = BlindingRule(**RULE, detail=0.3)
BLACK = round(ROOM * 4095)


def image(pixels: np.ndarray, laterality: ImageLaterality = ImageLaterality.LEFT, **settings: object) -> Mammogram:
    return Mammogram(np.ascontiguousarray(pixels), "one", ViewPosition.CC, laterality, **settings)  # type: ignore[arg-type]


def with_dot(pixels: np.ndarray, x: int, y: int) -> np.ndarray:
    dotted = pixels.copy()
    dotted[y - 2 : y + 3, x - 2 : x + 3] = 1.0
    return dotted


@pytest.mark.parametrize("laterality", list(ImageLaterality))
@pytest.mark.parametrize("stored_mirrored", [False, True])
@pytest.mark.parametrize("padding", [0, 17])
def test_a_place_of_the_source_is_where_the_placement_says(
    laterality: ImageLaterality, stored_mirrored: bool, padding: int
) -> None:
    x, y = 60 + padding, 150
    pixels = with_dot(np.pad(tissue(1), ((0, 0), (padding, 0))), x, y)
    if stored_mirrored:
        pixels, x = pixels[:, ::-1], pixels.shape[1] - 1 - x
    copy, placement = blinded_pixels(image(pixels, laterality), SMALL, 1)
    there = placement.to_copy(x, y)
    row, column = np.unravel_index(copy.argmax(), copy.shape)
    assert abs(column - there[0]) <= 1.5
    assert abs(row - there[1]) <= 1.5
    assert placement.to_source(*there) == pytest.approx((x, y))


@pytest.mark.parametrize("laterality", list(ImageLaterality))
def test_the_chest_wall_is_right_of_a_right_breast_however_it_is_stored(laterality: ImageLaterality) -> None:
    copies = [blinded_pixels(image(pixels, laterality), SMALL, 1)[0] for pixels in (tissue(1), tissue(1)[:, ::-1])]
    assert np.abs(copies[0].astype(int) - copies[1]).max() < 60
    wall = -1 if laterality is ImageLaterality.RIGHT else 0
    assert copies[0][100:150, wall].mean() > 1500
    assert abs(copies[0][:, -1 - wall].mean() - BLACK) < 2


def test_a_mark_goes_there_and_back() -> None:
    placement = Placement(scale=1.6, left=12.5, top=3, width=240, is_mirrored=True)
    mark = {"shape": "ellipse", "image": 1, "x": 20.0, "y": 30.0, "radius_x": 5.0, "radius_y": 3.0, "angle": 20.0}
    shown = placement.mark_to_copy(mark)
    assert (shown["radius_x"], shown["angle"]) == (8.0, -20.0)
    assert placement.mark_to_source(shown) == pytest.approx(mark)


def test_air_is_black_and_markers_are_gone() -> None:
    copy, _ = blinded_pixels(image(acquired(3)), SMALL, 1)
    air = copy[:40, 120:]
    assert abs(air.mean() - BLACK) < 1
    assert air.max() < BLACK + 6 * SMALL.noise * 4095


def test_fat_as_dark_as_air_at_the_chest_wall_is_shown() -> None:
    pixels = tissue(4)
    pixels[120:200, :60] = 0.02
    copy, placement = blinded_pixels(image(pixels), replace_noise(0.0), 1)
    x, y = placement.to_copy(30, 160)
    assert copy[round(y), round(x)] > BLACK + 40


def replace_noise(noise: float) -> BlindingRule:
    return SMALL.model_copy(update={"noise": noise})


def test_nothing_finer_than_the_detail_is_left() -> None:
    grain = np.random.default_rng(1).standard_normal((96, 80)).astype(np.float32)
    left = np.abs(np.fft.fft2(low_passed(grain, 0.2))) ** 2
    frequency = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.fftfreq(80)[None, :])
    assert left[frequency > 0.3].sum() < 0.02 * left.sum()  # what is left there is the jump at the border
    assert low_passed(np.ones((96, 80), np.float32), 0.2) == pytest.approx(1, abs=1e-5)


def test_the_coarsest_arm_decides_the_detail() -> None:
    arms = {"acquired": [image(acquired(n)) for n in range(2)], "generated": [image(generated(n)) for n in range(2)]}
    rule = BlindingRule(**RULE)
    found = coarsest(arms, rule)
    assert found == min(np.median([finest_detail(each, rule) for each in own]) for own in arms.values())
    assert found < finest_detail(arms["acquired"][0], rule)


@pytest.mark.parametrize("step", [1, 2])
def test_a_copy_has_no_more_detail_than_its_source_has_pixels_for(step: int) -> None:
    source = acquired(0)[::step, ::step]
    rule = BlindingRule(**RULE)
    scale = (rule.rows + 2 * rule.border) / source.shape[0]
    assert finest_detail(image(source), rule) == pytest.approx(min(0.5, 0.3 / scale), rel=0.02)


@pytest.mark.parametrize("side", ["top", "bottom"])
def test_a_frame_blacked_out_beyond_a_breast_cut_straight_is_taken_off(side: str) -> None:
    bare = tissue(1)[100:] if side == "top" else tissue(1)[:-100]
    framed = np.pad(bare, ((30, 0) if side == "top" else (0, 30), (0, 0)))
    copies, placements = zip(*(blinded_pixels(image(each), SMALL, 1) for each in (bare, framed)), strict=True)
    wall = slice(SMALL.border, 40)
    end = 0 if side == "top" else -1
    assert copies[1][end, wall].mean() == pytest.approx(copies[0][end, wall].mean(), rel=0.05)
    there = [placements[0].to_copy(50, 90), placements[1].to_copy(50, 90 + (30 if side == "top" else 0))]
    assert there[1] == pytest.approx(there[0], abs=3)


def test_the_air_beyond_a_breast_that_curves_away_is_kept() -> None:
    _, placement = blinded_pixels(image(np.pad(tissue(1), ((40, 40), (0, 0)))), SMALL, 1)
    assert placement.to_copy(0, 40)[1] > 20


@pytest.mark.parametrize("laterality", list(ImageLaterality))
def test_a_breast_cut_off_at_its_nipple_fades_there(laterality: ImageLaterality) -> None:
    cut = tissue(2)[:, :100]
    cut = cut[:, ::-1] if laterality is ImageLaterality.RIGHT else cut
    copy, placement = blinded_pixels(image(cut, laterality), replace_noise(0.0), 1)
    line = copy[copy.shape[0] // 2].astype(int)
    line = line[::-1] if laterality is ImageLaterality.RIGHT else line
    assert (line > BLACK + 60).sum() < 100 * placement.scale - SMALL.border - SMALL.edge + 2
    fading = line[np.flatnonzero(line > BLACK + 1)[-1] - 2 * SMALL.fade :]
    assert np.abs(np.diff(fading)).max() < 0.5 * fading.max()


def test_the_same_seed_gives_the_same_pixels_and_another_other_noise() -> None:
    one, same, other = (blinded_pixels(read("P1 clinical"), SMALL, seed)[0] for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_images_scaled_by_spacing_keep_their_size() -> None:
    rule = BlindingRule(**RULE, detail=0.3, pixel_spacing_mm=1.0)
    placements = [
        blinded_pixels(image(tissue(1, rows, 240), pixel_spacing_mm=(0.75, 0.75)), rule, 1)[1] for rows in (320, 280)
    ]
    assert {placement.scale for placement in placements} == {0.75}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image_laterality": None}, "nobody says"),
        ({"pixels": np.zeros((320, 240), np.float32)}, "no breast is found"),
        ({"pixel_spacing_mm": (0.1, 0.2)}, "expected square ones"),
    ],
)
def test_what_cannot_be_blinded_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(UnsupportedImageError, match=reason):
        blinded_pixels(replace(image(tissue(1)), **change), SMALL, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(("spacing", "reason"), [(None, "has no pixel spacing"), ((2.0, 2.0), "the matrix of the")])
def test_an_image_that_does_not_fit_the_spacing_is_refused(spacing: tuple[float, float] | None, reason: str) -> None:
    rule = BlindingRule(**RULE, detail=0.3, pixel_spacing_mm=1.0)
    with pytest.raises(UnsupportedImageError, match=reason):
        blinded_pixels(image(tissue(1), pixel_spacing_mm=spacing), rule, 1)


@pytest.mark.parametrize("columns", [181, 195])
def test_a_right_breast_as_wide_as_the_matrix_is_taken_whole_whatever_rounding_makes_of_its_scale(columns: int) -> None:
    most = SMALL.columns + SMALL.border
    assert most / (most / columns) > columns, "in doubles"
    pixels = tissue(1, 180, columns)[:, ::-1]
    copy, placement = blinded_pixels(image(pixels, ImageLaterality.RIGHT), SMALL, 1)
    assert copy.shape == (SMALL.rows, SMALL.columns)
    assert placement.to_copy(columns - 0.5, 0)[0] == pytest.approx(most - 0.5)


def test_what_is_at_the_border_of_an_image_is_cut_off() -> None:
    clean, framed = tissue(1), tissue(1)
    framed[:, :2] *= 0.7
    copies = [blinded_pixels(image(pixels), replace_noise(0.0), 1)[0].astype(int) for pixels in (clean, framed)]
    assert np.abs(copies[0] - copies[1]).max() < 40
    uncut = SMALL.model_copy(update={"noise": 0.0, "border": 0})
    copies = [blinded_pixels(image(pixels), uncut, 1)[0].astype(int) for pixels in (clean, framed)]
    assert np.abs(copies[0] - copies[1]).max() > 200


@pytest.mark.parametrize("laterality", list(ImageLaterality))
def test_padding_beyond_the_chest_wall_is_taken_off_though_compressing_left_noise_in_it(
    laterality: ImageLaterality,
) -> None:
    noise = np.random.default_rng(5).uniform(0, 0.04, (320, 7)).astype(np.float32)
    bare, padded = tissue(1), np.hstack([noise, tissue(1)])
    on_left = laterality is ImageLaterality.LEFT
    sides = [pixels if on_left else pixels[:, ::-1] for pixels in (bare, padded)]
    copies, placements = zip(
        *(blinded_pixels(image(each, laterality), replace_noise(0.0), 1) for each in sides), strict=True
    )
    there = [
        placement.to_copy(x if on_left else each.shape[1] - 1 - x, 160)
        for placement, each, x in zip(placements, sides, (50, 57), strict=True)
    ]
    assert there[1] == pytest.approx(there[0])
    assert np.abs(copies[0].astype(int) - copies[1])[:, :100].max() < 8


def test_a_line_at_the_chest_wall_does_not_ring_into_the_copy() -> None:
    clean, lined = tissue(1), tissue(1)
    lined[:, :2] *= 0.3
    rule = SMALL.model_copy(update={"noise": 0.0, "border": 8})
    copies = [blinded_pixels(image(pixels), rule, 1)[0].astype(int) for pixels in (clean, lined)]
    assert np.abs(copies[0] - copies[1]).max() < 5


def test_the_outline_is_the_same_however_dark_the_breast_is() -> None:
    dark, bright = (blinded_pixels(image(tissue(1) * share), replace_noise(0.0), 1)[0] for share in (0.5, 1.0))
    assert ((dark > BLACK + 60) ^ (bright > BLACK + 60)).sum() < 0.01 * (bright > BLACK + 60).sum()
