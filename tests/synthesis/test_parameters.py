"""Requests are checked against what a model describes."""

from dataclasses import dataclass, field

import pytest

from mammosynth.errors import InvalidParameterError
from mammosynth.synthesis.parameters import describe_parameters, parse_parameters


@dataclass(frozen=True)
class Example:
    strength: float = field(default=1.0, metadata={"minimum": 0.5, "maximum": 2.0, "description": "How much."})
    marked: bool = True
    mode: str = field(default="fast", metadata={"options": ("fast", "slow")})


def test_description_holds_what_a_form_needs() -> None:
    strength, marked, mode = describe_parameters(Example)
    assert strength == {
        "name": "strength", "type": "number", "default": 1.0, "minimum": 0.5, "maximum": 2.0,
        "options": None, "unit": None, "description": "How much.",
    }  # fmt: skip
    assert marked["type"] == "boolean"
    assert (mode["type"], mode["options"]) == ("string", ("fast", "slow"))


def test_defaults_are_filled_in() -> None:
    assert parse_parameters(Example, None) == Example()
    assert parse_parameters(Example, {"strength": 2}) == Example(strength=2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"strength": 3.0}, "parameter 'strength' is 3.0, expected 0.5 to 2.0"),
        ({"strength": float("nan")}, "parameter 'strength' is nan"),
        ({"strength": "1"}, "parameter 'strength' is '1', expected number"),
        ({"strength": True}, "parameter 'strength' is True, expected number"),
        ({"marked": 1}, "parameter 'marked' is 1, expected boolean"),
        ({"colour": 1}, "parameter 'colour' is unknown, known are: strength, marked, mode"),
        ({"mode": "quick"}, "parameter 'mode' is 'quick', expected one of fast, slow"),
    ],
)
def test_bad_values_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        parse_parameters(Example, values)
