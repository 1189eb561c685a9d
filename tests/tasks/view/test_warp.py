"""The source is laid behind an outline in pieces that keep their form."""

import numpy as np
import pytest
from scipy import ndimage

from mammosynth.tasks.view.warp import SCALES, lay
from tests.support.breasts import half_ellipse

SIDE = 256
NOTHING = np.zeros((SIDE, SIDE), bool)


@pytest.fixture(scope="module")
def cc() -> np.ndarray:
    return half_ellipse(SIDE, SIDE // 2) @ np.eye(SIDE // 2, SIDE, dtype=bool)


@pytest.fixture(scope="module")
def oblique(cc) -> np.ndarray:
    """As the craniocaudal one, with tissue up to the axilla."""
    row, column = np.ogrid[:SIDE, :SIDE]
    return cc | (column < 50 - 0.1 * row) & (row < 128)


def test_a_breast_behind_its_own_outline_stays_where_it_is(cc):
    where = lay(cc, cc, NOTHING).where
    inner = ndimage.binary_erosion(cc, iterations=25)
    np.testing.assert_allclose(where[:, inner], np.indices(cc.shape)[:, inner], atol=1e-3)


def test_tissue_is_scaled_a_little_and_never_stretched(cc, oblique):
    for where, weight in lay(oblique, cc, NOTHING).copies:
        assert weight.min() >= 0
        down, across = np.abs(np.diff(where[0], axis=0)), np.abs(np.diff(where[1], axis=1))
        for steps in (down, across):
            assert SCALES[0] - 1e-3 <= steps.min() <= steps.max() <= SCALES[1] + 1e-3
        assert np.abs(np.diff(where[1], axis=0)).max() < 1e-3


def test_all_of_the_breast_is_covered_with_detail_as_strong_as_the_source_has(cc, oblique):
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=cc.shape), 1)
    carried = lay(oblique, cc, NOTHING).carry(noise.astype(np.float32))
    axilla = oblique & ~cc & ndimage.binary_erosion(oblique, iterations=8)
    assert carried[axilla].std() == pytest.approx(noise.std(), rel=0.3)
    assert not carried[~oblique].any()


def test_what_is_hidden_in_the_source_is_nowhere_in_the_view(cc, oblique):
    row, column = np.ogrid[:SIDE, :SIDE]
    hidden = np.hypot(row - 120, column - 40) < 12
    spot = (np.hypot(row - 120, column - 40) < 8).astype(np.float32)
    assert lay(oblique, cc, NOTHING).carry(spot).max() > 0.5
    assert np.abs(lay(oblique, cc, hidden).carry(spot)).max() < 0.1
