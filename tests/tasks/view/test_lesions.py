"""How a lesion that was carried over is shown."""

import numpy as np
import pytest
from scipy import ndimage

from mammosynth.tasks.view.lesions import Placed, lesion_contrast, show_lesion

SIDE = 96


@pytest.fixture
def placed():
    rows, columns = np.mgrid[:SIDE, :SIDE]
    mask = np.hypot(rows - 48, columns - 48) < 14
    grain = np.random.default_rng(0).normal(size=(SIDE, SIDE))
    fine, coarse = (ndimage.gaussian_filter(grain, sigma) for sigma in (1, 12))
    detail = 0.05 * fine / fine.std() + 0.05 * coarse / coarse.std()
    return Placed(mask, mask, (detail * mask).astype(np.float32), 0.2)


@pytest.mark.parametrize(("share", "smooth"), [(1.0, False), (1.0, True), (0.65, True)])
def test_a_lesion_has_the_share_of_its_contrast_that_is_asked_for(placed, share, smooth):
    breast = np.ones((SIDE, SIDE), bool)
    shown = show_lesion(np.full((SIDE, SIDE), 0.3, np.float32), breast, placed, share=share, smooth=smooth)
    assert lesion_contrast(shown, placed.mask, breast) == pytest.approx(share * 0.2, rel=0.05)


def test_a_smooth_lesion_keeps_what_is_fine_of_its_own_and_fades_into_its_surroundings(placed):
    even, breast = np.full((SIDE, SIDE), 0.3, np.float32), np.ones((SIDE, SIDE), bool)
    smooth, whole = (show_lesion(even, breast, placed, smooth=each) for each in (True, False))
    inner = ndimage.binary_erosion(placed.mask, iterations=4)
    fine = [each - ndimage.gaussian_filter(each, 2) for each in (smooth, whole)]
    assert np.corrcoef(fine[0][inner], fine[1][inner])[0, 1] > 0.95
    outside = ndimage.binary_dilation(placed.mask, iterations=5) & ~ndimage.binary_dilation(placed.mask, iterations=3)
    assert (smooth - 0.3)[outside].mean() > 2 * (whole - 0.3)[outside].mean()
