"""What a protocol comes to, before it is opened: counts by session and arm, hashes, and the power of its sample."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mammosynth.errors import ProtocolError
from mammosynth.reading.design import design_sha256, readings
from mammosynth.reading.protocol import Protocol

_READERS = range(2, 13)


def describe(protocol: Protocol) -> dict[str, Any]:
    """Counts and hashes, as JSON values.

    Raises:
        ProtocolError: If no design fits the protocol.
    """
    design = readings(protocol)
    sessions = Counter((each.reader, each.session) for each in design)
    arms = Counter((each.session, each.arm) for each in design)
    return {
        "study": protocol.name,
        "title": protocol.title,
        "protocol_sha256": protocol.sha256,
        "design_sha256": design_sha256(design),
        "cases": len(protocol.test_cases),
        "training_cases": len(protocol.cases) - len(protocol.test_cases),
        "patients": len({case.patient for case in protocol.test_cases.values()}),
        "readers": len(protocol.readers),
        "readings": len(design),
        "most_readings_in_a_session": max(sessions.values()),
        "readings_by_session_and_arm": {
            str(session): {arm: arms[session, arm] for arm in protocol.arms}
            for session in sorted({each.session for each in design})
        },
    }


def power_of(protocol: Protocol) -> dict[str, Any]:
    """The power of a study, and how many cases others would need, as JSON values.

    Raises:
        ProtocolError: If the protocol does not say what to compute it from.
    """
    from mammosynth.reading.statistics.obuchowski_rockette import Components  # they take seconds to load
    from mammosynth.reading.statistics.power import cases_needed, power

    planned = protocol.power
    if planned is None:
        raise ProtocolError(
            f"{protocol.name}: power is missing; add effect, var_tr, var_error, cov1, cov2, cov3, cases and source "
            "(`mammosynth study mrmc` prints the components of a pilot)"
        )
    components = Components(0.0, planned.var_tr, planned.var_error, planned.cov1, planned.cov2, planned.cov3)
    primary = [each for each in protocol.endpoints.values() if each.is_primary] or list(protocol.endpoints.values())
    margin = primary[0].margin
    cases = len(protocol.test_cases)
    shared: dict[str, Any] = {
        "pilot_cases": planned.cases,
        "margin": margin,
        "alpha": protocol.alpha,
    }
    difference = planned.effect if margin is None else -planned.effect
    readers = len(protocol.readers)
    found = power(components, difference, readers=readers, cases=cases, **shared) if readers > 1 else None
    return {
        "effect": planned.effect,
        "margin": margin,
        "readers": readers,
        "cases": cases,
        "power": found,
        "goal": planned.goal,
        "source": planned.source,
        "cases_needed_by_readers": {
            str(number): needed
            for number, needed in cases_needed(components, difference, _READERS, target=planned.goal, **shared).items()
        },
    }
