"""Generated images are no sources; exposures of phantoms are."""

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

from mammosynth.dicom.generated import (
    PHANTOM_UID_ROOT,
    SYNTHESIZED_UID_ROOT,
    is_generated_series,
    is_phantom_uid,
    is_synthesized_uid,
    phantom_uid,
    synthesized_uid,
)
from mammosynth.dicom.read import read_mammogram
from mammosynth.errors import UnsupportedImageError
from tests.support.instances import build_instance


def exposure_of_a_phantom(**attributes: Any) -> Dataset:
    phantom = {"SOPInstanceUID": phantom_uid("a"), "SeriesDescription": "SYNTHETIC PHANTOM R CC low energy"}
    dataset = build_instance(**{**phantom, **attributes})
    dataset.add_new(0x0008001C, "CS", "YES")
    return dataset


@pytest.mark.parametrize(
    "image_type", [["ORIGINAL", "PRIMARY", "", "LOW_ENERGY"], ["DERIVED", "PRIMARY", "", "RECOMBINED"]]
)
def test_what_a_phantoms_device_acquired_is_read_although_it_is_marked_as_generated(image_type: list[str]) -> None:
    mammogram = read_mammogram(exposure_of_a_phantom(ImageType=image_type))
    assert mammogram.header is not None
    assert mammogram.header[0x0008, 0x001C].value == "YES"


@pytest.mark.parametrize(
    "attributes",
    [
        {"SOPInstanceUID": synthesized_uid("a")},
        {"SOPInstanceUID": PHANTOM_UID_ROOT},
        {"SOPInstanceUID": f"{PHANTOM_UID_ROOT}1.2"},
        {"ImageType": ["DERIVED", "SECONDARY", "", "SYNTHETIC"]},
        {"ImageType": None},
    ],
)
def test_marks_count_without_the_root_of_phantoms_and_on_everything_secondary(attributes: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedImageError, match=r"\(0008,001C\) Synthetic Data is 'YES'.*generated"):
        read_mammogram(exposure_of_a_phantom(**attributes))


def test_a_phantoms_uid_is_valid_depends_on_every_word_and_is_always_the_same() -> None:
    uids = {phantom_uid("a", number) for number in range(100)}
    assert len(uids) == 100
    assert all(UID(uid).is_valid and len(uid) <= 64 and is_phantom_uid(uid) for uid in uids)
    assert (
        phantom_uid("seed", 1) == f"{PHANTOM_UID_ROOT}.445030322754654401"
    )  # never changes: files in the world have it
    assert phantom_uid("a", "b") != phantom_uid("ab")
    assert phantom_uid("a", 1) in uids


def test_a_synthesized_uid_is_valid_never_a_phantoms_and_always_the_same() -> None:
    uids = {synthesized_uid("a", number) for number in range(100)}
    assert synthesized_uid("a", "b") not in (synthesized_uid("ab"), synthesized_uid("b", "a"))
    assert len(uids) == 100
    assert all(UID(uid).is_valid and len(uid) <= 64 and is_synthesized_uid(uid) for uid in uids)
    assert not any(is_phantom_uid(uid) for uid in uids)
    assert (
        synthesized_uid("seed", 1) == f"{SYNTHESIZED_UID_ROOT}.2842445030322754654401"
    )  # never changes: archives hold it


def test_what_was_synthesized_is_no_source_even_without_any_mark() -> None:
    with pytest.raises(UnsupportedImageError, match=r"\(0008,0018\).*synthesized"):
        read_mammogram(build_instance(SOPInstanceUID=synthesized_uid("a")))


def test_a_series_is_generated_by_its_description_unless_it_is_a_phantoms() -> None:
    assert is_generated_series("SYNTHETIC contrast L CC", "1.2.3")
    assert is_generated_series("SYNTHETIC PHANTOM L CC low energy", "1.2.3")
    assert not is_generated_series("SYNTHETIC PHANTOM L CC low energy", phantom_uid("a"))
    assert not is_generated_series("L CC", "1.2.3")
