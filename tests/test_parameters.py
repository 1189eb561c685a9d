"""Settings are checked against what they declare, and describe themselves by the same declaration."""

from typing import Literal

import pytest
from pydantic import Field

from mammosynth.errors import InvalidParameterError
from mammosynth.parameters import Parameters, check_json_bounds, merged_schema
from mammosynth.terms import ViewPosition


class Example(Parameters):
    strength: float = Field(default=1.0, ge=0.5, le=2.0, json_schema_extra={"unit": "mm"})
    """How much."""
    marked: bool = True
    mode: Literal["fast", "slow"] = "fast"
    view: ViewPosition | None = Field(default=None, strict=False)


class Needed(Parameters):
    count: int


def test_schema_holds_what_a_form_needs() -> None:
    schema = Example.json_schema()
    strength = {
        "type": "number", "default": 1.0, "minimum": 0.5, "maximum": 2.0, "unit": "mm", "description": "How much.",
    }  # fmt: skip
    assert schema["properties"]["strength"] == strength
    assert schema["properties"]["marked"] == {"type": "boolean", "default": True}
    assert schema["properties"]["mode"] == {"type": "string", "default": "fast", "enum": ["fast", "slow"]}
    view = schema["properties"]["view"]
    assert (view["type"], view["enum"], view["default"]) == ("string", ["CC", "MLO"], None)
    assert schema["required"] == []


def test_what_is_not_the_default_is_named() -> None:
    assert Example().not_default() == ()
    assert Example(strength=2.0, marked=True, view="CC").not_default() == ("strength", "view")
    assert Needed(count=0).not_default() == ("count",)


def test_schemas_are_merged() -> None:
    merged = merged_schema(Example, Needed)
    assert list(merged["properties"]) == ["strength", "marked", "mode", "view", "count"]
    assert merged["required"] == ["count"]


def test_defaults_are_filled_in() -> None:
    assert Example().as_json() == {"strength": 1.0, "marked": True, "mode": "fast", "view": None}
    assert Example(strength=2).strength == 2.0
    assert Example(view="CC").view is ViewPosition.CC


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"strength": 3.0}, "parameter 'strength' is '3.0', expected less than or equal to 2"),
        ({"strength": float("nan")}, "parameter 'strength' is 'nan', expected"),
        ({"strength": "1"}, "parameter 'strength' is '1', expected number"),
        ({"strength": True}, "parameter 'strength' is 'True', expected number"),
        ({"marked": 1}, "parameter 'marked' is '1', expected boolean"),
        ({"colour": 1}, "parameter 'colour' is unknown, known are: strength, marked, mode, view; leave it out"),
        ({"mode": "quick"}, "parameter 'mode' is 'quick', expected 'fast' or 'slow'"),
        ({"view": "XCCL"}, "parameter 'view' is 'XCCL', expected 'CC' or 'MLO'"),
        ({"strength": 3.0, "marked": 1}, "'strength' is '3.0'.*; parameter 'marked' is '1'"),
    ],
)
def test_bad_values_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        Example(**values)


def test_what_is_needed_must_be_given() -> None:
    with pytest.raises(InvalidParameterError, match="parameter 'count' is missing; give it"):
        Needed()


def test_changed_values_are_checked_again() -> None:
    changed = Example(mode="slow").changed(strength=0.5)
    assert (changed.mode, changed.strength) == ("slow", 0.5)
    with pytest.raises(InvalidParameterError, match="strength"):
        changed.changed(strength=0)


def test_text_becomes_a_value_of_its_field_or_stays_text() -> None:
    texts = {"strength": "1.5", "marked": "false", "view": "MLO", "mode": "slow", "colour": "red"}
    expected = {"strength": 1.5, "marked": False, "view": ViewPosition.MLO, "mode": "slow", "colour": "red"}
    assert Example.from_text(texts) == expected
    assert Example.from_text({"strength": "much"}) == {"strength": "much"}


def _nested(depth):
    values = 1
    for _ in range(depth):
        values = [values]
    return values


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"a": _nested(5000)}, "inputs nests deeper than 16 levels"),
        ({"a": 10**5000}, "inputs holds a whole number of 16610 bits, expected up to 63"),
        ({"a": [-(2**63)]}, "whole number of 64 bits"),
        ({"a": {"b": float("nan")}}, "inputs holds nan, expected a finite number"),
        ([float("inf")], "inputs holds inf"),
        ({"a": "\ud800"}, "inputs holds half of a surrogate pair"),
        ({"\udfff": 1}, "inputs holds half of a surrogate pair"),
    ],
)
def test_json_at_which_a_reader_would_break_is_refused_in_words(values, words):
    with pytest.raises(InvalidParameterError, match=words):
        check_json_bounds(values, "inputs")


def test_json_of_an_order_is_not_refused():
    check_json_bounds({"recipe": {"sizes": [1, 2.5, None, True, "é", 2**63 - 1]}, "deep": _nested(14)}, "inputs")
