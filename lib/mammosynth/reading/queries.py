"""What the store asks its tables, inside a transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mammosynth.errors import ConflictError, NotFoundError
from mammosynth.reading.answers import Answer, Receipt
from mammosynth.reading.design import Reading
from mammosynth.reading.protocol import Protocol, protocol_from_canonical
from mammosynth.reading.tables import (
    ANSWERED,
    BLINDED,
    CLOSED,
    COPY_FIELDS,
    SESSION_STARTED,
    SHOWN,
    BlindingRow,
    CopyRow,
    ReadingRow,
    RecordRow,
    StudyRow,
)


@lru_cache(maxsize=8)
def parsed(text: str) -> Protocol:
    """A protocol that never changes, parsed once: a large one takes as long as a hundred answers."""
    return protocol_from_canonical(text)


def study_row(db: Session, name: str) -> StudyRow:
    """A study by its name.

    Raises:
        NotFoundError: If there is none.
    """
    study = db.scalar(select(StudyRow).where(StudyRow.name == name))
    if study is None:
        known = ", ".join(db.scalars(select(StudyRow.name).order_by(StudyRow.name))) or "none"
        raise NotFoundError(f"there is no study {name[:64]!r}; there are: {known}")
    return study


def last_record(db: Session, study: StudyRow) -> RecordRow:
    """The record that the chain ends in."""
    return db.get_one(RecordRow, (study.number, study.records))


def first_record(db: Session, study: StudyRow) -> RecordRow:
    """The opening."""
    return db.get_one(RecordRow, (study.number, 1))


def count(db: Session, study: StudyRow, *conditions: Any) -> int:
    """How many records of a study fulfil conditions."""
    where = (RecordRow.study == study.number, *conditions)
    return db.scalar(select(func.count()).select_from(RecordRow).where(*where)) or 0


def at(reader: str, number: int) -> tuple[Any, ...]:
    """Conditions: of a reader, in a session."""
    return RecordRow.reader == reader, RecordRow.session == number


def records_of(db: Session, study: StudyRow, reader: str, kind: str) -> Sequence[RecordRow]:
    """Records of a kind about a reader, in their order."""
    where = (RecordRow.study == study.number, RecordRow.reader == reader, RecordRow.kind == kind)
    return db.scalars(select(RecordRow).where(*where).order_by(RecordRow.number)).all()


def all_records(db: Session, study: StudyRow) -> Sequence[RecordRow]:
    """The whole chain."""
    return db.scalars(select(RecordRow).where(RecordRow.study == study.number).order_by(RecordRow.number)).all()


def all_readings(db: Session, study: StudyRow) -> list[Reading]:
    """The whole design, by the names of readers, session and position."""
    columns = (ReadingRow.reader, ReadingRow.session, ReadingRow.position)
    rows = db.scalars(select(ReadingRow).where(ReadingRow.study == study.number).order_by(*columns)).all()
    return [_as_reading(row) for row in rows]


def readings_of(db: Session, study: StudyRow, reader: str) -> list[Reading]:
    """The readings of a reader, by session and position.

    Raises:
        NotFoundError: If the study has no such reader.
    """
    rows = db.scalars(
        select(ReadingRow)
        .where(ReadingRow.study == study.number, ReadingRow.reader == reader)
        .order_by(ReadingRow.session, ReadingRow.position)
    ).all()
    if not rows:
        raise NotFoundError(f"{study.name} has no reader {reader[:64]!r}; it has those of its protocol only")
    return [_as_reading(row) for row in rows]


def reading_at(db: Session, study: StudyRow, reader: str, number: int, position: int) -> Reading:
    """A reading by its place.

    Raises:
        NotFoundError: If there is none.
    """
    row = db.get(ReadingRow, (study.number, reader, number, position))
    if row is None:
        raise NotFoundError(f"{reader[:64]!r} has no reading {position} in session {number} of {study.name}")
    return _as_reading(row)


def _as_reading(row: ReadingRow) -> Reading:
    return Reading(row.reader, row.session, row.position, row.case, row.arm, row.occasion)


def answered(db: Session, study: StudyRow, reader: str) -> dict[tuple[Any, Any], set[tuple[Any, Any]]]:
    """Questions and targets that have an answer, by session and position."""
    columns = (RecordRow.session, RecordRow.position, RecordRow.question, RecordRow.target)
    where = (RecordRow.study == study.number, RecordRow.reader == reader, RecordRow.kind == ANSWERED)
    found: dict[tuple[Any, Any], set[tuple[Any, Any]]] = {}
    for number, position, question, target in db.execute(select(*columns).where(*where).distinct()):
        found.setdefault((number, position), set()).add((question, target))
    return found


def is_done(protocol: Protocol, reading: Reading, done: Mapping[tuple[Any, Any], set[tuple[Any, Any]]]) -> bool:
    """Whether a reading is complete, of the answers that `answered` found."""
    return _required(protocol, reading) <= done.get((reading.session, reading.position), set())


def _required(protocol: Protocol, reading: Reading) -> set[tuple[str, str]]:
    """Questions, with targets, without whose answers a reading is not complete."""
    return {
        (name, target)
        for name, question in protocol.questions.items()
        if question.required
        for target in protocol.targets(name, reading.case, reading.arm)
    }


def is_complete(db: Session, study: StudyRow, protocol: Protocol, reading: Reading) -> bool:
    """Whether every required question of a reading is answered."""
    where = (
        RecordRow.study == study.number,
        *at(reading.reader, reading.session),
        RecordRow.position == reading.position,
        RecordRow.kind == ANSWERED,
    )
    done = db.execute(select(RecordRow.question, RecordRow.target).where(*where))
    return _required(protocol, reading) <= {(question, target) for question, target in done}


def unfinished(db: Session, study: StudyRow, protocol: Protocol) -> int:
    """How many readings of a study are not complete."""
    done = {reader: answered(db, study, reader) for reader in protocol.readers}
    return sum(not is_done(protocol, each, done[each.reader]) for each in all_readings(db, study))


def answers_given(db: Session, study: StudyRow, reading: Reading, answer: Answer) -> Sequence[RecordRow]:
    """Every answer to the same question and target, the one that counts last."""
    where = (RecordRow.question == answer.question, RecordRow.target == answer.target)
    return _of_reading(db, study, reading, *where)


def answers_to(db: Session, study: StudyRow, reading: Reading) -> dict[str, dict[str, Any]]:
    """The answers to a reading that count, by question and target."""
    found: dict[str, dict[str, Any]] = {}
    for record in _of_reading(db, study, reading):
        found.setdefault(str(record.question), {})[str(record.target)] = record.value["value"]
    return found


def _of_reading(db: Session, study: StudyRow, reading: Reading, *conditions: Any) -> Sequence[RecordRow]:
    where = (
        RecordRow.study == study.number,
        *at(reading.reader, reading.session),
        RecordRow.position == reading.position,
        RecordRow.kind == ANSWERED,
        *conditions,
    )
    return db.scalars(select(RecordRow).where(*where).order_by(RecordRow.number)).all()


def latest_session(db: Session, study: StudyRow, reader: str) -> int | None:
    """The last session of a reader that has begun; None before the first."""
    where = (RecordRow.study == study.number, RecordRow.reader == reader, RecordRow.kind == SESSION_STARTED)
    return db.scalar(select(func.max(RecordRow.session)).where(*where))


def last_shown(db: Session, study: StudyRow, reader: str) -> RecordRow | None:
    """The last record of a study about what a reader sees; one without position says: nothing."""
    where = (RecordRow.study == study.number, RecordRow.reader == reader, RecordRow.kind == SHOWN)
    return db.scalar(select(RecordRow).where(*where).order_by(RecordRow.number.desc()).limit(1))


def seen(db: Session, reader: str) -> RecordRow | None:
    """The last record about what a reader sees, of all studies: nobody sees two cases at once."""
    where = (
        RecordRow.study.in_(select(StudyRow.number)),  # for the index
        RecordRow.reader == reader,
        RecordRow.kind == SHOWN,
    )
    return db.scalar(select(RecordRow).where(*where).order_by(RecordRow.at.desc(), RecordRow.number.desc()).limit(1))


def shown(db: Session, study: StudyRow, reader: str) -> Reading | None:
    """What a reader sees of a study; None if it is nothing, or of another study."""
    record = seen(db, reader)
    if record is None or record.study != study.number or record.session is None or record.position is None:
        return None
    if record.session != latest_session(db, study, reader) or last_record(db, study).kind == CLOSED:
        return None
    return reading_at(db, study, reader, record.session, record.position)


def reading_after(db: Session, study: StudyRow, reading: Reading) -> Reading | None:
    """The next one of the session; None after the last."""
    row = db.get(ReadingRow, (study.number, reading.reader, reading.session, reading.position + 1))
    return _as_reading(row) if row is not None else None


def reading_in_turn(
    db: Session, study: StudyRow, protocol: Protocol, reader: str, number: int, position: int
) -> Reading:
    """A reading by its place, which its reader may see and answer now.

    Raises:
        NotFoundError: If there is none.
        ConflictError: If the session is not the reader's last that has begun, or an earlier reading is not complete.
    """
    reading = reading_at(db, study, reader, number, position)
    latest = latest_session(db, study, reading.reader)
    if latest is None or latest < reading.session:
        raise ConflictError(f"session {reading.session} of {reading.reader} has not begun; start it first")
    if latest > reading.session:
        raise ConflictError(f"session {reading.session} of {reading.reader} is over, since session {latest} has begun")
    if reading.position > 1:
        before = reading_at(db, study, reading.reader, reading.session, reading.position - 1)
        if not is_complete(db, study, protocol, before):
            raise ConflictError(f"reading {before.position} is not complete; finish it before {reading.position}")
    return reading


def check_may_leave(
    db: Session, study: StudyRow, protocol: Protocol, reader: str, last: Reading | None, number: int
) -> None:
    """Nothing may be shown at any time of the session that goes on; after its last reading, once that is complete."""
    if latest_session(db, study, reader) != number:
        raise ConflictError(f"session {number} of {reader} does not go on")
    if last is not None and not is_complete(db, study, protocol, last):
        raise ConflictError(f"reading {last.position} is not complete; finish it before session {number} is over")


def receipt_of(record: RecordRow) -> Receipt:
    """What is given for a record."""
    return Receipt(record.number, record.value.get("revision", 1), record.at, record.sha256)


def copies_of(db: Session, study: StudyRow, *conditions: Any) -> list[CopyRow]:
    """Entries of the key, by the names of case and arm and the number of the image."""
    order = (CopyRow.case, CopyRow.arm, CopyRow.number)
    return list(db.scalars(select(CopyRow).where(CopyRow.study == study.number, *conditions).order_by(*order)))


def blinding_of(db: Session, study: StudyRow) -> dict[str, Any] | None:
    """Secret, rule and key, as a backup holds them; None before the study was blinded."""
    row = db.get(BlindingRow, study.number)
    if row is None:
        return None
    copies = sorted(copies_of(db, study), key=lambda each: (each.case, each.arm, each.number))  # as Python sorts
    key = [{name: getattr(each, name) for name in COPY_FIELDS} for each in copies]
    return {"secret": row.secret, "rule": row.rule, "copies": key}


def sealed_blinding_of(db: Session, study: StudyRow) -> dict[str, Any] | None:
    """The same once the key is whole; what was only begun is begun anew after a restore."""
    return blinding_of(db, study) if count(db, study, RecordRow.kind == BLINDED) else None
