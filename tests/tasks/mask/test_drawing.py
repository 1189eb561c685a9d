"""A label map as the network sees it: the frame and the way back, channels of a part as of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.drawing import CHANNELS, MULTIPLE, ROWS, Drawing
from tests.support.drawn_breasts import drawn_breast, painted


@pytest.mark.parametrize("rows", [300, 512, 1400])
@pytest.mark.parametrize("mirrored", [False, True])
def test_an_image_comes_back_where_it_was(rows: int, mirrored: bool) -> None:
    labels = drawn_breast(rows, mirrored=mirrored)
    drawing = Drawing.of(labels)
    assert drawing.labels.shape[0] == ROWS
    assert drawing.labels.shape[1] % MULTIPLE == 0
    assert drawing.mirrored is mirrored
    image = painted(labels, grain=0.0)
    restored = drawing.restore(drawing.take(image))
    assert restored.shape == labels.shape
    inside = labels == BreastClass.FIBROGLANDULAR
    assert np.abs(restored - image)[inside].mean() < 0.01


def test_the_chest_wall_comes_to_the_left_and_the_breast_fills_the_frame() -> None:
    padded = np.pad(drawn_breast(512, mirrored=True), ((0, 0), (100, 0)))
    left, right = Drawing.of(drawn_breast(512)), Drawing.of(padded)
    assert np.array_equal(left.labels, right.labels)
    assert left.breast[:, :6].any()
    assert left.nipple == pytest.approx(right.nipple)


def test_without_a_drawn_nipple_the_outermost_place_is_taken() -> None:
    labels = drawn_breast(512)
    without = np.where(labels == BreastClass.NIPPLE, BreastClass.ADIPOSE, labels).astype(np.uint8)
    drawn, guessed = Drawing.of(labels).nipple, Drawing.of(without).nipple
    assert guessed == pytest.approx(drawn, abs=12)


def test_fixed_channels_of_a_part_are_those_of_the_whole() -> None:
    drawing = Drawing.of(drawn_breast(512))
    whole = drawing.channels(None)
    at = slice(96, 224), slice(32, 192)
    assert whole.shape == (CHANNELS, *drawing.labels.shape)
    assert np.allclose(drawing.channels(None, at), whole[:, at[0], at[1]], atol=1e-5)


def test_strands_are_a_matter_of_the_seed_and_only_they() -> None:
    drawing = Drawing.of(drawn_breast(512))
    first, same, other = (drawing.channels(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    differs = [bool((a != b).any()) for a, b in zip(first, other, strict=True)]
    assert differs == [False] * (CHANNELS - 3) + [True] * 3
    assert (first[:, ~drawing.breast][9:] == 0).all()


def test_gland_and_fat_fade_into_each_other_and_the_outline_does_not() -> None:
    drawing = Drawing.of(drawn_breast(512))
    breast, _, gland = drawing.channels(None)[:3]
    unsure = (gland > 0.1) & (gland < 0.9)
    rim = (breast > 0.1) & (breast < 0.9)
    outline = drawing.breast ^ np.roll(drawing.breast, 1, axis=0)
    assert unsure.sum() > 3 * rim.sum() * (gland > 0.5).sum() / drawing.breast.sum()
    assert rim.sum() < 6 * outline.sum()
