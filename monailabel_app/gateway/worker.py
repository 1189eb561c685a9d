"""The threads of a server that run jobs, one each at a time, and another one that says that they are still held."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mammosynth.errors import MammoSynthError
from mammosynth.parallel.pool_errors import PoolAwayError, WorkerDiedError
from monailabel_app.archive_session import wanted_until
from monailabel_app.gateway.busy import BusyError
from monailabel_app.gateway.jobs import JobCancelled, JobRequest, JobState, JobStore, now_text

logger = logging.getLogger(__name__)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0  # after a failure; twice as long after each further one
_STOP_S = 5.0
_IDLE_S = 5.0  # the queue is looked at, if nobody says that there is something new
_RENEW_S = 5.0


class Worker:
    """The threads that run jobs, and another that holds them.

    Nothing but `stop` ends them: after a failure they wait, ever longer, and go on.

    Args:
        store: Where jobs are.
        run: Does the work and returns the result; calls the given function with progress and message, through which
            cancellation reaches it. Requests to the archive in it are given up when the job is cancelled.
        note: Told of a job that has ended: its model, its state, and the seconds that it ran.
        can_run: Asked before a job is taken; raises while none could be run.
        at_once: How many jobs.
        pause_s: First pause after a failure.
        renew_s: How often jobs are held on to.
    """

    def __init__(
        self,
        store: JobStore,
        run: Callable[[JobRequest, Callable[[float, str], None]], dict[str, Any]],
        *,
        note: Callable[[str, str, float], None] = lambda *_: None,
        can_run: Callable[[], None] = lambda: None,
        at_once: int = 1,
        pause_s: float = _FIRST_PAUSE_S,
        renew_s: float = _RENEW_S,
    ) -> None:
        self._store = store
        self._run = run
        self._note = note
        self._can_run = can_run
        self._renew_s = renew_s
        self._first_pause_s = pause_s
        self._pause_s = pause_s
        self._trouble: dict[str, str] | None = None
        self._at_work: set[str] = set()  # ids of jobs
        self._has_begun = False
        self._beginning = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._loop, name=f"synthesis-worker-{number}", daemon=True)
            for number in range(at_once)
        ]
        self._holding = threading.Thread(target=self._hold, name="job-leases", daemon=True)

    def start(self) -> None:
        """Begin with whatever waits."""
        for thread in self._threads:
            thread.start()
        self._holding.start()

    def wake(self) -> None:
        """Look at the queue now."""
        self._wake.set()

    def state(self) -> dict[str, str]:
        """What the worker does, for `/health`.

        Returns:
            state: running, waiting, failing or stopped; while it is failing also what failed, and since when.
        """
        if not any(thread.is_alive() for thread in self._threads):
            return {"state": "stopped"}
        if (trouble := self._trouble) is not None:
            return {"state": "failing", **trouble}
        return {"state": "running" if self._at_work else "waiting"}

    def accept(self) -> None:
        """Refuse new jobs while none can be run, and let the worker try again at once.

        Raises:
            BusyError: With what fails, and since when.
        """
        try:
            self.check()
        except BusyError:
            self.wake()
            raise

    def check(self) -> None:
        """Whether jobs can be run; asking changes nothing.

        Raises:
            BusyError: With what fails, and since when.
        """
        state = self.state()
        if state["state"] == "failing":
            raise BusyError(f"jobs cannot be run since {state['since']}: {state['failed']}")
        if state["state"] == "stopped":
            raise BusyError("no jobs are run, because the server is being stopped; send the job to the next start")

    def stop(self, timeout_s: float = _STOP_S) -> None:
        """Stop at the next step of what runs; it stays queued for the next start."""
        self._stopping.set()
        self._wake.set()
        ends = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, ends - time.monotonic()))

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                self._begin()
                self._can_run()
                claimed = self._store.claim_next()
                self._note_recovery()
                if claimed is None:
                    self._wake.wait(_IDLE_S)
                    self._forget_wake()
                else:
                    if len(self._threads) > 1:
                        self._wake.set()  # there may be more, which another thread has been told of and not seen
                    self._do(*claimed)
            except BaseException as error:  # whatever it is: without this thread no job would ever run again
                self._note_failure(error)
                self._wait_after_failure()

    def _begin(self) -> None:
        """Take up what was lost, once, before any thread has a job."""
        with self._beginning:
            if not self._has_begun:
                self._store.requeue_interrupted()
                self._has_begun = True

    def _hold(self) -> None:
        while not self._stopping.wait(self._renew_s):
            if self._at_work:
                with suppress(BusyError):  # then another server may take it, once its lease has run out
                    self._store.renew(self._at_work.copy())

    def _do(self, job_id: str, request: JobRequest) -> None:
        begun = time.monotonic()
        self._at_work.add(job_id)  # and holds it, until its end is written down
        try:
            try:
                state, message, result = self._outcome(job_id, request)
            except PoolAwayError as error:
                self._store.release(job_id, str(error))
                raise
            except WorkerDiedError as error:
                logger.warning("job %s lost its worker", job_id, exc_info=error)
                reason = str(error)
                if self._write_down(lambda: self._store.requeue_once(job_id, reason)):
                    return
                state, message, result = JobState.FAILED, f"{error}, a second time; see its machine's log", None
            seconds = time.monotonic() - begun
            if state is None:
                self._store.release(job_id, "the server was stopped")
            elif self._write_down(lambda: self._store.end(job_id, state, message, result)):
                self._note(request.model, state, seconds)
        finally:
            self._at_work.discard(job_id)

    def _outcome(self, job_id: str, request: JobRequest) -> tuple[JobState | None, str, dict[str, Any] | None]:
        """State, message and result of a job that has been run; no state if it was interrupted by the server's end."""

        def is_unwanted() -> bool:
            return self._stopping.is_set() or self._store.is_cancelled(job_id)

        def report(progress: float, message: str) -> None:
            if is_unwanted():
                raise JobCancelled
            try:
                self._store.report(job_id, progress, message)
            except BusyError as error:
                self._note_failure(error)  # how far it is can be told later; the work goes on

        try:
            with wanted_until(is_unwanted):
                result = self._run(request, report)
            return JobState.DONE, result.pop("message", "done"), result
        except BaseException as error:
            if is_unwanted():  # given up in the middle, so that anything can have come out
                return (None, "", None) if self._stopping.is_set() else (JobState.CANCELLED, "cancelled", None)
            if isinstance(error, JobCancelled):
                return JobState.CANCELLED, "cancelled", None
            if isinstance(error, PoolAwayError | WorkerDiedError):
                raise
            if isinstance(error, MammoSynthError):
                return JobState.FAILED, str(error), None
            # The worker must outlive a fault in one job; the fault is in the log and the job says so.
            logger.error("job %s failed", job_id, exc_info=error)
            return JobState.FAILED, f"internal error; the server's log has it under job {job_id}", None

    def _write_down(self, write: Callable[[], bool]) -> bool:
        """Write until it works: work that is done must not be lost to a full disk; returns what writing does."""
        while True:
            try:
                is_written = write()
            except BusyError as error:
                if self._stopping.is_set():
                    raise
                self._note_failure(error)
                self._wait_after_failure()
            else:
                self._note_recovery()
                return is_written

    def _forget_wake(self) -> None:
        self._wake.clear()
        if self._stopping.is_set():
            self._wake.set()  # for threads that have not come to wait yet

    def _note_failure(self, error: BaseException) -> None:
        failed = str(error) if isinstance(error, MammoSynthError) else f"internal error ({type(error).__name__})"
        trouble = self._trouble  # once: another thread may recover meanwhile
        if trouble is None or trouble["failed"] != failed:
            logger.error("jobs cannot be run: %s", failed, exc_info=error)
            self._trouble = {"failed": failed, "since": trouble["since"] if trouble else now_text()}

    def _note_recovery(self) -> None:
        if (trouble := self._trouble) is not None:
            logger.warning("jobs are run again; it failed since %s", trouble["since"])
        self._trouble, self._pause_s = None, self._first_pause_s

    def _wait_after_failure(self) -> None:
        ends = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        self._forget_wake()
        self._stopping.wait(self._first_pause_s)  # at least, however often it is woken
        while not self._stopping.is_set() and time.monotonic() < ends and not self._wake.wait(0.1):
            pass
