"""Alive, ready, counted: what those who run the server ask it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import sqlalchemy
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request

from mammosynth.database import Database
from monailabel_app.database import LAYOUTS
from monailabel_app.gateway.guard import Guard
from monailabel_app.gateway.jobs import JobStore
from monailabel_app.gateway.metrics import Counted, Metrics
from monailabel_app.gateway.operations import create_operations
from monailabel_app.gateway.readiness import Readiness
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import TokenBook, add_token
from tests.support.asgi import AsgiClient
from tests.support.postgresql import empty_database

HOST = "127.0.0.1:8000"


def _fails() -> None:
    raise ConnectionError("http://secret:password@archive does not answer")


def _app(readiness: Readiness, metrics: Metrics, worker: Callable[[], dict[str, str] | None] = lambda: None) -> FastAPI:
    app = FastAPI()
    app.include_router(create_operations(readiness, metrics, worker))
    return app


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(lambda: {"queued": 3, "running": 1})


def _values(text: str) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_ready_names_every_part_and_says_no_if_one_does_not_work(metrics: Metrics) -> None:
    client = AsgiClient(_app(Readiness({"archive": lambda: None, "jobs": lambda: None}), metrics))
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "server": "ok", "archive": "ok", "jobs": "ok"})

    client = AsgiClient(_app(Readiness({"archive": _fails, "jobs": lambda: None}), metrics))
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "server": "ok", "archive": "ConnectionError", "jobs": "ok"}
    assert "secret" not in answer.text, "anybody may ask"


def test_a_server_that_leaves_is_not_ready_at_once_and_goes_on_answering(metrics: Metrics) -> None:
    readiness = Readiness({"jobs": lambda: None})
    client = AsgiClient(_app(readiness, metrics))
    assert client.get("/ready").status_code == 200
    readiness.leave()
    assert (client.get("/ready").status_code, client.get("/ready").json()["server"]) == (503, "stopping")
    assert client.get("/health").status_code == 200


def test_parts_are_asked_once_a_second_however_many_ask(metrics: Metrics) -> None:
    asked, clock = [], [0.0]
    readiness = Readiness({"archive": lambda: asked.append(1)}, now=lambda: clock[0])
    for _ in range(5):
        readiness.state()
    assert len(asked) == 1
    clock[0] = 1.0
    readiness.state()
    assert len(asked) == 2


def test_who_has_no_token_learns_whether_it_is_alive_and_ready_and_nothing_else(
    tmp_path: Path, metrics: Metrics
) -> None:
    owner, user = (add_token(tmp_path / "tokens", Identity(role.value, role)) for role in (Role.OWNER, Role.USER))
    app = _app(Readiness({}), metrics, lambda: {"state": "failing", "failed": "the disk of Anna is full"})
    client = AsgiClient(Guard(app, hosts=[HOST], tokens=TokenBook(tmp_path / "tokens")))
    assert client.get("/health").json() == {"status": "degraded"}
    assert client.get("/ready").json() == {"ready": True, "server": "ok"}
    assert client.post("/ready").status_code == 401
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"authorization": f"Bearer {user}"}).status_code == 403
    assert client.get("/metrics", headers={"authorization": f"Bearer {owner}"}).status_code == 200
    signed_in = client.get("/health", headers={"authorization": f"Bearer {user}"}).json()
    assert (signed_in["status"], signed_in["worker"]["state"]) == ("degraded", "failing")
    wrong = client.get("/health", headers={"authorization": "Bearer wrong"})
    assert wrong.status_code == 401, "guesses are counted here as everywhere"


def test_jobs_their_seconds_the_queue_and_refusals_are_counted(tmp_path: Path, metrics: Metrics) -> None:
    add_token(tmp_path / "tokens", Identity("a", Role.OWNER))
    guarded = Guard(_app(Readiness({}), metrics), hosts=[HOST], tokens=TokenBook(tmp_path / "tokens"))
    client = AsgiClient(Counted(guarded, metrics))
    metrics.note_job("contrast", "done", 3.0)
    metrics.note_job("contrast", "failed", 0.1)
    for path in ("/info/", "/nothing", "/health"):
        client.get(path)
    client.request("INVENTED", "/info/")
    found = _values(metrics.text().decode())
    assert found["mammosynth_jobs_total", "contrast", "done"] == 1
    assert found["mammosynth_jobs_total", "contrast", "failed"] == 1
    assert found["mammosynth_job_seconds_sum", "contrast"] == pytest.approx(3.1)
    assert found["mammosynth_jobs_present", "queued"] == 3
    assert found["mammosynth_requests_total", "GET", "401"] == 2
    assert found["mammosynth_requests_total", "GET", "200"] == 1
    assert found["mammosynth_requests_total", "other", "401"] == 1
    assert "INVENTED" not in metrics.text().decode(), "no label is a client's"
    assert found["process_resident_memory_bytes",] > 1e6


@pytest.mark.parametrize("kind", ["SQLite", "PostgreSQL"])
def test_metrics_are_told_and_say_so_while_the_database_of_jobs_is_away(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        place = tmp_path / "jobs.sqlite" if kind == "SQLite" else stack.enter_context(empty_database())
        database = stack.enter_context(closing(Database(place, LAYOUTS)))
        store = JobStore(database)
        metrics = Metrics(store.present)
        metrics.note_job("contrast", "done", 3.0)
        client = AsgiClient(_app(Readiness({"jobs": store.present}), metrics))
        assert _values(client.get("/metrics").text)["mammosynth_jobs_database_up",] == 1
        with database.writing() as session:
            session.execute(sqlalchemy.text("ALTER TABLE jobs RENAME TO elsewhere"))
        answer = client.get("/metrics")
        found = _values(answer.text)
        assert (answer.status_code, found["mammosynth_jobs_database_up",]) == (200, 0)
        assert found["mammosynth_jobs_total", "contrast", "done"] == 1
        assert not any(name == "mammosynth_jobs_present" for name, *_ in found)
        assert client.get("/ready").json()["jobs"] == "BusyError"


def test_seconds_of_a_request_end_when_its_answer_begins(metrics: Metrics) -> None:
    app = FastAPI()

    @app.get("/slow")
    def slow(request: Request) -> str:
        time.sleep(0.05)
        return "done"

    AsgiClient(Counted(app, metrics)).get("/slow")
    assert 0.05 <= _values(metrics.text().decode())["mammosynth_request_seconds_sum", "GET"] < 1


def test_metrics_are_in_the_format_of_prometheus(metrics: Metrics) -> None:
    answer = AsgiClient(_app(Readiness({}), metrics)).get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert re.search("^# HELP mammosynth_jobs_total .", answer.text, re.MULTILINE)
