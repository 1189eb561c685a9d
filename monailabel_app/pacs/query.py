"""QIDO-RS: which studies, series or instances match a query, and which attributes the answer shows (PS3.18, 10.6)."""

from __future__ import annotations

import fnmatch
import functools
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from pydicom.datadict import dictionary_VR, tag_for_keyword

from monailabel_app.pacs.catalogue import Study
from monailabel_app.pacs.instances import (
    INSTANCE_TAGS,
    LISTED_TAGS,
    SERIES_TAGS,
    STUDY_TAGS,
    StoredInstance,
    joined,
    json_text,
    tags_of,
)

_REMEMBERED_LENGTH = 256  # characters of an element's JSON text


class InvalidQueryError(ValueError):
    """The query cannot be answered as asked; the message says why and what is accepted."""


_MODALITY, _MODALITIES_IN_STUDY, _RETRIEVE_URL, _SYNTAX = tags_of(
    "Modality", "ModalitiesInStudy", "RetrieveURL", "AvailableTransferSyntaxUID"
)


class Level(Enum):
    """What one answer stands for: the attributes shown."""

    STUDY = STUDY_TAGS
    SERIES = STUDY_TAGS + SERIES_TAGS
    INSTANCE = STUDY_TAGS + SERIES_TAGS + INSTANCE_TAGS


@dataclass(frozen=True)
class Query:
    """A parsed query string.

    Attributes:
        matchers: Per tag, whether one of the values in an element's JSON text matches.
        include: Further tags to show; None for every attribute.
        limit: Most answers; None for all.
        offset: Answers left out at the beginning.
    """

    matchers: tuple[tuple[str, Callable[[str | None], bool]], ...] = ()
    include: tuple[str, ...] | None = ()
    limit: int | None = None
    offset: int = 0


def parse_query(parameters: Iterable[tuple[str, str]]) -> Query:
    """Read a query string. An attribute that cannot be matched is refused, never ignored: that would mix patients.

    Raises:
        InvalidQueryError: If an attribute is unknown or a value is malformed.
    """
    matchers, include, numbers = [], [], {"limit": None, "offset": 0}
    for name, value in parameters:
        if name == "fuzzymatching":
            continue
        if name in numbers:
            if not re.fullmatch(r"[0-9]{1,9}", value):
                raise InvalidQueryError(f"{name} is {value!r}, expected a number that is not negative.")
            numbers[name] = int(value)
        elif name == "includefield":
            include += value.split(",")
        elif value.strip("*"):
            tag = _tag(name)
            matches = _of_element(_matcher(name, _vr(tag), value))
            matchers.append((_MODALITY if tag == _MODALITIES_IN_STUDY else tag, matches))
    shown = None if "all" in include else tuple(tag for tag in map(_tag_or_none, include) if tag)
    return Query(tuple(matchers), shown, numbers["limit"], numbers["offset"])


class Elements(Protocol):
    """Where what queries do not usually show is read: the index."""

    def element(self, instance: StoredInstance, tag: str) -> str | None:
        """One element as JSON text; None if the instance has none."""

    def header(self, instance: StoredInstance) -> str:
        """The header without bulky elements, as JSON text."""


def answer(
    studies: Iterable[Study],
    level: Level,
    query: Query,
    retrieve_url: Callable[[StoredInstance], str],
    *,
    elements: Elements,
    series: str | None = None,
) -> str:
    """The answers of a level as a JSON text, in the order of the studies.

    Texts of elements are joined as they are: making them anew from values would take most of the time of a list.

    Args:
        studies: An entity of them matches if one of its instances does.
        level: What an answer stands for.
        query: What to match and to show.
        retrieve_url: Where an instance's entity at this level can be retrieved.
        elements: For attributes that are not listed.
        series: The only series to look at; None for all.
    """
    end = None if query.limit is None else query.offset + query.limit
    matching = _matching(_entities(studies, level, series), query, elements)
    shown = {*level.value, *(query.include or ()), *(tag for tag, _ in query.matchers)}
    kept, further = sorted(shown & LISTED_TAGS), sorted(shown - LISTED_TAGS)
    answers = []
    for instance, counts in itertools.islice(matching, query.offset, end):
        if query.include is None:
            texts = {tag: json_text(value) for tag, value in json.loads(elements.header(instance)).items()}
        else:
            texts = {tag: instance.listed[tag] for tag in kept if tag in instance.listed}
            found = ((tag, elements.element(instance, tag)) for tag in further)
            texts |= {tag: text for tag, text in found if text is not None}
        texts |= counts
        texts[_RETRIEVE_URL] = json_text({"vr": "UR", "Value": [retrieve_url(instance)]})
        if level is Level.INSTANCE:
            texts[_SYNTAX] = json_text({"vr": "UI", "Value": [instance.transfer_syntax_uid]})
        answers.append(joined(texts))
    return f"[{','.join(answers)}]"


def _matching(
    entities: Iterable[tuple[Sequence[StoredInstance], Mapping[str, str]]], query: Query, elements: Elements
) -> Iterator[tuple[StoredInstance, Mapping[str, str]]]:
    """Of each entity the first instance that matches; thousands are looked at for one patient."""
    for instances, counts in entities:
        for instance in instances:
            for tag, matches in query.matchers:
                text = instance.listed.get(tag) if tag in LISTED_TAGS else elements.element(instance, tag)
                if not matches(text):
                    break
            else:
                yield instance, counts
                break


def _entities(
    studies: Iterable[Study], level: Level, series: str | None
) -> Iterator[tuple[Sequence[StoredInstance], Mapping[str, str]]]:
    """The instances of each entity, and what there is to say about all of them."""
    for study in studies:
        if level is Level.STUDY:
            yield study.instances, study.counts
            continue
        for each in study.series:
            if series not in (None, each.uid):
                continue
            if level is Level.SERIES:
                yield each.instances, each.counts
            else:
                yield from (((instance,), {}) for instance in each.instances)


def _of_element(matches: Callable[[str], bool]) -> Callable[[str | None], bool]:
    """Whether one value of an element matches; asked once for equal short texts, which the images of a study share."""
    known: dict[str | None, bool] = {None: False}

    def one_matches(text: str | None) -> bool:
        verdict = known.get(text)
        if verdict is not None or text is None:
            return bool(verdict)
        if len(text) > _REMEMBERED_LENGTH:
            return any(map(matches, _texts(text)))
        return known.setdefault(text, any(map(matches, _remembered_texts(text))))

    return one_matches


def _texts(text: str) -> tuple[str, ...]:
    """The values of an element as texts."""
    element = json.loads(text)
    values = element.get("Value") or []
    if element.get("vr") == "PN":
        return tuple(value.get("Alphabetic") or "" for value in values if value)
    return tuple(str(value) for value in values if value is not None and not isinstance(value, dict))


_remembered_texts = functools.lru_cache(maxsize=1 << 14)(_texts)  # the next query asks for the same patients


def _matcher(name: str, vr: str, value: str) -> Callable[[str], bool]:
    """Attribute matching of PS3.4 C.2.2.2: list of UIDs, range, number, wildcard or single value."""
    if vr in ("UI", "CS") and re.search(r"[,\\]", value):
        matchers = [_matcher(name, vr, part) for part in re.split(r"[,\\]", value) if part]
        return lambda found: any(matcher(found) for matcher in matchers)
    if vr in ("DA", "TM"):
        return _range_matcher(name, value)
    if vr in ("IS", "DS", "US", "SS", "UL", "SL", "FL", "FD"):
        try:
            number = float(value)
        except ValueError:
            raise InvalidQueryError(f"{name} is {value!r}, expected a number.") from None
        return lambda found: _number(found) == number
    flags = re.IGNORECASE if vr == "PN" else 0
    pattern = re.compile(fnmatch.translate(value.replace("[", "[[]")), flags)
    return lambda found: pattern.match(found) is not None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _range_matcher(name: str, value: str) -> Callable[[str], bool]:
    first, dash, last = value.partition("-")
    if not all(re.fullmatch(r"[0-9.:]*", part) for part in (first, last)) or not (first or last):
        raise InvalidQueryError(f"{name} is {value!r}, expected a date or time, or a range such as 20260101-20261231.")
    if not dash:
        return lambda found: found.startswith(first)
    return lambda found: first <= found and (not last or found[: len(last)] <= last)


def _tag(name: str) -> str:
    tag = _tag_or_none(name)
    if tag is None:
        raise InvalidQueryError(
            f"{name!r} is not an attribute that can be queried; use a DICOM keyword or tag (00100020)."
        )
    return tag


def _tag_or_none(name: str) -> str | None:
    """Eight hexadecimal digits for a keyword or a tag; None for what is neither."""
    if re.fullmatch(r"[0-9A-Fa-f]{8}", name):
        return name.upper()
    tag = tag_for_keyword(name)
    return None if tag is None else f"{tag:08X}"


def _vr(tag: str) -> str:
    try:
        return dictionary_VR(int(tag, 16))
    except KeyError:
        return "UN"  # newer than pydicom's dictionary, or private: matched as text
