"""What the task accepts, and what comes out only with lesions."""

import numpy as np
import pytest

from mammosynth.errors import InvalidParameterError, MissingAttributeError, UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.task import check_inputs, task_named
from mammosynth.tasks.view.roles import LESIONS, SOURCE, VIEW
from mammosynth.tasks.view.specification import SPECIFICATION
from mammosynth.terms import ViewPosition


def source(view: ViewPosition | None = ViewPosition.CC) -> Mammogram:
    return Mammogram(np.zeros((8, 6), np.float32), "a.png", view)


def test_the_task_is_found_by_its_name():
    assert task_named(VIEW) is SPECIFICATION


def test_both_views_are_accepted_and_a_view_that_is_not_known_is_asked_for():
    for view in ViewPosition:
        check_inputs(SPECIFICATION.slots, {SOURCE: source(view)})
    with pytest.raises(MissingAttributeError, match="view_position"):
        check_inputs(SPECIFICATION.slots, {SOURCE: source(None)})


def test_an_empty_drawing_and_unknown_classes_are_refused():
    with pytest.raises(UnsupportedImageError, match="nothing is drawn"):
        check_inputs(SPECIFICATION.slots, {SOURCE: source(), LESIONS: LabelMap(np.zeros((8, 6), np.uint8), "m")})
    with pytest.raises(InvalidParameterError, match="value 7"):
        check_inputs(SPECIFICATION.slots, {SOURCE: source(), LESIONS: LabelMap(np.full((8, 6), 7, np.uint8), "m")})
