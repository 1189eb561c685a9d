"""Classes of label maps have the codes by which others know them."""

import pytest
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from mammosynth.dicom.breast_codes import FATTY_TISSUE, FIBROGLANDULAR_TISSUE, SKIN, code_of_class


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("malignant", codes.SCT.Lesion),
        ("benign lesion", codes.SCT.Lesion),
        ("adipose", FATTY_TISSUE),
        ("fatty tissue", FATTY_TISSUE),
        ("fibroglandular tissue", FIBROGLANDULAR_TISSUE),
        ("skin", SKIN),
        ("pectoral muscle", codes.SCT.PectoralisMajorMuscle),
        ("nipple", codes.SCT.Nipple),
        ("Calcifications", codes.SCT.CalcificationOfBreast),
    ],
)
def test_a_class_is_known_by_its_name(name: str, code: Code) -> None:
    _, found = code_of_class(name, 1)
    assert found == code


def test_a_class_that_nobody_knows_has_a_code_of_ours() -> None:
    _, found = code_of_class("clip", 7)
    assert (found.value, found.scheme_designator, found.meaning) == ("CLASS7", "99MAMMOSYNTH", "clip")
