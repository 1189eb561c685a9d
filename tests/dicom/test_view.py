"""View and laterality as vendors spell them."""

from typing import Any

import pytest
from pydicom.dataset import Dataset

from mammosynth.dicom.view import read_view
from mammosynth.errors import UnsupportedImageError
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.instances import CRANIO_CAUDAL, MEDIO_LATERAL_OBLIQUE, coded


def header(**attributes: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def view_code(*code: str, modifiers: tuple[tuple[str, str, str], ...] = ()) -> list[Dataset]:
    item = coded(*code)
    item.ViewModifierCodeSequence = [coded(*modifier) for modifier in modifiers]
    return [item]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"ViewPosition": "CC"}, "CC"),
        ({"ViewPosition": " mlo "}, "MLO"),
        ({"ViewPosition": "", "ViewCodeSequence": view_code(*CRANIO_CAUDAL)}, "CC"),
        ({"ViewCodeSequence": view_code(*MEDIO_LATERAL_OBLIQUE)}, "MLO"),
        ({"ViewCodeSequence": view_code("R-10242", "SNM3", "cranio-caudal")}, "CC"),
        ({"ViewCodeSequence": view_code("R-10226", "SRT", "medio-lateral oblique")}, "MLO"),
        ({"ViewCodeSequence": view_code("R-10242", "99SDM", "")}, "CC"),
        ({"ViewCodeSequence": view_code("X1", "99VENDOR", "Medio-Lateral Oblique")}, "MLO"),
        ({"PatientOrientation": "MLO"}, "MLO"),
        ({"PatientOrientation": ["P", "L"]}, None),
        ({}, None),
    ],
)
def test_the_view_is_found_in_either_attribute(attributes: dict[str, Any], expected: str | None) -> None:
    assert read_view(header(**attributes), "IM1").view_position == expected


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (
            {"ViewPosition": "XCCL"},
            r"IM1: \(0018,5101\) View Position is 'XCCL', expected CC or MLO; choose another image or set view",
        ),
        ({"ViewPosition": "ML"}, "is 'ML', expected CC or MLO"),
        ({"ViewPosition": "LM"}, "is 'LM', expected CC or MLO"),
        (
            {"ViewCodeSequence": view_code("399192008", "SCT", "cranio-caudal exaggerated laterally")},
            r"\(0054,0220\) View Code Sequence is 'cranio-caudal exaggerated laterally'",
        ),
        ({"ViewPosition": "CC", "ViewCodeSequence": view_code("R-10224", "SRT", "medio-lateral")}, "'medio-lateral'"),
        ({"ViewPosition": "CC", "ViewCodeSequence": view_code(*MEDIO_LATERAL_OBLIQUE)}, "contradict"),
    ],
)
def test_other_views_are_refused_until_the_caller_says_otherwise(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedImageError, match=message):
        read_view(header(**attributes), "IM1")
    assert read_view(header(**attributes), "IM1", view_position=ViewPosition.CC).view_position is ViewPosition.CC


@pytest.mark.parametrize(
    "modifier",
    [
        ("399163009", "SCT", "magnification"),
        ("R-102D6", "SRT", "magnification"),
        ("399055006", "SCT", "spot compression"),
        ("399161006", "SCT", "cleavage"),
    ],
)
def test_partial_and_magnified_views_are_refused_until_the_caller_says_otherwise(
    modifier: tuple[str, str, str],
) -> None:
    dataset = header(ViewPosition="CC", ViewCodeSequence=view_code(*CRANIO_CAUDAL, modifiers=(modifier,)))
    with pytest.raises(UnsupportedImageError, match=f"View Modifier Code Sequence is '{modifier[2]}'"):
        read_view(dataset, "IM1")
    assert modifier[2] in read_view(dataset, "IM1", view_position=ViewPosition.CC).warnings[0]


def test_an_implant_displaced_view_is_a_warning() -> None:
    modifier = ("399209000", "SCT", "Implant Displaced")
    view = read_view(header(ViewCodeSequence=view_code(*CRANIO_CAUDAL, modifiers=(modifier,))), "IM1")
    assert view.view_position is ViewPosition.CC
    assert "(Implant Displaced)" in view.warnings[0]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"ImageLaterality": "R"}, "R"),
        ({"Laterality": "L"}, "L"),
        ({"ImageLaterality": "", "Laterality": "R"}, "R"),
        ({"ImageLaterality": "L", "Laterality": "R"}, "L"),
        ({"ImageLaterality": "U"}, None),
        ({}, None),
    ],
)
def test_the_side_is_the_image_s_else_the_series_s(attributes: dict[str, str], expected: str | None) -> None:
    assert read_view(header(**attributes), "IM1").image_laterality == expected


@pytest.mark.parametrize(("code", "expected"), [(("7771000", "SCT", "Left"), "L"), (("G-A100", "SRT", "Right"), "R")])
def test_the_side_may_stand_at_the_anatomic_region(code: tuple[str, str, str], expected: str) -> None:
    region = coded("76752008", "SCT", "Breast")
    region.AnatomicRegionModifierSequence = [coded(*code)]
    assert read_view(header(AnatomicRegionSequence=[region]), "IM1").image_laterality == expected


def test_a_contradiction_of_the_caller_is_a_warning() -> None:
    view = read_view(header(ImageLaterality="L"), "IM1", image_laterality=ImageLaterality.RIGHT)
    assert view.image_laterality is ImageLaterality.RIGHT
    assert "L in the header; R was set" in view.warnings[0]
