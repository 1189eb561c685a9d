"""Requests are checked against what a model describes."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from mammosynth.synthesis.parameters import (
    LabelMap,
    check_label_maps,
    describe_parameters,
    parameters_as_json,
    parse_parameters,
)

from mammosynth.errors import InvalidParameterError


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


@dataclass(frozen=True)
class Drawn:
    lesions: LabelMap
    breast: LabelMap | None = None
    strength: float = 1.0


@dataclass(frozen=True)
class DrawnInText:
    lesions: "LabelMap"
    breast: "LabelMap | None" = None
    strength: "float" = 1.0


@pytest.mark.parametrize("kind", [Drawn, DrawnInText])
def test_a_label_map_is_a_segmentation_for_clients(kind: type) -> None:
    lesions, breast, _ = describe_parameters(kind)
    assert (lesions["type"], lesions["default"]) == ("segmentation", None)
    assert (breast["type"], breast["default"]) == ("segmentation", None)


def test_a_label_map_that_the_model_needs_must_be_given() -> None:
    with pytest.raises(InvalidParameterError, match="'lesions' is missing, expected a segmentation"):
        parse_parameters(Drawn, {"strength": 2.0})
    with pytest.raises(InvalidParameterError, match="expected segmentation"):
        parse_parameters(Drawn, {"lesions": "1.2.3"})


def test_provenance_keeps_the_name_of_a_label_map_and_no_pixels() -> None:
    parameters = parse_parameters(Drawn, {"lesions": LabelMap("1.2.3", np.zeros((4, 3), np.uint8))})
    assert parameters_as_json(parameters) == {"lesions": "1.2.3", "breast": None, "strength": 1.0}


def test_a_label_map_has_the_matrix_of_the_source() -> None:
    parameters = Drawn(LabelMap("1.2.3", np.zeros((4, 3), np.uint8)))
    check_label_maps(parameters, (4, 3))
    with pytest.raises(InvalidParameterError, match=r"'lesions' \(1\.2\.3\) has 4 x 3 pixels, the source 3 x 4"):
        check_label_maps(parameters, (3, 4))


def test_a_label_map_is_of_bytes() -> None:
    with pytest.raises(ValueError, match="uint8"):
        LabelMap("a", np.zeros((4, 3), bool))
