"""Several servers with one queue: every job is done once, whoever dies."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url

from mammosynth.database import Database
from monailabel_app.database import LAYOUTS
from monailabel_app.gateway import jobs as jobs_module
from monailabel_app.gateway.busy import BusyError
from monailabel_app.gateway.jobs import JobCancelled, JobRequest, JobState, JobStore
from monailabel_app.gateway.metrics import Metrics
from monailabel_app.gateway.worker import Worker
from tests.support import queue_server
from tests.support.postgresql import empty_database
from tests.support.relay import relay_to
from tests.support.waiting import until

_JOBS_A_KILL = 40
_REQUEST = JobRequest("contrast", {}, {}, "a")


@pytest.fixture
def url() -> Iterator[str]:
    with empty_database() as address:
        yield address


@pytest.fixture
def servers(url: str) -> Iterator[tuple[JobStore, JobStore]]:
    databases = [Database(url, LAYOUTS), Database(url, LAYOUTS)]
    yield JobStore(databases[0], holder="one"), JobStore(databases[1], holder="two")
    for database in databases:
        database.close()


def test_a_job_is_claimed_by_one_server(servers: tuple[JobStore, JobStore]) -> None:
    for _ in range(40):
        servers[0].submit(_REQUEST)
    claimed: list[str] = []

    def claim(store: JobStore) -> None:
        while (job := store.claim_next()) is not None:
            claimed.append(job[0])

    threads = [threading.Thread(target=claim, args=(store,)) for store in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(Counter(claimed).values()) == {1}
    assert len(claimed) == 40


def test_what_another_server_runs_is_left_to_it_also_by_one_that_starts(servers: tuple[JobStore, JobStore]) -> None:
    job_id = servers[0].submit(_REQUEST)
    servers[0].claim_next()
    assert servers[1].claim_next() is None
    JobStore(servers[1]._database, holder="three").requeue_interrupted()
    assert servers[0].status(job_id)["state"] == JobState.RUNNING
    JobStore(servers[0]._database, holder="one").requeue_interrupted()  # which has died and starts again
    assert servers[0].status(job_id)["state"] == JobState.QUEUED


def test_a_job_whose_lease_has_run_out_goes_to_another_and_is_ended_by_it_alone(
    servers: tuple[JobStore, JobStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = servers
    job_id = one.submit(_REQUEST)
    monkeypatch.setattr(jobs_module, "LEASE_S", 0.2)
    one.claim_next()
    one.renew({job_id})
    assert two.claim_next() is None
    time.sleep(0.25)
    monkeypatch.setattr(jobs_module, "LEASE_S", 30.0)
    claimed = two.claim_next()
    assert claimed is not None
    assert claimed[0] == job_id
    with pytest.raises(JobCancelled):
        one.report(job_id, 0.5, "late")
    assert not one.end(job_id, JobState.DONE, "done")
    one.release(job_id, "the server was stopped")
    assert one.status(job_id)["state"] == JobState.RUNNING
    assert two.end(job_id, JobState.DONE, "done", {"outputs": []})
    assert one.status(job_id)["result"] == {"outputs": []}


def test_a_job_is_cancelled_through_another_server(servers: tuple[JobStore, JobStore]) -> None:
    one, two = servers
    begun = threading.Event()

    def run(request: JobRequest, report: object) -> dict:
        begun.set()
        while not one.is_cancelled(job_id):  # as a request to the archive does that takes long
            time.sleep(0.01)
        raise JobCancelled

    job_id = one.submit(_REQUEST)
    worker = Worker(one, run, renew_s=0.05)
    worker.start()
    assert begun.wait(5)
    two.cancel(job_id)
    until(lambda: two.status(job_id)["state"] == JobState.CANCELLED)
    worker.stop()


@pytest.mark.slow
def test_a_database_server_that_goes_away_is_said_and_the_job_that_runs_is_done_once(url: str) -> None:
    address = make_url(url)
    runs, may_end = [], threading.Event()

    def run(request: JobRequest, report: Callable[[float, str], None]) -> dict:
        runs.append(request)
        while not may_end.wait(0.02):
            report(0.5, "working")
        return {"made": 1}

    with relay_to(address.host or "localhost", address.port or 5432) as relay:
        there = address.set(host="127.0.0.1", port=relay.port).render_as_string(hide_password=False)
        with closing(Database(there, LAYOUTS)) as database:
            store = JobStore(database)
            metrics = Metrics(store.present)
            worker = Worker(store, run, pause_s=0.05, renew_s=0.05)
            job_id = store.submit(_REQUEST)
            worker.start()
            until(lambda: bool(runs))
            relay.cut()
            for ask in (lambda: store.status(job_id), store.present, lambda: store.submit(_REQUEST)):
                with pytest.raises(BusyError, match="at the moment"):
                    ask()
            assert b"mammosynth_jobs_database_up 0.0" in metrics.text()
            may_end.set()
            until(lambda: worker.state()["state"] == "failing")
            with pytest.raises(BusyError, match="jobs cannot be run since"):
                worker.check()
            time.sleep(0.2)
            relay.mend()
            until(lambda: worker.state()["state"] == "waiting")
            assert store.status(job_id)["result"] == {"made": 1}
            assert b"mammosynth_jobs_database_up 1.0" in metrics.text()
            worker.stop()
    assert len(runs) == 1


@pytest.mark.slow
def test_servers_that_are_killed_lose_no_job_and_do_none_twice_that_is_done(url: str, tmp_path: Path) -> None:
    database = Database(url, LAYOUTS)
    store = JobStore(database, holder="asks")
    jobs: list[str] = []

    def submit() -> None:
        for number in range(len(jobs), len(jobs) + _JOBS_A_KILL):
            jobs.append(store.submit(JobRequest("contrast", {}, {"number": number}, "a")))

    def start(name: str) -> subprocess.Popen[str]:
        return queue_server.start(url, name, tmp_path / name, job_s=0.05)

    running = {name: start(name) for name in ("one", "two")}
    try:
        for name in ("one", "two", "one"):  # a start may take longer than all the jobs before it
            submit()
            time.sleep(0.3)
            assert store.present()[JobState.QUEUED], "there is still something to lose"
            running[name].send_signal(signal.SIGKILL)
            running[name].wait()
            running[name] = start(name)
        until(lambda: not sum(store.present().values()), 60)
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    assert {store.status(job)["state"] for job in jobs} == {JobState.DONE}
    done = Counter(line for name in running for line in (tmp_path / name).read_text().split())
    assert set(done) == {str(number) for number in range(len(jobs))}
    assert sum(done.values()) <= len(jobs) + 3, "at most the one that each of the three ran when it was killed"
    database.close()
