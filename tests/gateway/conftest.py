"""The archives behind the gateway."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mammosynth.phantom.clinic.exam import write_exam
from monailabel_app.studies import DicomWebStudies
from tests.support.archives import ARCHIVES, archive_of, embedded_store
from tests.support.shared import made_once


@pytest.fixture(scope="package", params=ARCHIVES)
def any_archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DicomWebStudies]:
    """Each kind of archive in turn, empty at first."""
    with archive_of(request.param, tmp_path_factory.mktemp(request.param)) as url:
        yield DicomWebStudies(url)


@pytest.fixture(scope="package")
def exam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of an exam; not to be changed."""
    return made_once(
        tmp_path_factory, "exam of the gateway", lambda folder: write_exam(folder, seed=7, pixel_mm=3.6, patient_id="P")
    )


@pytest.fixture
def archive(exam: Path, tmp_path: Path) -> Iterator[DicomWebStudies]:
    """An archive that holds the exam and nothing else."""
    shutil.copytree(exam, tmp_path / "exams")
    with embedded_store(tmp_path / "exams", index_folder=tmp_path / "index") as url:
        yield DicomWebStudies(url)
