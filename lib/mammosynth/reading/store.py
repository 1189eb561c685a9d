"""`StudyStore`: reader studies on disk, where answers are only ever added.

Whatever happens in a study becomes a record in one chain of hashes: opening, sessions, answers, closing. An answer that
is given again is a further record, never a change of the first. A method that returns has stored what it was asked to;
one that was killed before has stored nothing of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from mammosynth import __version__
from mammosynth.counts import count_of
from mammosynth.database import Database
from mammosynth.errors import ConflictError, InvalidParameterError, NotFoundError
from mammosynth.reading import queries
from mammosynth.reading.answers import Answer, Receipt, check_answer
from mammosynth.reading.attention import Attention
from mammosynth.reading.design import TRAINING, Reading, design_sha256, readings
from mammosynth.reading.place import Place, place_of
from mammosynth.reading.protocol import Protocol
from mammosynth.reading.tables import (
    ANSWERED,
    BLINDED,
    CLOSED,
    COPY_FIELDS,
    LAYOUTS,
    OPENED,
    SESSION_STARTED,
    SHOWN,
    SIMULATED,
    WASHOUT_OVERRIDDEN,
    BlindingRow,
    CopyRow,
    ReadingRow,
    RecordRow,
    StudyRow,
    canonical_json,
    key_sha256,
    record_sha256,
)


@dataclass(frozen=True)
class Study:
    """A study as it is now.

    Attributes:
        name: Of the study.
        protocol: As it was frozen.
        is_open: Whether answers are taken.
        is_simulated: Whether its answers are simulated readers'.
        records: How many there are.
        head: Hash of the last, which stands for everything before it.
    """

    name: str
    protocol: Protocol
    is_open: bool
    is_simulated: bool
    records: int
    head: str


@dataclass(frozen=True)
class Saved:
    """What became of answers.

    Attributes:
        reading: They are about.
        receipts: One each, in their order.
        is_complete: Whether the reading is, now.
    """

    reading: Reading
    receipts: list[Receipt]
    is_complete: bool


class StudyStore:
    """Reader studies in a database. Every method is one transaction and may be called from any thread.

    Args:
        place: A SQLite file, or a SQLAlchemy URL such as postgresql://USER:PASSWORD@HOST/NAME.
        clock: Gives the time with its zone.

    Raises:
        DatabaseError: If it cannot be opened.
    """

    def __init__(self, place: Path | str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = Database(place, LAYOUTS)
        self._clock = clock

    def close(self) -> None:
        """Release the database."""
        self._database.close()

    def names(self) -> list[str]:
        """Every study."""
        with self._database.reading() as db:
            return list(db.scalars(select(StudyRow.name).order_by(StudyRow.name)))

    def open_study(self, protocol: Protocol, by: str, power: Any = None) -> Receipt:
        """Freeze a protocol, draw its design, and begin to take answers.

        Args:
            protocol: A checked one.
            by: Who opens it.
            power: The calculation, which is kept with it.

        Raises:
            ConflictError: If there is a study of that name.
            ProtocolError: If no design fits the protocol.
        """
        design = readings(protocol)
        with self._database.writing() as db:
            if db.scalar(select(StudyRow).where(StudyRow.name == protocol.name)) is not None:
                raise ConflictError(f"there is a study {protocol.name!r} already; give the protocol another name")
            study = StudyRow(name=protocol.name, protocol=protocol.canonical(), records=0, head="0" * 64)
            db.add(study)
            db.flush()
            db.add_all(ReadingRow(study=study.number, **asdict(each)) for each in design)
            content = {
                "protocol_sha256": protocol.sha256,
                "design_sha256": design_sha256(design),
                "software_version": __version__,
                "by": by,
                "power": power,
            }
            return self._append(db, study, OPENED, content)

    def study(self, name: str) -> Study:
        """A study.

        Raises:
            NotFoundError: If there is none of that name.
        """
        with self._database.reading() as db:
            row = queries.study_row(db, name)
            return Study(
                name,
                queries.parsed(row.protocol),
                queries.last_record(db, row).kind != CLOSED,
                queries.count(db, row, RecordRow.kind == SIMULATED) > 0,
                row.records,
                row.head,
            )

    def start_session(self, name: str, reader: str, number: int, display: Any = None) -> Receipt | None:
        """Begin a session; one that has begun goes on.

        Args:
            name: Of the study.
            reader: Who reads.
            number: Of the session.
            display: JSON values: what the reader found of their display, which is kept.

        Raises:
            NotFoundError: If the reader has no such session.
            ConflictError: If the study is closed, or an earlier session is unfinished or too short ago.
        """
        with self._writing(name) as (db, study, protocol):
            own = queries.readings_of(db, study, reader)
            if number not in {each.session for each in own}:
                raise NotFoundError(f"{reader[:64]!r} has no session {number} in {name}")
            if queries.count(db, study, *queries.at(reader, number), RecordRow.kind == SESSION_STARTED):
                return None
            self._check_turn(db, study, protocol, own, number)
            content = {} if display is None else {"display": display}
            return self._append(db, study, SESSION_STARTED, content, reader=reader, session=number)

    def show(
        self, name: str, reader: str, number: int, position: int | None, left: Attention | None = None
    ) -> Receipt | None:
        """Say which reading a reader sees from now on; the first that is not complete, or one before it.

        Args:
            name: Of the study.
            reader: Who reads.
            number: Of the session.
            position: Of the reading in it; None, or one more than there are once all are complete: nothing.
            left: How the reading that was seen before was looked at; counted for no longer than it was shown, and not
                at all if another one was seen last: a second window of the reader has gone on.

        Returns:
            None if it is seen already, and nothing is said of it; also if a window that others have left behind closes.

        Raises:
            NotFoundError: If there is no such reading.
            ConflictError: If the study is closed, the session has not begun or a later one has, or an earlier reading
                is unfinished.
        """
        with self._writing(name) as (db, study, protocol):
            own = [each for each in queries.readings_of(db, study, reader) if each.session == number]
            last = own[-1] if own else None
            if position is None or (last is not None and position == last.position + 1):
                queries.check_may_leave(db, study, protocol, reader, last if position else None, number)
                position = None
            else:
                queries.reading_in_turn(db, study, protocol, reader, number, position)
            before = queries.last_shown(db, study, reader)
            if left is not None and before is not None and left.position not in (None, before.position):
                if position == left.position:
                    return None
                left = None
            is_shown = before is not None and (before.session, before.position) == (number, position)
            if is_shown and left is None and queries.seen(db, reader) is before:
                return None
            content = {"left": self._attention(before, left) if before is not None and left is not None else None}
            return self._append(db, study, SHOWN, content, reader=reader, session=number, position=position)

    def _attention(self, seen: RecordRow, left: Attention) -> dict[str, Any] | None:
        if seen.position is None:
            return None
        since = (self._clock() - datetime.fromisoformat(seen.at)).total_seconds()
        return {**left.within(max(since, 0.0)).as_json(), "session": seen.session, "position": seen.position}

    def visible(self, reader: str) -> tuple[str, Reading, Reading | None] | None:
        """What a reader sees of all studies: the study, the reading, and the one that comes after it; None: nothing."""
        with self._database.reading() as db:
            record = queries.seen(db, reader)
            study = db.get_one(StudyRow, record.study) if record is not None else None
            reading = queries.shown(db, study, reader) if study is not None else None
            if study is None or reading is None:
                return None
            return study.name, reading, queries.reading_after(db, study, reading)

    def has_reader(self, name: str, reader: str) -> bool:
        """Whether there is such a study and somebody reads in it."""
        with self._database.reading() as db:
            number = db.scalar(select(StudyRow.number).where(StudyRow.name == name))
            where = (ReadingRow.study == number, ReadingRow.reader == reader)
            return db.scalar(select(ReadingRow.session).where(*where).limit(1)) is not None

    def sessions(self, name: str, reader: str) -> list[dict[str, Any]]:
        """The sessions of a reader: how far each is, whether it may start now, and otherwise when, as far as is known.

        Raises:
            NotFoundError: If there is no such study, or it has no such reader.
        """
        with self._database.reading() as db:
            study = queries.study_row(db, name)
            protocol = queries.parsed(study.protocol)
            sessions = self._progress(db, study, protocol, reader)["sessions"]
            is_open = queries.last_record(db, study).kind != CLOSED
            are_done = True
            for each in sessions:
                earliest = self._earliest(db, study, protocol, reader, each["session"]) if are_done else None
                has_turn = is_open and are_done and each["started"] is None
                each["may_start"] = has_turn and (earliest is None or self._clock() >= earliest)
                each["earliest"] = earliest.isoformat() if earliest is not None and each["started"] is None else None
                are_done = are_done and each["done"] == each["readings"]
        return sessions

    def place(self, name: str, reader: str) -> Place:
        """Where a reader is.

        Raises:
            NotFoundError: If there is no such study, or it has no such reader.
        """
        with self._database.reading() as db:
            study = queries.study_row(db, name)
            return place_of(db, study, queries.parsed(study.protocol), reader)

    def override_washout(self, name: str, reader: str, number: int, *, by: str, reason: str) -> Receipt:
        """Let a reader begin a session before the wash-out is over.

        Raises:
            InvalidParameterError: If there is no reason.
            NotFoundError: If the reader has no such session.
            ConflictError: If the study is closed.
        """
        if not reason.strip():
            raise InvalidParameterError("the reason is empty, expected why the wash-out is cut short; it is kept")
        with self._writing(name) as (db, study, _):
            if number not in {each.session for each in queries.readings_of(db, study, reader)}:
                raise NotFoundError(f"{reader[:64]!r} has no session {number} in {name}")
            content = {"by": by, "reason": reason.strip()}
            return self._append(db, study, WASHOUT_OVERRIDDEN, content, reader=reader, session=number)

    def save(self, name: str, reader: str, number: int, position: int, answers: Sequence[Answer]) -> list[Receipt]:
        """Store answers about a reading, all or none of them.

        The same answer again is not stored again: its receipt is that of the first, so that a viewer that did not hear
        of it may ask again. The same as an earlier one, in its duration, too, is a request that came twice.

        Args:
            name: Of the study.
            reader: Who answers.
            number: Of the session.
            position: Of the reading in it.
            answers: To one or more questions.

        Raises:
            NotFoundError: If there is no such reading.
            InvalidParameterError: If a question does not take the answer.
            ConflictError: If the study is closed, the session has not begun or a later one has, an earlier reading is
                unfinished, or the truth of a training case was told already.
        """
        with self._writing(name) as (db, study, protocol):
            reading = queries.reading_in_turn(db, study, protocol, reader, number, position)
            return [self._save(db, study, protocol, reading, answer) for answer in answers]

    def save_shown(
        self, name: str, reader: str, number: int, position: int, answers: Callable[[Reading], Sequence[Answer]]
    ) -> Saved:
        """The same about the reading that is shown.

        Args:
            name: Of the study.
            reader: Who answers.
            number: Of the session.
            position: Of the reading in it.
            answers: Gives them for the reading.

        Raises:
            ConflictError: As `save`, and if another reading is shown.
        """
        with self._writing(name) as (db, study, protocol):
            reading = queries.reading_in_turn(db, study, protocol, reader, number, position)
            if queries.shown(db, study, reader) != reading:
                raise ConflictError(
                    f"reading {position} of session {number} is not shown now, perhaps since another window of "
                    "yours went on; reload this one, or show it, to answer"
                )
            receipts = [self._save(db, study, protocol, reading, answer) for answer in answers(reading)]
            return Saved(reading, receipts, queries.is_complete(db, study, protocol, reading))

    def _save(self, db: Session, study: StudyRow, protocol: Protocol, reading: Reading, answer: Answer) -> Receipt:
        value = check_answer(protocol, reading, answer)
        given = queries.answers_given(db, study, reading, answer)
        before = given[-1] if given else None
        for each in reversed(given):
            is_repeated = answer.duration_s is not None and each.value["duration_s"] == answer.duration_s
            if each.value["value"] == value and (each is before or is_repeated):
                return queries.receipt_of(each)
        if before is not None and reading.session == TRAINING and queries.is_complete(db, study, protocol, reading):
            raise ConflictError("the truth of this training case was told; its answers stay as they are")
        return self._append(
            db,
            study,
            ANSWERED,
            {
                "value": value,
                "revision": before.value["revision"] + 1 if before is not None else 1,
                "duration_s": answer.duration_s,
            },
            reader=reading.reader,
            session=reading.session,
            position=reading.position,
            question=answer.question,
            target=answer.target,
        )

    def next_reading(self, name: str, reader: str) -> Reading | None:
        """The first reading of a reader that is not complete; None if all are.

        Raises:
            NotFoundError: If there is no such reader.
        """
        with self._database.reading() as db:
            study = queries.study_row(db, name)
            protocol = queries.parsed(study.protocol)
            done = queries.answered(db, study, reader)
            own = queries.readings_of(db, study, reader)
        return next(
            (each for each in own if not queries.is_done(protocol, each, done)),
            None,
        )

    def feedback(self, name: str, reader: str, position: int) -> dict[str, Any]:
        """The truth of a training case, once the reader has answered.

        Raises:
            NotFoundError: If there is no such training case.
            ConflictError: If the answers are not complete.
        """
        with self._database.reading() as db:
            study = queries.study_row(db, name)
            protocol = queries.parsed(study.protocol)
            reading = queries.reading_at(db, study, reader, TRAINING, position)
            if not queries.is_complete(db, study, protocol, reading):
                raise ConflictError("the answers are not complete; the truth is told after them")
        case = protocol.cases[reading.case]
        return {"truth": case.truth, "generated": protocol.arms[reading.arm].generated, "feedback": case.feedback}

    def note_simulation(self, name: str, settings: Any, by: str) -> Receipt:
        """Say that all answers of a study are simulated readers', before the first one.

        Raises:
            ConflictError: If the study is closed, or has answers.
        """
        with self._writing(name) as (db, study, _):
            simulated = queries.count(db, study, RecordRow.kind == SIMULATED)
            if not simulated and queries.count(db, study, RecordRow.kind.in_([ANSWERED, SESSION_STARTED])):
                raise ConflictError(f"{name} has readers already; simulate readers in a study that was just opened")
            return self._append(db, study, SIMULATED, {"settings": settings, "by": by})

    def begin_blinding(self, name: str, secret: str, rule: str) -> tuple[str, str]:
        """Keep what the blinded copies of a study are made with; what is kept already stays.

        Args:
            name: Of the study.
            secret: 64 hexadecimal digits.
            rule: JSON of a `BlindingRule` that is resolved.

        Returns:
            The secret and the rule that are kept.

        Raises:
            ConflictError: If the study is closed.
        """
        with self._writing(name) as (db, study, _):
            row = db.get(BlindingRow, study.number)
            if row is None:
                row = BlindingRow(study=study.number, secret=secret, rule=rule)
                db.add(row)
            return row.secret, row.rule

    def keep_copy(self, name: str, copy: Mapping[str, Any]) -> None:
        """Keep an entry of the key: `COPY_FIELDS`. One that is kept already must be the same.

        Raises:
            ConflictError: If the study is closed, or the copy was another one.
        """
        with self._writing(name) as (db, study, _):
            known = db.get(CopyRow, (study.number, copy["case"], copy["arm"], copy["number"]))
            if known is None:
                self._refuse_if_blinded(db, study)
                db.add(CopyRow(study=study.number, **copy))
            elif any(getattr(known, field) != copy[field] for field in COPY_FIELDS):
                raise ConflictError(
                    f"{name}: the copy of {copy['source'][:64]} would be another now; bring the source back as it was"
                )

    def drop_copies(self, name: str) -> None:
        """Forget the entries of a key that is not finished.

        Raises:
            ConflictError: If the study is closed, or its key is finished.
        """
        with self._writing(name) as (db, study, _):
            self._refuse_if_blinded(db, study)
            db.execute(delete(CopyRow).where(CopyRow.study == study.number))

    def finish_blinding(self, name: str) -> Receipt | None:
        """Say that the key is whole, with its hash; None if that was said before.

        Raises:
            ConflictError: If the study is closed.
        """
        with self._writing(name) as (db, study, _):
            if queries.count(db, study, RecordRow.kind == BLINDED):
                return None
            key = queries.blinding_of(db, study)
            if key is None:
                raise ConflictError(f"{name} has no copies; blind it first")
            content = {"copies": len(key["copies"]), "key_sha256": key_sha256(key), "rule": json.loads(key["rule"])}
            return self._append(db, study, BLINDED, content)

    @staticmethod
    def _refuse_if_blinded(db: Session, study: StudyRow) -> None:
        if queries.count(db, study, RecordRow.kind == BLINDED):
            raise ConflictError(f"{study.name} is blinded; its key stays as it is")

    def is_blinded(self, name: str) -> bool:
        """Whether the key is whole.

        Raises:
            NotFoundError: If there is no such study.
        """
        with self._database.reading() as db:
            return queries.count(db, queries.study_row(db, name), RecordRow.kind == BLINDED) > 0

    def blinding(self, name: str) -> dict[str, Any] | None:
        """Secret, rule (JSON) and copies (`COPY_FIELDS` each) of a study; None before it was blinded.

        Raises:
            NotFoundError: If there is no such study.
        """
        with self._database.reading() as db:
            return queries.blinding_of(db, queries.study_row(db, name))

    def close_study(self, name: str, *, by: str, reason: str = "") -> Receipt:
        """Take no more answers, for good.

        Raises:
            ConflictError: If it is closed, or readings are unfinished and there is no reason.
        """
        with self._writing(name) as (db, study, protocol):
            left = queries.unfinished(db, study, protocol)
            if left and not reason.strip():
                raise ConflictError(
                    f"{count_of(left, 'reading of', 'readings of')} {name} {'is' if left == 1 else 'are'} unfinished; "
                    "let readers finish, or give a reason to close it so"
                )
            return self._append(db, study, CLOSED, {"by": by, "reason": reason.strip(), "unfinished": left})

    def status(self, name: str) -> dict[str, Any]:
        """How far each reader is: readings done in each db, and when the next may begin.

        It says nothing of answers, and nothing of arms: who runs a study stays blind while it is open.

        Raises:
            NotFoundError: If there is no such study.
        """
        with self._database.reading() as db:
            study = queries.study_row(db, name)
            protocol = queries.parsed(study.protocol)
            progress = [self._progress(db, study, protocol, reader) for reader in protocol.readers]
            found = {
                "study": name,
                "title": protocol.title,
                "state": "closed" if queries.last_record(db, study).kind == CLOSED else "open",
                "is_simulated": queries.count(db, study, RecordRow.kind == SIMULATED) > 0,
                "protocol_sha256": protocol.sha256,
                "records": study.records,
                "head": study.head,
                "opened": queries.first_record(db, study).at,
                "readers": progress,
            }
        done, total = (sum(reader[key] for reader in progress) for key in ("done", "readings"))
        return {**found, "done": done, "readings": total}

    def _progress(self, db: Session, study: StudyRow, protocol: Protocol, reader: str) -> dict[str, Any]:
        answered = queries.answered(db, study, reader)
        started = {each.session: each.at for each in queries.records_of(db, study, reader, SESSION_STARTED)}
        sessions: dict[int, dict[str, Any]] = {}
        for each in queries.readings_of(db, study, reader):
            entry = sessions.setdefault(
                each.session, {"session": each.session, "readings": 0, "done": 0, "started": started.get(each.session)}
            )
            entry["readings"] += 1
            entry["done"] += queries.is_done(protocol, each, answered)
        last = db.scalar(
            select(func.max(RecordRow.at)).where(
                RecordRow.study == study.number, RecordRow.reader == reader, RecordRow.kind != WASHOUT_OVERRIDDEN
            )
        )
        return {
            "reader": reader,
            "readings": sum(entry["readings"] for entry in sessions.values()),
            "done": sum(entry["done"] for entry in sessions.values()),
            "last_activity": last,
            "sessions": list(sessions.values()),
        }

    def content(self, name: str) -> dict[str, Any]:
        """Everything of a study, as a backup holds it: JSON values; of blinded copies the key, not the pixels.

        Raises:
            NotFoundError: If there is no such study.
        """
        with self._database.reading() as db:
            study = queries.study_row(db, name)
            return {
                "study": {key: getattr(study, key) for key in ("name", "protocol", "records", "head")},
                "blinding": queries.sealed_blinding_of(db, study),
                "readings": [asdict(each) for each in queries.all_readings(db, study)],
                "records": [
                    {key: getattr(record, key) for key in RecordRow.__table__.columns.keys() if key != "study"}  # noqa: SIM118
                    for record in queries.all_records(db, study)
                ],
            }

    def insert(self, content: dict[str, Any]) -> None:
        """Store a study as `content` gave it; the caller has verified it.

        Raises:
            ConflictError: If there is a study of that name.
        """
        name = content["study"]["name"]
        with self._database.writing() as db:
            if db.scalar(select(StudyRow).where(StudyRow.name == name)) is not None:
                raise ConflictError(f"there is a study {name!r} already, which is never replaced; use another store")
            study = StudyRow(**content["study"])
            db.add(study)
            db.flush()
            db.add_all(ReadingRow(study=study.number, **each) for each in content["readings"])
            db.add_all(RecordRow(study=study.number, **each) for each in content["records"])
            if blinding := content.get("blinding"):
                db.add(BlindingRow(study=study.number, secret=blinding["secret"], rule=blinding["rule"]))
                db.add_all(CopyRow(study=study.number, **each) for each in blinding["copies"])

    @contextmanager
    def _writing(self, name: str) -> Iterator[tuple[Session, StudyRow, Protocol]]:
        """A transaction on a study that is open; on PostgreSQL, too, the only one on it."""
        with self._database.writing() as db:
            study = db.scalar(select(StudyRow).where(StudyRow.name == name).with_for_update())
            if study is None:
                raise NotFoundError(f"there is no study {name[:64]!r}; there are: {', '.join(self.names()) or 'none'}")
            if queries.last_record(db, study).kind == CLOSED:
                raise ConflictError(f"{name} is closed; nothing can be added to it")
            yield db, study, queries.parsed(study.protocol)

    def _append(self, db: Session, study: StudyRow, kind: str, content: Any, **place: Any) -> Receipt:
        """Add a record behind the last one."""
        now = self._clock().astimezone(UTC)
        if study.records:  # a clock that was set back is waited for
            now = max(now, datetime.fromisoformat(queries.last_record(db, study).at))
        fields = dict.fromkeys(("reader", "session", "position", "question", "target")) | place
        record = {
            **fields,
            "number": study.records + 1,
            "at": now.isoformat(timespec="microseconds"),
            "kind": kind,
            "content": canonical_json(content),
            "previous": study.head,
        }
        row = RecordRow(study=study.number, **record, sha256=record_sha256(study.name, record))
        db.add(row)
        study.records, study.head = row.number, row.sha256
        db.flush()
        return queries.receipt_of(row)

    def _check_turn(
        self, db: Session, study: StudyRow, protocol: Protocol, own: Sequence[Reading], number: int
    ) -> None:
        """Earlier sessions must be finished, and long enough ago."""
        reader = own[0].reader
        answered = queries.answered(db, study, reader)
        for each in own:
            if each.session < number and not queries.is_done(protocol, each, answered):
                raise ConflictError(f"session {each.session} of {reader} is unfinished; finish it before {number}")
        earliest = self._earliest(db, study, protocol, reader, number)
        if earliest is not None and self._clock() < earliest:
            raise ConflictError(
                f"session {number} of {reader} may begin on {earliest.isoformat(timespec='minutes')}, "
                f"{count_of(protocol.design.washout_days, 'day')} after the last reading; wait, or let the owner "
                "override it"
            )

    @staticmethod
    def _earliest(db: Session, study: StudyRow, protocol: Protocol, reader: str, number: int) -> datetime | None:
        """When the wash-out before a session is over; None if there is none."""
        if number <= 1 or queries.count(db, study, *queries.at(reader, number), RecordRow.kind == WASHOUT_OVERRIDDEN):
            return None
        last = db.scalar(
            select(func.max(RecordRow.at)).where(
                RecordRow.study == study.number,
                RecordRow.reader == reader,
                RecordRow.kind.in_([ANSWERED, SHOWN]),
                RecordRow.session.between(1, number - 1),
            )
        )
        return datetime.fromisoformat(last) + timedelta(days=protocol.design.washout_days) if last else None
