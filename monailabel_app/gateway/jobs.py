"""Synthesis jobs: kept in a database, run one at a time, in turn between those who ask.

A job that was running when the server died is queued again at the next start. That is safe because the UIDs of a
synthesized image follow from what it was made from (`mammosynth.dicom.derived_uids`): doing it again stores the same
instance, not a second one, and an image that the archive already holds is not made again.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Float, Index, Integer, String, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, Session, mapped_column

from mammosynth.database import Database
from mammosynth.errors import MammoSynthError
from monailabel_app.archive_session import wanted_until
from monailabel_app.database import Base
from monailabel_app.dicom_json import UID_MAX_LENGTH
from monailabel_app.errors import ConflictError, NotFoundError
from monailabel_app.gateway.busy import TOO_MANY, BusyError

logger = logging.getLogger(__name__)
MAX_ATTEMPTS = 3
_IDLE_S = 5.0  # the queue is looked at, if nobody says that there is something new
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0  # after a failure; twice as long after each further one
_STOP_S = 5.0
_SHARE = 4  # one person may fill a quarter of the queue: four would have to agree to keep everybody else out
_RETRY_WHEN_FULL_S = 60  # a synthesis or two later


class JobState(StrEnum):
    """Life of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True)
class JobRequest:
    """What to synthesize.

    Attributes:
        model: Its name as served.
        inputs: By role: of an image or a label map where it lies in the archive (study_instance_uid,
            series_instance_uid, sop_instance_uid), of JSON values themselves.
        parameters: Of the model.
        requester: Name of who asks, for taking turns.
    """

    model: str
    inputs: Mapping[str, Any]
    parameters: Mapping[str, Any]
    requester: str

    @property
    def study_instance_uid(self) -> str | None:
        """The study of the first input that is in the archive, for taking turns; None if none is."""
        references = (value for value in self.inputs.values() if isinstance(value, Mapping))
        studies = (reference.get("study_instance_uid") for reference in references)
        return next((study for study in studies if isinstance(study, str) and len(study) <= UID_MAX_LENGTH), None)


class JobCancelled(Exception):  # noqa: N818 - not an error
    """Raised inside a running job when somebody cancelled it, or the server stops."""


class _Job(Base):
    __tablename__ = "jobs"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(String(36), unique=True)
    order: Mapped[dict[str, Any]] = mapped_column(JSON)  # model, inputs, parameters
    study_instance_uid: Mapped[str | None] = mapped_column(String(64))
    requester: Mapped[str] = mapped_column(String(128))
    state: Mapped[str] = mapped_column(String(16))
    progress: Mapped[float] = mapped_column(Float, default=0.0)
    message: Mapped[str] = mapped_column(String, default="waiting")
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    turn: Mapped[int] = mapped_column(Integer, default=0)
    created: Mapped[str] = mapped_column(String(40))
    ended: Mapped[str | None] = mapped_column(String(40), default=None)
    __table_args__ = (Index("by_state", "state"), Index("by_requester", "requester"))

    def request(self) -> JobRequest:
        return JobRequest(**self.order, requester=self.requester)

    def status(self) -> dict[str, Any]:
        return {
            "job_id": self.job_id,
            "model": self.order["model"],
            "state": self.state,
            "progress": self.progress,
            "message": self.message,
            "result": self.result,
        }


class JobStore:
    """The jobs on disk. Every method is one transaction and may be called from any thread.

    Methods that write raise `BusyError` while they cannot, for example because the disk is full.

    Args:
        database: Where jobs are kept.
        max_queued: Most jobs that wait.
        max_queued_each: Most of one requester; None: a quarter of all.
    """

    def __init__(self, database: Database, *, max_queued: int = 1000, max_queued_each: int | None = None) -> None:
        self._database = database
        self._max_queued = max_queued
        self._max_queued_each = max_queued_each or max(1, max_queued // _SHARE)
        self._claim = threading.Lock()
        self._cancelled: set[str] = set()  # of those that run: known at once, also to who does not ask the disk
        self._requeue_interrupted()

    def submit(self, request: JobRequest) -> str:
        """Queue a job and return its id.

        Raises:
            ConflictError: If too many jobs wait already.
            BusyError: If too many of the same requester do, or it cannot be written down.
        """
        job_id = str(uuid.uuid4())
        with self._writing() as session:
            is_waiting = _Job.state == JobState.QUEUED
            waiting = session.scalar(select(func.count()).where(is_waiting)) or 0
            if waiting >= self._max_queued:
                raise ConflictError(f"{waiting} jobs wait already, the most that are kept; try again later")
            own = session.scalar(select(func.count()).where(is_waiting, _Job.requester == request.requester)) or 0
            if own >= self._max_queued_each:
                raise BusyError(
                    f"{own} of your jobs wait already, the most of one person; send more when some of them are done",
                    status=TOO_MANY,
                    retry_after_s=_RETRY_WHEN_FULL_S,
                )
            session.add(
                _Job(
                    job_id=job_id,
                    order={
                        "model": request.model,
                        "inputs": dict(request.inputs),
                        "parameters": dict(request.parameters),
                    },
                    study_instance_uid=request.study_instance_uid,
                    requester=request.requester,
                    state=JobState.QUEUED,
                    created=_now(),
                )
            )
        return job_id

    def status(self, job_id: str) -> dict[str, Any]:
        """job_id, model, state, progress 0-1, message, result.

        Raises:
            NotFoundError: If there is no such job.
        """
        with self._database.reading() as session:
            return _find(session, job_id).status()

    def request(self, job_id: str) -> JobRequest:
        """What a job was asked to do.

        Raises:
            NotFoundError: If there is no such job.
        """
        with self._database.reading() as session:
            return _find(session, job_id).request()

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Cancel a job: at once if it waits, at its next step if it runs. Cancelling twice is no error.

        Raises:
            NotFoundError: If there is no such job.
            ConflictError: If it has ended otherwise.
        """
        with self._claim, self._writing() as session:
            job = _find(session, job_id)
            if job.state in (JobState.DONE, JobState.FAILED):
                raise ConflictError(f"job {job_id} is {job.state} and cannot be cancelled")
            if job.state == JobState.QUEUED:
                job.state, job.message, job.ended = JobState.CANCELLED, "cancelled before it started", _now()
            elif job.state == JobState.RUNNING:
                self._cancelled.add(job_id)
                job.cancel_requested, job.message = True, "stopping"
            return job.status()

    def is_cancelled(self, job_id: str) -> bool:
        """Whether a running job should stop, without asking the disk."""
        return job_id in self._cancelled

    def claim_next(self) -> tuple[str, JobRequest] | None:
        """Mark the next job as running: the requester, then the study, that was served longest ago comes first."""
        with self._claim, self._writing() as session:
            waiting = session.scalars(select(_Job).where(_Job.state == JobState.QUEUED).order_by(_Job.number)).all()
            if not waiting:
                return None
            by_requester = _last_turns(session, _Job.requester)
            by_study = _last_turns(session, _Job.study_instance_uid)
            job = min(waiting, key=lambda j: (by_requester[j.requester], by_study[j.study_instance_uid], j.number))
            job.turn = max(by_requester.values()) + 1
            job.attempts += 1
            job.state, job.progress, job.message = JobState.RUNNING, 0.0, "started"
            return job.job_id, job.request()

    def report(self, job_id: str, progress: float, message: str) -> None:
        """Record how far a running job is.

        Raises:
            JobCancelled: If it should stop.
        """
        with self._writing() as session:
            job = _find(session, job_id)
            if job.cancel_requested:
                raise JobCancelled
            job.progress, job.message = min(max(progress, 0.0), 1.0), message

    def end(self, job_id: str, state: JobState, message: str, result: Mapping[str, Any] | None = None) -> None:
        """Record how a job ended."""
        with self._writing() as session:
            job = _find(session, job_id)
            job.state, job.message, job.ended = state, message, _now()
            job.result = dict(result) if result is not None else None
            if state == JobState.DONE:
                job.progress = 1.0
        self._cancelled.discard(job_id)

    def release(self, job_id: str) -> None:
        """Put a running job back into the queue, because the server stops."""
        with self._writing() as session:
            job = _find(session, job_id)
            job.state, job.progress, job.message = JobState.QUEUED, 0.0, "waiting: the server was stopped"
            job.attempts -= 1

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        try:
            with self._database.writing() as session:
                yield session
        except SQLAlchemyError as error:
            reason = getattr(error, "orig", None) or type(error).__name__
            raise BusyError(
                f"jobs cannot be written down at the moment ({reason}); make sure that the disk has space, it goes on "
                "by itself then"
            ) from error

    def _requeue_interrupted(self) -> None:
        with self._database.writing() as session:
            session.execute(
                update(_Job)
                .where(_Job.state == JobState.RUNNING, _Job.cancel_requested)
                .values(state=JobState.CANCELLED, message="cancelled", ended=_now())
            )
            session.execute(
                update(_Job)
                .where(_Job.state == JobState.RUNNING, _Job.attempts >= MAX_ATTEMPTS)
                .values(
                    state=JobState.FAILED,
                    message=f"the server died {MAX_ATTEMPTS} times while it ran this job; see its log",
                    ended=_now(),
                )
            )
            session.execute(
                update(_Job)
                .where(_Job.state == JobState.RUNNING)
                .values(state=JobState.QUEUED, progress=0.0, message="waiting: the server was restarted")
            )


class Worker:
    """The one thread that runs jobs. Nothing but `stop` ends it: after a failure it waits, ever longer, and goes on.

    Args:
        store: Where jobs are.
        run: Does the work and returns the result; calls the given function with progress and message, through which
            cancellation reaches it. Requests to the archive in it are given up when the job is cancelled.
        pause_s: First pause after a failure.
    """

    def __init__(
        self,
        store: JobStore,
        run: Callable[[JobRequest, Callable[[float, str], None]], dict[str, Any]],
        *,
        pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self._store = store
        self._run = run
        self._first_pause_s = pause_s
        self._pause_s = pause_s
        self._trouble: dict[str, str] | None = None
        self._is_at_work = False
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="synthesis-worker", daemon=True)

    def start(self) -> None:
        """Begin with whatever waits."""
        self._thread.start()

    def wake(self) -> None:
        """Look at the queue now."""
        self._wake.set()

    def state(self) -> dict[str, str]:
        """What the worker does, for `/health`.

        Returns:
            state: running, waiting, failing or stopped; while it is failing also what failed, and since when.
        """
        if not self._thread.is_alive():
            return {"state": "stopped"}
        if (trouble := self._trouble) is not None:
            return {"state": "failing", **trouble}
        return {"state": "running" if self._is_at_work else "waiting"}

    def check(self) -> None:
        """Refuse new jobs while none can be run, and let the worker try again at once.

        Raises:
            BusyError: With what fails, and since when.
        """
        state = self.state()
        if state["state"] == "failing":
            self.wake()
            raise BusyError(f"jobs cannot be run since {state['since']}: {state['failed']}")
        if state["state"] == "stopped":
            raise BusyError("no jobs are run, because the server is being stopped; send the job to the next start")

    def stop(self, timeout_s: float = _STOP_S) -> None:
        """Stop at the running job's next step; it stays queued for the next start."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                claimed = self._store.claim_next()
                self._note_recovery()
                if claimed is None:
                    self._wake.wait(_IDLE_S)
                    self._wake.clear()
                else:
                    self._do(*claimed)
            except BaseException as error:  # whatever it is: without this thread no job would ever run again
                self._note_failure(error)
                self._wait_after_failure()

    def _do(self, job_id: str, request: JobRequest) -> None:
        self._is_at_work = True
        try:
            state, message, result = self._outcome(job_id, request)
        finally:
            self._is_at_work = False
        if state is None:
            self._store.release(job_id)
        else:
            self._write_down(lambda: self._store.end(job_id, state, message, result))

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
            if isinstance(error, MammoSynthError):
                return JobState.FAILED, str(error), None
            # The worker must outlive a fault in one job; the fault is in the log and the job says so.
            logger.error("job %s failed", job_id, exc_info=error)
            return JobState.FAILED, f"internal error; the server's log has it under job {job_id}", None

    def _write_down(self, write: Callable[[], None]) -> None:
        """Write until it works: work that is done must not be lost to a full disk."""
        while True:
            try:
                write()
            except BusyError as error:
                if self._stopping.is_set():
                    raise
                self._note_failure(error)
                self._wait_after_failure()
            else:
                self._note_recovery()
                return

    def _note_failure(self, error: BaseException) -> None:
        failed = str(error) if isinstance(error, MammoSynthError) else f"internal error ({type(error).__name__})"
        if self._trouble is None or self._trouble["failed"] != failed:
            logger.error("jobs cannot be run: %s", failed, exc_info=error)
            since = self._trouble["since"] if self._trouble else _now()
            self._trouble = {"failed": failed, "since": since}

    def _note_recovery(self) -> None:
        if self._trouble is not None:
            logger.warning("jobs are run again; it failed since %s", self._trouble["since"])
        self._trouble, self._pause_s = None, self._first_pause_s

    def _wait_after_failure(self) -> None:
        ends = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        self._wake.clear()
        self._stopping.wait(self._first_pause_s)  # at least, however often it is woken
        while not self._stopping.is_set() and time.monotonic() < ends and not self._wake.wait(0.1):
            pass


def _find(session: Session, job_id: str) -> _Job:
    job = session.scalar(select(_Job).where(_Job.job_id == job_id))
    if job is None:
        raise NotFoundError(f"no job {job_id[:64]!r}; POST /synthesis returns the ids of new ones")
    return job


def _last_turns(session: Session, group: Any) -> dict[str, int]:
    return {key: turn for key, turn in session.execute(select(group, func.max(_Job.turn)).group_by(group))}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
