"""Each line of docs/concepts/reading-security.md: what somebody might try, and that it leads nowhere."""

from __future__ import annotations

import json
import logging
import re
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from scipy.stats import mannwhitneyu

from mammosynth.reading import store as store_module
from mammosynth.reading.blinding.copies import blind
from mammosynth.reading.store import StudyStore
from mammosynth.reading.verify import problems_of
from monailabel_app.gateway import guard
from monailabel_app.identity import Role
from monailabel_app.tokens import remove_token
from tests.support.blinded import blinded_protocol, read
from tests.support.reading_room import Reader, Room
from tests.support.shared import made_once
from tests.support.studies import case, yes

NOT_YOURS = {"detail": "this is not the case that you read now"}
PEOPLE = {"ann": Role.READER, "bob": Role.READER, "eve": Role.OWNER, "zoe": Role.READER, "uma": Role.USER}


@pytest.fixture
def room(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setattr(guard, "WRONG_TOKEN_DELAY_S", 0.0)
    shutil.copytree(made_once(tmp_path_factory, "small study, blinded", _blinded), tmp_path, dirs_exist_ok=True)
    return Room(tmp_path, PEOPLE)


def _blinded(folder: Path) -> None:
    folder.mkdir()
    store = StudyStore(folder / "studies.sqlite")
    store.open_study(blinded_protocol(), "owner")
    blind(store, "small", folder / "blinded", read)
    store.close()


def read_session(reader: Reader, session: int = 1) -> Iterator[tuple[dict[str, Any], httpx.Response]]:
    """Every case of a session with the answer that held its pixels."""
    here = reader.start("small", session).json()
    while here["state"] == "reading":
        yield here, reader.frame(here["images"][0], here["study_instance_uid"], "multipart/related")
        reader.answer("small", session, here["position"], yes(), duration_s=1.0)
        here = reader.show("small", session, here["position"] + 1, {"seconds": 1.0}).json()


# --- another reader's answers ---


def test_nobody_answers_for_another_reader_nor_sees_what_they_see(room: Room) -> None:
    ann, bob = room.reader("ann"), room.reader("bob")
    hers, his = ann.start("small").json(), bob.start("small").json()
    ann.answer("small", 1, 1, yes(99))
    assert bob.current("small")["answers"] == {}
    assert bob.frame(hers["images"][0], hers["study_instance_uid"]).json() == NOT_YOURS
    assert bob.get(f"/dicom/wado/studies/{hers['study_instance_uid']}/metadata").json() == NOT_YOURS
    assert hers["study_instance_uid"] != his["study_instance_uid"]
    body = {"session": 1, "position": 1, "answers": [{"question": "lesion", "value": yes()}], "reader": "ann"}
    assert bob.ask("POST", "/studies/small/answers", json=body).status_code == 422
    with room.storing() as store:
        assert store.place("small", "bob").answers == {}


# --- another study ---


def test_a_study_of_others_does_not_exist_for_whoever_does_not_read_in_it(room: Room) -> None:
    room.open(blinded_protocol(name="secret-arm-names", readers=["bob"]))
    ann = room.reader("ann")
    assert [each["study"] for each in ann.get("/studies").json()["studies"]] == ["small"]
    for path, body in (("current", None), ("sessions/1", "start"), ("show", "show"), ("answers", "answer")):
        told = []
        for name in ("secret-arm-names", "never-was"):
            answer = {
                None: lambda name: ann.get(f"/studies/{name}/{path}"),  # noqa: B023
                "start": lambda name: ann.start(name),
                "show": lambda name: ann.show(name, 1, 1),
                "answer": lambda name: ann.answer(name, 1, 1, yes()),
            }[body](name)
            told.append((answer.status_code, answer.json()["detail"].replace(name, "NAME")))
        assert told[0] == told[1] == (404, "there is no study 'NAME' in which ann reads")


def test_users_and_strangers_see_no_reading_room_and_readers_nothing_else(room: Room) -> None:
    assert room.reader("uma").get("/studies").status_code == 403
    assert Reader(room.client, {}).get("/studies").status_code == 401
    ann = room.reader("ann")
    for method, path in (("POST", "/infer/contrast"), ("GET", "/info/"), ("GET", "/reading/studies/small")):
        assert ann.client.request(method, path, headers=ann.headers).status_code == 403


# --- the next case, and cases that were read ---


def test_only_the_case_that_is_shown_and_the_one_after_it_are_served(room: Room) -> None:
    ann = room.reader("ann")
    seen = []
    for here, frame in read_session(ann):
        assert frame.status_code == 200
        seen.append((here["images"][0], here["study_instance_uid"]))
        for image, uid in seen[:-1]:
            assert ann.frame(image, uid).json() == NOT_YOURS
    assert len(seen) == 6
    for image, uid in seen:
        assert ann.frame(image, uid).json() == NOT_YOURS, "the session is over"
    assert ann.get("/dicom/qido/studies").json() == []


def test_what_is_not_shown_and_what_there_is_not_are_answered_alike(room: Room) -> None:
    ann = room.reader("ann")
    with room.storing() as store:
        store.start_session("small", "bob", 1)
    first = ann.start("small").json()
    ann.answer("small", 1, 1, yes())
    ann.show("small", 1, 2)
    there_is = ann.frame(first["images"][0], first["study_instance_uid"])
    made_up = {"series_instance_uid": "2.25.1", "sop_instance_uid": "2.25.2"}
    there_is_not = ann.frame(made_up, "2.25.3")
    assert (there_is.status_code, there_is.content) == (there_is_not.status_code, there_is_not.content)
    assert without_chance(there_is) == without_chance(there_is_not)
    assert ann.show("small", 1, 5).status_code == 409


# --- the key ---


def test_nothing_that_leaves_the_server_names_arm_case_patient_source_or_file(
    room: Room, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    asked = Reader.ask

    def noted(self: Reader, method: str, path: str, **kwargs: Any) -> httpx.Response:
        answer = asked(self, method, path, **kwargs)
        content = "" if "octet-stream" in answer.headers["content-type"] else answer.text
        said.append(f"{path} {dict(answer.headers)} {content}")
        return answer

    monkeypatch.setattr(Reader, "ask", noted)
    for reader in ("ann", "eve"):
        for here, _ in read_session(room.reader(reader)):
            room.reader(reader).get(f"/dicom/wado/studies/{here['study_instance_uid']}/metadata")
            room.reader(reader).get(f"/dicom/qido/studies/{here['study_instance_uid']}/series")
    text = "\n".join([*said, (room.folder / "audit.log").read_text(), caplog.text])
    with room.storing() as store:
        content = store.content("small")
    secrets = {content["blinding"]["secret"]}
    for each in content["blinding"]["copies"]:
        secrets |= {each["case"], each["arm"], each["source"], each["file"], each["sha256"]}
    assert len(secrets) > 30
    assert [secret for secret in secrets if re.search(rf"\b{re.escape(secret)}\b", text)] == []


def without_chance(answer: httpx.Response) -> dict[str, str]:
    return {name: re.sub(r"boundary=\w+", "", value) for name, value in answer.headers.items() if name != "date"}


def test_answers_about_images_of_every_arm_have_the_same_headers_and_lengths(room: Room) -> None:
    frames = [frame for _, frame in read_session(room.reader("ann"))]
    assert len({(len(each.content), json.dumps(without_chance(each))) for each in frames}) == 1
    kept = frames[0].headers
    assert kept["cache-control"] == "private, max-age=600"
    assert {"etag", "last-modified", "accept-ranges", "server"} & set(kept) == set()


@pytest.mark.slow
def test_the_time_of_an_answer_does_not_tell_the_arm(room: Room) -> None:
    ann = room.reader("ann")
    with room.storing() as store:
        arm_of = {each["position"]: each["arm"] for each in store.content("small")["readings"] if _is_anns(each)}
    times: dict[str, list[float]] = {"clinical": [], "synthesized": []}
    for here, _ in read_session(ann):
        for _ in range(15):
            began = time.perf_counter()
            ann.current("small")
            between = time.perf_counter()
            ann.frame(here["images"][0], here["study_instance_uid"])
            took, usual = time.perf_counter() - between, between - began
            times[arm_of[here["position"]]].append(took / usual)  # the machine's own pace changes between cases
    assert min(map(len, times.values())) >= 30
    assert mannwhitneyu(*times.values()).pvalue > 1e-3, "once in a thousand runs by chance"


def _is_anns(reading: dict[str, Any]) -> bool:
    return (reading["reader"], reading["session"]) == ("ann", 1)


# --- replay ---


def test_a_request_that_is_sent_again_later_changes_no_answer(room: Room) -> None:
    ann = room.reader("ann")
    ann.start("small")
    first = ann.answer("small", 1, 1, yes(10), duration_s=2.5).json()["receipts"]
    ann.answer("small", 1, 1, yes(90), duration_s=4.0)
    assert ann.answer("small", 1, 1, yes(10), duration_s=2.5).json()["receipts"] == first
    assert ann.current("small")["answers"] == {"lesion": {"case": yes(90)}}
    ann.show("small", 1, 2)
    assert ann.answer("small", 1, 1, yes(10), duration_s=2.5).status_code == 409, "another case is shown"
    records = len(_records(room))
    ann.start("small")
    ann.show("small", 1, 2)
    assert len(_records(room)) == records


def test_a_token_that_was_taken_away_opens_nothing_and_what_was_answered_stays(room: Room) -> None:
    ann = room.reader("ann")
    here = ann.start("small").json()
    ann.answer("small", 1, 1, yes())
    remove_token(room.folder / "tokens", "ann")
    assert ann.frame(here["images"][0], here["study_instance_uid"]).status_code == 401
    assert ann.answer("small", 1, 1, yes(1)).status_code == 401
    with room.storing() as store:
        assert store.place("small", "ann").answers == {"lesion": {"case": yes()}}


# --- the clock ---


def test_no_clock_but_the_servers_counts(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = room.reader("ann")
    list(read_session(ann))
    future = {"date": "Fri, 01 Jan 2100 00:00:00 GMT"}
    ann.headers |= future
    assert ann.start("small", 2).status_code == 409
    left = [json.loads(each["content"])["left"] for each in _records(room) if each["kind"] == "shown"]
    assert all(each is None or each["seconds"] <= 1.0 for each in left)
    assert ann.show("small", 1, 6, {"seconds": 1e6}).status_code == 200
    ann.show("small", 1, 5, {"seconds": 1e6})
    last = json.loads(_records(room)[-1]["content"])["left"]
    assert last["seconds"] < 60

    class Later(store_module.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return super().now(tz) + timedelta(days=14, seconds=1)

    monkeypatch.setattr(store_module, "datetime", Later)
    assert ann.start("small", 2).status_code == 200


# --- tampering ---


def test_a_copy_that_was_changed_is_not_shown(room: Room) -> None:
    ann = room.reader("ann")
    here = ann.start("small").json()
    for file in (room.folder / "blinded" / "small").iterdir():
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    refused = ann.frame(here["images"][0], here["study_instance_uid"])
    assert (refused.status_code, refused.json()["detail"]) == (
        400,
        "a blinded copy is not as it was made; blind the study again",
    )


def test_a_showing_that_was_changed_in_the_database_is_found(room: Room) -> None:
    list(read_session(room.reader("ann")))
    with room.storing() as store:
        content = store.content("small")
    assert problems_of(content) == []
    shown = next(each for each in content["records"] if each["kind"] == "shown")
    shown["position"] = 2
    assert problems_of(content)


# --- owner's mistakes ---


def test_an_owner_who_reads_sees_no_arm_and_a_study_without_copies_does_not_begin(room: Room) -> None:
    eve = room.reader("eve")
    text = json.dumps(eve.start("small").json())
    assert "clinical" not in text
    assert "synthesized" not in text
    room.open(blinded_protocol(name="raw"), is_blinded=False)
    assert eve.start("raw").status_code == 409


def test_a_study_that_is_closed_serves_and_takes_nothing(room: Room) -> None:
    ann = room.reader("ann")
    here = ann.start("small").json()
    with room.storing() as store:
        store.close_study("small", by="eve", reason="a mistake")
    assert ann.current("small")["state"] == "closed"
    assert ann.frame(here["images"][0], here["study_instance_uid"]).json() == NOT_YOURS
    assert ann.answer("small", 1, 1, yes()).status_code == 409
    assert ann.start("small").status_code == 409


def test_arms_that_show_other_numbers_of_images_are_not_blinded(tmp_path: Path) -> None:
    cases = {f"case-{n}": case(f"P{n}") for n in range(3)}
    cases["case-1"]["images"] = {"clinical": ["P1 clinical", "P5 clinical"], "synthesized": ["P1 synthesized"]}
    with pytest.raises(Exception, match="more images in one arm than in another"):
        Room(tmp_path, PEOPLE).open(blinded_protocol(cases=cases))


def _records(room: Room) -> list[dict[str, Any]]:
    with room.storing() as store:
        return store.content("small")["records"]
