"""`conduct_of`: what of a study's plan was done, from its records, since a study can be closed before it is read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from mammosynth.reading.analysis.table import TRAINING_SESSION
from mammosynth.reading.design import Reading
from mammosynth.reading.protocol import Protocol
from mammosynth.reading.queries import is_done
from mammosynth.reading.tables import ANSWERED, SESSION_STARTED, SHOWN, WASHOUT_OVERRIDDEN


def conduct_of(protocol: Protocol, content: Mapping[str, Any]) -> dict[str, Any]:
    """Plan and deed, training left out. A reading is complete once every required question is answered.

    Args:
        protocol: Of the study.
        content: As `StudyStore.content` gives it.

    Returns:
        readings_planned, readings_begun, readings_complete; repeats_planned and repeats_complete, the second readings
        among them; cases_read and patients_read, of complete readings; readers_read; by_reader: planned, begun and
        complete readings of each; early_sessions: those that began before their wash-out was over, each with reader,
        session, days since the last reading, and who had allowed it for which reason.
    """
    begun, answers = _begun_and_answers(content)
    planned = [Reading(**each) for each in content["readings"] if each["session"] != TRAINING_SESSION]
    started = [each for each in planned if (each.reader, each.session, each.position) in begun]
    complete = [each for each in started if is_done(protocol, each, answers.get(each.reader, {}))]
    stages = {"planned": planned, "begun": started, "complete": complete}
    by_reader = {
        reader: {name: sum(each.reader == reader for each in stage) for name, stage in stages.items()}
        for reader in protocol.readers
    }
    return {
        **{f"readings_{name}": len(stage) for name, stage in stages.items()},
        **{f"repeats_{name}": sum(each.occasion > 1 for each in stages[name]) for name in ("planned", "complete")},
        "cases_read": len({each.case for each in complete}),
        "patients_read": len({protocol.cases[each.case].patient for each in complete}),
        "readers_read": len({each.reader for each in complete}),
        "by_reader": by_reader,
        "early_sessions": list(_early_sessions(protocol, content)),
    }


def _begun_and_answers(content: Mapping[str, Any]) -> tuple[set[Any], dict[str, dict[Any, set[Any]]]]:
    """Places of readings that were shown or answered, and what was answered in each, by reader."""
    begun: set[Any] = set()
    answers: dict[str, dict[Any, set[Any]]] = {}
    for record in content["records"]:
        if record["kind"] in (SHOWN, ANSWERED) and record["position"] is not None:
            place = record["session"], record["position"]
            begun.add((record["reader"], *place))
            if record["kind"] == ANSWERED:
                own = answers.setdefault(record["reader"], {}).setdefault(place, set())
                own.add((record["question"], record["target"]))
    return begun, answers


def _early_sessions(protocol: Protocol, content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    last: dict[str, datetime] = {}
    allowed: dict[tuple[str, int], dict[str, Any]] = {}
    for record in content["records"]:
        reader, session, at = record["reader"], record["session"], datetime.fromisoformat(record["at"])
        if record["kind"] == WASHOUT_OVERRIDDEN:
            allowed[reader, session] = json.loads(record["content"])
        elif record["kind"] == SESSION_STARTED and session > TRAINING_SESSION + 1 and reader in last:
            since = at - last[reader]
            if since < timedelta(days=protocol.design.washout_days):
                days = round(since / timedelta(days=1), 4)
                yield {"reader": reader, "session": session, "days": days, **allowed.get((reader, session), {})}
        elif record["kind"] in (SHOWN, ANSWERED) and session > TRAINING_SESSION:
            last[reader] = at
