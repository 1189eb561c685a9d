"""The default bundle of `mask`: matrix and orientation of the map, seeds, renderings, numbers instead of a map."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from mammosynth.bundle import Bundle, default_bundle, load_bundle
from mammosynth.errors import InvalidParameterError, MissingAttributeError, UnsupportedImageError
from mammosynth.journey import Order
from mammosynth.label_map import LabelMap
from mammosynth.task import IMAGE, LABELS, Rendering
from mammosynth.tasks.mask.classes import CLASSES, BreastClass
from mammosynth.tasks.mask.roles import BREAST, LABEL_MAP
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.drawn_breasts import drawn_breast

pytestmark = pytest.mark.slow


@cache
def bundle() -> Bundle:
    return load_bundle(default_bundle("mask"))


def drawn(rows: int = 512, *, mirrored: bool = False) -> LabelMap:
    side = ImageLaterality.RIGHT if mirrored else ImageLaterality.LEFT
    return LabelMap(drawn_breast(rows, mirrored=mirrored), "drawn", CLASSES, None, ViewPosition.CC, side)


@pytest.mark.parametrize("rendering", list(Rendering))
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_image_lies_on_the_label_map(rendering: Rendering, mirrored: bool) -> None:
    labels = drawn(640, mirrored=mirrored)
    result = bundle().synthesize({LABEL_MAP: labels}, rendering=rendering)
    made, shown = (next(each.value for each in result.outputs if each.role == role) for role in (IMAGE, LABELS))
    assert made.pixels.shape == labels.labels.shape
    assert made.pixels.dtype == np.float32
    assert (made.view_position, made.image_laterality) == (labels.view_position, labels.image_laterality)
    assert shown is labels
    assert (made.pixels[labels.labels == 0] == 0).all()
    gland, fat = (made.pixels[labels.labels == kind].mean() for kind in (2, 1))
    assert gland > fat + 0.05


def test_a_sampled_image_is_its_seeds_and_an_expected_one_is_everybodys() -> None:
    def made(rendering: Rendering, seed: int) -> np.ndarray:
        return bundle().synthesize({LABEL_MAP: drawn()}, rendering=rendering, seed=seed).image.pixels

    assert np.array_equal(made(Rendering.SAMPLED, 1), made(Rendering.SAMPLED, 1))
    assert np.abs(made(Rendering.SAMPLED, 1) - made(Rendering.SAMPLED, 2)).mean() > 0.01
    assert np.array_equal(made(Rendering.EXPECTED, 1), made(Rendering.EXPECTED, 2))
    smooth, rough = (np.abs(np.diff(made(each, 1)[100:400, 50:150])).mean() for each in reversed(Rendering))
    assert min(smooth, rough) < 0.3 * max(smooth, rough)


def test_numbers_stand_for_a_label_map() -> None:
    from mammosynth.tasks.mask.parametric.population import median_breast

    breast = median_breast(ViewPosition.CC, ImageLaterality.LEFT).as_json()
    result = bundle().synthesize({BREAST: breast}, seed=3)
    assert result.image.pixels.shape[0] >= 2048
    assert (result.image.pixels > 0.05).mean() > 0.2


def test_nothing_is_asked_about_a_source_that_there_is_not() -> None:
    properties = Order.schema(bundle())["properties"]
    assert "image_laterality" not in properties
    assert {properties[name]["empty"] for name in ("density", "view_position")} == {"as the label map shows"}


def test_what_cannot_be_used_is_refused_in_words() -> None:
    with pytest.raises(MissingAttributeError, match="both missing"):
        bundle().synthesize({})
    lesion = np.where(drawn_breast() == BreastClass.MALIGNANT_LESION, 7, 0).astype(np.uint8)
    with pytest.raises(UnsupportedImageError, match="draw the breast first"):
        bundle().synthesize({LABEL_MAP: LabelMap(lesion, "lesion alone", CLASSES)})
    with pytest.raises(InvalidParameterError, match="'look' is 'digtal', expected 'digital' or 'film'"):
        bundle().synthesize({LABEL_MAP: drawn()}, parameters={"look": "digtal"})
