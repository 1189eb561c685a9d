"""The breast is found whatever the matrix, the background and the side."""

import numpy as np
import pytest

from mammosynth.preprocessing.breast import (
    chest_wall_on_left,
    find_edge,
    segment_breast,
    skin_distance,
)
from tests.support.breasts import half_ellipse


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(64, 48), (512, 512), (3000, 2400)])
@pytest.mark.parametrize("air", [0.0, 0.1])
def test_breast_is_found_in_small_and_large_matrices_with_dark_and_grey_air(shape: tuple[int, int], air: float) -> None:
    breast = half_ellipse(*shape)
    pixels = np.where(breast, 0.5, air).astype(np.float32)
    found = segment_breast(pixels)
    assert 2 * (found & breast).sum() / (found.sum() + breast.sum()) > 0.95


def test_label_in_the_air_is_not_breast() -> None:
    breast = half_ellipse(256, 200)
    pixels = np.where(breast, 0.5, 0).astype(np.float32)
    pixels[10:25, 170:195] = 1
    assert not segment_breast(pixels)[10:25, 170:195].any()


def test_dark_hole_belongs_to_the_breast() -> None:
    pixels = np.where(half_ellipse(256, 200), 0.5, 0).astype(np.float32)
    pixels[120:130, 50:60] = 0
    assert segment_breast(pixels)[120:130, 50:60].all()


def test_padding_is_not_breast_even_if_it_is_bright() -> None:
    pixels = np.where(half_ellipse(128, 100), 0.5, 0).astype(np.float32)
    pixels[:, 90:] = 1
    valid = np.ones(pixels.shape, bool)
    valid[:, 90:] = False
    found = segment_breast(pixels, valid)
    assert found.any()
    assert not found[:, 90:].any()


def test_black_image_has_no_breast() -> None:
    assert not segment_breast(np.zeros((64, 64), np.float32)).any()


@pytest.mark.parametrize("shape", [(64, 48), (512, 400), (1400, 1000)])
@pytest.mark.parametrize("air", [0.0, 0.1])
def test_the_edge_is_that_of_the_image_to_the_pixel(shape: tuple[int, int], air: float) -> None:
    breast = half_ellipse(*shape)
    pixels = np.where(breast, 0.5, air).astype(np.float32)
    edge = find_edge(pixels, segment_breast(pixels))
    assert edge.dtype == np.float32
    skin_px = 1.5 * shape[0]
    assert ((edge > 0.5) ^ breast).sum() < skin_px  # off by less than a pixel, on average
    assert (segment_breast(pixels) ^ breast).sum() > 1.5 * ((edge > 0.5) ^ breast).sum()


def test_the_edge_fades_where_the_image_fades() -> None:
    profile = np.clip((600 - np.arange(800)) / 24, 0, 1) * 0.6
    pixels = np.tile(profile.astype(np.float32), (1536, 1))
    edge = find_edge(pixels, segment_breast(pixels))[768]
    assert (edge[:592] == 1).all()
    assert (edge[602:] == 0).all()
    assert (np.diff(edge[592:602]) < 0).sum() >= 5


def test_holes_and_narrow_notches_belong_to_the_breast_and_specks_in_the_air_do_not() -> None:
    breast = half_ellipse(512, 400)
    pixels = np.where(breast, 0.5, 0).astype(np.float32)
    mask = segment_breast(pixels)
    tip = int(np.flatnonzero(breast[256])[-1])
    pixels[254:258, tip - 20 :] = 0  # a notch
    pixels[200:206, tip - 30 : tip - 24] = 0  # a hole
    pixels[300, tip + 2] = 0.5  # a speck
    edge = find_edge(pixels, mask)
    assert (edge[250:262, : tip - 1] == 1).all()
    assert (edge[200:206, : tip - 24] == 1).all()
    assert edge[300, tip + 2] == 0


def test_padding_and_empty_masks_have_no_edge_and_an_image_without_air_is_all_breast() -> None:
    pixels = np.full((128, 100), 0.5, np.float32)
    valid = np.ones(pixels.shape, bool)
    valid[:, 90:] = False
    everywhere = np.ones(pixels.shape, bool)
    np.testing.assert_array_equal(find_edge(pixels, everywhere, valid), valid.astype(np.float32))
    np.testing.assert_array_equal(find_edge(pixels, everywhere), 1)
    assert not find_edge(pixels, ~everywhere).any()


@pytest.mark.parametrize("margin", [0, 20])
def test_chest_wall_is_seen_from_the_outline(margin: int) -> None:
    mask = np.pad(half_ellipse(100, 80), margin)
    assert chest_wall_on_left(mask)
    assert not chest_wall_on_left(mask[:, ::-1])


def test_skin_distance_counts_from_the_skin_and_not_from_the_chest_wall_or_image_edges() -> None:
    mask = np.zeros((40, 30), bool)
    mask[:, :20] = True
    distance = skin_distance(mask)
    # Straight skin at column 20: the distance is the number of columns to it, in every row.
    np.testing.assert_allclose(distance[:, :20], np.broadcast_to(20 - np.arange(20), (40, 20)))
    assert not distance[:, 20:].any()
