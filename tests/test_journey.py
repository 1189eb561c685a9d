"""One way from an order to a stored result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from mammosynth.errors import InvalidParameterError
from mammosynth.journey import Given, Order, Work, perform
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.synthesis.result import Result
from mammosynth.terms import ViewPosition
from tests.support.models import PAINTING, Counting, Inverting, Painter, bundle_of


class Shelf:
    """A sink that remembers."""

    def __init__(self, known: str | None = None) -> None:
        self.known = known
        self.work: Work | None = None
        self.result: Result | None = None

    def find(self, work: Work) -> str | None:
        self.work = work
        return self.known

    def store(self, work: Work, result: Result, known: str | None) -> str:
        self.result = result
        return "stored"


def image() -> Mammogram:
    return Mammogram(np.full((8, 6), 0.25, np.float32), "IM1", view_position=ViewPosition.CC)


def given(value: Any) -> Given:
    return Given({"name": "x"}, lambda _: value)


def test_a_result_is_made_and_stored_and_progress_is_told() -> None:
    shelf, told = Shelf(), []
    order = Order.parse(bundle_of(Inverting()), {"seed": 4})
    stored = perform(order, {"source": given(image())}, shelf, progress=lambda *step: told.append(step))
    assert stored == "stored"
    assert shelf.result is not None
    assert shelf.result.image.pixels.max() == 0.75
    assert shelf.result.provenance.seed == 4
    assert told[0] == (0.0, "fetching the source")
    assert told[-1] == (0.85, "storing the result")


def test_what_is_there_already_is_neither_read_nor_made() -> None:
    def read(_: Mapping[str, Any]) -> Any:
        raise AssertionError("it was read")

    shelf = Shelf("known")
    order = Order.parse(bundle_of(Inverting()), {"uncertainty": True})
    assert perform(order, {"source": Given("x", read)}, shelf) == "known"
    assert shelf.work is not None
    assert shelf.work.roles == ("image", "uncertainty")
    assert shelf.result is None


def test_an_input_sees_those_that_were_read_before_it() -> None:
    def lesions(read: Mapping[str, Any]) -> LabelMap:
        return LabelMap(np.ones(read["source"].pixels.shape, np.uint8), "drawn")

    shelf = Shelf()
    order = Order.parse(bundle_of(Painter(), task=PAINTING), {})
    perform(order, {"source": given(image()), "lesions": Given("y", lesions)}, shelf)
    assert shelf.result is not None
    assert [source.role for source in shelf.result.provenance.sources] == ["source", "lesions"]


def test_an_input_that_is_only_told_of_is_no_part_of_the_work_and_is_told_of_also_if_the_image_is_there() -> None:
    order = Order.parse(bundle_of(Counting()), {})
    drawn = LabelMap(np.ones((8, 6), np.uint8), "drawn")
    without, told = Shelf(), Shelf("known")
    perform(order, {"source": given(image())}, without)
    assert perform(order, {"source": given(image()), "lesions": given(drawn)}, told) == "stored"
    assert told.work is not None
    assert without.work is not None
    assert told.work.ingredients() == without.work.ingredients()
    assert told.result is not None
    assert [remark.sentence for remark in told.result.remarks] == ["48 pixels are drawn."]
    assert told.result.outputs == ()


def test_the_network_runs_where_it_is_told_to() -> None:
    asked: list[Any] = []

    def elsewhere(bundle: Any, inputs: Any, **settings: Any) -> Any:
        asked.append((bundle, settings["seed"]))
        return bundle.synthesize(inputs, **settings)

    order = Order.parse(bundle_of(Inverting()), {"seed": 3})
    shelf = Shelf()
    perform(order, {"source": given(image())}, shelf, synthesize=elsewhere)
    assert asked == [(order.bundle, 3)]
    assert shelf.result is not None


def test_ingredients_are_all_that_decides_the_pixels() -> None:
    order = Order.parse(bundle_of(Inverting()), {"seed": 1, "burned_in_mark": False})
    found = Work(order, {"source": {"sop_instance_uid": "1.2"}}).ingredients()
    assert found.pop("software_version")
    assert found == {
        "bundle": "a_model", "bundle_version": "1", "weights_sha256": "ab" * 32, "rendering": "expected", "seed": 1,
        "burned_in_mark": False, "parameters": {"uncertainty": False},
        "inputs": {"source": {"sop_instance_uid": "1.2"}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"colour": 1}, "parameter 'colour' is unknown, known are: burned_in_mark, image_laterality, rendering, seed"),
        ({"seed": -1}, "'seed' is '-1'"),
        ({"seed": True}, "'seed' is 'True'"),
        ({"view_position": "XCCL"}, "'view_position' is 'XCCL', expected 'CC' or 'MLO'"),
        ({"rendering": "sampled"}, "'rendering' is 'sampled', expected expected"),
        ({"uncertainty": "yes"}, "'uncertainty' is 'yes', expected boolean"),
    ],
)
def test_orders_are_checked_at_once(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidParameterError, match=words):
        Order.parse(bundle_of(Inverting()), values)


def test_the_schema_of_a_model_holds_what_every_model_is_asked_and_its_own() -> None:
    properties = Order.schema(bundle_of(Inverting()))["properties"]
    assert set(properties) == {
        "uncertainty", "rendering", "seed", "burned_in_mark", "view_position", "image_laterality",
    }  # fmt: skip
    assert properties["rendering"]["enum"] == ["expected"]
    assert properties["rendering"]["default"] == "expected"
    assert properties["seed"]["advanced"]
    assert properties["view_position"]["enum"] == ["CC", "MLO"]
    assert properties["view_position"]["empty"] == "as in the header"
