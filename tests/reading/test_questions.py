"""Each kind of question takes its answers and no others, and says them as numbers in the right order."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from mammosynth.errors import InvalidParameterError
from mammosynth.reading.questions import Question

KINDS: Any = TypeAdapter(Question)
MARK = {"shape": "point", "image": 1, "x": 10.5, "y": 20, "rating": 70}
ELLIPSE = {**MARK, "shape": "ellipse", "radius_x": 3, "radius_y": 4.5, "angle": -30}


def question(kind: str, **settings: Any) -> Any:
    return KINDS.validate_python({"type": kind, "title": "?", **settings})


LIKERT = question("likert")
YES_NO = question("yes_no", suspicion=True)
PLAIN = question("yes_no")
BPE = question("category", categories=["a", "b", "c", "d"], positive=["c", "d"])
ORIGIN = question("real_or_generated")
ITEMS = question("items", items={"noise": "Noise", "texture": "Texture"}, levels=3)
MARKS = question("marks")
TEXT = question("text", max_characters=5)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (LIKERT, 5),
        (YES_NO, {"answer": "no", "suspicion": 0}),
        (PLAIN, "yes"),
        (BPE, "d"),
        (ORIGIN, {"answer": "real", "confidence": 100}),
        (ITEMS, {"noise": 3, "texture": 1}),
        (MARKS, []),
        (MARKS, [MARK, ELLIPSE]),
        (TEXT, "äöü"),
    ],
)
def test_an_answer_is_taken_as_it_is(asked: Any, answer: Any) -> None:
    assert asked.check(answer, 2) == answer


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (LIKERT, 6),
        (LIKERT, True),
        (LIKERT, "5"),
        (YES_NO, "yes"),
        (YES_NO, {"answer": "maybe", "suspicion": 3}),
        (YES_NO, {"answer": "yes", "suspicion": 3, "arm": "x"}),
        (PLAIN, True),
        (BPE, "e"),
        (BPE, ["a"]),
        (ORIGIN, {"answer": "real", "confidence": 100.5}),
        (ITEMS, {"noise": 3}),
        (MARKS, {}),
        (MARKS, [{**MARK, "image": 3}]),
        (MARKS, [{**MARK, "x": float("nan")}]),
        (MARKS, [{**MARK, "rating": None}]),
        (MARKS, [{**ELLIPSE, "radius_x": 0}]),
        (MARKS, [{**MARK, "shape": "square"}]),
        (MARKS, [MARK] * 101),
        (TEXT, "too long"),
        (TEXT, "\ud800"),
        (TEXT, "\0"),
    ],
)
def test_an_answer_that_is_none_is_refused(asked: Any, answer: Any) -> None:
    with pytest.raises(InvalidParameterError, match="the answer is .*, expected "):
        asked.check(answer, 2)


def test_ratings_grow_with_what_is_asked_for() -> None:
    assert [LIKERT.rating(level) for level in (1, 5)] == [1, 5]
    assert [BPE.rating(each) for each in "abcd"] == [0, 1, 2, 3]
    assert [BPE.decision(each) for each in "abcd"] == [False, False, True, True]
    assert YES_NO.rating({"answer": "no", "suspicion": 40}) == 40
    surely_real, unsure, generated = (
        ORIGIN.rating({"answer": answer, "confidence": confidence})
        for answer, confidence in (("real", 90), ("real", 0), ("generated", 0))
    )
    assert surely_real < unsure < 0 < generated
    assert MARKS.rating([]) < MARKS.rating([{**MARK, "rating": 0}]) < MARKS.rating([MARK])


@pytest.mark.parametrize(
    "settings",
    [
        {"type": "category", "categories": ["a", "a"]},
        {"type": "category", "categories": ["a", "b"], "positive": ["c"]},
        {"type": "category", "categories": ["a", "b"], "labels": ["x"]},
        {"type": "likert", "labels": ["low", "high"]},
        {"type": "yes_no", "keys": {"maybe": "m"}},
        {"type": "yes_no", "keys": {"yes": "y", "no": "y"}},
        {"type": "yes_no", "keys": {"yes": "yy"}},
        {"type": "yes_no", "keys": {"yes": " "}},
    ],
)
def test_questions_that_contradict_themselves_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KINDS.validate_python({"title": "?", **settings})
