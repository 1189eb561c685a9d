"""Drawn tissue: it has the style that was asked for, obeys the drawing, and is another one by another seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from mammosynth.evaluation.texture import interior, power_law_exponent
from mammosynth.preprocessing.breast import segment_breast
from mammosynth.preprocessing.look import Look
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.drawing import Drawing
from mammosynth.tasks.mask.style import Style, measure_style
from mammosynth.tasks.mask.tissue import draw_finer, draw_tissue
from tests.support.drawn_breasts import drawn_breast

pytestmark = pytest.mark.slow  # a second each, several together

STYLE = Style(
    adipose=0.2,
    adipose_bands=(-4.5, -4.5, -4.0, -3.8, -3.7, -3.7),
    dense=0.45,
    dense_bands=(-4.5, -4.5, -3.9, -3.6, -3.4, -3.4),
    rim=(0.1, 0.4, 0.8, 1.0, 1.0, 1.0),
    wall=0.5,
    skin=0.1,
    lesion=0.2,
)


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    return Drawing.of(drawn_breast(512))


def made(drawing: Drawing, seed: int = 0, style: Style = STYLE) -> np.ndarray:
    return draw_tissue(drawing, style, Look.DIGITAL, np.random.default_rng(seed))


def test_the_image_has_the_style_that_was_asked_for(drawing: Drawing) -> None:
    found = measure_style(made(drawing), drawing)
    assert found.adipose == pytest.approx(STYLE.adipose, abs=0.03)
    assert found.dense == pytest.approx(STYLE.dense, abs=0.04)
    assert found.adipose_bands == pytest.approx(STYLE.adipose_bands, abs=0.35)
    assert found.rim[1:] == pytest.approx(STYLE.rim[1:], abs=0.1)
    assert found.wall == pytest.approx(STYLE.wall, abs=0.15)
    assert found.lesion == pytest.approx(STYLE.lesion, abs=0.05)


def test_twice_the_detail_is_twice_the_detail(drawing: Drawing) -> None:
    louder = replace(STYLE, adipose_bands=tuple(band + np.log(2) for band in STYLE.adipose_bands))
    quiet, loud = (measure_style(made(drawing, style=style), drawing).adipose_bands[:3] for style in (STYLE, louder))
    assert np.subtract(loud, quiet) == pytest.approx(np.log(2), abs=0.25)


def test_it_obeys_the_drawing(drawing: Drawing) -> None:
    image = made(drawing)
    seen = segment_breast(image, background=0.0)
    assert (seen & drawing.breast).sum() / (seen | drawing.breast).sum() > 0.97
    assert (image[~drawing.breast] == 0).all()
    gland, fat = (image[drawing.tissue(dense=dense)].mean() for dense in (True, False))
    assert gland > fat + 0.15
    assert 0 <= image.min() <= image.max() <= 1


def test_a_nipple_that_is_not_in_profile_leaves_no_line_to_the_skin() -> None:
    labels = drawn_breast(512)
    labels[labels == BreastClass.NIPPLE] = BreastClass.SKIN
    labels[250:270, 100:120] = BreastClass.NIPPLE
    drawing = Drawing.of(labels)
    row = int(drawing.nipple[0])
    for seed in range(3):
        steps = np.abs(np.diff(made(drawing, seed), axis=0))[row - 20 : row + 20, 160:210].mean(axis=1)
        assert steps[20] < 1.5 * np.median(steps)


def test_the_seed_decides_and_nothing_else(drawing: Drawing) -> None:
    first, same, other = made(drawing, 1), made(drawing, 1), made(drawing, 2)
    assert np.array_equal(first, same)
    inner = drawing.measured(dense=False)
    assert abs(np.corrcoef(first[inner], other[inner])[0, 1]) < 0.5


def test_it_has_the_power_law_of_mammograms(drawing: Drawing) -> None:
    found = []
    for seed in range(3):
        image = made(drawing, seed)
        found.append(power_law_exponent(image, interior(image)))
    assert 2.4 < np.mean(found) < 3.6


def with_muscle(kind: BreastClass) -> Drawing:
    labels = drawn_breast(512, lesion=False)
    rows, columns = np.indices(labels.shape)
    labels[(columns < 110 - 0.4 * rows) & (labels == BreastClass.ADIPOSE)] = kind
    return Drawing.of(labels)


def test_a_muscle_is_bright_and_no_line_runs_beside_its_border() -> None:
    drawing = with_muscle(BreastClass.PECTORAL_MUSCLE)
    muscle = drawing.labels == BreastClass.PECTORAL_MUSCLE
    added = np.mean([made(drawing, seed) - made(with_muscle(BreastClass.ADIPOSE), seed) for seed in range(3)], axis=0)
    assert added[muscle].mean() > 0.1
    outside = ndimage.distance_transform_edt(~muscle)
    beside = (outside > 5) & (outside < 14) & drawing.breast & (drawing.depth > 10)
    assert abs(added[beside].mean()) < 0.02


def test_calcifications_are_specks_and_no_rings() -> None:
    labels = drawn_breast(512, lesion=False)
    rows, columns = np.indices(labels.shape)
    labels[(rows - 250) ** 2 + (columns - 60) ** 2 < 16] = BreastClass.CALCIFICATION
    image, plain = made(Drawing.of(labels)), made(Drawing.of(drawn_breast(512, lesion=False)))
    added = (image - plain)[250 - 8 : 250 + 9, 60 + 4 - 8 : 60 + 4 + 9]  # the frame begins a little before the breast
    assert added[8, 8] > 0.15
    distance = np.hypot(*(np.indices(added.shape) - 8))
    assert added[8, 8] > added[(distance > 2) & (distance < 4)].mean() > 1.5 * added[distance > 5].mean()


def test_a_bright_rim_about_dark_fat_does_not_bleach_a_gland_that_reaches_it() -> None:
    labels = drawn_breast(512, lesion=False)
    lower = (np.arange(512) > 256)[:, None] & (labels == BreastClass.ADIPOSE)
    labels[lower] = BreastClass.FIBROGLANDULAR
    style = replace(STYLE, adipose=0.04, rim=(3.0, 4.0, 4.0, 3.0, 2.0, 1.5))
    image = made(Drawing.of(labels), style=style)
    assert (image[image > 0] > 0.98).mean() < 0.01


def test_a_finer_matrix_has_finer_detail_and_the_same_image() -> None:
    labels = drawn_breast(2048)
    drawing = Drawing.of(labels)
    random = np.random.default_rng(0)
    enlarged = np.clip(drawing.restore(draw_tissue(drawing, STYLE, Look.DIGITAL, random)), 0, 1)
    fine = draw_finer(enlarged, drawing, STYLE, random)
    difference = fine - enlarged
    assert fine.shape == labels.shape
    assert 0.01 < difference[labels == BreastClass.ADIPOSE].std() < 0.06
    small = difference[: 2048 // 4 * 4].reshape(512, 4, -1, 4).mean(axis=(1, 3))
    assert small.std() < 0.6 * difference.std()
    assert (fine[enlarged == 0] == 0).all()
