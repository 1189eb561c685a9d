import statistics
import threading
import time
from contextlib import ExitStack
from itertools import pairwise

import pytest

from mammosynth.database import Database
from mammosynth.errors import UnsupportedImageError
from mammosynth.parallel.pool_errors import PoolAwayError, WorkerDiedError
from monailabel_app.database import LAYOUTS
from monailabel_app.errors import ConflictError, NotFoundError
from monailabel_app.gateway import jobs as jobs_module
from monailabel_app.gateway.busy import NOT_NOW, TOO_MANY, BusyError
from monailabel_app.gateway.jobs import ENDED, MAX_ATTEMPTS, JobCancelled, JobRequest, JobState, JobStore
from monailabel_app.gateway.worker import Worker
from monailabel_app.studies import DicomWebStudies
from tests.support.full_disk import full_disk
from tests.support.odd_archives import odd_archive, silent
from tests.support.waiting import until


def _request(study="1.2", requester="a"):
    source = {"study_instance_uid": study, "series_instance_uid": "1.2.3"}
    return JobRequest("contrast", {"source": source}, {"seed": 1}, requester)


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "jobs.sqlite", LAYOUTS)
    yield database
    database.close()


@pytest.fixture
def store(database):
    return JobStore(database)


@pytest.fixture
def restart(tmp_path):
    """Opens the same jobs as a server does that starts again."""
    with ExitStack() as stack:

        def start():
            again = Database(tmp_path / "jobs.sqlite", LAYOUTS)
            stack.callback(again.close)
            opened = JobStore(again)
            opened.requeue_interrupted()
            return opened

        yield start


def _wait(store, job_id, *states, timeout_s=5.0):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        status = store.status(job_id)
        if status["state"] in states:
            return status
        time.sleep(0.01)
    pytest.fail(f"job is {status['state']} after {timeout_s} s, expected {states}")


def test_a_new_job_waits_and_keeps_what_was_asked_for(store):
    job_id = store.submit(_request())
    assert (store.status(job_id)["state"], store.status(job_id)["model"]) == ("queued", "contrast")
    assert store.claim_next() == (job_id, _request())
    assert store.status(job_id)["state"] == "running"


def test_an_unknown_job_is_named(store):
    with pytest.raises(NotFoundError, match="no job 'nonsense'"):
        store.status("nonsense")


def test_requesters_take_turns(store):
    for _ in range(3):
        store.submit(_request(requester="batch"))
    late = store.submit(_request(study="9.9", requester="reader"))
    order = [store.claim_next()[0] for _ in range(4)]
    assert order.index(late) == 1


def test_studies_of_one_requester_take_turns(store):
    for _ in range(3):
        store.submit(_request(study="1.1"))
    late = store.submit(_request(study="2.2"))
    order = [store.claim_next()[0] for _ in range(4)]
    assert order.index(late) == 1


def test_a_task_may_start_from_no_image_or_from_several(store):
    image = {"study_instance_uid": "1.2", "series_instance_uid": "1.2.3"}
    drawing = {"study_instance_uid": "1.2", "sop_instance_uid": "1.2.9"}
    fictitious = JobRequest("draw", {"recipe": {"density": "c"}, "sizes": [1, 2.5]}, {}, "a")
    several = JobRequest("other_view", {"recipe": {}, "source": image, "lesions": drawing}, {}, "a")
    assert (fictitious.study_instance_uid, several.study_instance_uid) == (None, "1.2")
    store.submit(fictitious)
    store.submit(several)
    assert [store.claim_next()[1] for _ in range(2)] == [fictitious, several]


def test_json_values_that_only_look_like_a_study_are_none():
    odd = JobRequest("draw", {"recipe": {"study_instance_uid": "x" * 65}, "other": {"study_instance_uid": 1}}, {}, "a")
    assert odd.study_instance_uid is None


def test_images_without_a_study_take_turns_with_studies(store):
    for _ in range(3):
        store.submit(JobRequest("draw", {"recipe": {}}, {}, "a"))
    late = store.submit(_request())
    order = [store.claim_next()[0] for _ in range(4)]
    assert order.index(late) == 1


def test_a_job_is_claimed_once_however_many_ask(store):
    for _ in range(20):
        store.submit(_request())
    claimed = []

    def claim():
        while found := store.claim_next():
            claimed.append(found[0])
            store.report(found[0], 0.5, "half")
            store.end(found[0], JobState.DONE, "done", {})

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(claimed) == len(set(claimed)) == 20
    assert {store.status(job_id)["state"] for job_id in claimed} == {"done"}


def test_a_running_job_is_queued_again_after_a_crash(store, restart):
    job_id = store.submit(_request())
    store.claim_next()
    after_crash = restart()
    assert after_crash.status(job_id)["state"] == "queued"
    assert after_crash.claim_next()[0] == job_id


def test_opening_the_jobs_changes_nothing_and_a_server_that_starts_takes_up_what_was_lost(store, database):
    job_id = store.submit(_request())
    store.claim_next()
    assert JobStore(database, holder="looks").status(job_id)["state"] == "running"
    assert JobStore(database).status(job_id)["state"] == "running"
    worker = Worker(JobStore(database), lambda request, report: {})
    worker.start()
    assert _wait(store, job_id, "done")["progress"] == 1
    worker.stop()


def test_a_job_that_kills_the_server_again_and_again_fails(store, restart):
    job_id = store.submit(_request())
    for _ in range(MAX_ATTEMPTS):
        store.claim_next()
        restart()
    assert store.status(job_id)["state"] == "failed"


def test_ended_jobs_keep_their_result_after_a_restart(store, restart):
    job_id = store.submit(_request())
    store.claim_next()
    store.end(job_id, JobState.DONE, "done", {"series_instance_uid": "1.2.3.4"})
    again = restart()
    assert again.status(job_id)["result"] == {"series_instance_uid": "1.2.3.4"}


def test_a_waiting_job_is_cancelled_at_once_and_cancelling_twice_is_no_error(store):
    job_id = store.submit(_request())
    assert store.cancel(job_id)["state"] == "cancelled"
    assert store.cancel(job_id)["state"] == "cancelled"
    assert store.claim_next() is None


def test_a_done_job_cannot_be_cancelled(store):
    job_id = store.submit(_request())
    store.claim_next()
    store.end(job_id, JobState.DONE, "done", {})
    with pytest.raises(ConflictError, match="is done and cannot be cancelled"):
        store.cancel(job_id)


def test_a_full_queue_refuses(database):
    store = JobStore(database, max_queued=2)
    store.submit(_request(requester="a"))
    store.submit(_request(requester="b"))
    with pytest.raises(ConflictError, match="2 jobs wait already"):
        store.submit(_request(requester="c"))


def test_one_requester_fills_no_more_than_a_quarter_of_the_queue(database):
    store = JobStore(database, max_queued=8)
    first = [store.submit(_request()) for _ in range(2)][0]
    with pytest.raises(BusyError, match="2 of your jobs wait already, the most of one person") as refusal:
        store.submit(_request())
    assert (refusal.value.status, refusal.value.retry_after_s) == (TOO_MANY, 60)
    store.submit(_request(requester="another"))
    store.cancel(first)
    store.submit(_request())


def test_the_worker_ends_jobs_as_done_with_progress_one(store):
    worker = Worker(
        store, lambda request, report: {"sop_instance_uids": [request.inputs["source"]["series_instance_uid"]]}
    )
    job_id = store.submit(_request())
    worker.start()
    status = _wait(store, job_id, "done")
    worker.stop()
    assert status["progress"] == 1.0
    assert status["result"] == {"sop_instance_uids": ["1.2.3"]}


def test_a_refusal_becomes_the_message_of_a_failed_job_and_the_worker_goes_on(store):
    def run(request, report):
        if request.study_instance_uid == "1.2":
            raise UnsupportedImageError("1.2.3: Modality is 'CT', expected MG")
        return {}

    worker = Worker(store, run)
    bad, good = store.submit(_request()), store.submit(_request(study="2.2"))
    worker.start()
    assert _wait(store, bad, "failed")["message"] == "1.2.3: Modality is 'CT', expected MG"
    _wait(store, good, "done")
    worker.stop()


def test_a_fault_in_one_job_is_reported_without_details_and_the_worker_goes_on(store, caplog):
    def run(request, report):
        if request.study_instance_uid == "1.2":
            raise ZeroDivisionError("secret path")
        return {}

    worker = Worker(store, run)
    bad, good = store.submit(_request()), store.submit(_request(study="2.2"))
    worker.start()
    assert "secret" not in _wait(store, bad, "failed")["message"]
    _wait(store, good, "done")
    worker.stop()
    assert "secret path" in caplog.text


def _long_job(started):
    def run(request, report):
        started.set()
        for step in range(1000):
            report(step / 1000, "working")
            time.sleep(0.005)
        return {}

    return run


def test_a_running_job_is_cancelled_at_its_next_step(store):
    started = threading.Event()
    worker = Worker(store, _long_job(started))
    job_id = store.submit(_request())
    worker.start()
    assert started.wait(5)
    assert store.cancel(job_id)["message"] == "stopping"
    _wait(store, job_id, "cancelled")
    worker.stop()


def test_stopping_the_server_keeps_the_running_job_for_the_next_start(store):
    started = threading.Event()
    worker = Worker(store, _long_job(started))
    job_id = store.submit(_request())
    worker.start()
    assert started.wait(5)
    worker.stop()
    assert store.status(job_id)["state"] == "queued"


def test_reporting_on_a_cancelled_job_raises(store):
    job_id = store.submit(_request())
    store.claim_next()
    store.cancel(job_id)
    with pytest.raises(JobCancelled):
        store.report(job_id, 0.5, "half")


@pytest.mark.parametrize("put_back", [JobStore.release, JobStore.requeue_once])
def test_a_job_that_is_cancelled_while_its_worker_goes_away_does_not_wait_again(store, put_back):
    job_id = store.submit(_request())
    store.claim_next()
    store.cancel(job_id)
    put_back(store, job_id, "the Ray cluster does not answer")
    assert (store.status(job_id)["state"], store.status(job_id)["message"]) == ("cancelled", "cancelled")
    assert store.claim_next() is None


def test_a_worker_that_dies_while_the_disk_is_full_has_died_once(store):
    job_id = store.submit(_request())
    store.claim_next()
    with full_disk(), pytest.raises(BusyError):
        store.requeue_once(job_id, "its worker died")
    assert store.requeue_once(job_id, "its worker died")
    assert store.status(job_id)["state"] == JobState.QUEUED


def test_only_what_is_at_work_is_held(store, database, monkeypatch):
    now = 0.0
    monkeypatch.setattr(database, "now", lambda session: now)
    lost, kept = (store.submit(_request()) for _ in range(2))
    store.claim_next()
    store.claim_next()
    now = 20.0
    store.renew({kept})
    now = 40.0
    assert store.claim_next()[0] == lost
    assert store.status(kept)["state"] == JobState.RUNNING


_WRITES = {
    "submit": (lambda store, job: store.submit(_request()), lambda store, job: None),
    "claim": (lambda store, job: store.claim_next(), lambda store, job: None),
    "report": (lambda store, job: store.report(job, 0.5, "half"), lambda store, job: store.claim_next()),
    "cancel": (lambda store, job: store.cancel(job), lambda store, job: store.claim_next()),
    "end": (lambda store, job: store.end(job, JobState.DONE, "done", {}), lambda store, job: store.claim_next()),
    "release": (lambda store, job: store.release(job, "the server was stopped"), lambda store, job: store.claim_next()),
}


@pytest.mark.parametrize("write", _WRITES)
def test_a_full_disk_is_told_in_words_at_every_write_and_it_goes_on_with_space(store, write):
    job_id = store.submit(_request())
    action, before = _WRITES[write]
    before(store, job_id)
    with (
        full_disk(),
        pytest.raises(BusyError, match="cannot be written down .* make sure that the disk has space") as it,
    ):
        action(store, job_id)
    assert it.value.status == NOT_NOW
    action(store, job_id)


def test_the_worker_says_that_the_disk_is_full_refuses_new_jobs_and_goes_on_with_space(store):
    worker = Worker(store, lambda request, report: {}, pause_s=0.05)
    job_id = store.submit(_request())
    with full_disk():
        worker.start()
        until(lambda: worker.state()["state"] == "failing")
        with pytest.raises(
            BusyError, match=r"jobs cannot be run since \d{4}-.*: jobs cannot be written down"
        ) as refusal:
            worker.check()
    assert (refusal.value.status, set(worker.state())) == (NOT_NOW, {"state", "failed", "since"})
    _wait(store, job_id, "done")
    until(lambda: worker.state() == {"state": "waiting"})
    worker.check()
    worker.stop()
    assert worker.state() == {"state": "stopped"}


def test_work_that_is_done_is_not_lost_to_a_full_disk(store):
    runs = []
    is_full, may_end = threading.Event(), threading.Event()

    def run(request, report):
        runs.append(request)
        report(0.2, "begun")
        is_full.set()
        assert may_end.wait(5)
        report(0.5, "half")
        return {"made": 1}

    worker = Worker(store, run, pause_s=0.05)
    job_id = store.submit(_request())
    worker.start()
    assert is_full.wait(5)
    with full_disk():
        may_end.set()
        until(lambda: worker.state()["state"] == "failing")
        time.sleep(0.1)
    assert _wait(store, job_id, "done")["result"] == {"made": 1}
    worker.stop()
    assert len(runs) == 1


def test_a_job_is_held_until_its_end_is_written_down(database, monkeypatch):
    class Broken(JobStore):
        def end(self, *args):
            if is_away.is_set():
                raise BusyError("the database is away")
            return super().end(*args)

    is_away, runs = threading.Event(), []
    is_away.set()
    monkeypatch.setattr(jobs_module, "LEASE_S", 0.2)
    store, other = Broken(database, holder="one"), JobStore(database, holder="two")
    worker = Worker(store, lambda request, report: runs.append(request) or {"made": 1}, pause_s=0.05, renew_s=0.05)
    job_id = store.submit(_request())
    worker.start()
    until(lambda: worker.state()["state"] == "failing")
    for _ in range(8):  # for twice the lease
        assert other.claim_next() is None
        time.sleep(0.05)
    is_away.clear()
    assert _wait(store, job_id, "done")["result"] == {"made": 1}
    worker.stop()
    assert len(runs) == 1


def test_asking_whether_it_works_does_not_make_the_worker_try_again(database):
    class Broken(JobStore):
        def claim_next(self):
            asked.append(1)
            raise BusyError("the database is away")

    asked = []
    worker = Worker(Broken(database), lambda request, report: {}, pause_s=0.05)
    worker.start()
    until(lambda: len(asked) == 4)  # it waits for 0.4 s now
    for _ in range(3):
        with pytest.raises(BusyError, match="jobs cannot be run since"):
            worker.check()
        time.sleep(0.02)
    assert len(asked) == 4
    with pytest.raises(BusyError, match="jobs cannot be run since"):
        worker.accept()
    until(lambda: len(asked) == 5, 0.25)
    worker.stop()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, RecursionError])
def test_no_exception_ends_the_worker(store, kind):
    def run(request, report):
        if request.study_instance_uid == "1.2":
            raise kind
        return {}

    worker = Worker(store, run)
    bad, good = store.submit(_request()), store.submit(_request(study="2.2"))
    worker.start()
    assert _wait(store, bad, "failed")["message"].startswith("internal error")
    _wait(store, good, "done")
    worker.stop()


@pytest.mark.slow
def test_a_queue_that_cannot_be_read_is_tried_again_less_and_less_often(database):
    asked = []

    class Broken(JobStore):
        def claim_next(self):
            asked.append(time.monotonic())
            if len(asked) < 4:
                raise SystemExit
            return super().claim_next()

    store = Broken(database)
    job_id = store.submit(_request())
    worker = Worker(store, lambda request, report: {}, pause_s=0.05)
    worker.start()
    _wait(store, job_id, "done")
    worker.stop()
    pauses = [later - earlier for earlier, later in pairwise(asked[:4])]
    assert all(pause >= least for pause, least in zip(pauses, (0.05, 0.1, 0.2), strict=True)), pauses


@pytest.mark.slow
@pytest.mark.parametrize("action", ["cancel", "stop"])
def test_a_job_that_waits_for_a_silent_archive_is_given_up_at_once(store, action):
    asked = threading.Event()

    def answer(request):
        asked.set()
        silent(request)

    with odd_archive(answer) as url:
        worker = Worker(store, lambda request, report: DicomWebStudies(url).check())
        job_id = store.submit(_request())
        worker.start()
        assert asked.wait(5)
        started = time.monotonic()
        if action == "cancel":
            store.cancel(job_id)
            _wait(store, job_id, "cancelled", timeout_s=2)
        worker.stop()
        assert time.monotonic() - started < 2
    assert store.status(job_id)["state"] == ("cancelled" if action == "cancel" else "queued")


def _job_that_loses_its_worker(store: JobStore, times: int) -> dict:
    died: list[int] = []

    def run(request: JobRequest, report: object) -> dict:
        if len(died) < times:
            died.append(1)
            raise WorkerDiedError("the process that ran this died (killed)")
        return {"made": 1}

    worker = Worker(store, run, at_once=2)
    job_id = store.submit(JobRequest("contrast", {}, {}, "a"))
    worker.start()
    try:
        return _wait(store, job_id, *ENDED)
    finally:
        worker.stop()


def test_a_job_that_loses_its_worker_is_queued_again_once(store):
    assert _job_that_loses_its_worker(store, 1)["result"] == {"made": 1}


def test_a_job_that_loses_its_worker_twice_fails_and_says_so(store):
    status = _job_that_loses_its_worker(store, 2)
    assert status["state"] == JobState.FAILED
    assert status["message"] == "the process that ran this died (killed), a second time; see its machine's log"


def test_jobs_wait_while_there_are_no_workers_and_are_run_when_they_are_back(store):
    is_away = threading.Event()
    is_away.set()

    def can_run() -> None:
        if is_away.is_set():
            raise PoolAwayError("the Ray cluster does not answer")

    worker = Worker(store, lambda request, report: {}, can_run=can_run, at_once=2, pause_s=0.05)
    job_id = store.submit(JobRequest("contrast", {}, {}, "a"))
    worker.start()
    try:
        until(lambda: worker.state()["state"] == "failing")
        assert store.status(job_id)["state"] == JobState.QUEUED
        with pytest.raises(BusyError, match="the Ray cluster does not answer"):
            worker.accept()
        is_away.clear()
        worker.wake()
        _wait(store, job_id, JobState.DONE)
    finally:
        worker.stop()


def test_a_job_is_not_lost_when_another_thread_recovers_at_the_same_moment(store):
    class Overtaken(Worker):
        """Another thread recovers right after this one has seen the trouble."""

        @property
        def _trouble(self):
            return seen.pop() if seen else None

        @_trouble.setter
        def _trouble(self, value):
            pass

    seen = [{"failed": "the database is away", "since": "now"}]
    worker = Overtaken(store, lambda request, report: {"made": 1}, pause_s=0.01)
    job_id = store.submit(_request())
    worker.start()
    try:
        assert _wait(store, job_id, "done")["result"] == {"made": 1}
    finally:
        worker.stop()


def test_a_thread_that_comes_to_wait_after_another_has_left_leaves_too(database):
    class Slow(JobStore):
        def claim_next(self):
            is_second = threading.current_thread().name.endswith("-1")
            if is_second:
                at_the_queue.set()
                assert may_answer.wait(10)
            return super().claim_next()

    at_the_queue, may_answer = threading.Event(), threading.Event()
    worker = Worker(Slow(database), lambda request, report: {}, at_once=2)
    worker.start()
    first, second = worker._threads
    assert at_the_queue.wait(5)
    worker.stop(0)
    first.join(5)
    assert not first.is_alive()
    may_answer.set()
    second.join(2)  # less than it waits for something new
    assert not second.is_alive()


def test_several_jobs_run_at_once_and_none_twice(store):
    together = threading.Barrier(3, timeout=10)  # breaks unless three run at once
    runs: list[int] = []

    def run(request: JobRequest, report: object) -> dict:
        runs.append(request.parameters["number"])
        together.wait()
        return {}

    jobs = [store.submit(JobRequest("contrast", {}, {"number": number}, "a")) for number in range(6)]
    worker = Worker(store, run, at_once=3)
    worker.start()
    until(lambda: not sum(store.present().values()), 15)
    worker.stop()
    assert sorted(runs) == list(range(6))
    assert {store.status(job)["state"] for job in jobs} == {JobState.DONE}


@pytest.mark.parametrize("each", [1, 3])
def test_of_twenty_who_ask_at_once_behind_one_who_asked_for_much_nobody_waits_more_than_twice_the_median(
    database, each
):
    store = JobStore(database)
    for _ in range(100):
        store.submit(JobRequest("contrast", {}, {}, "greedy"))
    store.claim_next()  # which is under way when they ask
    for person in range(20):  # one after the other asks for all of theirs
        for _ in range(each):
            store.submit(JobRequest("contrast", {}, {}, f"person {person}"))
    last: dict[str, int] = {}  # done after so many jobs
    for done in range(1, 21 * each + 1):
        _, request = store.claim_next()
        last[request.requester] = done
    waits = [wait for person, wait in last.items() if person != "greedy"]
    assert len(waits) == 20
    assert max(waits) <= 2 * statistics.median(waits)
