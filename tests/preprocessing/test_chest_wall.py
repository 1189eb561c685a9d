"""Fat that is as dark as air is breast at the chest wall, wherever the image ends; air stays air."""

import numpy as np
import pytest

from mammosynth.preprocessing.breast import find_edge, segment_breast
from mammosynth.preprocessing.chest_wall import chest_wall_column, closed_at_wall, without_bites
from tests.support.breasts import half_ellipse

PADDING = 40
SHAPE = (512, 360)


def dark_breast(grey: float = 0.06, scale: int = 1) -> np.ndarray:
    """A breast of dark fat beside black padding, with a bright skin of 8 pixels and a nipple."""
    breast = np.kron(half_ellipse(*SHAPE), np.ones((scale, scale), bool))
    inner = np.kron(half_ellipse(SHAPE[0], SHAPE[1] - 11), np.ones((scale, scale), bool))
    inner = np.pad(inner, ((0, 0), (0, 11 * scale)))
    pixels = np.where(inner, grey, np.where(breast, 0.4, 0)).astype(np.float32)
    return np.pad(pixels, ((0, 0), (PADDING * scale, 0)))


def edge_of(pixels: np.ndarray, *, wall_on_left: bool = True) -> np.ndarray:
    return without_bites(find_edge(pixels, segment_breast(pixels)), pixels, wall_on_left=wall_on_left)


@pytest.mark.parametrize("wall_on_left", [True, False])
def test_dark_fat_at_the_chest_wall_belongs_to_the_breast(wall_on_left: bool) -> None:
    breast = half_ellipse(256, 200)
    breast[100:130, :20] = False
    filled = closed_at_wall(breast if wall_on_left else breast[:, ::-1])
    assert np.array_equal(filled if wall_on_left else filled[:, ::-1], half_ellipse(256, 200))


@pytest.mark.parametrize("wall_on_left", [True, False])
def test_dark_fat_belongs_to_a_breast_that_ends_just_before_the_border(wall_on_left: bool) -> None:
    breast = half_ellipse(256, 200)
    whole = breast.copy()
    breast[:, :3], breast[100:130, :20] = False, False
    first, last = np.flatnonzero(breast[:, :4].any(axis=1))[[0, -1]]
    whole[:first, :3] = whole[last + 1 :, :3] = False
    filled = closed_at_wall(breast if wall_on_left else breast[:, ::-1], wall_on_left=wall_on_left, columns=4)
    assert np.array_equal(filled if wall_on_left else filled[:, ::-1], whole)


@pytest.mark.parametrize("gaps", [(), ((100, 180), (220, 320))])
def test_the_wall_is_where_the_image_begins_also_between_gaps(gaps: tuple[tuple[int, int], ...]) -> None:
    pixels = dark_breast()
    for top, bottom in gaps:
        pixels[top:bottom, : PADDING + 20] = 0
    assert chest_wall_column(pixels, segment_breast(pixels)) == PADDING


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("scale", [1, 3])
def test_bites_at_a_wall_beside_padding_are_filled_up_to_the_wall(scale: int, mirrored: bool) -> None:
    pixels = dark_breast(scale=scale)
    bite = np.s_[200 * scale : 260 * scale, PADDING * scale : (PADDING + 40) * scale]
    pixels[bite] = 0
    shown = np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels
    edge = edge_of(shown, wall_on_left=not mirrored)
    edge = edge[:, ::-1] if mirrored else edge
    assert (edge[bite] > 0.99).mean() > 0.95
    assert not edge[:, : (PADDING - 2) * scale].any()


def test_a_narrow_black_fold_in_dark_fat_is_filled_and_ends_softly() -> None:
    pixels = dark_breast()
    top = int(np.flatnonzero(half_ellipse(*SHAPE)[:, 60:72].any(axis=1))[0])
    pixels[top - 20 : top + 60, PADDING + 60 : PADDING + 72] = 0
    edge = edge_of(pixels)
    assert (edge[top + 20 : top + 60, PADDING + 60 : PADDING + 72] > 0.9).all()
    rim = edge[top - 20 : top + 20, PADDING + 66]
    assert (np.diff(rim) >= -1e-6).all()
    assert ((rim > 0.05) & (rim < 0.95)).sum() >= 4


def test_a_fold_of_air_between_skin_stays_air() -> None:
    pixels = dark_breast()
    pixels[:80, PADDING + 40 : PADDING + 72] = 0.4
    pixels[:76, PADDING + 48 : PADDING + 64] = 0
    fold = np.s_[:76, PADDING + 48 : PADDING + 64]
    assert (find_edge(pixels, segment_breast(pixels))[fold] < 0.5).mean() > 0.8
    np.testing.assert_array_equal(edge_of(pixels)[fold], find_edge(pixels, segment_breast(pixels))[fold])


def test_nothing_is_added_at_the_nipple_nor_to_an_image_without_breast() -> None:
    pixels = dark_breast()
    tip = int(np.flatnonzero(pixels[SHAPE[0] // 2])[-1])
    pixels[250:262, tip - 30 :] = 0
    edge = np.where(pixels > 0, np.float32(1), np.float32(0))
    np.testing.assert_array_equal(without_bites(edge, pixels, wall_on_left=True), edge)
    nothing = np.zeros_like(edge)
    np.testing.assert_array_equal(without_bites(nothing, nothing, wall_on_left=True), nothing)
