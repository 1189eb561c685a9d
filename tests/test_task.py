"""What a task asks for is checked the same way for all tasks, and a model cannot be reached around it."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from mammosynth.errors import BundleError, InvalidParameterError, MissingAttributeError, UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.task import Rendering, Slot, SlotKind, check_inputs, task_named, tasks
from mammosynth.terms import ViewPosition
from tests.support.models import PAINTING, Counting, Inverting, Painter, bundle_of

SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
SLOTS = (
    Slot("source", SlotKind.IMAGE, "An image."),
    Slot("lesions", SlotKind.LABEL_MAP, "Drawn on it.", required=False, on="source", classes={1: "benign"}),
    Slot("patient", SlotKind.JSON, "Who.", required=False, json_schema=SCHEMA),
)


def image(shape: tuple[int, int] = (8, 6)) -> Mammogram:
    return Mammogram(np.full(shape, 0.5, np.float32), "IM1", view_position=ViewPosition.CC)


def drawn(shape: tuple[int, int] = (8, 6), value: int = 1) -> LabelMap:
    return LabelMap(np.full(shape, value, np.uint8), "SEG1")


def test_inputs_that_fit_their_slots_pass() -> None:
    check_inputs(SLOTS, {"source": image()})
    check_inputs(SLOTS, {"source": image(), "lesions": drawn(), "patient": {"age": 61}})


@pytest.mark.parametrize(
    ("inputs", "error", "words"),
    [
        ({}, MissingAttributeError, "input 'source' is missing: An image."),
        ({"source": drawn()}, InvalidParameterError, "input 'source' is a LabelMap, expected image"),
        (
            {"source": image(), "shape": 1},
            InvalidParameterError,
            "'shape' is unknown, expected source, lesions, patient",
        ),
        ({"source": image(), "lesions": drawn((6, 8))}, InvalidParameterError, "6 x 8 pixels, the image .* on 8 x 6"),
        (
            {"source": image(), "lesions": drawn(value=7)},
            InvalidParameterError,
            "value 7, expected 0 or one of: 1 benign",
        ),
        ({"source": image(), "patient": {"age": "x"}}, InvalidParameterError, "input 'patient' at age: 'x' is not of"),
        ({"source": image(), "patient": {}}, InvalidParameterError, "'age' is a required property"),
    ],
)
def test_others_are_refused_in_words(inputs: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        check_inputs(SLOTS, inputs)


def test_a_model_is_not_reached_around_what_its_task_accepts() -> None:
    header = Dataset()
    header.ImageType = ["DERIVED", "PRIMARY", "RECOMBINED"]
    recombined = dataclasses.replace(image(), header=header)
    with pytest.raises(UnsupportedImageError, match="expected low energy"):
        bundle_of(Inverting()).synthesize({"source": recombined})
    with pytest.raises(MissingAttributeError, match="input 'lesions' is missing"):
        bundle_of(Painter(), task=PAINTING).synthesize({"source": image()})


def test_a_model_makes_its_first_rendering_and_refuses_one_that_it_lacks() -> None:
    bundle = bundle_of(Inverting())
    assert bundle.synthesize({"source": image()}).provenance.rendering == "expected"
    with pytest.raises(
        InvalidParameterError, match="'rendering' is 'sampled', expected expected: model a_model has no"
    ):
        bundle.synthesize({"source": image()}, rendering=Rendering.SAMPLED)
    both = dataclasses.replace(bundle, renderings=(Rendering.SAMPLED, Rendering.EXPECTED))
    assert both.synthesize({"source": image()}).provenance.rendering == "sampled"


def test_slots_describe_themselves_to_clients() -> None:
    assert SLOTS[1].as_json() == {
        "role": "lesions", "kind": "label_map", "description": "Drawn on it.", "required": False, "on": "source",
        "classes": {"1": "benign"}, "lesions": [], "from_image": False, "json_schema": None, "preview": None,
        "only_lesions": False, "changes_image": True,
    }  # fmt: skip


def test_a_model_has_a_slot_that_changes_no_image_only_where_it_tells_of_it() -> None:
    assert [slot.role for slot in bundle_of(Inverting()).slots] == ["source"]
    (_, lesions) = bundle_of(Counting()).slots
    assert (lesions.role, lesions.as_json()["changes_image"], lesions.required) == ("lesions", False, False)
    with pytest.raises(InvalidParameterError, match="input 'lesions' is unknown, expected source"):
        bundle_of(Inverting()).synthesize({"source": image(), "lesions": drawn()})


def test_what_a_model_only_tells_of_leaves_pixels_and_provenance_as_they_are() -> None:
    bundle = bundle_of(Counting())
    without, told = bundle.synthesize({"source": image()}), bundle.synthesize({"source": image(), "lesions": drawn()})
    np.testing.assert_array_equal(told.image.pixels, without.image.pixels)
    assert dataclasses.replace(told.provenance, created=without.provenance.created) == without.provenance
    assert told.inputs.keys() == {"source"}
    assert [remark.as_json() for remark in told.remarks] == [
        {"role": "lesions", "sentence": "48 pixels are drawn.", "values": {"pixels": 48}}
    ]
    assert without.remarks == ()


def test_tasks_are_found_by_their_names() -> None:
    assert "contrast" in tasks()
    with pytest.raises(InvalidParameterError, match="no task 'nonsense', expected one of contrast"):
        task_named("nonsense")


def test_a_part_that_a_task_has_not_is_said() -> None:
    with pytest.raises(InvalidParameterError, match="task painting has no dataset"):
        PAINTING.load("dataset")


def test_a_bundle_may_require_an_optional_slot_and_nothing_unknown() -> None:
    from mammosynth.bundle import _slots

    task = dataclasses.replace(PAINTING, slots=SLOTS)
    assert [slot.required for slot in _slots(task, ["patient"], "mine")] == [True, False, True]
    with pytest.raises(BundleError, match=r"'requires' is \['age'\], expected a list of source, lesions, patient"):
        _slots(task, ["age"], "mine")


def test_a_bundle_may_know_fewer_views_than_its_task() -> None:
    from mammosynth.bundle import _seen

    (slot,) = _seen((SLOTS[0],), ["CC"], "mine")
    assert slot.accept is not None
    slot.accept(dataclasses.replace(image(), view_position=ViewPosition.CC))
    with pytest.raises(UnsupportedImageError, match="is a view MLO, expected CC: model mine knows no other"):
        slot.accept(dataclasses.replace(image(), view_position=ViewPosition.MLO))
    with pytest.raises(BundleError, match=r"'views' is \['LM'\], expected a list of CC, MLO"):
        _seen((SLOTS[0],), ["LM"], "mine")
