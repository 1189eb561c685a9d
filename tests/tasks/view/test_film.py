"""The border of a film is found, taken away and given back."""

import numpy as np
import pytest

from mammosynth.tasks.view.film import border_of, exposed, with_border, without_border
from tests.support.breasts import half_ellipse

SIDE = 128
BREAST = half_ellipse(SIDE, SIDE // 2) @ np.eye(SIDE // 2, SIDE, dtype=bool)
TISSUE = np.where(BREAST, 0.5, 0).astype(np.float32)


def film(width: int) -> np.ndarray:
    pixels = TISSUE.copy()
    pixels[:, :width] = 0
    return pixels


@pytest.mark.parametrize("width", [0, 1, 4, 9])
def test_a_border_beside_the_chest_wall_is_found(width):
    assert border_of(film(width), BREAST) == width


def test_a_border_is_taken_away_where_the_breast_goes_on():
    rows = np.flatnonzero(BREAST[:, 20])
    assert (without_border(film(4), 4)[rows] > 0)[:, :20].all()


def test_a_border_is_no_part_of_what_is_exposed():
    assert not exposed(film(4), BREAST)[:, :4].any()
    assert (exposed(film(4), BREAST)[:, 4:] == BREAST[:, 4:]).all()


def test_a_border_is_black_and_changes_nothing_beside_it():
    shown = with_border(np.ones((SIDE, SIDE), np.float32), 5, np.random.default_rng(0))
    assert border_of(shown, np.ones((SIDE, SIDE), bool)) == 5
    assert not shown[:, :5].any()
    assert (shown[20:, 6:] == 1).all()
