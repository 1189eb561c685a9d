"""What was synthesized in a study is listed from its headers, and can be deleted; nothing else can."""

from __future__ import annotations

import pytest
import requests

from monailabel_app.errors import ConflictError, NotFoundError
from monailabel_app.gateway.history import list_synthesized
from monailabel_app.removal import remove_series
from monailabel_app.studies import DicomWebStudies
from tests.gateway.test_synthesis import archive, request_of, run, two_members  # noqa: F401 - a fixture
from tests.support.images import mammogram


def series_of(archive: DicomWebStudies, study: str) -> set[str]:  # noqa: F811
    return {each.series_instance_uid for each in archive.study(study)}


def test_history_tells_what_made_a_series(archive: DicomWebStudies) -> None:  # noqa: F811
    request = request_of(archive, uncertainty=True)
    result = run(two_members(), archive, request)
    uncertainty, image = sorted(
        list_synthesized(archive, request.study_instance_uid), key=lambda entry: not entry["is_uncertainty"]
    )
    made = result["provenance"][0]
    for name in ("task", "bundle", "bundle_version", "weights_sha256", "software_version", "seed", "parameters"):
        assert image[name] == made[name], name
    assert image["created"] == made["created"]
    assert image["series_instance_uid"] == result["series_instance_uid"]
    assert image["sop_instance_uids"] == result["sop_instance_uids"]
    assert image["source_series_instance_uid"] == request.series_instance_uid
    assert image["source_sop_instance_uids"] == [made["sources"][0]["sop_instance_uid"]]
    assert image["series_description"] == "SYNTHETIC contrast L CC"
    assert request.series_instance_uid in image["viewer_url"]
    assert uncertainty["series_instance_uid"] == result["uncertainty"]["series_instance_uid"]
    assert (uncertainty["seed"], uncertainty["parameters"]) == (0, {"uncertainty": True})


def test_a_header_that_says_nothing_gives_none(any_archive: DicomWebStudies) -> None:
    image = mammogram(generated=True)
    any_archive.store(image)
    (entry,) = list_synthesized(any_archive, image.StudyInstanceUID)
    unknown = ("task", "bundle", "weights_sha256", "seed", "parameters", "created", "source_series_instance_uid")
    assert {entry[name] for name in unknown} == {None}
    assert entry["source_sop_instance_uids"] == []


def test_a_synthesized_series_is_deleted_and_the_rest_stays(any_archive: DicomWebStudies) -> None:
    acquired = mammogram(1)
    made = mammogram(2, generated=True, study=acquired.StudyInstanceUID)
    for image in (acquired, made):
        any_archive.store(image)
    remove_series(any_archive, acquired.StudyInstanceUID, made.SeriesInstanceUID)
    assert series_of(any_archive, acquired.StudyInstanceUID) == {acquired.SeriesInstanceUID}
    with pytest.raises(NotFoundError):
        remove_series(any_archive, acquired.StudyInstanceUID, made.SeriesInstanceUID)


@pytest.mark.parametrize(
    ("description", "manufacturer"),
    [("L CC", "Vendor"), ("SYNTHETIC 2D", "Vendor"), ("L CC", "MammoSynth")],
    ids=["acquired", "vendor's own view of a tomosynthesis", "no mark"],
)
def test_what_was_not_synthesized_here_is_never_deleted(
    any_archive: DicomWebStudies, description: str, manufacturer: str
) -> None:
    image = mammogram(3, SeriesDescription=description, Manufacturer=manufacturer)
    any_archive.store(image)
    with pytest.raises(ConflictError, match="never deleted"):
        remove_series(any_archive, image.StudyInstanceUID, image.SeriesInstanceUID)
    assert series_of(any_archive, image.StudyInstanceUID) == {image.SeriesInstanceUID}
    assert list_synthesized(any_archive, image.StudyInstanceUID) == []


def test_a_series_with_one_acquired_image_is_not_deleted(any_archive: DicomWebStudies) -> None:
    made = mammogram(4, generated=True)
    uids = {"study": made.StudyInstanceUID, "series": made.SeriesInstanceUID}
    for image in (made, mammogram(5, **uids, SeriesDescription=made.SeriesDescription)):
        any_archive.store(image)
    with pytest.raises(ConflictError, match="never deleted"):
        remove_series(any_archive, uids["study"], uids["series"])
    assert len(any_archive.study(uids["study"])) == 2


def test_an_archive_that_cannot_delete_is_told_in_a_sentence(
    any_archive: DicomWebStudies, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = mammogram(6, generated=True)
    any_archive.store(image)
    refused = requests.Response()
    refused.status_code = 405
    monkeypatch.setattr(any_archive.session, "delete", lambda url: refused)
    monkeypatch.setattr(any_archive, "url", f"{any_archive.url}/studies")  # a root beside which there is no Orthanc
    with pytest.raises(ConflictError, match="the archive does not delete"):
        remove_series(any_archive, image.StudyInstanceUID, image.SeriesInstanceUID)
    assert series_of(any_archive, image.StudyInstanceUID) == {image.SeriesInstanceUID}
