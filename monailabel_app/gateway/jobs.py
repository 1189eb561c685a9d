"""Synthesis jobs: kept in a database, run one at a time, in turn between those who ask.

A job that was running when the server died is queued again at the next start. That is safe because the UIDs of a
synthesized image follow from what it was made from (`mammosynth.dicom.derived_uids`): doing it again stores the same
instance, not a second one, and an image that the archive already holds is not made again.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Float, Index, Integer, String, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, Session, mapped_column

from mammosynth.errors import MammoSynthError
from monailabel_app.database import Base, Database
from monailabel_app.dicom_json import UID_MAX_LENGTH
from monailabel_app.errors import ConflictError, NotFoundError

logger = logging.getLogger(__name__)
MAX_ATTEMPTS = 3


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
    """The jobs on disk. Every method is one transaction and may be called from any thread."""

    def __init__(self, database: Database, *, max_queued: int = 1000) -> None:
        self._database = database
        self._max_queued = max_queued
        self._claim = threading.Lock()
        self._requeue_interrupted()

    def submit(self, request: JobRequest) -> str:
        """Queue a job and return its id.

        Raises:
            ConflictError: If too many jobs wait already.
        """
        job_id = str(uuid.uuid4())
        with self._database.writing() as session:
            waiting = session.scalar(select(func.count()).where(_Job.state == JobState.QUEUED)) or 0
            if waiting >= self._max_queued:
                raise ConflictError(f"{waiting} jobs wait already, the most that are kept; try again later")
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
        with self._claim, self._database.writing() as session:
            job = _find(session, job_id)
            if job.state in (JobState.DONE, JobState.FAILED):
                raise ConflictError(f"job {job_id} is {job.state} and cannot be cancelled")
            if job.state == JobState.QUEUED:
                job.state, job.message, job.ended = JobState.CANCELLED, "cancelled before it started", _now()
            elif job.state == JobState.RUNNING:
                job.cancel_requested, job.message = True, "stopping"
            return job.status()

    def claim_next(self) -> tuple[str, JobRequest] | None:
        """Mark the next job as running: the requester, then the study, that was served longest ago comes first."""
        with self._claim, self._database.writing() as session:
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
        with self._database.writing() as session:
            job = _find(session, job_id)
            if job.cancel_requested:
                raise JobCancelled
            job.progress, job.message = min(max(progress, 0.0), 1.0), message

    def end(self, job_id: str, state: JobState, message: str, result: Mapping[str, Any] | None = None) -> None:
        """Record how a job ended."""
        with self._database.writing() as session:
            job = _find(session, job_id)
            job.state, job.message, job.ended = state, message, _now()
            job.result = dict(result) if result is not None else None
            if state == JobState.DONE:
                job.progress = 1.0

    def release(self, job_id: str) -> None:
        """Put a running job back into the queue, because the server stops."""
        with self._database.writing() as session:
            job = _find(session, job_id)
            job.state, job.progress, job.message = JobState.QUEUED, 0.0, "waiting: the server was stopped"
            job.attempts -= 1

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
    """The one thread that runs jobs."""

    def __init__(
        self, store: JobStore, run: Callable[[JobRequest, Callable[[float, str], None]], dict[str, Any]]
    ) -> None:
        """Prepare a worker.

        Args:
            store: Where jobs are.
            run: Does the work and returns the result; calls the given function with progress and message, through
                which cancellation reaches it.
        """
        self._store = store
        self._run = run
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="synthesis-worker", daemon=True)

    def start(self) -> None:
        """Begin with whatever waits."""
        self._thread.start()

    def wake(self) -> None:
        """Look at the queue now."""
        self._wake.set()

    def stop(self, timeout_s: float = 30.0) -> None:
        """Stop at the running job's next step; it stays queued for the next start."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                claimed = self._store.claim_next()
            except SQLAlchemyError:
                # A locked or full disk must not end the only worker; the queue is looked at again.
                logger.exception("the job queue cannot be read")
                claimed = None
            if claimed is None:
                self._wake.wait(timeout=5.0)
                self._wake.clear()
            else:
                self._do(*claimed)

    def _do(self, job_id: str, request: JobRequest) -> None:
        def report(progress: float, message: str) -> None:
            if self._stopping.is_set():
                raise JobCancelled
            self._store.report(job_id, progress, message)

        try:
            result = self._run(request, report)
            self._store.end(job_id, JobState.DONE, result.pop("message", "done"), result)
        except JobCancelled:
            if self._stopping.is_set():
                self._store.release(job_id)
            else:
                self._store.end(job_id, JobState.CANCELLED, "cancelled")
        except MammoSynthError as error:
            self._store.end(job_id, JobState.FAILED, str(error))
        except Exception:
            # The worker must outlive a fault in one job; the fault is in the log and the job says so.
            logger.exception("job %s failed", job_id)
            self._store.end(job_id, JobState.FAILED, f"internal error; the server's log has it under job {job_id}")


def _find(session: Session, job_id: str) -> _Job:
    job = session.scalar(select(_Job).where(_Job.job_id == job_id))
    if job is None:
        raise NotFoundError(f"no job {job_id[:64]!r}; POST /synthesis returns the ids of new ones")
    return job


def _last_turns(session: Session, group: Any) -> dict[str, int]:
    return {key: turn for key, turn in session.execute(select(group, func.max(_Job.turn)).group_by(group))}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
