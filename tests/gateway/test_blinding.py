"""Blinded copies are made from an archive's images by their SOP Instance UIDs, in the background."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from mammosynth.errors import (
    ConflictError,
    DatabaseError,
    InvalidParameterError,
    NotFoundError,
    UnsupportedImageError,
)
from mammosynth.mammogram import Mammogram
from mammosynth.phantom.clinic.exam import write_exam
from mammosynth.reading.blinding.copies import blind
from mammosynth.reading.protocol import Protocol
from mammosynth.reading.store import StudyStore
from monailabel_app.gateway import blinding
from monailabel_app.gateway.blinding import BlindingJobs, archive_images
from monailabel_app.studies import DicomWebStudies
from tests.support.archives import embedded_store
from tests.support.studies import protocol
from tests.support.waiting import until


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[DicomWebStudies]:
    write_exam(tmp_path / "exams", seed=7, pixel_mm=1.8, patient_id="P", include_recombined=True)
    with embedded_store(tmp_path / "exams", index_folder=tmp_path / "index") as url:
        yield DicomWebStudies(url)


def study_of(folder: Path) -> Protocol:
    """Each view low-energy against recombined, by UID."""
    views: dict[tuple[str, str], list[pydicom.Dataset]] = defaultdict(list)
    for file in sorted(folder.rglob("*.dcm")):
        header = pydicom.dcmread(file, stop_before_pixels=True)
        views[header.ImageLaterality, header.ViewPosition].append(header)
    pairs = [sorted(pair, key=lambda each: str(each.SeriesDescription)) for pair in views.values()]
    cases = {
        f"case-{number}": {
            "patient": f"P{number}",
            "breasts": [str(low.ImageLaterality)],
            "images": {"clinical": [str(other.SOPInstanceUID)], "synthesized": [str(low.SOPInstanceUID)]},
        }
        for number, (low, other) in enumerate(pairs)
    }
    return protocol(cases=cases, blinding={"rows": 128, "columns": 104, "edge": 2, "fade": 2})


def until_it_ends(jobs: BlindingJobs, within_s: float = 60.0) -> dict[str, Any]:
    until(lambda: jobs.progress("small")["state"] != "running", within_s)
    return jobs.progress("small")


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[BlindingJobs]:
    jobs = BlindingJobs(tmp_path / "studies.sqlite", tmp_path / "blinded")
    yield jobs
    jobs.stop()


def opened(tmp_path: Path, study: Protocol) -> None:
    store = StudyStore(tmp_path / "studies.sqlite")
    store.open_study(study, "owner")
    store.close()


@pytest.mark.slow
def test_a_study_is_blinded_from_the_archive(archive: DicomWebStudies, jobs: BlindingJobs, tmp_path: Path) -> None:
    opened(tmp_path, study_of(tmp_path / "exams"))
    assert jobs.progress("small") == {
        **{"study": "small", "is_blinded": False, "state": "none"},
        **{"done": 0, "total": 0, "message": ""},
    }
    assert jobs.start("small", archive_images(archive))["state"] == "running"
    with pytest.raises(ConflictError, match="small is being blinded; try again when it is done"):
        jobs.start("small", archive_images(archive))
    found = until_it_ends(jobs)
    assert (found["state"], found["done"], found["total"], found["is_blinded"]) == ("done", 8, 8, True), found
    assert len(list((tmp_path / "blinded" / "small").iterdir())) == 8
    later = BlindingJobs(tmp_path / "studies.sqlite", tmp_path / "blinded")
    assert later.progress("small")["state"] == "done"


@pytest.mark.slow
def test_a_run_that_ends_while_it_is_asked_for_is_never_done_without_a_key(
    archive: DicomWebStudies, jobs: BlindingJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(tmp_path, study_of(tmp_path / "exams"))
    is_blinded = StudyStore.is_blinded

    def slowly(store: StudyStore, name: str) -> bool:
        """The run ends between this answer and whoever asked."""
        found = is_blinded(store, name)
        for thread in threading.enumerate():
            if thread.name == "blinding" and thread is not threading.current_thread():
                thread.join(60)
        return found

    monkeypatch.setattr(StudyStore, "is_blinded", slowly)
    found = jobs.start("small", archive_images(archive))
    assert (found["state"], found["is_blinded"]) == ("running", False)
    found = jobs.progress("small")
    assert (found["state"], found["is_blinded"]) == ("done", True)


def test_once_a_run_is_told_to_have_ended_another_one_may_begin(
    jobs: BlindingJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lingering(threading.Thread):
        """Goes on for a moment after its work is done, as any thread may."""

        def run(self) -> None:
            super().run()
            assert may_end.wait(10)

    def none(source: str) -> Mammogram:
        raise UnsupportedImageError("there is no such image")

    may_end = threading.Event()
    monkeypatch.setattr(threading, "Thread", Lingering)
    opened(tmp_path, protocol())
    jobs.start("small", none)
    assert until_it_ends(jobs)["state"] == "failed"
    jobs.start("small", none)
    may_end.set()
    assert until_it_ends(jobs)["state"] == "failed"


def test_a_store_that_cannot_be_opened_ends_a_run(
    jobs: BlindingJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(StudyStore):
        def __init__(self, place: Path | str) -> None:
            if threading.current_thread().name == "blinding":
                raise DatabaseError("the database is away")
            super().__init__(place)

    opened(tmp_path, protocol())
    monkeypatch.setattr(blinding, "StudyStore", Away)
    jobs.start("small", lambda source: pytest.fail(source))
    found = until_it_ends(jobs, 5.0)
    assert (found["state"], found["message"]) == ("failed", "the database is away")


@pytest.mark.slow
def test_what_is_missing_in_the_archive_is_told(archive: DicomWebStudies, jobs: BlindingJobs, tmp_path: Path) -> None:
    study = protocol()
    opened(tmp_path, study)
    jobs.start("small", archive_images(archive))
    found = until_it_ends(jobs)
    assert (found["state"], found["is_blinded"]) == ("failed", False)
    assert "P0 clinical" in str(found["message"])


@pytest.mark.slow
def test_copies_of_the_command_line_end_a_failure(archive: DicomWebStudies, jobs: BlindingJobs, tmp_path: Path) -> None:
    opened(tmp_path, study_of(tmp_path / "exams"))
    jobs.start("small", archive_images(DicomWebStudies("http://127.0.0.1:9/dicom-web")))
    assert until_it_ends(jobs)["state"] == "failed"
    store = StudyStore(tmp_path / "studies.sqlite")
    blind(store, "small", tmp_path / "blinded", archive_images(archive))
    store.close()
    assert (jobs.progress("small")["state"], jobs.progress("small")["message"]) == ("done", "")


def test_no_other_study_is_begun(jobs: BlindingJobs, tmp_path: Path) -> None:
    opened(tmp_path, protocol())
    with pytest.raises(NotFoundError, match="there is no study 'other'"):
        jobs.start("other", lambda source: pytest.fail(source))
    store = StudyStore(tmp_path / "studies.sqlite")
    store.close_study("small", by="owner", reason="enough")
    store.close()
    with pytest.raises(ConflictError, match="small is closed"):
        jobs.start("small", lambda source: pytest.fail(source))


def test_images_that_are_files_are_refused_with_the_command_that_takes_them() -> None:
    read = archive_images(DicomWebStudies("http://127.0.0.1:9/dicom-web"))
    with pytest.raises(
        InvalidParameterError, match="'P1_R_CC', not a DICOM UID.*study blind NAME --images FOLDER.*export NAME --sr"
    ):
        read("P1_R_CC")
