"""What was synthesized in a study is listed from its headers, and can be deleted; nothing else can."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import requests

from mammosynth.dicom.derive import derive_instances
from mammosynth.dicom.generated import synthesized_uid
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.provenance import Source
from mammosynth.task import IMAGE, LABELS, Output, Placement
from mammosynth.terms import ImageLaterality, ViewPosition
from monailabel_app import removal
from monailabel_app.errors import ConflictError, NotFoundError
from monailabel_app.gateway.history import list_synthesized
from monailabel_app.removal import remove_series
from monailabel_app.studies import DicomWebStudies
from tests.support.archives import embedded_store
from tests.support.images import as_file, mammogram
from tests.support.jobs import request_of, run, two_members
from tests.support.provenance import provenance


def series_of(archive: DicomWebStudies, study: str) -> set[str]:
    return {each.series_instance_uid for each in archive.study(study)}


@pytest.mark.slow
def test_history_tells_what_made_a_series(archive: DicomWebStudies) -> None:
    request = request_of(archive, uncertainty=True)
    source = request.inputs["source"]["series_instance_uid"]
    result = run(two_members(), archive, request)
    entries = {entry["role"]: entry for entry in list_synthesized(archive, request.study_instance_uid)}
    made = result["provenance"][0]
    for output in result["outputs"]:
        entry = entries[output["role"]]
        for name in ("task", "bundle", "bundle_version", "weights_sha256", "software_version", "rendering", "seed"):
            assert entry[name] == made[name], name
        assert (entry["parameters"], entry["sources"], entry["created"]) == (
            {"uncertainty": True},
            made["sources"],
            made["created"],
        )
        assert entry["series_instance_uid"] == output["series_instance_uid"]
        assert entry["sop_instance_uids"] == [output["sop_instance_uid"]]
        assert entry["source_series_instance_uid"] == source
        assert entry["source_sop_instance_uids"] == [output["source_sop_instance_uid"]]
        assert entry["removable"] is True
        assert entry["description"].endswith("not for diagnosis.")
        assert source in entry["viewer_url"]
    assert entries["image"]["series_description"].startswith("SYNTHETIC contrast L CC expected two")


LARGE = {"text": 'ä \\ " % \n 漢字' * 10_000}


@pytest.mark.slow
def test_a_hundred_kilobytes_of_provenance_are_in_the_archive_s_metadata(any_archive: DicomWebStudies) -> None:
    made_by = provenance(parameters=LARGE, sources=(Source("report", "report", value=LARGE),))
    pixels = np.zeros((24, 16), np.float32)
    pixels[4:20, :9] = 0.5
    image = Mammogram(pixels, "made", ViewPosition.CC, ImageLaterality.LEFT, pixel_spacing_mm=(1.0, 1.0))
    labels = LabelMap((pixels > 0).astype(np.uint8), "labels", {1: "breast"})
    outputs = (Output(IMAGE, image), Output(LABELS, labels))
    uid = partial(synthesized_uid, any_archive.url)
    instances = derive_instances(outputs, made_by, Placement.NEW_STUDY, None, identify=uid)
    for instance in instances:
        any_archive.store(instance)
    entries = {entry["role"]: entry for entry in list_synthesized(any_archive, instances[0].StudyInstanceUID)}
    assert set(entries) == {IMAGE, LABELS}
    for entry in entries.values():
        assert entry["parameters"] == LARGE
        assert entry["sources"] == made_by.as_json()["sources"]
        assert entry["source_series_instance_uid"] is None
        remove_series(any_archive, instances[0].StudyInstanceUID, entry["series_instance_uid"])


def test_a_header_that_says_nothing_gives_none(any_archive: DicomWebStudies) -> None:
    image = mammogram(generated=True)
    any_archive.store(image)
    (entry,) = list_synthesized(any_archive, image.StudyInstanceUID)
    unknown = ("task", "bundle", "weights_sha256", "seed", "parameters", "created", "source_series_instance_uid")
    assert {entry[name] for name in unknown} == {None}
    assert entry["source_sop_instance_uids"] == entry["sources"] == []
    assert (entry["role"], entry["removable"]) == ("image", True)


def test_what_the_archive_would_not_delete_is_not_offered(
    any_archive: DicomWebStudies, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = mammogram(7, generated=True)
    any_archive.store(image)
    refused = requests.Response()
    refused.status_code = 405
    monkeypatch.setattr(any_archive.session, "options", lambda url: refused)
    monkeypatch.setattr(removal, "_is_orthanc", lambda *_: False)
    (entry,) = list_synthesized(any_archive, image.StudyInstanceUID)
    assert entry["removable"] is False


def test_a_generated_file_that_somebody_has_put_into_the_folder_is_not_offered(tmp_path: Path) -> None:
    image = mammogram(8, generated=True)
    (tmp_path / "exams").mkdir()
    (tmp_path / "exams" / "mine.dcm").write_bytes(as_file(image))
    with embedded_store(tmp_path / "exams", index_folder=tmp_path / "index") as url:
        (entry,) = list_synthesized(DicomWebStudies(url), image.StudyInstanceUID)
    assert entry["removable"] is False


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
