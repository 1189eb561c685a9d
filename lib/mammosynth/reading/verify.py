"""`problems_of`: whether a study is what its readers and its owner made it, row by row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mammosynth.errors import MammoSynthError
from mammosynth.reading.answers import Answer, check_answer
from mammosynth.reading.design import Reading, design_sha256, readings
from mammosynth.reading.protocol import Protocol, protocol_from_canonical
from mammosynth.reading.tables import (
    ANSWERED,
    BEGINNING,
    BLINDED,
    CLOSED,
    OPENED,
    RECORD_FIELDS,
    SHOWN,
    key_sha256,
    record_sha256,
)

_RECORD_KEYS = {*RECORD_FIELDS, "sha256"}


def problems_of(content: Mapping[str, Any], head: str | None = None) -> list[str]:
    """What is wrong with a study; empty if nothing is.

    Found is every row that was changed, added, removed or reordered in any table. Whoever may write to the database may
    also compute the whole chain anew, or cut its end off: that is found only by a hash that was noted elsewhere.

    Args:
        content: As `StudyStore.content` gives it.
        head: Hash of a record that was noted before (`mammosynth study status` prints it): it must still be there.

    Returns:
        Sentences.
    """
    try:
        return _problems(content, head)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        return [f"a row holds what no row can hold ({type(error).__name__}: {error})"]


def _problems(content: Mapping[str, Any], head: str | None) -> list[str]:
    records = content["records"]
    found = list(_of_chain(content["study"], records))
    if head is not None and head not in {record["sha256"] for record in records}:
        found.append(f"no record has the hash {head[:64]} that was noted: what led to it was changed or removed")
    if found:
        return found
    try:
        protocol = protocol_from_canonical(content["study"]["protocol"])
        found = list(_of_opening(content, protocol))
    except MammoSynthError as error:
        return [str(error)]
    found = found or list(_of_blinding(content.get("blinding"), records))
    return found or list(_of_answers(protocol, content["readings"], records))


def _of_chain(study: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    previous, at = BEGINNING, ""
    for number, record in enumerate(records, start=1):
        if set(record) != _RECORD_KEYS:
            yield f"record {number} has other fields than a record"
            return
        if record["number"] != number:
            yield f"record {number} is missing: the next one is {record['number']}"
            return
        if record["previous"] != previous:
            yield f"record {number} does not follow the one before it: one of them was changed, added or removed"
        if record["sha256"] != record_sha256(str(study["name"]), record):
            yield f"record {number} was changed: its hash is another"
        if record["at"] < at:
            yield f"record {number} is earlier than the one before it"
        previous, at = record["sha256"], record["at"]
    if study["records"] != len(records) or study["head"] != previous:
        yield f"the study names {study['records']} records that end in {study['head']}; {len(records)} are there"


def _of_opening(content: Mapping[str, Any], protocol: Protocol) -> Iterator[str]:
    records = content["records"]
    kinds = [record["kind"] for record in records]
    if kinds[:1] != [OPENED] or OPENED in kinds[1:] or CLOSED in kinds[:-1]:
        yield "the records do not begin with the opening, or do not end with the closing"
        return
    opening = json.loads(records[0]["content"])
    if protocol.name != content["study"]["name"]:
        yield f"the protocol is of {protocol.name}, the study is called {content['study']['name']}"
    if protocol.canonical() != content["study"]["protocol"] or protocol.sha256 != opening["protocol_sha256"]:
        yield "the protocol is not the one that was opened"
    place = {reader: number for number, reader in enumerate(protocol.readers)}
    stored = [Reading(**each) for each in content["readings"]]
    stored.sort(key=lambda each: (place.get(each.reader, -1), each.session, each.position))
    if design_sha256(stored) != opening["design_sha256"]:
        yield "the readings are not those that were drawn at the opening"
    if stored != list(readings(protocol)):
        yield "the readings do not follow from the protocol and its seed"


def _of_blinding(blinding: Mapping[str, Any] | None, records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    stated = [json.loads(record["content"])["key_sha256"] for record in records if record["kind"] == BLINDED]
    kept = [] if blinding is None else [key_sha256(blinding)]
    if stated != kept:
        yield "the key from blinded copies to their sources is not the one that was kept when they were made"


def _of_answers(
    protocol: Protocol, design: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Whether answers mean something: a chain that was computed anew may hold any."""
    of_place = {(each["reader"], each["session"], each["position"]): Reading(**each) for each in design}
    revisions: dict[tuple[Any, ...], int] = {}
    for record in records:
        place = record["reader"], record["session"], record["position"]
        is_shown = record["kind"] == SHOWN and record["position"] is not None
        if (is_shown or record["kind"] == ANSWERED) and place not in of_place:
            yield f"record {record['number']} is of a reading that there is not"
            continue
        if record["kind"] != ANSWERED:
            continue
        content = json.loads(record["content"])
        answer = Answer(record["question"], content["value"], record["target"], content["duration_s"])
        try:
            check_answer(protocol, of_place[place], answer)
        except MammoSynthError as error:
            yield f"record {record['number']}: {error}"
        key = (*place, answer.question, answer.target)
        revisions[key] = revisions.get(key, 0) + 1
        if content["revision"] != revisions[key]:
            yield f"record {record['number']} is revision {content['revision']}, expected {revisions[key]}"
