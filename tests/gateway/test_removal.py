"""Deleting beside DICOMweb: what an Orthanc, or what calls itself one, answers there is checked."""

from __future__ import annotations

from typing import Any

import pytest

from monailabel_app.errors import PacsError
from monailabel_app.removal import Removal, remove_series
from monailabel_app.studies import DicomWebStudies
from tests.support.odd_archives import Answer, fixed, odd_archive

MADE = {
    "00080008": {"vr": "CS", "Value": ["DERIVED"]},
    "00080018": {"vr": "UI", "Value": ["1.2.5"]},
    "0008001C": {"vr": "CS", "Value": ["YES"]},
    "00080070": {"vr": "LO", "Value": ["MammoSynth"]},
    "0008103E": {"vr": "LO", "Value": ["SYNTHETIC contrast"]},
    "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
    "0020000E": {"vr": "UI", "Value": ["1.2.4"]},
}
ORTHANC = {"ApiVersion": 20}
GARBAGE = [b"<html>", b"[" * 100_000, b"\xff", b"null"]
ID = "f6e3e7a5-4a3c6b21-0c8d9b2e-11223344-55667788"


def orthanc(deleted: list[str], **answers: Any) -> Answer:
    """An Orthanc of one series, with some answers of its own."""
    usual = {"system": ORTHANC, "lookup": [{"Type": "Instance", "ID": ID}]} | answers

    def answer(request: Any) -> None:
        name = request.path.rpartition("/")[2]
        if name == "metadata":
            fixed(200, [MADE])(request)
        elif name in usual:
            fixed(200, usual[name], "application/json")(request)
        elif request.command == "DELETE" and not request.path.startswith("/dicom-web"):
            deleted.append(request.path)
            fixed(200, {}, "application/json")(request)
        else:
            fixed(405, b"", "text/plain")(request)

    return answer


def test_an_instance_is_deleted_by_the_identifier_that_orthanc_gives() -> None:
    deleted: list[str] = []
    with odd_archive(orthanc(deleted)) as url:
        remove_series(DicomWebStudies(url), "1.2.3", "1.2.4")
    assert deleted == [f"/instances/{ID}"]


@pytest.mark.parametrize(
    "lookup",
    [
        *GARBAGE,
        5,
        {"Type": "Instance"},
        ["Instance"],
        [{"Type": "Instance"}],
        [{"Type": "Instance", "ID": "../series/x"}],
    ],
)
def test_garbage_for_the_identifier_is_an_error_of_the_archive_and_deletes_nothing(lookup: Any) -> None:
    deleted: list[str] = []
    with (
        odd_archive(orthanc(deleted, lookup=lookup)) as url,
        pytest.raises(PacsError, match=r"answer cannot be understood while trying to delete the series"),
    ):
        remove_series(DicomWebStudies(url), "1.2.3", "1.2.4")
    assert deleted == []


@pytest.mark.parametrize("system", GARBAGE[:3])
def test_garbage_where_orthanc_says_what_it_is_is_told_as_such(system: bytes) -> None:
    with odd_archive(orthanc([], system=system)) as url:
        archive = DicomWebStudies(url)
        with pytest.raises(PacsError, match="answer cannot be understood while trying to delete the series"):
            remove_series(archive, "1.2.3", "1.2.4")
        with pytest.raises(PacsError, match="answer cannot be understood while trying to ask whether"):
            Removal(archive).is_offered("1.2.3", "1.2.4")
