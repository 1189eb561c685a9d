"""Whatever is done to a row behind the store's back is found."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mammosynth.errors import DataError, NotFoundError
from mammosynth.reading.answers import Answer
from mammosynth.reading.backup import read_backup, restore_backup, write_backup
from mammosynth.reading.store import StudyStore
from mammosynth.reading.tables import BEGINNING, record_sha256
from mammosynth.reading.verify import problems_of
from tests.support.studies import protocol, yes

VALUES = st.one_of(st.none(), st.integers(-3, 99), st.sampled_from(["", "yes", "clinical", "ann", "[]", "0" * 64]))


def written(store: StudyStore) -> None:
    """A study with sessions, answers, a revision, an override and its end."""
    store.open_study(protocol(), "owner", power={"power": 0.7})
    for reader in ("ann", "bob"):
        for session in (1, 2):
            if session == 2:
                store.override_washout("small", reader, 2, by="owner", reason="test")
            store.start_session("small", reader, session)
            for position in range(1, 7):
                store.save("small", reader, session, position, [Answer("lesion", yes(position), duration_s=2.0)])
    store.save("small", "ann", 2, 3, [Answer("lesion", yes(77))])
    store.close_study("small", by="owner", reason="test")


class Tampered:
    """A store that is as it was again after each test, and the SQL that goes behind its back."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "studies.sqlite"
        self.store = StudyStore(self.file)
        written(self.store)
        self.pristine = sqlite3.connect(":memory:")
        with closing(sqlite3.connect(self.file)) as live:
            live.backup(self.pristine)

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        return self.pristine.execute(f"SELECT rowid, * FROM {table} ORDER BY rowid").fetchall()

    def columns(self, table: str) -> list[str]:
        return [row[1] for row in self.pristine.execute(f"PRAGMA table_info({table})")]

    def after(self, *statements: tuple[str, tuple[Any, ...]]) -> list[str]:
        """What is found after statements, all of which must be possible."""
        with closing(sqlite3.connect(self.file)) as live:
            self.pristine.backup(live)
            try:
                with live:
                    for statement, values in statements:
                        live.execute(statement, values)
            except sqlite3.IntegrityError:
                assume(False)
        try:
            return problems_of(self.store.content("small"))
        except NotFoundError as error:
            return [str(error)]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tampered]:
    tampered = Tampered(tmp_path_factory.mktemp("tampered"))
    assert tampered.after() == []
    yield tampered
    tampered.store.close()
    tampered.pristine.close()


def many(examples: int) -> Any:
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@many(400)
@given(st.data())
def test_any_value_that_is_changed_is_found(study: Tampered, data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(["records", "records", "readings", "studies"]))
    column = data.draw(st.sampled_from(study.columns(table)))
    row = data.draw(st.sampled_from(study.rows(table)))
    old = row[1 + study.columns(table).index(column)]
    other = st.sampled_from(sorted({r[1 + study.columns(table).index(column)] for r in study.rows(table)}, key=str))
    value = data.draw(st.one_of(VALUES, other, st.just(str(old).replace("1", "2", 1))))
    assume(str(value) != str(old))  # SQLite keeps "1" in a column of integers as 1
    assert study.after((f'UPDATE {table} SET "{column}" = ? WHERE rowid = ?', (value, row[0])))


@pytest.mark.slow
@many(200)
@given(st.data())
def test_any_rows_that_are_removed_are_found(study: Tampered, data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(["records", "readings", "studies"]))
    rows = data.draw(st.sets(st.sampled_from([row[0] for row in study.rows(table)]), min_size=1))
    assert study.after(*((f"DELETE FROM {table} WHERE rowid = ?", (row,)) for row in rows))


@pytest.mark.slow
@many(200)
@given(st.data())
def test_any_rows_that_change_places_are_found(study: Tampered, data: st.DataObject) -> None:
    """All of two rows but their numbers; for readings, cases and arms."""
    table, columns = data.draw(
        st.sampled_from([("records", study.columns("records")[2:]), ("readings", ["case", "arm", "occasion"])])
    )
    names = study.columns(table)
    rows = study.rows(table)
    one, other = data.draw(st.lists(st.sampled_from(rows), min_size=2, max_size=2, unique_by=lambda row: row[0]))
    places = [1 + names.index(column) for column in columns]
    assume([one[place] for place in places] != [other[place] for place in places])
    values = ", ".join(f'"{name}" = ?' for name in columns)
    change = f"UPDATE {table} SET {values} WHERE rowid = ?"
    swap = [(change, (*(a[place] for place in places), b[0])) for a, b in ((one, other), (other, one))]
    assert study.after(*swap)


@pytest.mark.slow
@many(100)
@given(st.data())
def test_a_row_that_is_put_between_is_found(study: Tampered, data: st.DataObject) -> None:
    """A copy of a record at another number, those behind it moved on."""
    names = study.columns("records")
    row = data.draw(st.sampled_from(study.rows("records")))[1:]
    number = data.draw(st.integers(1, len(study.rows("records")) + 1))
    values = list(row)
    values[names.index("number")] = number
    move = ("UPDATE records SET number = -number - 1 WHERE number >= ?", (number,))
    back = ("UPDATE records SET number = -number WHERE number < 0", ())
    insert = (f"INSERT INTO records VALUES ({', '.join('?' * len(names))})", tuple(values))
    assert study.after(move, back, insert)


def test_a_chain_that_was_computed_anew_is_found_by_a_hash_that_was_noted(study: Tampered) -> None:
    study.after()
    content = study.store.content("small")
    noted = content["records"][20]["sha256"]
    changed = json.loads(json.dumps(content))
    value = json.loads(changed["records"][10]["content"])
    value["value"]["suspicion"] = 55
    changed["records"][10]["content"] = json.dumps(value, sort_keys=True, separators=(",", ":"))
    previous = BEGINNING
    for record in changed["records"]:
        record["previous"] = previous
        previous = record["sha256"] = record_sha256("small", record)
    changed["study"]["head"] = previous
    assert problems_of(changed) == []  # whoever may write to the database can do this
    assert problems_of(content, noted) == []
    assert problems_of(changed, noted) == [
        f"no record has the hash {noted} that was noted: what led to it was changed or removed"
    ]


def test_answers_that_no_reader_can_have_given_are_found_in_a_chain_that_fits(study: Tampered) -> None:
    study.after()
    changed = json.loads(json.dumps(study.store.content("small")))
    value = json.loads(changed["records"][10]["content"])
    value["value"]["suspicion"] = 500
    changed["records"][10]["content"] = json.dumps(value)
    previous = BEGINNING
    for record in changed["records"]:
        record["previous"] = previous
        previous = record["sha256"] = record_sha256("small", record)
    changed["study"]["head"] = previous
    assert problems_of(changed) == ["record 11: lesion: the answer is '500', expected a whole number from 0 to 100"]


@pytest.mark.slow
@many(100)
@given(st.data())
def test_a_damaged_backup_is_never_restored(tmp_path: Path, study: Tampered, data: st.DataObject) -> None:
    """Any value anywhere in the file is replaced by another."""
    study.after()
    file = tmp_path / "damaged.json"
    write_backup(study.store, "small", file)
    whole = json.loads(file.read_text())
    node, path = whole, []
    while isinstance(node, dict | list) and node:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        path.append(key)
        node = node[key]
    parent = whole
    for key in path[:-1]:
        parent = parent[key]
    value = data.draw(VALUES)
    assume(value != node)
    parent[path[-1]] = value
    file.write_text(json.dumps(whole))
    other = StudyStore(tmp_path / "restored.sqlite")
    with pytest.raises(DataError, match=r"^damaged\.json"):
        restore_backup(other, file)
    assert other.names() == []
    other.close()


def test_a_file_that_is_no_backup_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    for text in ("", "[]", '{"format": "mammosynth reader study", "version": 1}', '{"format": "other"}', "\udcff"):
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(DataError, match=r"^b\.json: "):
            read_backup(file)
