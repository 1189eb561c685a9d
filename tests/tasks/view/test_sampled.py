"""A drawn view: its muscle leaves lesions free, and lesions of the source are in it once."""

import numpy as np
import pytest
from scipy import ndimage

from mammosynth.preprocessing.breast import skin_distance
from mammosynth.preprocessing.look import Look
from mammosynth.tasks.view.lesions import LesionModel, Placed, place_lesion, show_lesion
from mammosynth.tasks.view.muscle import MUSCLES, draw_muscle, source_muscle
from mammosynth.tasks.view.sampled import Source, draw_outline, draw_view
from mammosynth.tasks.view.style import StyleModel, measure_style
from mammosynth.terms import ViewPosition
from tests.support.breasts import half_ellipse

SIDE = 512
BREAST = half_ellipse(SIDE, SIDE // 2) @ np.eye(SIDE // 2, SIDE, dtype=bool)
NOTHING = np.zeros_like(BREAST)


@pytest.fixture(scope="module")
def styles() -> StyleModel:
    given = measure_style(source(0), BREAST) + 0.01 * np.random.default_rng(1).normal(size=(20, 8))
    model = StyleModel()
    model.fit(given, given)
    return model


def source(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=BREAST.shape)
    return np.clip((0.4 + 0.03 * noise) * BREAST, 0, 1).astype(np.float32)


def lesion_at(row: int, column: int) -> np.ndarray:
    rows, columns = np.ogrid[:SIDE, :SIDE]
    return (np.hypot(rows - row, columns - column) < 14) & BREAST


def drawn(styles, cc, seed=0, view=ViewPosition.CC, **where) -> np.ndarray:
    random = np.random.default_rng(seed)
    where = {"lesions": NOTHING, "kept_free": NOTHING, **where}
    given = Source(cc, BREAST, source_muscle(cc, BREAST, view), view, Look.FILM)
    return draw_view(given, 0.4 * BREAST, BREAST * 1.0, BREAST, styles, random, **where).pixels


def test_a_muscle_leaves_a_place_free_where_it_can():
    free = NOTHING.copy()
    free[170:200, 20:60] = True
    covered = [draw_muscle(BREAST, MUSCLES[Look.FILM], np.random.default_rng(n), NOTHING)[0] for n in range(8)]
    left = [draw_muscle(BREAST, MUSCLES[Look.FILM], np.random.default_rng(n), free)[0] for n in range(8)]
    assert max(each[free].max() for each in covered) > 0.9
    assert np.median([each[free].max() for each in left]) < 0.1


@pytest.mark.slow
def test_a_muscle_that_is_drawn_again_leaves_the_grain_as_it_is(styles):
    free = NOTHING.copy()
    free[170:200, 20:60] = True
    grain = [
        each - ndimage.gaussian_filter(each, 1)
        for each in (drawn(styles, source(6)), drawn(styles, source(6), kept_free=free))
    ]
    beside = np.s_[380:460, 20:100]
    assert np.corrcoef(grain[0][beside].ravel(), grain[1][beside].ravel())[0, 1] > 0.95


@pytest.mark.slow
def test_a_lesion_of_the_source_is_not_laid_into_the_view(styles):
    lesion = lesion_at(330, 80)
    plain, bright = source(2), source(2) + np.float32(0.4) * lesion
    shown, hidden, without = (
        drawn(styles, bright),
        drawn(styles, bright, lesions=lesion),
        drawn(styles, plain),
    )
    assert shown[lesion].mean() > without[lesion].mean() + 0.15
    assert hidden[lesion].mean() == pytest.approx(without[lesion].mean(), abs=0.05)


def test_a_view_is_black_in_air_and_as_varied_as_the_source(styles):
    view = drawn(styles, source(3))
    assert not view[~BREAST].any()
    inner = np.s_[300:400, 40:120]
    fine = [(each - np.roll(each, 1, axis=0))[inner].std() for each in (view, source(3))]
    assert fine[0] == pytest.approx(fine[1], rel=0.35)


@pytest.mark.slow
def test_the_muscle_of_an_oblique_source_is_found_and_not_in_the_craniocaudal_view(styles):
    row, column = np.ogrid[:SIDE, :SIDE]
    muscle = (column < 110 * (1 - (row - 60) / 260)) & BREAST
    oblique = np.clip(source(4) + 0.3 * muscle, 0, 1).astype(np.float32)
    found = source_muscle(oblique, BREAST, ViewPosition.MLO)
    assert (found & muscle).sum() > 0.8 * muscle.sum()
    assert not source_muscle(oblique, BREAST, ViewPosition.CC).any()
    views = [drawn(styles, each, view=ViewPosition.MLO) for each in (oblique, source(4))]
    inner = muscle & (column < 60) & (row > 120) & (row < 220)
    assert views[0][inner].mean() == pytest.approx(views[1][inner].mean(), abs=0.03)


def test_an_outline_has_no_bites_at_the_chest_wall_and_none_that_the_upper_border_hides():
    chance = np.zeros((SIDE, SIDE), np.float32)
    chance[:400, 80:300] = 1.0
    chance[:60, 180:210], chance[150:200, 80:88], chance[330:400, 80:160] = 0, 0, 0
    outline = draw_outline(chance, None)
    assert outline[:40, 190:200].all()
    assert outline[160:190, 81:90].all()
    assert not outline[345:385, 81:140].any()
    assert not outline[420:].any()
    assert not outline[:, 310:].any()


def test_tissue_is_hardly_darker_than_in_the_source_nor_is_a_lesion(styles):
    view = drawn(styles, source(5))
    inner = BREAST & (skin_distance(BREAST) > 20)
    assert view[inner].min() > 0.5 * np.quantile(source(5)[inner], 0.002)
    dark = np.where(lesion_at(330, 80), -0.5, 0).astype(np.float32)
    placed = Placed(lesion_at(330, 80), NOTHING, dark, 0.1)
    assert show_lesion(source(5), BREAST, placed)[inner].min() > 0.2


def test_a_lesion_at_the_skin_leaves_no_shadow_of_the_air_beside_it():
    column = np.arange(SIDE)[None]
    lesion = BREAST & (skin_distance(BREAST) < 14) & (np.abs(np.arange(SIDE) - 256)[:, None] < 20) & (column > 140)
    even = (0.4 * BREAST).astype(np.float32)
    placed = place_lesion(even, BREAST, lesion, BREAST, LesionModel(), None)
    assert np.abs(placed.detail[placed.mask]).max() < 0.02
