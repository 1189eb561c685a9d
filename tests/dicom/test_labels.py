"""Classes of label maps have the codes by which others know them."""

import pytest
from pydicom.sr.codedict import codes

from mammosynth.dicom.labels import code_of_class


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("malignant", codes.SCT.Lesion),
        ("benign lesion", codes.SCT.Lesion),
        ("adipose", "89749009"),
        ("fatty tissue", "89749009"),
        ("fibroglandular tissue", "1342375003"),
        ("skin", "82038008"),
        ("pectoral muscle", codes.SCT.PectoralisMajorMuscle),
        ("nipple", codes.SCT.Nipple),
        ("Calcifications", codes.SCT.CalcificationOfBreast),
    ],
)
def test_a_class_is_known_by_its_name(name: str, code: object) -> None:
    _, found = code_of_class(name, 1)
    assert found == code or found.value == code


def test_a_class_that_nobody_knows_has_a_code_of_ours() -> None:
    _, found = code_of_class("clip", 7)
    assert (found.value, found.scheme_designator, found.meaning) == ("CLASS7", "99MAMMOSYNTH", "clip")
