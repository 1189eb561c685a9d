"""The store: what it takes when, what it keeps, and what it tells while a study is open."""

from __future__ import annotations

import json
import sqlite3
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from mammosynth.errors import ConflictError, DatabaseError, InvalidParameterError, NotFoundError
from mammosynth.reading.answers import Answer
from mammosynth.reading.backup import restore_backup, write_backup
from mammosynth.reading.store import StudyStore
from mammosynth.reading.tables import LAYOUTS, Base
from mammosynth.reading.verify import problems_of
from tests.support.studies import case, protocol, yes


class Clock:
    """A clock that a test can set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def read_session(store: StudyStore, reader: str, session: int, answer: Any = None) -> None:
    """All readings of a session."""
    store.start_session("small", reader, session)
    for position in range(1, 7):
        store.save("small", reader, session, position, [Answer("lesion", answer or yes(), duration_s=1.5)])


def answers_in(store: StudyStore) -> list[dict[str, Any]]:
    return [record for record in store.content("small")["records"] if record["kind"] == "answered"]


def test_migrations_lead_to_the_layout_that_the_classes_declare(place: Path | str) -> None:
    StudyStore(place).close()
    engine = create_engine(f"sqlite:///{place}" if isinstance(place, Path) else place)
    with engine.connect() as connection:
        options = {"compare_type": True, "version_table": LAYOUTS.version_table}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_a_study_of_the_first_layout_goes_on(tmp_path: Path) -> None:
    store = StudyStore(tmp_path / "s.sqlite")
    store.open_study(protocol(), "owner")
    read_session(store, "ann", 1)
    before = store.content("small")
    store.close()
    with closing(sqlite3.connect(tmp_path / "s.sqlite")) as connection, connection:  # 0002 added two tables
        connection.executescript(
            "DROP TABLE copies; DROP TABLE blindings; UPDATE reading_version SET version_num = '0001'"
        )
    store = StudyStore(tmp_path / "s.sqlite")
    assert store.content("small") == before
    read_session(store, "bob", 1)
    store.begin_blinding("small", "5" * 64, "{}")
    assert not store.is_blinded("small")
    assert problems_of(store.content("small")) == []
    store.close()


def test_a_study_is_opened_once_and_frozen(store: StudyStore) -> None:
    study = protocol()
    receipt = store.open_study(study, "owner", power={"power": 0.8})
    assert receipt.number == 1
    found = store.study("small")
    assert (found.protocol, found.is_open, found.is_simulated) == (study, True, False)
    assert found.head == receipt.sha256
    opening = json.loads(store.content("small")["records"][0]["content"])
    assert opening["protocol_sha256"] == study.sha256
    assert opening["power"] == {"power": 0.8}
    with pytest.raises(ConflictError, match="there is a study 'small' already; give the protocol another name"):
        store.open_study(study, "owner")
    with pytest.raises(NotFoundError, match="there is no study 'other'; there are: small"):
        store.status("other")


def test_an_answer_again_is_a_revision_and_the_first_one_stays(store: StudyStore) -> None:
    store.open_study(protocol(), "owner")
    store.start_session("small", "ann", 1)
    first = store.save("small", "ann", 1, 1, [Answer("lesion", yes(80))])[0]
    again = store.save("small", "ann", 1, 1, [Answer("lesion", yes(80))])[0]
    second = store.save("small", "ann", 1, 1, [Answer("lesion", yes(20))])[0]
    assert again == first  # a viewer that did not hear of it asked again
    assert (first.revision, second.revision) == (1, 2)
    kept = [json.loads(record["content"])["value"]["suspicion"] for record in answers_in(store)]
    assert kept == [80, 20]


def test_readings_come_in_their_order_and_sessions_after_their_wash_out(place: Path | str) -> None:
    clock = Clock()
    store = StudyStore(place, clock)
    store.open_study(protocol(), "owner")
    with pytest.raises(ConflictError, match="session 1 of ann has not begun; start it first"):
        store.save("small", "ann", 1, 1, [Answer("lesion", yes())])
    store.start_session("small", "ann", 1)
    with pytest.raises(ConflictError, match="reading 1 is not complete; finish it before 2"):
        store.save("small", "ann", 1, 2, [Answer("lesion", yes())])
    with pytest.raises(ConflictError, match="session 1 of ann is unfinished; finish it before 2"):
        store.start_session("small", "ann", 2)
    read_session(store, "ann", 1)
    clock.now += timedelta(days=13.9)
    with pytest.raises(ConflictError, match=r"may begin on 2026-03-15T09:00\+00:00, 14 days after the last reading"):
        store.start_session("small", "ann", 2)
    clock.now += timedelta(days=0.1)
    assert store.start_session("small", "ann", 2) is not None
    assert store.start_session("small", "ann", 2) is None  # it goes on
    with pytest.raises(ConflictError, match="session 1 of ann is over, since session 2 has begun"):
        store.save("small", "ann", 1, 6, [Answer("lesion", yes(1))])
    store.close()


def test_the_wash_out_is_cut_short_with_a_reason_only_and_it_is_kept(store: StudyStore) -> None:
    store.open_study(protocol(), "owner")
    read_session(store, "bob", 1)
    with pytest.raises(InvalidParameterError, match="the reason is empty"):
        store.override_washout("small", "bob", 2, by="owner", reason=" ")
    store.override_washout("small", "bob", 2, by="Dr. Who", reason="leaves the hospital")
    store.start_session("small", "bob", 2)
    record = store.content("small")["records"][-2]
    assert json.loads(record["content"]) == {"by": "Dr. Who", "reason": "leaves the hospital"}


def test_a_clock_that_goes_back_makes_no_record_earlier_than_the_one_before(place: Path | str) -> None:
    clock = Clock()
    store = StudyStore(place, clock)
    first = store.open_study(protocol(), "owner")
    clock.now -= timedelta(hours=1)
    assert store.start_session("small", "ann", 1).at == first.at
    assert problems_of(store.content("small")) == []
    store.close()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer("bpe", "a"), "the question is 'bpe', expected one of lesion"),
        (Answer("lesion", yes(), "R"), "lesion is asked about case; the answer is about 'R'"),
        (Answer("lesion", "yes"), r"lesion: the answer is 'yes', expected \{answer: yes or no, suspicion: 0 to 100\}"),
        (Answer("lesion", yes(101)), "lesion: the answer is '101', expected a whole number from 0 to 100"),
        (Answer("lesion", yes(), duration_s=-1), "duration_s is -1, expected 0 to"),
        (Answer("lesion", yes(), duration_s=float("nan")), "duration_s is nan, expected 0 to"),
    ],
)
def test_an_answer_that_is_none_is_refused_with_all_that_came_with_it(
    tmp_path: Path, answer: Answer, words: str
) -> None:
    store = StudyStore(tmp_path / "s.sqlite")
    store.open_study(protocol(), "owner")
    store.start_session("small", "ann", 1)
    with pytest.raises(InvalidParameterError, match=words):
        store.save("small", "ann", 1, 1, [Answer("lesion", yes()), answer])
    assert answers_in(store) == []
    store.close()


def test_training_cases_come_first_and_tell_the_truth_after_the_answer(tmp_path: Path) -> None:
    cases = {f"case-{n}": case(f"P{n}") for n in range(6)}
    training = case("T1", training=True, truth={"lesion": "yes"}, feedback="A mass.")
    store = StudyStore(tmp_path / "s.sqlite")
    store.open_study(protocol(cases=cases | {"t": training}), "owner")
    with pytest.raises(ConflictError, match="session 0 of ann is unfinished; finish it before 1"):
        store.start_session("small", "ann", 1)
    store.start_session("small", "ann", 0)
    with pytest.raises(ConflictError, match="the answers are not complete; the truth is told after them"):
        store.feedback("small", "ann", 1)
    store.save("small", "ann", 0, 1, [Answer("lesion", yes(10))])
    assert store.feedback("small", "ann", 1)["truth"] == {"lesion": "yes"}
    assert store.feedback("small", "ann", 1)["feedback"] == "A mass."
    with pytest.raises(ConflictError, match="the truth of this training case was told"):
        store.save("small", "ann", 0, 1, [Answer("lesion", yes(99))])
    assert store.start_session("small", "ann", 1) is not None  # without wash-out
    with pytest.raises(NotFoundError):
        store.feedback("small", "ann", 2)
    store.close()


def test_status_counts_readings_and_tells_neither_arms_nor_answers(store: StudyStore) -> None:
    """Two studies with the same progress and opposite answers have the same status but for hashes and times."""
    store.open_study(protocol(), "owner")
    store.open_study(protocol(name="other"), "owner")
    read_session(store, "ann", 1, yes(99))
    store.start_session("other", "ann", 1)
    for position in range(1, 7):
        store.save("other", "ann", 1, position, [Answer("lesion", {"answer": "no", "suspicion": 1})])
    found = store.status("small")
    progress = found["readers"][0]
    assert (found["state"], found["done"], found["readings"]) == ("open", 6, 36)
    assert [(each["session"], each["done"], each["readings"]) for each in progress["sessions"]] == [
        (1, 6, 6),
        (2, 0, 6),
    ]
    assert "arm" not in json.dumps(found).replace("harm", "")
    assert "clinical" not in json.dumps(found)

    def same(status: Any) -> Any:
        if isinstance(status, dict):
            changing = ("at", "head", "opened", "started", "last_activity", "study", "protocol_sha256")
            return {key: same(value) for key, value in status.items() if key not in changing}
        return [same(each) for each in status] if isinstance(status, list) else status

    assert same(found) == same(store.status("other"))


def test_a_closed_study_takes_nothing_more(store: StudyStore) -> None:
    store.open_study(protocol(), "owner")
    read_session(store, "ann", 1)
    with pytest.raises(ConflictError, match="30 readings of small are unfinished; .* give a reason"):
        store.close_study("small", by="owner")
    store.close_study("small", by="owner", reason="Dr. Bob left")
    assert store.status("small")["state"] == "closed"
    for add in (
        lambda: store.save("small", "ann", 1, 6, [Answer("lesion", yes(1))]),
        lambda: store.start_session("small", "bob", 1),
        lambda: store.override_washout("small", "bob", 2, by="owner", reason="why not"),
        lambda: store.close_study("small", by="owner", reason="again"),
        lambda: store.note_simulation("small", {}, "owner"),
    ):
        with pytest.raises(ConflictError, match="small is closed; nothing can be added to it"):
            add()


@pytest.mark.slow
def test_readers_at_once_make_one_chain(place: Path | str) -> None:
    store = StudyStore(place)
    store.open_study(protocol(), "owner")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda reader: read_session(store, reader, 1), ("ann", "bob", "eve")))
    assert len(answers_in(store)) == 18
    assert problems_of(store.content("small")) == []
    store.close()


def test_a_backup_of_one_kind_of_store_is_restored_into_the_other(place: Path | str, tmp_path: Path) -> None:
    store, other = StudyStore(place), StudyStore(tmp_path / "other.sqlite")
    store.open_study(protocol(), "owner")
    read_session(store, "ann", 1)
    write_backup(store, "small", tmp_path / "backup.json")
    assert restore_backup(other, tmp_path / "backup.json") == "small"
    assert other.content("small") == store.content("small")
    other.save("small", "ann", 1, 6, [Answer("lesion", yes(1))])  # it goes on there
    assert problems_of(other.content("small")) == []
    with pytest.raises(ConflictError, match="there is a study 'small' already, which is never replaced"):
        restore_backup(store, tmp_path / "backup.json")
    store.close()
    other.close()


def test_a_url_that_is_none_is_refused_in_a_sentence() -> None:
    with pytest.raises(DatabaseError, match="is no address of a database, expected a file, or postgresql://"):
        StudyStore("no address")
    with pytest.raises(DatabaseError, match="there is no driver for such databases"):
        StudyStore("nonsense://host/name")
    with pytest.raises(DatabaseError, match="the database cannot be opened"):
        StudyStore("postgresql://nobody:secret@127.0.0.1:9/none?connect_timeout=2")


@pytest.mark.parametrize(
    "address",
    [
        "postgresql//ann:secret@host/name",
        "postgresql:/ann:secret@host/name",
        "postgresql://ann:secret/name",  # the host was forgotten
        "postgresql://ann:secret@host:port/name",
        "postgresql://ann:p@secret@127.0.0.1/name",  # would be sought as a host
        "postgresql://ann:p@secret/word@127.0.0.1/name",
        "host=127.0.0.1 password=secret",
        "postgresql://127.0.0.1:9?password=secret&connect_timeout=2",
    ],
)
def test_no_refusal_of_an_address_shows_its_password(address: str) -> None:
    with pytest.raises(DatabaseError) as refused:
        StudyStore(address)
    assert "secret" not in "".join(traceback.format_exception(refused.value))
