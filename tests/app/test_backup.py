"""Jobs and reader studies of a server in one file."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mammosynth.cli import main
from mammosynth.database import Database
from mammosynth.reading.store import StudyStore
from monailabel_app.database import LAYOUTS
from monailabel_app.gateway.jobs import JobRequest, JobState, JobStore
from monailabel_app.serve import locked
from tests.support.postgresql import empty_database
from tests.support.studies import protocol


@contextmanager
def _jobs(place: Path | str) -> Iterator[JobStore]:
    with closing(Database(place, LAYOUTS)) as database:
        yield JobStore(database, holder="looks")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A server's data: a job that is done, one that runs, one that waits, and a reader study."""
    folder = tmp_path / "data"
    with _jobs(folder / "jobs.sqlite") as store:
        for number in range(3):
            store.submit(JobRequest("contrast", {"source": {"study_instance_uid": "1.2"}}, {"seed": number}, "Anna"))
        first, _ = store.claim_next()
        store.end(first, JobState.DONE, "done", {"outputs": [{"role": "image"}]})
        store.claim_next()
    with closing(StudyStore(folder / "studies.sqlite")) as studies:
        studies.open_study(protocol(name="pilot"), "owner")
    return folder


def _content(folder: Path, jobs: Path | str | None = None, studies: Path | str | None = None) -> tuple[list, dict]:
    with _jobs(jobs or folder / "jobs.sqlite") as store:
        rows = store.content()
    with closing(StudyStore(studies or folder / "studies.sqlite")) as store:
        return rows, store.content("pilot")


def test_what_is_restored_is_what_was_there_and_running_jobs_wait(data: Path, tmp_path: Path) -> None:
    file, again = tmp_path / "b.zip", tmp_path / "again"
    assert main(["backup", "--data-dir", str(data), "--output", str(file)]) == 0
    assert main(["restore", str(file), "--data-dir", str(again)]) == 0
    jobs, study = _content(data)
    restored, restored_study = _content(again)
    assert restored_study == study
    assert [job["state"] for job in restored] == ["done", "queued", "queued"]
    volatile = ("state", "progress", "message")
    assert [{k: v for k, v in job.items() if k not in volatile} for job in restored] == [
        {k: v for k, v in job.items() if k not in volatile} for job in jobs
    ]
    assert restored[0]["result"] == {"outputs": [{"role": "image"}]}


def test_from_files_to_a_database_server_and_back(data: Path, tmp_path: Path) -> None:
    file, back = tmp_path / "b.zip", tmp_path / "back.zip"
    with empty_database() as url:
        places = ["--jobs", url, "--reader-studies", url, "--data-dir", str(tmp_path / "x")]
        assert main(["backup", "--data-dir", str(data), "--output", str(file)]) == 0
        assert main(["restore", str(file), *places]) == 0
        assert main(["backup", *places, "--output", str(back)]) == 0
        assert _content(data, url, url)[1] == _content(data)[1]
    assert main(["restore", str(back), "--data-dir", str(tmp_path / "again")]) == 0
    assert _content(tmp_path / "again")[1] == _content(data)[1]
    assert len(_content(tmp_path / "again")[0]) == 3


def test_nothing_that_is_there_is_replaced(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, before = tmp_path / "b.zip", _content(data)
    main(["backup", "--data-dir", str(data), "--output", str(file)])
    assert main(["restore", str(file), "--data-dir", str(data)]) == 1
    assert "'pilot' already" in capsys.readouterr().err
    assert main(["restore", str(file), "--data-dir", str(data), "--reader-studies", str(tmp_path / "new.sqlite")]) == 1
    assert "there are jobs already" in capsys.readouterr().err
    assert _content(data) == before


def test_a_server_that_runs_keeps_its_folder_to_itself(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "b.zip"
    main(["backup", "--data-dir", str(data), "--output", str(file)])
    new = tmp_path / "new"
    new.mkdir()
    with locked(new):
        assert main(["restore", str(file), "--data-dir", str(new)]) == 1
    assert "in use by another server" in capsys.readouterr().err


def _rewrite(file: Path, **changes: bytes | None) -> None:
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content |= {name.replace("__", "."): value for name, value in changes.items()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, value in content.items():
            if value is not None:
                archive.writestr(name, value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"jobs__json": b"[]"}, "jobs.json is not as it was written"),
        ({"jobs__json": None}, "is no backup of a server"),
        ({"more__json": b"{}"}, "is no backup of a server"),
        ({"../x": b"{}"}, "is no backup of a server"),
        ({"manifest__json": b"[" * 100_000}, "is no backup of a server"),
        (
            {"manifest__json": b'{"format": "mammosynth server", "version": 2, "sha256": {}}'},
            "is no backup of a server",
        ),
        ({"manifest__json": None}, "cannot be read"),
    ],
)
def test_a_changed_backup_is_refused_and_nothing_is_stored(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict, told: str
) -> None:
    file, new = tmp_path / "b.zip", tmp_path / "new"
    main(["backup", "--data-dir", str(data), "--output", str(file)])
    _rewrite(file, **change)
    assert main(["restore", str(file), "--data-dir", str(new)]) == 1
    assert told in capsys.readouterr().err
    assert not (new / "jobs.sqlite").exists()


def test_no_job_is_stored_if_a_reader_study_does_not_verify(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, new = tmp_path / "b.zip", tmp_path / "new"
    main(["backup", "--data-dir", str(data), "--output", str(file)])
    with zipfile.ZipFile(file) as archive:
        study, manifest = (json.loads(archive.read(name)) for name in ("study-0000.json", "manifest.json"))
    study["study"]["head"] = "f" * 64
    content = json.dumps(study).encode()
    manifest["sha256"]["study-0000.json"] = hashlib.sha256(content).hexdigest()
    _rewrite(file, **{"study-0000.json": content, "manifest.json": json.dumps(manifest).encode()})
    assert main(["restore", str(file), "--data-dir", str(new)]) == 1
    assert "does not verify" in capsys.readouterr().err
    assert not (new / "jobs.sqlite").exists()


def test_a_backup_leaves_a_running_job_to_its_server(data: Path, tmp_path: Path) -> None:
    with _jobs(data / "jobs.sqlite") as store:
        store.claim_next()
        before = store.content()
        assert main(["backup", "--data-dir", str(data), "--output", str(tmp_path / "b.zip")]) == 0
        with closing(sqlite3.connect(data / "jobs.sqlite")) as connection:
            connection.execute("UPDATE jobs SET lease = 1")  # it has run out
            connection.commit()
        assert main(["backup", "--data-dir", str(data), "--output", str(tmp_path / "b.zip")]) == 0
        assert store.content() == before


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip"])
def test_what_is_no_backup_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    (tmp_path / "b.zip").write_bytes(content)
    assert main(["restore", str(tmp_path / "b.zip"), "--data-dir", str(tmp_path / "new")]) == 1
    assert "b.zip: cannot be read" in capsys.readouterr().err


def test_jobs_of_another_shape_are_refused(data: Path, tmp_path: Path) -> None:
    with _jobs(data / "jobs.sqlite") as store:
        rows = store.content()
    with _jobs(tmp_path / "new.sqlite") as store, pytest.raises(Exception, match="other fields"):
        store.insert([{**rows[0], "more": 1}])
    assert json.dumps(rows), "they are JSON"


def test_a_folder_of_no_server_is_refused_and_not_backed_up_as_nothing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "jobs.sqlite").unlink()
    for folder in (data, tmp_path / "none"):
        assert main(["backup", "--data-dir", str(folder), "--output", str(tmp_path / "b.zip")]) == 1
        assert "jobs.sqlite: there is no such file, which every server makes" in capsys.readouterr().err
    assert not (tmp_path / "b.zip").exists()


def test_reader_studies_that_are_elsewhere_are_missed_and_not_backed_up_as_none(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, none = tmp_path / "b.zip", tmp_path / "none"
    for options in (
        ["--data-dir", str(none), "--jobs", str(data / "jobs.sqlite")],  # as of a server with a database: one forgotten
        ["--data-dir", str(data), "--reader-studies", str(none / "typo.sqlite")],
    ):
        assert main(["backup", *options, "--output", str(file)]) == 1
        assert "there is no such file of reader studies, and the jobs are elsewhere" in capsys.readouterr().err
    assert not file.exists()
    (data / "studies.sqlite").unlink()
    assert main(["backup", "--data-dir", str(data), "--output", str(file)]) == 0  # no study was ever opened
    assert "studies.sqlite: if the server has --reader-studies, name them here" in capsys.readouterr().out


def test_nobody_else_reads_a_backup_or_what_is_restored(data: Path, tmp_path: Path) -> None:
    file, again = tmp_path / "b.zip", tmp_path / "again"
    again.mkdir(mode=0o755)
    assert main(["backup", "--data-dir", str(data), "--output", str(file)]) == 0
    assert main(["restore", str(file), "--data-dir", str(again)]) == 0
    assert [path for path in (file, *again.iterdir()) if path.stat().st_mode & 0o077] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_restores_belongs_to_the_owner_of_the_folder(data: Path, tmp_path: Path) -> None:
    assert main(["backup", "--data-dir", str(data), "--output", str(tmp_path / "b.zip")]) == 0
    again = tmp_path / "again"
    again.mkdir()
    os.chown(again, 12345, 12345)
    assert main(["restore", str(tmp_path / "b.zip"), "--data-dir", str(again)]) == 0
    assert {path.name for path in again.iterdir()} >= {"jobs.sqlite", "studies.sqlite"}
    assert {path.stat().st_uid for path in again.iterdir()} == {12345}


def test_a_mistyped_address_is_refused_without_its_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--jobs", "--reader-studies"):
        with pytest.raises(SystemExit):
            main(["backup", "--output", str(tmp_path / "x.zip"), option, "postgresql:/ann:secret@host/name"])
        said = "".join(capsys.readouterr())
        assert f"{option}: what begins with 'postgresql' is no address of a database" in said
        assert "secret" not in said
