"""Where a reader is: what may be shown when, how long it was looked at, and which requests come too late."""

from __future__ import annotations

import json
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mammosynth.errors import ConflictError, InvalidParameterError, NotFoundError
from mammosynth.reading.answers import Answer
from mammosynth.reading.attention import Attention
from mammosynth.reading.place import State
from mammosynth.reading.store import StudyStore
from mammosynth.reading.tables import canonical_json, record_sha256
from mammosynth.reading.verify import problems_of
from tests.support.studies import case, protocol, yes


class Clock:
    """A clock that a test can set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(place: Path | str, clock: Clock) -> Any:
    store = StudyStore(place, clock)
    store.open_study(protocol(), "owner")
    yield store
    store.close()


def answer(store: StudyStore, position: int, **settings: Any) -> Any:
    return store.save_shown("small", "ann", 1, position, lambda _: [Answer("lesion", yes(), **settings)]).receipts[0]


def read_all(store: StudyStore, session: int = 1) -> None:
    store.start_session("small", "ann", session)
    for position in range(1, 7):
        store.show("small", "ann", session, position)
        store.save_shown("small", "ann", session, position, lambda _: [Answer("lesion", yes())])
    store.show("small", "ann", session, 7)


def test_a_reader_goes_from_not_started_to_finished(store: StudyStore, clock: Clock) -> None:
    assert astuple(store.place("small", "ann"))[:4] == (State.NOT_STARTED, 1, 6, 0)
    store.start_session("small", "ann", 1)
    assert store.place("small", "ann").state is State.PAUSED
    store.show("small", "ann", 1, 1)
    here = store.place("small", "ann")
    assert (here.state, here.is_complete, here.answers) == (State.READING, False, {})
    assert here.shown is not None
    assert here.ahead is not None
    assert (here.shown.position, here.ahead.position) == (1, 2)
    answer(store, 1)
    here = store.place("small", "ann")
    assert (here.done, here.is_complete, here.answers) == (1, True, {"lesion": {"case": yes()}})
    read_all(store)
    over = store.place("small", "ann")
    assert (over.state, over.session, over.shown, over.ahead) == (State.SESSION_OVER, 2, None, None)
    clock.now += timedelta(days=14)
    read_all(store, 2)
    assert store.place("small", "ann").state is State.FINISHED
    store.close_study("small", by="owner", reason="enough")
    assert store.place("small", "ann").state is State.CLOSED


def test_the_last_reading_is_shown_until_it_is_left_and_nothing_is_ahead_of_it(store: StudyStore) -> None:
    read_all(store)
    store.show("small", "ann", 1, 6)
    here = store.place("small", "ann")
    assert (here.state, here.ahead) == (State.READING, None)


def test_no_reading_is_shown_before_its_turn(store: StudyStore) -> None:
    with pytest.raises(ConflictError, match="session 1 of ann has not begun"):
        store.show("small", "ann", 1, 1)
    store.start_session("small", "ann", 1)
    store.show("small", "ann", 1, 1)
    with pytest.raises(ConflictError, match="reading 1 is not complete; finish it before 2"):
        store.show("small", "ann", 1, 2)
    with pytest.raises(ConflictError, match="reading 6 is not complete; finish it before session 1 is over"):
        store.show("small", "ann", 1, 7)
    with pytest.raises(NotFoundError, match="no reading 8 in session 1"):
        store.show("small", "ann", 1, 8)
    with pytest.raises(ConflictError, match="session 2 of ann does not go on"):
        store.show("small", "ann", 2, None)
    assert store.place("small", "bob").shown is None, "another reader's session did not begin"


def test_an_answer_is_about_what_is_shown(store: StudyStore) -> None:
    store.start_session("small", "ann", 1)
    store.show("small", "ann", 1, 1)
    answer(store, 1)
    store.show("small", "ann", 1, 2)
    with pytest.raises(ConflictError, match="reading 1 of session 1 is not shown now"):
        answer(store, 1)
    store.show("small", "ann", 1, None)
    with pytest.raises(ConflictError, match="not shown now"):
        answer(store, 2)


def test_a_request_that_comes_twice_and_late_changes_nothing(store: StudyStore) -> None:
    store.start_session("small", "ann", 1)
    store.show("small", "ann", 1, 1)
    first = answer(store, 1, duration_s=1.25)
    store.save("small", "ann", 1, 1, [Answer("lesion", yes(10), duration_s=3.5)])
    assert answer(store, 1, duration_s=1.25) == first
    assert store.place("small", "ann").answers == {"lesion": {"case": yes(10)}}
    assert answer(store, 1, duration_s=5.0).revision == 3, "a mind that was changed back is an answer"


def test_attention_is_kept_for_no_longer_than_the_reading_was_shown(store: StudyStore, clock: Clock) -> None:
    store.start_session("small", "ann", 1)
    store.show("small", "ann", 1, 1)
    answer(store, 1)
    clock.now += timedelta(seconds=30)
    store.show("small", "ann", 1, 2, Attention(20.0, 5.0, 2))
    store.show("small", "ann", 1, 2, Attention(20.0, 5.0, 2))
    left = [
        json.loads(each["content"])["left"] for each in store.content("small")["records"] if each["kind"] == "shown"
    ]
    assert left[1] == {"session": 1, "position": 1, "seconds": 20.0, "hidden_s": 5.0, "focus_losses": 2}
    assert left[2] == {"session": 1, "position": 2, "seconds": 0.0, "hidden_s": 0.0, "focus_losses": 2}
    assert store.show("small", "ann", 1, 2) is None, "a page that was loaded again is no news"
    for wrong in ((-1.0,), (float("nan"),), (1.0, -2.0), (1.0, 0.0, -1)):
        with pytest.raises(InvalidParameterError, match="expected"):
            Attention(*wrong)


def test_a_window_that_another_one_left_behind_moves_nobody_when_it_closes(store: StudyStore, clock: Clock) -> None:
    store.start_session("small", "ann", 1)
    store.show("small", "ann", 1, 1)
    answer(store, 1)
    clock.now += timedelta(seconds=30)
    store.show("small", "ann", 1, 2, Attention(20.0, position=1))
    assert store.show("small", "ann", 1, 1, Attention(25.0, position=1)) is None
    assert answer(store, 2), "it is shown still"
    store.show("small", "ann", 1, 2, Attention(25.0, position=1))  # as a request that comes twice
    store.show("small", "ann", 1, 3, Attention(0.0, position=2))
    shown = [json.loads(each["content"]) for each in store.content("small")["records"] if each["kind"] == "shown"]
    assert [each["left"] and each["left"]["position"] for each in shown] == [None, 1, 2]


def test_looking_again_at_a_reading_begins_the_wash_out_anew(store: StudyStore, clock: Clock) -> None:
    read_all(store)
    clock.now += timedelta(days=13)
    store.show("small", "ann", 1, 3)
    clock.now += timedelta(days=2)
    with pytest.raises(ConflictError, match="may begin on 2026-03-28"):
        store.start_session("small", "ann", 2)


def test_what_the_display_showed_is_kept_with_the_session(store: StudyStore) -> None:
    store.start_session("small", "ann", 1, {"steps_seen": 18})
    assert json.loads(store.content("small")["records"][-1]["content"]) == {"display": {"steps_seen": 18}}
    assert store.start_session("small", "ann", 1, {"steps_seen": 2}) is None


def test_a_showing_of_a_reading_that_there_is_not_is_found(store: StudyStore) -> None:
    store.start_session("small", "ann", 1)
    store.show("small", "ann", 1, 1)
    content = store.content("small")
    assert problems_of(content) == []
    record = content["records"][-1]
    record["position"] = 9
    record["sha256"] = content["study"]["head"] = record_sha256("small", record)
    assert problems_of(content) == ["record 3 is of a reading that there is not"]
    assert canonical_json(json.loads(record["content"])) == '{"left":null}'


def test_training_comes_first_and_nothing_of_the_study_is_ahead_of_it(place: Path | str, clock: Clock) -> None:
    cases = {f"case-{n}": case(f"P{n}") for n in range(3)}
    cases["warm-up"] = case("T", training=True, truth={"lesion": "yes"})
    store = StudyStore(place, clock)
    store.open_study(protocol(cases=cases), "owner")
    assert store.place("small", "ann").session == 0
    store.start_session("small", "ann", 0)
    last = store.place("small", "ann").readings
    for position in range(1, last + 1):
        store.show("small", "ann", 0, position)
        store.save("small", "ann", 0, position, [Answer("lesion", yes())])
    assert store.place("small", "ann").ahead is None
    store.show("small", "ann", 0, last + 1)
    assert astuple(store.place("small", "ann"))[:2] == (State.SESSION_OVER, 1)
    store.close()


def test_nobody_sees_cases_of_two_studies_at_once(store: StudyStore, clock: Clock) -> None:
    store.open_study(protocol(name="other"), "owner")
    for name in ("small", "other"):
        clock.now += timedelta(seconds=1)
        store.start_session(name, "ann", 1)
        store.show(name, "ann", 1, 1)
    visible = store.visible("ann")
    assert visible is not None
    assert visible[0] == "other"
    assert store.place("small", "ann").state is State.PAUSED
    clock.now += timedelta(seconds=1)
    assert store.show("small", "ann", 1, 1) is not None, "the same reading, but another one was seen in between"
    assert store.place("small", "ann").state is State.READING
    assert store.place("other", "ann").state is State.PAUSED
    assert store.visible("bob") is None
    store.close_study("small", by="owner", reason="enough")
    assert store.visible("ann") is None


def test_sessions_tell_which_may_start_and_when(store: StudyStore, clock: Clock) -> None:
    first, second = store.sessions("small", "ann")
    assert (first["may_start"], first["earliest"], second["may_start"], second["earliest"]) == (True, None, False, None)
    read_all(store)
    first, second = store.sessions("small", "ann")
    assert (first["done"], first["may_start"], second["may_start"]) == (6, False, False)
    assert second["earliest"] == "2026-03-15T09:00:00+00:00"
    store.override_washout("small", "ann", 2, by="owner", reason="on leave")
    assert store.sessions("small", "ann")[1]["may_start"]
    assert (store.has_reader("small", "ann"), store.has_reader("small", "x"), store.has_reader("x", "ann")) == (
        True,
        False,
        False,
    )
