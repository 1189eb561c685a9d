"""`analyse_study`: every endpoint of a closed study, from its records alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mammosynth.errors import DataError
from mammosynth.reading.analysis.agreements import between_arms, between_readers, within_readers
from mammosynth.reading.analysis.closed_study import ClosedStudy
from mammosynth.reading.analysis.comparisons import compare_arms, decisions_of, groups_of, paired_decisions
from mammosynth.reading.analysis.conduct import conduct_of
from mammosynth.reading.analysis.gradings import graded, ratings_by_arm, told_apart
from mammosynth.reading.endpoints import Endpoint
from mammosynth.reading.protocol import Protocol
from mammosynth.reading.statistics.estimate import Bootstrap, json_ready
from mammosynth.reading.statistics.paired import benjamini_hochberg
from mammosynth.reading.tables import ANSWERED, SIMULATED

_DECISIONS = ("sensitivity", "specificity", "accuracy")
_BY_ROCKETTE = ("auc", *_DECISIONS, "free_response")


def analyse_study(study: ClosedStudy, progress: Callable[[int, int, str], None] = lambda *_: None) -> dict[str, Any]:
    """All results as JSON values; the same records give the same results.

    Args:
        study: Closed and verified.
        progress: Called with how many endpoints are done, how many there are, and the name of the last.

    Returns:
        study, protocol_sha256, head, is_simulated, flow (counts of cases, readers and readings, and what `conduct_of`
        tells), endpoints (by name, each with its result, or the problem why there is none), tests (p and adjusted p of
        each comparison), durations.
    """
    protocol, content, table = study.protocol, study.content, study.answers
    endpoints = {}
    for number, (name, endpoint) in enumerate(protocol.endpoints.items(), start=1):
        endpoints[name] = {**_of_endpoint(endpoint), **_result(protocol, endpoint, table)}
        progress(number, len(protocol.endpoints), name)
    return json_ready(
        {
            "study": protocol.name,
            "title": protocol.title,
            "protocol_sha256": protocol.sha256,
            "head": content["study"]["head"],
            "is_simulated": any(record["kind"] == SIMULATED for record in content["records"]),
            "flow": {**_flow(protocol, content, table), **conduct_of(protocol, content)},
            "endpoints": endpoints,
            "tests": _tests(protocol, endpoints),
            "durations": _durations(table),
        }
    )


def _of_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return {"title": endpoint.title, "statistic": endpoint.statistic, "is_primary": endpoint.is_primary}


def _result(protocol: Protocol, endpoint: Endpoint, table: pd.DataFrame) -> dict[str, Any]:
    rows = table[table["question"] == endpoint.question]
    try:
        if rows.empty:
            raise DataError(f"{endpoint.question} has no answers")
        return _compute(protocol, endpoint, rows)
    except DataError as error:
        return {"problem": str(error)}


def _compute(protocol: Protocol, endpoint: Endpoint, rows: pd.DataFrame) -> dict[str, Any]:
    bootstrap = Bootstrap(draws=protocol.bootstrap_samples, seed=protocol.design.seed % 2**32)
    first = rows[rows["occasion"] == 1]
    if endpoint.statistic in _BY_ROCKETTE:
        found = compare_arms(protocol, endpoint, first)
        if endpoint.statistic in _DECISIONS:
            found["decisions"] = decisions_of(protocol, first, bootstrap)
        if endpoint.statistic == "accuracy":
            found["paired"] = paired_decisions(protocol, first, bootstrap)
        return found
    if protocol.design.groups > 1:  # readers of different groups have no case in common
        return {"groups": [_of_group(protocol, endpoint, own, bootstrap) for own in groups_of(protocol, rows)]}
    return _of_group(protocol, endpoint, rows, bootstrap)


def _of_group(protocol: Protocol, endpoint: Endpoint, rows: pd.DataFrame, bootstrap: Bootstrap) -> dict[str, Any]:
    first, name = rows[rows["occasion"] == 1], endpoint.question
    match endpoint.statistic:
        case "rating":
            return ratings_by_arm(protocol, endpoint, first, bootstrap)
        case "visual_grading":
            return graded(protocol, endpoint, first)
        case "realism":
            return told_apart(protocol, endpoint, first)
        case "arm_agreement":
            return between_arms(protocol, name, first, bootstrap)
        case "reader_agreement":
            return between_readers(protocol, name, first, bootstrap)
    return within_readers(protocol, name, rows, bootstrap)


def _tests(protocol: Protocol, endpoints: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Every comparison that has a p: as it is, and adjusted for their number."""
    found: dict[str, float] = {}
    for name, result in endpoints.items():
        for suffix, part in parts_of(result):
            for arm, difference in part.get("differences", {}).items():
                found[f"{name}: {arm}{suffix}"] = difference["p"]
            if "all" in part:
                found[f"{name}: auc{suffix}"] = part["all"]["auc"]["p"]
    known = {name: p for name, p in found.items() if np.isfinite(p)}
    adjusted = benjamini_hochberg(known) if known else {}
    return {
        name: {"p": p, "adjusted_p": adjusted.get(name), "is_significant": adjusted.get(name, 1.0) < protocol.alpha}
        for name, p in found.items()
    }


def parts_of(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The result, or those of its groups, each with what is put behind the names of its comparisons."""
    groups = result.get("groups")
    return [("", result)] if groups is None else [(f", group {n}", group) for n, group in enumerate(groups, start=1)]


def _flow(protocol: Protocol, content: Mapping[str, Any], table: pd.DataFrame) -> dict[str, Any]:
    kinds = [record["kind"] for record in content["records"]]
    closing = json.loads(content["records"][-1]["content"])
    return {
        "cases": len(protocol.test_cases),
        "training_cases": len(protocol.cases) - len(protocol.test_cases),
        "patients": len({case.patient for case in protocol.test_cases.values()}),
        "cases_by_arm": {
            arm: sum(arm in case.images for case in protocol.test_cases.values()) for arm in protocol.arms
        },
        "readers": len(protocol.readers),
        "readings_unfinished": closing["unfinished"],
        "reason_for_closing": closing["reason"],
        "answers": kinds.count(ANSWERED),
        "revised_answers": int((table["revision"] > 1).sum()),
        "opened": content["records"][0]["at"],
        "closed": content["records"][-1]["at"],
    }


def _durations(table: pd.DataFrame) -> dict[str, Any]:
    """Seconds a reading, by arm: median and quartiles; None where no viewer measured them."""
    known = table.dropna(subset=["duration_s"])
    sums = known.groupby(["reader", "session", "position", "arm"], sort=False)["duration_s"].sum().astype(float)
    return {
        str(arm): dict(zip(("lower", "median", "upper"), np.quantile(own, [0.25, 0.5, 0.75]).tolist(), strict=True))
        for arm, own in sums.groupby("arm", sort=False)
    }
