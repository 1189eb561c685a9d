"""Regions and dilations are those of `scipy.ndimage`, to the pixel."""

import numpy as np
import pytest
from scipy import ndimage

from mammosynth.preprocessing.regions import Regions, close, dilate, filled

SHAPES = [(1, 1), (1, 40), (40, 1), (30, 37)]
SHARES = [0.0, 0.05, 0.5, 0.9]


def masks(shape: tuple[int, int], share: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(7).random((2, *shape))
    return random[0] < share, random[1] < 0.1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", SHARES)
def test_regions_are_those_that_are_labelled(shape: tuple[int, int], share: float) -> None:
    mask, other = masks(shape, share)
    labels, count = ndimage.label(mask)
    regions = Regions(mask)
    assert regions.count == count
    assert sorted(regions.areas) == sorted(np.bincount(labels.ravel(), minlength=1)[1:])
    held = np.isin(labels, np.unique(labels[other & mask])) & mask
    np.testing.assert_array_equal(regions.mask(regions.holding(other)), held)
    np.testing.assert_array_equal(regions.mask(np.ones(count, bool)), mask)


@pytest.mark.parametrize("square", [0, 1, 3])
@pytest.mark.parametrize("diamond", [0, 1, 2, 5])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", SHARES)
def test_dilating_and_closing_by_octagons_is_exact(
    shape: tuple[int, int], share: float, square: int, diamond: int
) -> None:
    mask, _ = masks(shape, share / 4)
    shapes = [(np.ones((3, 3), bool), square), (None, diamond)]
    dilated = mask
    for shape_, steps in shapes:
        dilated = ndimage.binary_dilation(dilated, shape_, steps) if steps else dilated
    closed = dilated
    for shape_, steps in shapes:
        closed = ndimage.binary_erosion(closed, shape_, steps, border_value=1) if steps else closed
    np.testing.assert_array_equal(dilate(mask, square, diamond), dilated)
    np.testing.assert_array_equal(close(mask, square, diamond), closed)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", SHARES)
def test_holes_are_filled_as_by_scipy(shape: tuple[int, int], share: float) -> None:
    mask, _ = masks(shape, share)
    np.testing.assert_array_equal(filled(mask), ndimage.binary_fill_holes(mask))
