"""The pectoral muscle: a wedge with a soft border, brighter upwards, of fibres along its border."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mammosynth.preprocessing.look import Look
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.drawing import Drawing
from mammosynth.tasks.mask.muscle import draw_muscle
from tests.support.drawn_breasts import drawn_breast


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    labels = drawn_breast(512, lesion=False)
    rows, columns = np.indices(labels.shape)
    labels[(columns < 110 - 0.4 * rows) & (labels == BreastClass.ADIPOSE)] = BreastClass.PECTORAL_MUSCLE
    return Drawing.of(labels)


@pytest.fixture(scope="module")
def means(drawing: Drawing) -> dict[Look, np.ndarray]:
    """Of so many drawings of a look that no seed shows."""
    return {
        look: np.mean([draw_muscle(drawing, look, np.random.default_rng(seed)) for seed in range(8)], axis=0)
        for look in Look
    }


def test_where_no_muscle_is_drawn_nothing_is_added_and_nothing_random_is_taken() -> None:
    random = np.random.default_rng(0)
    assert not draw_muscle(Drawing.of(drawn_breast(512)), Look.DIGITAL, random).any()
    assert random.random() == np.random.default_rng(0).random()


def test_it_lies_where_it_is_drawn_and_the_seed_decides(drawing: Drawing) -> None:
    first, same, other = (draw_muscle(drawing, Look.DIGITAL, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    muscle = drawing.labels == BreastClass.PECTORAL_MUSCLE
    far = ndimage.distance_transform_edt(~muscle) > 12
    assert first[ndimage.binary_erosion(muscle, iterations=8)].min() > 0.2
    assert first[far].max() < 0.01


def test_it_is_brighter_upwards(drawing: Drawing, means: dict[Look, np.ndarray]) -> None:
    deep = ndimage.binary_erosion(drawing.labels == BreastClass.PECTORAL_MUSCLE, iterations=8)
    rows = np.nonzero(deep)[0]
    upper, lower = (
        deep & part[:, None] for part in (np.arange(512) < np.median(rows), np.arange(512) > np.median(rows))
    )
    muscle = means[Look.FILM]
    assert muscle[upper].mean() > 1.05 * muscle[lower].mean()


def test_its_border_is_softer_on_film(drawing: Drawing, means: dict[Look, np.ndarray]) -> None:
    muscle = drawing.labels == BreastClass.PECTORAL_MUSCLE
    rise = {}
    for look in Look:
        image = means[look]
        depth = ndimage.distance_transform_edt(muscle)
        rise[look] = image[(depth > 0) & (depth <= 3)].mean() / image[depth > 15].mean()
    assert rise[Look.FILM] < 0.8 < rise[Look.DIGITAL]
