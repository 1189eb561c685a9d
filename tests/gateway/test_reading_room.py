"""A reader reads: one case at a time comes as DICOMweb, answers are kept, and the next one waits ahead."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from mammosynth.reading.blinding.copies import BlindedCopies
from mammosynth.reading.protocol import Protocol
from monailabel_app.identity import Role
from tests.support.blinded import COLUMNS, ROWS, blinded_protocol
from tests.support.reading_room import DISPLAY, Room
from tests.support.studies import case, yes

QUESTIONS = {
    "lesion": {"type": "yes_no", "title": "Is there a lesion?", "suspicion": True, "keys": {"yes": "y", "no": "n"}},
    "bpe": {"type": "category", "title": "BPE", "categories": ["a", "b"], "positive": ["b"], "per": "breast"},
    "places": {"type": "marks", "title": "Where?", "required": False},
}


def with_training(name: str) -> Protocol:
    cases = {f"case-{n}": case(f"P{n}", truth={"lesion": "yes" if n % 2 else "no"}) for n in range(3)}
    truth = {"lesion": "yes", "bpe": {"R": "b"}, "places": [{"image": 1, "x": 100.0, "y": 150.0, "radius": 10.0}]}
    cases["warm-up"] = case("P9", training=True, truth=truth, feedback="A mass.")
    cases["warm-up"]["images"] = {"synthesized": ["P9 synthesized"]}
    return blinded_protocol(name=name, cases=cases, questions=QUESTIONS)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    room = Room(
        tmp_path_factory.mktemp("room"),
        {"ann": Role.READER, "bob": Role.READER, "eve": Role.OWNER, "zoe": Role.READER, "uma": Role.USER},
    )
    room.open(blinded_protocol())
    room.open(with_training("training"))
    room.open(blinded_protocol(name="raw"), is_blinded=False)
    return room


def test_a_study_is_read_from_its_first_session_to_the_end_of_it(room: Room) -> None:
    ann = room.reader("ann")
    listed = {each["study"]: each for each in ann.get("/studies").json()["studies"]}
    assert listed["small"]["state"] == "not_started"
    assert [each["may_start"] for each in listed["small"]["sessions"]] == [True, False]
    assert ann.current("small")["images"] == []
    here = ann.start("small").json()
    assert (here["state"], here["position"], here["readings"], here["done"]) == ("reading", 1, 6, 0)
    assert here["hanging"] == {"rows": 1, "columns": 1}
    (image,) = here["images"]
    assert (image["laterality"], image["view_position"], image["rows"], image["columns"]) == ("R", "CC", ROWS, COLUMNS)
    seen = []
    for position in range(1, 7):
        uid = here["study_instance_uid"]
        assert ann.frame(here["images"][0], uid).status_code == 200
        saved = ann.answer("small", 1, position, yes(position), duration_s=1.5).json()
        assert (saved["is_complete"], saved["receipts"][0]["revision"]) == (True, 1)
        seen.append((uid, here["ahead"] and here["ahead"]["study_instance_uid"]))
        left = {"seconds": 0.01, "hidden_s": 0.0, "focus_losses": 1}
        here = ann.show("small", 1, position + 1, left).json()
    assert [ahead for _, ahead in seen] == [*[uid for uid, _ in seen[1:]], None]
    assert (here["state"], here["session"], here["images"], here["study_instance_uid"]) == ("session_over", 2, [], None)
    refused = ann.start("small", 2)
    assert (refused.status_code, "14 days after the last reading" in refused.json()["detail"]) == (409, True)
    with room.storing() as store:
        content = store.content("small")
        started = next(each for each in content["records"] if each["kind"] == "session_started")
        assert json.loads(started["content"]) == {"display": DISPLAY}
        assert all(each["done"] for each in store.sessions("small", "ann")[:1])


def test_training_tells_the_truth_after_the_answers_and_the_marks_where_the_reader_sees_them(room: Room) -> None:
    bob = room.reader("bob")
    here = bob.start("training", 0).json()
    assert (here["is_training"], here["feedback"], here["ahead"]) == (True, None, None)
    (question,) = [each for each in here["questions"] if each["name"] == "bpe"]
    assert question["targets"] == ["R"]
    assert "positive" not in question
    assert [each.get("acceptance_radius") for each in here["questions"]] == [None] * 3
    mark = {"shape": "ellipse", "image": 1, "x": 70.254, "y": 100.5, "radius_x": 8.0, "radius_y": 4.0}
    mark |= {"angle": 30.0, "rating": 60}
    assert bob.answer("training", 0, 1, [mark], "places").json()["feedback"] is None
    bob.answer("training", 0, 1, "a", "bpe", target="R")
    feedback = bob.answer("training", 0, 1, yes()).json()["feedback"]
    assert (feedback["generated"], feedback["feedback"], feedback["truth"]["bpe"]) == (True, "A mass.", {"R": "b"})
    here = bob.current("training")
    assert here["feedback"] == feedback
    (kept,) = here["answers"]["places"]["case"]
    assert kept == mark | {"x": 70.25}, "to a hundredth of a pixel of the copy, whatever pixels its source has"
    with room.storing() as store:
        (stored,) = store.place("training", "bob").answers["places"]["case"]
        shown = store.place("training", "bob").shown
        (image,) = BlindedCopies(store, "training", room.folder / "blinded").of(shown)
    assert (stored["x"], stored["y"]) == pytest.approx(image.placement.to_source(70.25, 100.5), abs=1e-5)
    (place,) = feedback["truth"]["places"]["case"]
    assert (place["x"], place["y"]) == pytest.approx(image.placement.to_copy(100, 150), abs=0.006)
    again = bob.answer("training", 0, 1, [kept], "places").json()
    assert again["receipts"][0]["revision"] == 1, "a mark that was read and is sent again is the same"
    assert bob.answer("training", 0, 1, "b", "bpe", target="R").status_code == 409, "the truth was told"


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (150.0, 120.0, None),
        (500.0, 10.0, "outside image 1"),
        (0.0, 5.0, None),  # beyond its source, of which nothing is told
        (-5.0, 5.0, "outside image 1"),
    ],
)
def test_a_mark_lies_in_the_image(room: Room, x: float, y: float, words: str | None) -> None:
    eve = room.reader("eve")
    eve.start("training", 0)
    answer = eve.answer("training", 0, 1, [{"shape": "point", "image": 1, "x": x, "y": y, "rating": 5}], "places")
    assert answer.status_code == (200 if words is None else 422)
    assert words is None or words in answer.json()["detail"]


def test_what_the_viewer_asks_for_is_answered_and_nothing_else(room: Room) -> None:
    zoe, bob = room.reader("zoe"), room.reader("bob")
    assert zoe.get("/dicom/qido/studies").json() == [], "who reads nowhere sees nothing"
    here = bob.start("small").json()
    uid, (image,) = here["study_instance_uid"], here["images"]
    of_study = f"/dicom/qido/studies/{uid}"
    (study,) = bob.get(f"/dicom/qido/studies?StudyInstanceUID={uid}").json()
    assert (study["0020000D"]["Value"], study["00100020"]["Value"]) == ([uid], ["BLINDED"])
    (series,) = bob.get(f"{of_study}/series").json()
    assert series["0020000E"]["Value"] == [image["series_instance_uid"]]
    (instance,) = bob.get(f"{of_study}/series/{image['series_instance_uid']}/instances").json()
    assert instance["00080018"]["Value"] == [image["sop_instance_uid"]]
    (header,) = bob.get(f"/dicom/wado/studies/{uid}/series/{image['series_instance_uid']}/metadata").json()
    assert (header["00280010"]["Value"], header["00280100"]["Value"]) == ([ROWS], [16])
    frame = bob.frame(image, uid, "multipart/related; type=application/octet-stream; transfer-syntax=*")
    pixels = frame.content.split(b"\r\n\r\n", 1)[1].rpartition(b"\r\n--")[0]
    assert np.frombuffer(pixels, "<u2").reshape(ROWS, COLUMNS).max() > 0
    for path in (f"/dicom/wado/studies/{uid}", f"/dicom/wado/studies/{uid}/series/1.2/metadata", "/dicom/wado/x"):
        refused = bob.get(path)
        assert (refused.status_code, refused.json()) == (404, {"detail": "this is not the case that you read now"})
    ahead = here["ahead"]
    assert bob.get(ahead["metadata"].removeprefix("/reading-room")).status_code == 200
    assert bob.get(ahead["frames"][0].removeprefix("/reading-room")).status_code == 200


def test_nothing_is_served_in_a_pause_and_a_reader_goes_on_where_it_began(room: Room) -> None:
    eve = room.reader("eve")
    here = eve.start("small").json()
    paused = eve.show("small", 1, None, {"seconds": 1.0}).json()
    assert (paused["state"], paused["images"]) == ("paused", [])
    assert eve.frame(here["images"][0], here["study_instance_uid"]).status_code == 404
    again = eve.start("small").json()
    assert again["study_instance_uid"] == here["study_instance_uid"]


def test_a_study_that_is_not_blinded_begins_for_nobody(room: Room) -> None:
    refused = room.reader("ann").start("raw")
    assert refused.status_code == 409
    assert refused.json()["detail"] == "raw has no blinded copies yet; its owner has to blind it first"
    with room.storing() as store:
        assert len(store.content("raw")["records"]) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("sessions/1", {}),
        ("sessions/1", {"display": DISPLAY | {"steps_seen": 19}}),
        ("sessions/1", {"display": DISPLAY | {"luminance_cd_m2": 0}}),
        ("sessions/1001", {"display": DISPLAY}),
        ("answers", {"session": 1, "position": 1, "answers": []}),
        ("answers", {"session": 1, "position": 1, "answers": [{"question": "lesion"}]}),
        ("show", {"session": 1}),
        ("show", {"session": 1, "position": 1, "left": {"seconds": -1}}),
        ("show", {"session": 1, "position": 1, "reader": "ann"}),
    ],
)
def test_a_wrong_body_is_told_in_words(room: Room, path: str, body: Any) -> None:
    answer = room.reader("bob").ask("POST", f"/studies/small/{path}", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_the_page_and_its_files_come_from_here_alone(room: Room) -> None:
    answer = room.reader("ann").get("/page/none.js")
    assert (answer.status_code, answer.json()["detail"]) == (404, "the page has no file 'none.js'")


@pytest.mark.slow
def test_an_owner_has_the_copies_attacked_and_hears_which_arms_but_of_no_case(room: Room) -> None:
    cases = {f"case-{n}": case(f"P{n}") for n in range(20)}
    room.open(blinded_protocol(name="attacked", cases=cases))
    eve = room.reader("eve")
    answer = eve.client.request("POST", "/reading/studies/attacked/attack", headers=eve.headers)
    (attack,) = answer.json()["attacks"]
    assert (attack["arms"], attack["copies"]) == (["clinical", "synthesized"], [20, 20])
    assert "case-" not in answer.text
    few = eve.client.request("POST", "/reading/studies/small/attack", headers=eve.headers)
    assert (few.status_code, "20" in few.json()["detail"]) == (400, True)
