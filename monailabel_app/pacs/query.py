"""QIDO-RS: which studies, series or instances match a query, and which attributes the answer shows (PS3.18, 10.6)."""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from monailabel_app.pacs.instances import Attributes, StoredInstance


class InvalidQueryError(ValueError):
    """The query cannot be answered as asked; the message says why and what is accepted."""


def _tags(*keywords: str) -> tuple[str, ...]:
    return tuple(f"{tag_for_keyword(keyword):08X}" for keyword in keywords)


# PS3.18 tables 10.6.3-3 to 10.6.3-5, and Study and Series Description, which every viewer lists
_STUDY = _tags(
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "TimezoneOffsetFromUTC", "StudyDescription",
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID",
)  # fmt: skip
_SERIES = _tags(
    "Modality", "SeriesDate", "SeriesTime", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "Laterality",
    "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime",
)  # fmt: skip
_INSTANCE = _tags(
    "SOPClassUID", "SOPInstanceUID", "InstanceNumber", "Rows", "Columns", "BitsAllocated", "NumberOfFrames",
)  # fmt: skip
_STUDY_UID, _SERIES_UID, _SOP_UID, _MODALITY, _MODALITIES_IN_STUDY, _RETRIEVE_URL = _tags(
    "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Modality", "ModalitiesInStudy", "RetrieveURL"
)
_STUDY_SERIES, _STUDY_INSTANCES, _SERIES_INSTANCES, _SYNTAX = _tags(
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
    "NumberOfSeriesRelatedInstances",
    "AvailableTransferSyntaxUID",
)


class Level(Enum):
    """What one answer stands for: its identifying attribute and the attributes shown."""

    STUDY = (_STUDY_UID, _STUDY)
    SERIES = (_SERIES_UID, _STUDY + _SERIES)
    INSTANCE = (_SOP_UID, _STUDY + _SERIES + _INSTANCE)


@dataclass(frozen=True)
class Query:
    """A parsed query string.

    Attributes:
        matchers: Per tag, whether one value matches.
        include: Further tags to show; None for every attribute.
        limit: Most answers; None for all.
        offset: Answers left out at the beginning.
    """

    matchers: tuple[tuple[str, Callable[[str], bool]], ...] = ()
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
            matchers.append((_MODALITY if tag == _MODALITIES_IN_STUDY else tag, _matcher(name, _vr(tag), value)))
    shown = None if "all" in include else tuple(tag for tag in map(_tag_or_none, include) if tag)
    return Query(tuple(matchers), shown, numbers["limit"], numbers["offset"])


def answer(
    instances: Sequence[StoredInstance], level: Level, query: Query, retrieve_url: Callable[[StoredInstance], str]
) -> list[Attributes]:
    """The answers of a level, in the order of the instances.

    Args:
        instances: Whole studies or series; an entity matches if one of its instances does.
        level: What an answer stands for.
        query: What to match and to show.
        retrieve_url: Where an instance's entity at this level can be retrieved.
    """
    identifier, shown = level.value
    by_entity = _group(instances, identifier)
    by_study, by_series = _group(instances, _STUDY_UID), _group(instances, _SERIES_UID)
    end = None if query.limit is None else query.offset + query.limit
    matching = (next((i for i in entity if _matches(i, query)), None) for entity in by_entity.values())
    found = itertools.islice((instance for instance in matching if instance), query.offset, end)
    answers = []
    for instance in found:
        wanted = (
            instance.attributes if query.include is None else (*shown, *query.include, *(t for t, _ in query.matchers))
        )
        study = by_study[instance.study_instance_uid]
        result = {tag: instance.attributes[tag] for tag in sorted({*wanted}) if tag in instance.attributes}
        result[_RETRIEVE_URL] = _element("UR", retrieve_url(instance))
        if level is Level.INSTANCE:
            result[_SYNTAX] = _element("UI", instance.transfer_syntax_uid)
        else:
            modalities = {str(value) for i in study for value in i.attributes.get(_MODALITY, {}).get("Value", [])}
            result[_MODALITIES_IN_STUDY] = _element("CS", *sorted(modalities))
            result[_STUDY_SERIES] = _element("IS", len({i.series_instance_uid for i in study}))
            result[_STUDY_INSTANCES] = _element("IS", len(study))
        if level is Level.SERIES:
            result[_SERIES_INSTANCES] = _element("IS", len(by_series[instance.series_instance_uid]))
        answers.append(dict(sorted(result.items())))
    return answers


def _group(instances: Iterable[StoredInstance], identifier: str) -> dict[str, list[StoredInstance]]:
    groups: dict[str, list[StoredInstance]] = {}
    for instance in instances:
        groups.setdefault(instance.attributes[identifier]["Value"][0], []).append(instance)
    return groups


def _element(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def _matches(instance: StoredInstance, query: Query) -> bool:
    return all(any(map(matcher, _texts(instance.attributes.get(tag, {})))) for tag, matcher in query.matchers)


def _texts(element: dict[str, Any]) -> list[str]:
    values = element.get("Value", [])
    if element.get("vr") == "PN":
        return [value.get("Alphabetic", "") for value in values if value]
    return [str(value) for value in values if value is not None and not isinstance(value, dict)]


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
        return lambda found: float(found) == number
    flags = re.IGNORECASE if vr == "PN" else 0
    pattern = re.compile(fnmatch.translate(value.replace("[", "[[]")), flags)
    return lambda found: pattern.match(found) is not None


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
