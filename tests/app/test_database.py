"""Databases of every age become the layout of today: without loss, also if the process is killed in between."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event

from mammosynth import database as database_module
from mammosynth.database import Database
from mammosynth.errors import DatabaseError
from monailabel_app.database import LAYOUTS, Base
from monailabel_app.gateway.jobs import JobStore

# As version 0.1.0 made it, before there were migrations.
_LAYOUT_OF_0_1_0 = """
CREATE TABLE jobs (
    number INTEGER NOT NULL,
    job_id VARCHAR(36) NOT NULL,
    task VARCHAR(128) NOT NULL,
    study_instance_uid VARCHAR(64) NOT NULL,
    series_instance_uid VARCHAR(64) NOT NULL,
    sop_instance_uid VARCHAR(64),
    parameters JSON NOT NULL,
    requester VARCHAR(128) NOT NULL,
    state VARCHAR(16) NOT NULL,
    progress FLOAT NOT NULL,
    message VARCHAR NOT NULL,
    result JSON,
    attempts INTEGER NOT NULL,
    cancel_requested BOOLEAN NOT NULL,
    turn INTEGER NOT NULL,
    created VARCHAR(40) NOT NULL,
    ended VARCHAR(40),
    PRIMARY KEY (number),
    UNIQUE (job_id)
);
CREATE INDEX by_state ON jobs (state);
CREATE INDEX by_requester ON jobs (requester);
"""
# fmt: off
_COLUMNS = [
    "number", "job_id", "task", "study_instance_uid", "series_instance_uid", "sop_instance_uid", "parameters",
    "requester", "state", "progress", "message", "result", "attempts", "cancel_requested", "turn", "created", "ended",
]
# fmt: on
_RESULT = {"series_instance_uid": "2.25.1", "sop_instance_uids": ["2.25.2"], "provenance": [{"seed": 3}], "refused": []}
_THEN, _LATER = "2026-05-01T10:00:00+00:00", "2026-05-01T10:01:00+00:00"
# fmt: off
_ROWS = [
    (1, "done", "contrast", "1.1", "1.1.1", None, '{"seed": 3, "uncertainty": true}', "10.0.0.1", "done", 1.0, "done",
     json.dumps(_RESULT), 1, 0, 1, _THEN, _LATER),
    (2, "failed", "breast_cem_cyclegan", "1.1", "1.1.2", "1.1.2.1", "{}", "10.0.0.2", "failed", 0.4, "Modality is 'CT'",
     "null", 1, 0, 2, _THEN, _LATER),
    (4, "cancelled", "contrast", "1.2", "1.2.1", "1.2.1.1", '{"lesions": "2.25.7"}', "10.0.0.1", "cancelled", 0.0,
     "cancelled before it started", None, 0, 0, 0, _THEN, _LATER),
    (5, "running", "contrast", "1.3", "1.3.1", None, '{"view_position": "CC"}', "10.0.0.2", "running", 0.5, "Größe 5 °",
     None, 1, 0, 3, _THEN, None),
    (6, "queued", "contrast", "1.3", "1.3.2", "1.3.2.1", '{"seed": 0}', "10.0.0.1", "queued", 0.0, "waiting",
     None, 0, 0, 0, _THEN, None),
]
# fmt: on
_UNCHANGED = [
    name for name in _COLUMNS if name not in ("task", "series_instance_uid", "sop_instance_uid", "parameters")
]
_ORDERS = {
    "done": {
        "model": "contrast",
        "inputs": {"source": {"study_instance_uid": "1.1", "series_instance_uid": "1.1.1"}},
        "parameters": {"seed": 3, "uncertainty": True},
    },
    "failed": {
        "model": "breast_cem_cyclegan",
        "inputs": {
            "source": {"study_instance_uid": "1.1", "series_instance_uid": "1.1.2", "sop_instance_uid": "1.1.2.1"}
        },
        "parameters": {},
    },
    "cancelled": {
        "model": "contrast",
        "inputs": {
            "source": {"study_instance_uid": "1.2", "series_instance_uid": "1.2.1", "sop_instance_uid": "1.2.1.1"}
        },
        "parameters": {"lesions": "2.25.7"},
    },
    "running": {
        "model": "contrast",
        "inputs": {"source": {"study_instance_uid": "1.3", "series_instance_uid": "1.3.1"}},
        "parameters": {"view_position": "CC"},
    },
    "queued": {
        "model": "contrast",
        "inputs": {
            "source": {"study_instance_uid": "1.3", "series_instance_uid": "1.3.2", "sop_instance_uid": "1.3.2.1"}
        },
        "parameters": {"seed": 0},
    },
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "data" / "jobs.sqlite"


@pytest.fixture
def old(place: Path) -> Path:
    """A database as version 0.1.0 left it, with a job in every state."""
    place.parent.mkdir()
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.executescript(f"PRAGMA journal_mode=WAL;{_LAYOUT_OF_0_1_0}")
        connection.executemany(f"INSERT INTO jobs VALUES ({','.join('?' * len(_COLUMNS))})", _ROWS)
    return place


def select(place: Path, what: str, table: str = "jobs") -> list[tuple]:
    with closing(sqlite3.connect(place)) as connection:
        return connection.execute(f"SELECT {what} FROM {table} ORDER BY 1").fetchall()


def assert_upgraded(place: Path) -> None:
    """Every job says what it said before, and its order is what was asked for."""
    unchanged = [tuple(row[_COLUMNS.index(name)] for name in _UNCHANGED) for row in _ROWS]
    assert select(place, ", ".join(_UNCHANGED)) == unchanged
    assert {job: json.loads(order) for job, order in select(place, 'job_id, "order"')} == _ORDERS
    assert select(place, "version_num", "alembic_version") == [(LAYOUTS.names()[-1],)]


def test_a_database_of_the_first_version_is_upgraded_without_loss(old: Path) -> None:
    Database(old, LAYOUTS).close()
    assert_upgraded(old)
    Database(old, LAYOUTS).close()
    assert_upgraded(old)


@pytest.mark.slow
def test_a_database_server_that_does_not_answer_is_given_up() -> None:
    begun = time.monotonic()
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(DatabaseError, match="cannot be opened"):
            Database(f"postgresql://anna:secret@127.0.0.1:{port}/jobs", LAYOUTS)
    assert time.monotonic() - begun < 30


def test_jobs_of_the_first_version_go_on(old: Path) -> None:
    database = Database(old, LAYOUTS)
    store = JobStore(database)
    store.requeue_interrupted()
    assert store.status("done")["result"] == _RESULT
    assert store.status("done")["model"] == "contrast"
    assert store.status("failed")["message"] == "Modality is 'CT'"
    job_id, request = store.claim_next()
    assert job_id == "queued"  # 10.0.0.1 had its turn before 10.0.0.2, whose job was running
    assert request.inputs == _ORDERS["queued"]["inputs"]
    assert store.claim_next()[0] == "running"
    database.close()


def test_what_was_there_before_is_kept_in_a_backup(old: Path) -> None:
    old.chmod(0o600)
    Database(old, LAYOUTS).close()
    backup = old.with_name("jobs.sqlite.0001.backup")
    assert select(backup, "*") == _ROWS
    assert backup.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in old.parent.iterdir()} - {"jobs.sqlite-wal", "jobs.sqlite-shm"} == {
        "jobs.sqlite",
        "jobs.sqlite.0001.backup",
    }


def test_an_upgrade_that_fails_leaves_everything_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = database_module._engine

    def failing(url):
        engine = connect(url)

        @event.listens_for(engine, "before_cursor_execute")
        def fail(connection, cursor, statement, *_):
            if statement.strip().startswith("UPDATE alembic_version"):  # the last step
                raise sqlite3.OperationalError("disk I/O error")

        return engine

    with monkeypatch.context() as patch:
        patch.setattr(database_module, "_engine", failing)
        with pytest.raises(DatabaseError, match=r"jobs\.sqlite: the database cannot be opened \(disk I/O error\)"):
            Database(old, LAYOUTS)
    assert select(old, "*") == _ROWS
    Database(old, LAYOUTS).close()
    assert_upgraded(old)


_KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from mammosynth import database
from monailabel_app.database import LAYOUTS
connect = database._engine
def deadly(url):
    engine = connect(url)
    @event.listens_for(engine, "before_cursor_execute")
    def die(connection, cursor, statement, *_):
        if statement.strip().startswith(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
    return engine
database._engine = deadly
database.Database(Path(sys.argv[1]), LAYOUTS)
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["UPDATE jobs", "DROP TABLE jobs", "ALTER TABLE _alembic_tmp_jobs", "CREATE INDEX"])
def test_a_process_that_is_killed_while_it_upgrades_loses_nothing(old: Path, step: str) -> None:
    process = subprocess.run([sys.executable, "-c", _KILLED, str(old), step], capture_output=True, text=True)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert select(old, "*") == _ROWS
    Database(old, LAYOUTS).close()
    assert_upgraded(old)


_OPENS = """
import sys
from pathlib import Path
import alembic.command
from mammosynth.database import Database
from monailabel_app.database import LAYOUTS
print("ready", flush=True)
sys.stdin.readline()
Database(Path(sys.argv[1]), LAYOUTS).close()
"""


@pytest.mark.slow
def test_processes_that_start_at_once_do_not_collide(old: Path) -> None:
    command = [sys.executable, "-c", _OPENS, str(old)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    problems = [process.communicate(timeout=60)[1] for process in processes]
    assert problems == [""] * 3
    assert_upgraded(old)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(place: Path) -> None:
    Database(place, LAYOUTS).close()
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseError, match=r"a newer version of MammoSynth wrote this database \(its layout is 9999"):
        Database(place, LAYOUTS)
    assert select(place, "version_num", "alembic_version") == [("9999",)]


def test_a_file_that_is_no_database_is_refused_in_a_sentence(place: Path) -> None:
    place.parent.mkdir()
    place.write_text("no database" * 1000)
    with pytest.raises(DatabaseError, match=r"jobs\.sqlite: the database cannot be opened \(file is not a database\)"):
        Database(place, LAYOUTS)


def test_migrations_lead_to_the_layout_that_the_classes_declare(place: Path) -> None:
    Database(place, LAYOUTS).close()
    engine = create_engine(f"sqlite:///{place}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_layouts_are_told_without_alembic_as_alembic_tells_them() -> None:
    config = Config()
    config.set_main_option("script_location", str(LAYOUTS.migrations))
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert LAYOUTS.names() == revisions[::-1]


def test_a_new_database_needs_no_backup_and_is_durable(place: Path) -> None:
    database = Database(place, LAYOUTS)
    with database.reading() as session:
        connection = session.connection()
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
    database.close()
    assert [path.name for path in place.parent.iterdir()] == ["jobs.sqlite"]


def test_a_database_is_opened_by_its_url_too(place: Path) -> None:
    place.parent.mkdir()
    Database(f"sqlite:///{place}", LAYOUTS).close()
    assert select(place, "version_num", "alembic_version") == [(LAYOUTS.names()[-1],)]


def test_what_a_failed_block_has_written_is_not_stored(place: Path) -> None:
    database = Database(place, LAYOUTS)

    def fail() -> None:
        with database.writing() as session:
            session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '1'")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert select(place, "version_num", "alembic_version") == [(LAYOUTS.names()[-1],)]
    database.close()
