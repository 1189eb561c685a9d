"""Synthesis through an archive: every study of a search, page by page, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pydicom
import pytest
from fastapi import FastAPI
from pydicom.dataset import Dataset

from mammosynth.bundle import default_bundle, load_bundle
from mammosynth.cli import main
from mammosynth.dicom.generated import phantom_uid
from mammosynth.errors import InvalidParameterError
from mammosynth.journey import Order
from mammosynth.parallel.engine import Engine
from mammosynth.parallel.local import LocalEngine
from mammosynth.phantom.clinic.exam import write_exam
from monailabel_app import backlog
from monailabel_app.backlog import Totals, find_studies, parse_query, synthesize_archive
from monailabel_app.errors import PacsError
from monailabel_app.studies import DicomWebStudies
from tests.support.archives import ARCHIVES, archive_of, embedded_store, serving, store_process
from tests.support.instances import digest_without_times
from tests.support.jobs import app, stored, two_members
from tests.support.relay import relay_to
from tests.support.shared import made_once

ALL = {"ModalitiesInStudy": "MG"}
STUDIES = 5


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two views of a breast; not to be changed."""
    folder = made_once(tmp_path_factory, "exam of the backlog", _write)
    return [folder / f"R-{view}-low-energy.dcm" for view in ("CC", "MLO")]


def _write(folder: Path) -> None:
    write_exam(folder, seed=7, pixel_mm=3.6, patient_id="P")


def _study(views: list[Path], day: int) -> list[Dataset]:
    """A study of its own of these views."""
    study, made = phantom_uid(uuid.uuid4()), []
    for file in views:
        dataset = pydicom.dcmread(file)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, phantom_uid(uuid.uuid4())
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = phantom_uid(uuid.uuid4())
        dataset.StudyDate = f"202601{day:02d}"
        made.append(dataset)
    return made


@pytest.fixture(params=ARCHIVES)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DicomWebStudies]:
    with archive_of(request.param, tmp_path / "archive") as url:
        yield DicomWebStudies(url)


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[DicomWebStudies]:
    with embedded_store(tmp_path / "d", index_folder=tmp_path / "i") as url:
        yield DicomWebStudies(url)


def _fill(archive: DicomWebStudies, views: list[Path], count: int = STUDIES) -> list[str]:
    """Store studies of a view each, one a day; their UIDs."""
    studies = []
    for day in range(1, count + 1):
        (dataset,) = _study(views[:1], day)
        archive.store(dataset)
        studies.append(str(dataset.StudyInstanceUID))
    return studies


def _run(
    archive: DicomWebStudies,
    filters: dict[str, str] | None = None,
    *,
    store: bool = True,
    progress: Any = None,
    engine: Engine | None = None,
) -> tuple[Totals, list[tuple[str, str]]]:
    refused: list[tuple[str, str]] = []
    totals = synthesize_archive(
        archive,
        Order.parse(app(two_members()).infer_task.bundle, {}),
        filters or ALL,
        store=store,
        refuse=lambda uid, reason: refused.append((uid, reason)),
        progress=progress or (lambda done, total, name: None),
        engine=engine,
    )
    return totals, refused


@pytest.mark.slow
def test_every_study_of_all_pages_is_done_once_and_what_is_new_later(
    archive: DicomWebStudies, views: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "PAGE", 2)
    studies = _fill(archive, views)
    told: list[tuple[int, int]] = []
    assert sorted(find_studies(archive, ALL)) == sorted(studies)
    assert list(find_studies(archive, {"ModalitiesInStudy": "CT,US"})) == []
    found, refused = _run(archive, progress=lambda done, total, name: told.append((done, total)))
    assert (found, refused) == (Totals(studies=STUDIES, made=STUDIES), [])
    assert told == [(done, STUDIES) for done in range(1, STUDIES + 1)]
    assert [stored(archive, study) for study in studies] == [{"image": 1}] * STUDIES
    for dataset in _study(views, day=20):
        archive.store(dataset)
    again, _ = _run(archive)
    assert again == Totals(studies=STUDIES + 1, made=2, kept=STUDIES, passed_over=STUDIES)
    assert [stored(archive, study) for study in studies] == [{"image": 1}] * STUDIES


@pytest.mark.e2e
@pytest.mark.slow
def test_two_workers_store_what_one_stores_and_tell_the_same(tmp_path: Path, views: list[Path]) -> None:
    made = [dataset for day in range(1, STUDIES) for dataset in _study(views, day)]
    odd = _study(views, day=STUDIES)
    del odd[0].ViewPosition, odd[0].ViewCodeSequence, odd[0].SeriesDescription
    told, files = [], []
    for workers in (1, 2):
        folder = tmp_path / f"{workers}"
        with store_process(folder / "d", index_folder=folder / "i", credentials=("anna", "secret")) as (_, url):
            archive = DicomWebStudies(url, ("anna", "secret"))
            for dataset in (*made, *odd):
                archive.store(dataset)
            told.append(_run(archive, engine=LocalEngine(workers)))
            assert _run(archive, engine=LocalEngine(workers))[0].made == 0
        files.append({digest_without_times(path) for path in folder.glob("d/**/*.dcm")})
    assert told[0] == told[1]
    assert told[0][0] == Totals(studies=STUDIES, made=2 * STUDIES - 1, refused=1)
    assert files[0] == files[1]
    assert len(files[0]) == 2 * STUDIES + 2 * STUDIES - 1


@pytest.mark.slow
def test_a_search_chooses_and_without_store_nothing_is_made(archive: DicomWebStudies, views: list[Path]) -> None:
    studies = _fill(archive, views)
    filters = parse_query("ModalitiesInStudy=MG&StudyDate=20260104-")
    found, _ = _run(archive, filters, store=False)
    assert found == Totals(studies=2, made=2)
    assert [stored(archive, study) for study in studies] == [{}] * STUDIES
    assert _run(archive, filters)[0] == Totals(studies=2, made=2)
    assert [stored(archive, study) for study in studies] == [{}] * 3 + [{"image": 1}] * 2
    assert _run(archive, filters, store=False)[0] == Totals(studies=2, kept=2, passed_over=2)


@pytest.mark.slow
def test_what_cannot_be_used_is_told_and_the_others_go_on(embedded: DicomWebStudies, views: list[Path]) -> None:
    first, second, third = (_study(views, day) for day in (1, 2, 3))
    for keyword in ("ViewPosition", "ViewCodeSequence", "SeriesDescription"):
        delattr(first[0], keyword)
    second[0].PixelData = second[0].PixelData[:100]
    for dataset in (*first, *second, *third):
        embedded.store(dataset)
    totals, refused = _run(embedded)
    assert totals == Totals(studies=3, made=4, refused=2)
    reasons = dict(refused)
    assert "View Position" in reasons[first[0].SOPInstanceUID]
    assert set(reasons) == {first[0].SOPInstanceUID, second[0].SOPInstanceUID}


@pytest.mark.slow
def test_an_archive_that_is_away_for_a_moment_is_waited_for(
    embedded: DicomWebStudies, views: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "_PAUSES_S", (0.1, 0.5, 5.0))
    for dataset in (*_study(views, day=1), *_study(views, day=2)):
        embedded.store(dataset)
    address = urlsplit(embedded.url)
    with relay_to(address.hostname or "", address.port or 0) as relay:

        def cut(done: int, total: int, name: str) -> None:
            if done == 1:
                relay.cut()
                threading.Timer(0.3, relay.mend).start()

        found, refused = _run(DicomWebStudies(f"http://127.0.0.1:{relay.port}{address.path}"), progress=cut)
    assert (found, refused) == (Totals(studies=2, made=4), [])


@pytest.mark.slow
def test_a_task_that_starts_from_no_image_is_refused(embedded: DicomWebStudies) -> None:
    order = Order.parse(load_bundle(default_bundle("mask")), {})
    with pytest.raises(InvalidParameterError, match="mask starts from no image"):
        synthesize_archive(embedded, order, ALL, store=False, refuse=print, progress=print)


@pytest.mark.slow
def test_an_archive_that_goes_away_ends_it_and_the_same_again_goes_on(
    tmp_path: Path, views: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "_PAUSES_S", (0.1,))
    folder, index = tmp_path / "d", tmp_path / "i"
    with ExitStack() as stack:
        archive = DicomWebStudies(stack.enter_context(embedded_store(folder, index_folder=index)))
        _fill(archive, views, 6)
        totals, refused = _run(archive, progress=lambda done, total, name: done == 1 and stack.close())
    assert totals == Totals(studies=4, made=1, refused=3, left=2)
    assert all("the archive cannot be reached" in reason for _, reason in refused)
    with embedded_store(folder, index_folder=index) as url:
        assert _run(DicomWebStudies(url))[0] == Totals(studies=6, made=5, kept=1, passed_over=1)


@pytest.mark.parametrize(("count", "is_whole"), [(3, True), (2, False)])
def test_an_archive_without_pages_is_searched_or_refused_but_not_for_ever(
    count: int, is_whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "PAGE", 2)
    odd = FastAPI()

    @odd.get("/studies")
    def studies() -> list[dict[str, Any]]:
        return [{"0020000D": {"vr": "UI", "Value": [f"1.2.{number}"]}} for number in range(count)]

    with serving(odd) as url:
        found = find_studies(DicomWebStudies(url), ALL)
        if is_whole:
            assert list(found) == ["1.2.0", "1.2.1", "1.2.2"]
        else:
            with pytest.raises(PacsError, match="the same 2 studies whatever the offset is; narrow --query"):
                list(found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is no query"),
        ("MG", "is no query"),
        ("Modalitys=MG", "'Modalitys' is no attribute"),
        ("limit=3", "'limit' is no attribute"),
        ("StudyDate=1&StudyDate=2", "is there twice"),
    ],
)
def test_a_query_that_is_none_is_refused(text: str, told: str) -> None:
    with pytest.raises(InvalidParameterError, match=told):
        parse_query(text)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--archive", "http://x"], "--archive needs --query"),
        (["--archive", "x", "--query", "StudyDate=1"], "--archive is no address"),
        (["--archive", "http://x", "--query", "StudyDate=1", "--output", "o"], "--archive with --output"),
        (["a.dcm", "--archive", "http://x", "--query", "StudyDate=1"], "--archive with inputs"),
        (["a.dcm", "--store", "--output", "o"], "are about an archive"),
        (["a.dcm"], "--output DIR is missing"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["synthesize", "contrast", *arguments]) == 1
    assert told in capsys.readouterr().err


@pytest.mark.e2e
@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_and_needs_the_password_of_the_archive(tmp_path: Path, views: list[Path]) -> None:
    credentials = ("anna", "secret")
    with store_process(tmp_path / "d", index_folder=tmp_path / "i", credentials=credentials) as (_, url):
        archive = DicomWebStudies(url, credentials)
        studies = _fill(archive, views)
        command = [sys.executable, "-m", "mammosynth", "synthesize", "contrast", "--store", "--archive", url]
        command += ["--query", "ModalitiesInStudy=MG&StudyDate=20260101-20260131"]
        without = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (without.returncode, without.stdout) == (1, "")
        assert "401" in without.stderr
        command += ["--archive-user", "anna"]
        environment = {**os.environ, "MAMMOSYNTH_ARCHIVE_PASSWORD": "secret"}
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while process.poll() is None and sum(bool(stored(archive, study)) for study in studies) < 2:
            time.sleep(0.02)
        assert process.poll() is None, "there is something left to be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("5 studies: ")
        assert "0 refused" in done.stdout
        assert [stored(archive, study) for study in studies] == [{"image": 1}] * STUDIES
