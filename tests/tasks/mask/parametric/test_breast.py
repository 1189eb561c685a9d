import json

import jsonschema
import pytest

from mammosynth.errors import InvalidParameterError
from mammosynth.task import check_inputs
from mammosynth.tasks.mask.parametric.breast import PARAMETRIC_SCHEMA, Ellipse, ParametricBreast
from mammosynth.tasks.mask.parametric.slot import PARAMETRIC_SLOT, given_label_map
from mammosynth.tasks.mask.roles import BREAST

WHOLE = {
    "view_position": "MLO",
    "image_laterality": "R",
    "fibroglandular": {"x": 0.2, "y": 0.5, "a": 0.1, "b": 0.2},
    "lesions": [{"pathology": "benign", "shape": {"points": [[0.1, 0.4], [0.2, 0.4], [0.2, 0.5]]}}],
    "pectoral_muscle": {"bulge": 0.1},
}


def test_what_json_says_comes_back_as_json():
    breast = ParametricBreast(**json.loads(json.dumps(WHOLE)))
    assert ParametricBreast(**json.loads(json.dumps(breast.as_json()))) == breast
    assert breast.fibroglandular == Ellipse(x=0.2, y=0.5, a=0.1, b=0.2)


def test_schema_accepts_what_the_model_accepts_and_describes_every_number():
    jsonschema.validate(WHOLE, PARAMETRIC_SCHEMA)
    numbers = [entry for entry in PARAMETRIC_SCHEMA["properties"].values() if entry.get("type") == "number"]
    assert len(numbers) == 11
    assert all({"description", "minimum", "maximum", "default", "unit"} <= set(entry) for entry in numbers)
    with pytest.raises(jsonschema.ValidationError, match="1.5"):
        jsonschema.validate({"a": 2}, PARAMETRIC_SCHEMA)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"x0": -0.9}, "the nipple lies at x -0.50"),
        ({"theta": 70.0, "start_angle": 60.0}, "expected at most start_angle"),
        ({"pectoral_muscle": {}}, "view position CC, which shows none"),
        ({"lesions": [{"pathology": "benign", "shape": {"points": [[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]]}}]}, "nothing"),
        ({"lesions": [{"pathology": "odd", "shape": {"x": 0.1, "y": 0.5, "a": 0.1, "b": 0.1}}]}, "'benign' or"),
        ({"a": 0.001}, "parameter 'a' is '0.001', expected greater than or equal to 0.03"),
        ({"breadth": 1}, "parameter 'breadth' is unknown"),
    ],
)
def test_impossible_breasts_are_refused_in_words(values, sentence):
    with pytest.raises(InvalidParameterError, match=sentence):
        ParametricBreast(**values)


def test_slot_takes_what_can_be_drawn_and_refuses_the_rest():
    check_inputs([PARAMETRIC_SLOT], {BREAST: WHOLE})
    assert given_label_map({BREAST: WHOLE}, (64, 64)).labels.shape == (64, 64)
    outside = {"lesions": [{"pathology": "benign", "shape": {"x": 0.1, "y": 0.01, "a": 0.02, "b": 0.02}}]}
    with pytest.raises(InvalidParameterError, match=r"lesion 1 \(benign\) lies outside the breast"):
        check_inputs([PARAMETRIC_SLOT], {BREAST: outside})
    with pytest.raises(InvalidParameterError, match="at lesions/0/shape"):
        check_inputs([PARAMETRIC_SLOT], {BREAST: {"lesions": [{"pathology": "benign", "shape": {"x": 9}}]}})
