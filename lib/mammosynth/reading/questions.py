"""What readers are asked: each kind of question knows which answers it takes, and what an answer says as a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mammosynth.errors import InvalidParameterError
from mammosynth.parameters import is_unicode

YES, NO = "yes", "no"
REAL, GENERATED = "real", "generated"
_MOST_MARKS = 100
_MOST_PIXELS = 100_000

Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""A name that can be a column, a file and a key."""
Title = Annotated[str, Field(min_length=1, max_length=500)]


class Strict(BaseModel):
    """Base of everything in a protocol: frozen, of exactly the declared types, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class _Question(Strict):
    title: Title
    """What the reader is asked."""
    help: Annotated[str, Field(max_length=2000)] = ""
    required: bool = True
    """Whether a case is complete without an answer."""
    per: Literal["case", "breast", "image"] = "case"
    """What is answered apart: the whole case, each of its breasts, each of its images."""
    keys: dict[str, Annotated[str, Field(pattern=r"^[!-~]$")]] = {}
    """Keyboard shortcut by choice, one visible ASCII character each."""

    def choices(self) -> tuple[str, ...]:
        """What can be chosen by a key."""
        return ()

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if unknown := sorted(set(self.keys) - set(self.choices())):
            raise ValueError(f"keys for {', '.join(self.choices()) or 'nothing'} only; found one for {unknown[0]!r}")
        if len(set(self.keys.values())) < len(self.keys):
            raise ValueError("a key of its own for each choice; found one key twice")
        return self

    def check(self, value: Any, images: int) -> Any:
        """An answer as it is stored.

        Args:
            value: Of JSON's kinds.
            images: How many the reader sees.

        Raises:
            InvalidParameterError: If it is none that this question takes.
        """
        raise NotImplementedError

    def check_truth(self, value: Any, images: int) -> Any:
        """A true answer as it is stored.

        Raises:
            InvalidParameterError: If it is none.
        """
        raise InvalidParameterError(f"there is no truth for {self.kind()}; leave it out")

    def kind(self) -> str:
        """The name of its type."""
        return str(getattr(self, "type"))  # noqa: B009 - each kind declares it

    def rating(self, value: Any) -> float | None:
        """An answer as a number that grows with what is asked for; None if it has no order."""
        return None


class _Labelled(_Question):
    levels: Annotated[int, Field(ge=2, le=11)] = 5
    labels: list[Title] = []
    """Of the levels, from the lowest; empty: numbers only."""

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        if self.labels and len(self.labels) != self.levels:
            raise ValueError(f"{self.levels} labels, one a level; found {len(self.labels)}")
        return self

    def choices(self) -> tuple[str, ...]:
        """The levels as words."""
        return tuple(str(level) for level in range(1, self.levels + 1))


class Likert(_Labelled):
    """How strongly, on a scale from 1 to `levels`."""

    type: Literal["likert"]

    def check(self, value: Any, images: int) -> int:
        """A level."""
        return _whole(value, 1, self.levels)

    def rating(self, value: Any) -> float:
        """The level."""
        return float(value)


class Items(_Labelled):
    """Several items of image quality, each on a scale from 1 to `levels`."""

    type: Literal["items"]
    items: Annotated[dict[Word, Title], Field(min_length=1, max_length=30)]

    def check(self, value: Any, images: int) -> dict[str, int]:
        """A level for each item."""
        _expect(isinstance(value, Mapping) and set(value) == set(self.items), value, f"levels of {_list(self.items)}")
        return {item: _whole(value[item], 1, self.levels) for item in self.items}

    def rating(self, value: Any) -> float:
        """The mean level."""
        return sum(value.values()) / len(value)


class YesNo(_Question):
    """Yes or no, for example: is there a lesion?"""

    type: Literal["yes_no"]
    suspicion: bool = False
    """Whether the reader says, too, how suspicious it is, from 0 to 100."""

    def choices(self) -> tuple[str, ...]:
        """Both."""
        return (YES, NO)

    def check(self, value: Any, images: int) -> Any:
        """A word, or {"answer": word, "suspicion": 0..100}."""
        if not self.suspicion:
            return _word(value, (YES, NO))
        _expect(_has(value, "answer", "suspicion"), value, "{answer: yes or no, suspicion: 0 to 100}")
        return {"answer": _word(value["answer"], (YES, NO)), "suspicion": _whole(value["suspicion"], 0, 100)}

    def check_truth(self, value: Any, images: int) -> str:
        """A word."""
        return _word(value, (YES, NO))

    def decision(self, value: Any) -> bool:
        """Whether it is a yes."""
        return (value["answer"] if isinstance(value, Mapping) else value) == YES

    def rating(self, value: Any) -> float:
        """The suspicion, where it is asked for; otherwise 1 for yes and 0 for no."""
        return float(value["suspicion"]) if self.suspicion else float(self.decision(value))


class Category(_Question):
    """One of several categories, for example of BPE or BI-RADS."""

    type: Literal["category"]
    categories: Annotated[list[Word], Field(min_length=2, max_length=20)]
    """From the lowest, if they are ordered."""
    labels: list[Title] = []
    ordered: bool = True
    positive: list[Word] = []
    """Those that count as positive, for sensitivity and specificity."""

    @model_validator(mode="after")
    def _check_categories(self) -> Self:
        if len(set(self.categories)) < len(self.categories):
            raise ValueError("categories that differ; found one twice")
        if self.labels and len(self.labels) != len(self.categories):
            raise ValueError(f"{len(self.categories)} labels, one a category; found {len(self.labels)}")
        if unknown := set(self.positive) - set(self.categories):
            raise ValueError(f"positive categories of {_list(self.categories)}; found {sorted(unknown)[0]!r}")
        return self

    def choices(self) -> tuple[str, ...]:
        """The categories."""
        return tuple(self.categories)

    def check(self, value: Any, images: int) -> str:
        """A category."""
        return _word(value, self.categories)

    check_truth = check

    def decision(self, value: Any) -> bool:
        """Whether it counts as positive."""
        return value in self.positive

    def rating(self, value: Any) -> float | None:
        """The place of the category, from 0."""
        return float(self.categories.index(value)) if self.ordered else None


class RealOrGenerated(_Question):
    """Forced choice: is the image real or generated? The truth is in the arm."""

    type: Literal["real_or_generated"]
    confidence: bool = True
    """Whether the reader says, too, how sure they are, from 0 to 100."""

    def choices(self) -> tuple[str, ...]:
        """Both."""
        return (REAL, GENERATED)

    def check(self, value: Any, images: int) -> Any:
        """A word, or {"answer": word, "confidence": 0..100}."""
        if not self.confidence:
            return _word(value, (REAL, GENERATED))
        _expect(_has(value, "answer", "confidence"), value, "{answer: real or generated, confidence: 0 to 100}")
        return {
            "answer": _word(value["answer"], (REAL, GENERATED)),
            "confidence": _whole(value["confidence"], 0, 100),
        }

    def decision(self, value: Any) -> bool:
        """Whether it was taken for generated."""
        return (value["answer"] if isinstance(value, Mapping) else value) == GENERATED

    def rating(self, value: Any) -> float:
        """From -100.5, surely real, to 100.5, surely generated; never 0, so that its sign is the decision."""
        confidence = value["confidence"] if self.confidence else 0
        return confidence + 0.5 if self.decision(value) else -confidence - 0.5


class Marks(_Question):
    """Places in the images: lesions (free response), artefacts or hallucinations.

    A mark is {shape, image, x, y} with x and y in pixels (column, row) from the centre of the first pixel; they may lie
    beyond the image, since a blinded copy shows more than its source. An ellipse has radius_x, radius_y in pixels and
    angle in degrees, too, and a mark a rating from 0 to 100 where it is asked for.
    """

    type: Literal["marks"]
    finding: Literal["lesion", "artefact", "hallucination"] = "lesion"
    shapes: Annotated[list[Literal["point", "ellipse"]], Field(min_length=1)] = ["point", "ellipse"]
    rated: bool = True
    acceptance_radius: Annotated[float, Field(gt=0)] = 20.0
    """How far from a true lesion's centre a point may be, in pixels, where the truth has no radius."""

    def check(self, value: Any, images: int) -> list[dict[str, Any]]:
        """Marks, none included."""
        _expect(isinstance(value, list) and len(value) <= _MOST_MARKS, value, f"a list of up to {_MOST_MARKS} marks")
        return [self._mark(each, images) for each in value]

    def check_truth(self, value: Any, images: int) -> list[dict[str, Any]]:
        """True places: {image, x, y} and, if it is known, radius in pixels."""
        _expect(isinstance(value, list) and len(value) <= _MOST_MARKS, value, "a list of {image, x, y, radius}")
        return [self._place(each, images, optional=("radius",)) for each in value]

    def _mark(self, value: Any, images: int) -> dict[str, Any]:
        _expect(isinstance(value, Mapping) and "shape" in value, value, "a mark with a shape")
        shape = _word(value["shape"], self.shapes)
        needed = ("radius_x", "radius_y", "angle") if shape == "ellipse" else ()
        rest = {name: part for name, part in value.items() if name not in ("shape", "rating")}
        mark = {"shape": shape, **self._place(rest, images, needed)}
        if self.rated:
            mark["rating"] = _whole(value.get("rating"), 0, 100)
        else:
            _expect("rating" not in value, value, "a mark without a rating")
        return mark

    @staticmethod
    def _place(value: Any, images: int, needed: Sequence[str] = (), optional: Sequence[str] = ()) -> dict[str, Any]:
        names = ("image", "x", "y", *needed)
        _expect(
            isinstance(value, Mapping) and set(names) <= set(value) <= {*names, *optional},
            value,
            f"a place with {_list(names)}" + (f" and, if it is known, {_list(optional)}" if optional else ""),
        )
        place: dict[str, Any] = {"image": _whole(value["image"], 1, max(images, 1))}
        for name in (*names[1:], *(each for each in optional if each in value)):
            number = value[name]
            is_number = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
            low = 1e-3 if name.startswith("radius") else (-180 if name == "angle" else -_MOST_PIXELS)
            most = 180 if name == "angle" else _MOST_PIXELS
            _expect(is_number and low <= number <= most, number, f"{name} from {low:g} to {most}")
            place[name] = float(number)
        return place

    def rating(self, value: Any) -> float:
        """The highest rating of any mark; without marks -1, below every rating."""
        return max((float(mark.get("rating", 100)) for mark in value), default=-1.0)


class Text(_Question):
    """Free text."""

    type: Literal["text"]
    max_characters: Annotated[int, Field(ge=1, le=10_000)] = 2000

    def check(self, value: Any, images: int) -> str:
        """Text."""
        _expect(isinstance(value, str), value, "text")
        _expect(len(value) <= self.max_characters, f"{len(value)} characters", f"up to {self.max_characters}")
        _expect("\0" not in value and is_unicode(value), "text with characters that are none", "text in Unicode")
        return value


Question = Annotated[
    Likert | Items | YesNo | Category | RealOrGenerated | Marks | Text,
    Field(discriminator="type"),
]


def _expect(holds: bool, found: Any, expected: str) -> None:
    if not holds:
        raise InvalidParameterError(f"the answer is {str(found)[:64]!r}, expected {expected}")


def _has(value: Any, *names: str) -> bool:
    return isinstance(value, Mapping) and set(value) == set(names)


def _word(value: Any, words: Sequence[str]) -> str:
    _expect(isinstance(value, str) and value in words, value, f"one of {_list(words)}")
    return str(value)


def _whole(value: Any, low: int, high: int) -> int:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    _expect(is_whole and low <= value <= high, value, f"a whole number from {low} to {high}")
    return int(value)


def _list(words: Any) -> str:
    return ", ".join(words)
