"""Synthesis jobs: kept in a database, run by servers as many at a time as they can, in turn between those who ask.

Several servers may share a queue. Who runs a job holds it by a lease that it renews; a job whose lease has run out,
or that was running when this server died, is queued again. That is safe because the UIDs of a synthesized image follow
from what it was made from (`mammosynth.dicom.derived_uids`): doing it again stores the same instance, not a second one,
and an image that the archive already holds is not made again.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ColumnElement, Float, Index, Integer, String, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, Session, mapped_column

from mammosynth.counts import count_of
from mammosynth.database import Database
from mammosynth.errors import DataError
from monailabel_app.database import Base
from monailabel_app.dicom_json import UID_MAX_LENGTH
from monailabel_app.errors import ConflictError, NotFoundError
from monailabel_app.gateway.busy import TOO_MANY, BusyError

logger = logging.getLogger(__name__)
MAX_ATTEMPTS = 3
LEASE_S = 30.0
"""For how long a job is held by the server that has claimed or renewed it, unless it is renewed again."""
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
    """Raised inside a running job when somebody cancelled it, another server has it, or this one stops."""


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
    holder: Mapped[str | None] = mapped_column(String(36), default=None)
    lease: Mapped[float | None] = mapped_column(Float, default=None)  # until when, in seconds of the database's clock
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


_KEPT = tuple(name for name in _Job.__table__.columns.keys() if name not in ("holder", "lease", "number"))  # noqa: SIM118


class JobStore:
    """The jobs on disk. Every method is one transaction and may be called from any thread.

    Opening it changes nothing. Methods raise `BusyError` while the database cannot be reached, or written because the
    disk is full.

    Args:
        database: Where jobs are kept.
        holder: Names this server among those that share the database, also after a restart; at most 36 characters.
        max_queued: Most jobs that wait.
        max_queued_each: Most of one requester; None: a quarter of all.
    """

    def __init__(
        self,
        database: Database,
        *,
        holder: str = "only",
        max_queued: int = 1000,
        max_queued_each: int | None = None,
    ) -> None:
        self._database = database
        self._holder = holder
        self._max_queued = max_queued
        self._max_queued_each = max_queued_each or max(1, max_queued // _SHARE)
        self._claim = threading.Lock()
        self._cancelled: set[str] = set()  # of those that run: known at once, also to who does not ask the disk
        self._died: set[str] = set()  # of those that have not ended: they have lost one worker already

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
                raise ConflictError(
                    f"{count_of(waiting, 'job waits', 'jobs wait')} already, the most that are kept; try again later"
                )
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
                    created=now_text(),
                )
            )
        return job_id

    def status(self, job_id: str) -> dict[str, Any]:
        """job_id, model, state, progress 0-1, message, result.

        Raises:
            NotFoundError: If there is no such job.
        """
        with self._reading() as session:
            return _find(session, job_id).status()

    def request(self, job_id: str) -> JobRequest:
        """What a job was asked to do.

        Raises:
            NotFoundError: If there is no such job.
        """
        with self._reading() as session:
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
                job.state, job.message, job.ended = JobState.CANCELLED, "cancelled before it started", now_text()
            elif job.state == JobState.RUNNING:
                self._cancelled.add(job_id)
                job.cancel_requested, job.message = True, "stopping"
            return job.status()

    def is_cancelled(self, job_id: str) -> bool:
        """Whether a running job should stop, without asking the disk."""
        return job_id in self._cancelled

    def requeue_interrupted(self) -> None:
        """Queue what ran here when this server died; and what has no holder, from before there were several servers.

        For the start of a server, while it runs nothing yet.
        """
        with self._writing(alone=True) as session:
            is_lost = or_(_Job.holder == self._holder, _Job.holder.is_(None), _Job.lease < self._database.now(session))
            _take_back(session, is_lost, "the server was restarted")

    def claim_next(self) -> tuple[str, JobRequest] | None:
        """Mark the next job as running here: the requester, then the study, that was served longest ago comes first."""
        with self._claim, self._writing(alone=True) as session:
            now = self._database.now(session)
            _take_back(session, _Job.lease < now, "its server does not answer any more")
            waiting = session.scalars(select(_Job).where(_Job.state == JobState.QUEUED).order_by(_Job.number)).all()
            if not waiting:
                return None
            by_requester = _last_turns(session, _Job.requester)
            by_study = _last_turns(session, _Job.study_instance_uid)
            job = min(waiting, key=lambda j: (by_requester[j.requester], by_study[j.study_instance_uid], j.number))
            job.turn = max(by_requester.values()) + 1
            job.attempts += 1
            job.state, job.progress, job.message = JobState.RUNNING, 0.0, "started"
            job.holder, job.lease = self._holder, now + LEASE_S
            return job.job_id, job.request()

    def renew(self, at_work: Collection[str]) -> None:
        """Go on holding what runs here, and learn what was cancelled through another server.

        Args:
            at_work: The ids. What is held and not among them was claimed and lost on the way, such as by a connection
                that broke: its lease runs out.
        """
        with self._writing() as session:
            ends = self._database.now(session) + LEASE_S
            for job in session.scalars(select(_Job).where(self._is_held, _Job.job_id.in_(at_work))):
                job.lease = ends
                if job.cancel_requested:
                    self._cancelled.add(job.job_id)

    def report(self, job_id: str, progress: float, message: str) -> None:
        """Record how far a job is that runs here.

        Raises:
            JobCancelled: If it should stop, or does not run here any more.
        """
        with self._writing() as session:
            job = self._held(session, job_id)
            if job is None or job.cancel_requested:
                raise JobCancelled
            job.progress, job.message = min(max(progress, 0.0), 1.0), message

    def end(self, job_id: str, state: JobState, message: str, result: Mapping[str, Any] | None = None) -> bool:
        """Record how a job ended.

        Returns:
            Whether it did; not if its lease had run out meanwhile and another server has it.
        """
        self._cancelled.discard(job_id)
        self._died.discard(job_id)
        with self._writing() as session:
            job = self._held(session, job_id)
            if job is None:
                return False
            job.state, job.message, job.ended = state, message, now_text()
            job.result = dict(result) if result is not None else None
            if state == JobState.DONE:
                job.progress = 1.0
        return True

    def release(self, job_id: str, reason: str) -> None:
        """Put a job that runs here back into the queue, for a reason that is none of its own; see `_put_back`."""
        with self._writing() as session:
            if (job := self._held(session, job_id)) is not None:
                _put_back(job, reason)
                job.attempts -= 1

    def requeue_once(self, job_id: str, reason: str) -> bool:
        """Put a job that runs here back into the queue, perhaps because of it; see `_put_back`.

        Returns:
            Whether that is done; not if it is the second time, or it was begun too often.
        """
        with self._writing() as session:
            job = self._held(session, job_id)
            if job is None:
                return True  # with another server, which does the same
            if job_id in self._died or job.attempts >= MAX_ATTEMPTS:
                return False
            _put_back(job, reason)
            waits = job.state == JobState.QUEUED
        if waits:
            self._died.add(job_id)  # now that it is written down: what fails is tried again
        return True

    def present(self) -> dict[str, int]:
        """How many jobs wait and run, on all servers that share them."""
        states = (JobState.QUEUED, JobState.RUNNING)
        with self._reading() as session:
            counts = select(_Job.state, func.count()).where(_Job.state.in_(states)).group_by(_Job.state)
            return {**dict.fromkeys(states, 0), **{state: count for state, count in session.execute(counts)}}

    def content(self) -> list[dict[str, Any]]:
        """Every job, as JSON values; none is held by a server."""
        with self._reading() as session:
            jobs = session.scalars(select(_Job).order_by(_Job.number))
            return [{name: getattr(job, name) for name in _KEPT} for job in jobs]

    def insert(self, content: list[dict[str, Any]]) -> None:
        """Store jobs as `content` gave them; those that ran wait.

        Raises:
            ConflictError: If there are jobs already.
            DataError: If they are not such jobs.
        """
        with self._writing(alone=True) as session:
            if session.scalar(select(func.count()).select_from(_Job)):
                raise ConflictError(
                    "there are jobs already, which are never replaced; name another --jobs or --data-dir"
                )
            if not all(isinstance(job, dict) and set(job) == set(_KEPT) for job in content):
                raise DataError(
                    f"the backup's jobs have other fields than {', '.join(_KEPT)}; restore it by its version"
                )
            session.add_all(_Job(**job) for job in content)
            session.flush()
            _take_back(session, _Job.holder.is_(None), "the server was restored")

    @property
    def _is_held(self) -> ColumnElement[bool]:
        return (_Job.state == JobState.RUNNING) & (_Job.holder == self._holder)

    def _held(self, session: Session, job_id: str) -> _Job | None:
        job = session.scalar(select(_Job).where(_Job.job_id == job_id, self._is_held).with_for_update())
        if job is None:
            logger.warning("job %s does not run here any more: it took longer than its lease", job_id)
        return job

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        try:
            with self._database.reading() as session:
                yield session
        except SQLAlchemyError as error:
            raise BusyError(
                f"jobs cannot be read at the moment ({_reason(error)}); make sure that their database runs, it goes on "
                "by itself then"
            ) from error

    @contextmanager
    def _writing(self, *, alone: bool = False) -> Iterator[Session]:
        try:
            with self._database.writing(alone=alone) as session:
                yield session
        except SQLAlchemyError as error:
            raise BusyError(
                f"jobs cannot be written down at the moment ({_reason(error)}); make sure that the disk has space, it "
                "goes on by itself then"
            ) from error


def _reason(error: SQLAlchemyError) -> object:
    return getattr(error, "orig", None) or type(error).__name__


def _put_back(job: _Job, reason: str) -> None:
    """Let a job wait again, unless somebody has cancelled it since its worker last looked."""
    if job.cancel_requested:
        job.state, job.message, job.ended = JobState.CANCELLED, "cancelled", now_text()
    else:
        job.state, job.progress, job.message = JobState.QUEUED, 0.0, f"waiting: {reason}"


def _take_back(session: Session, is_lost: ColumnElement[bool], reason: str) -> None:
    """Queue the jobs again that run nowhere any more, unless they should have stopped or were begun too often."""
    is_lost = (_Job.state == JobState.RUNNING) & is_lost
    session.execute(
        update(_Job)
        .where(is_lost, _Job.cancel_requested)
        .values(state=JobState.CANCELLED, message="cancelled", ended=now_text())
    )
    session.execute(
        update(_Job)
        .where(is_lost, _Job.attempts >= MAX_ATTEMPTS)
        .values(
            state=JobState.FAILED,
            message=f"the server died {MAX_ATTEMPTS} times while it ran this job; see its log",
            ended=now_text(),
        )
    )
    session.execute(
        update(_Job).where(is_lost).values(state=JobState.QUEUED, progress=0.0, message=f"waiting: {reason}")
    )


def _find(session: Session, job_id: str) -> _Job:
    job = session.scalar(select(_Job).where(_Job.job_id == job_id))
    if job is None:
        raise NotFoundError(f"no job {job_id[:64]!r}; POST /synthesis returns the ids of new ones")
    return job


def _last_turns(session: Session, group: Any) -> dict[str, int]:
    return {key: turn for key, turn in session.execute(select(group, func.max(_Job.turn)).group_by(group))}


def now_text() -> str:
    """The time, as it is written beside jobs."""
    return datetime.now(UTC).isoformat(timespec="seconds")
