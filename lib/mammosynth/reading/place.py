"""`Place`: where a reader is in a study, and so what may be shown to them: one reading, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from mammosynth.reading import queries
from mammosynth.reading.design import Reading
from mammosynth.reading.protocol import Protocol
from mammosynth.reading.tables import CLOSED, StudyRow


class State(StrEnum):
    """What a reader can do now."""

    NOT_STARTED = "not_started"  # the first session
    READING = "reading"
    PAUSED = "paused"  # a session has begun, and nothing is shown
    SESSION_OVER = "session_over"  # and another one is to come
    FINISHED = "finished"
    CLOSED = "closed"  # the study


@dataclass(frozen=True)
class Place:
    """Where a reader is.

    Attributes:
        state: What they can do.
        session: That is being read; otherwise the next one, None if there is none.
        readings: Of that session.
        done: How many of them are complete.
        shown: What may be seen.
        ahead: What comes after it in the session, and may be fetched ahead.
        is_complete: Whether `shown` is.
        answers: To `shown`, by question and target: the last ones.
    """

    state: State
    session: int | None = None
    readings: int = 0
    done: int = 0
    shown: Reading | None = None
    ahead: Reading | None = None
    is_complete: bool = False
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def place_of(db: Session, study: StudyRow, protocol: Protocol, reader: str) -> Place:
    """Where a reader is.

    Raises:
        NotFoundError: If the study has no such reader.
    """
    own = queries.readings_of(db, study, reader)
    if queries.last_record(db, study).kind == CLOSED:
        return Place(State.CLOSED)
    answered = queries.answered(db, study, reader)
    latest = queries.latest_session(db, study, reader)
    of_session = [each for each in own if each.session == latest]
    done = sum(queries.is_done(protocol, each, answered) for each in of_session)
    shown = queries.shown(db, study, reader)
    if shown is not None:
        return Place(
            State.READING,
            latest,
            len(of_session),
            done,
            shown=shown,
            ahead=queries.reading_after(db, study, shown),
            is_complete=queries.is_done(protocol, shown, answered),
            answers=queries.answers_to(db, study, shown),
        )
    if latest is not None and done < len(of_session):
        return Place(State.PAUSED, latest, len(of_session), done)
    following = [each for each in own if latest is None or each.session > latest]
    if not following:
        return Place(State.FINISHED)
    state = State.NOT_STARTED if latest is None else State.SESSION_OVER
    return Place(state, following[0].session, sum(each.session == following[0].session for each in following))
