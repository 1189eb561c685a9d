"""Arms compared over readers and cases: areas under the curve, sensitivity, specificity, accuracy, free response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mammosynth.errors import DataError
from mammosynth.reading.analysis.gradings import fixed_of
from mammosynth.reading.endpoints import Endpoint
from mammosynth.reading.mrmc import mrmc_report
from mammosynth.reading.protocol import Protocol
from mammosynth.reading.questions import Marks
from mammosynth.reading.statistics import margins
from mammosynth.reading.statistics.estimate import Bootstrap
from mammosynth.reading.statistics.free_response import lesion_ratings
from mammosynth.reading.statistics.obuchowski_rockette import Comparison, compare
from mammosynth.reading.statistics.paired import mcnemar
from mammosynth.reading.statistics.proportions import clustered_proportions, confusion
from mammosynth.reading.statistics.ratings import Ratings

_FIGURES = {"free_response": "auc"}
_THRESHOLD = 0.5  # of decisions, which are 0 and 1


def compare_arms(protocol: Protocol, endpoint: Endpoint, rows: pd.DataFrame) -> dict[str, Any]:
    """An endpoint that Obuchowski and Rockette's analysis answers.

    Groups of a split plot share no reader and no case: each is analysed alone; figures and differences are means over
    groups, their variances those of means, degrees of freedom by Satterthwaite.

    Args:
        protocol: Of the study.
        endpoint: One of auc, sensitivity, specificity, accuracy, free_response.
        rows: First readings of its question, see `answer_table`.

    Returns:
        arms: by arm the mean figure with an interval on log-odds; differences: of each arm from the reference; readers:
        figures of each reader in each arm; components of variance by group; positive and negative items; left_out:
        items without all answers, or without a truth.

    Raises:
        DataError: If there are too few readers or cases of a kind.
    """
    groups = list(groups_of(protocol, rows))
    reports, left_out = [], 0
    for group in groups:
        ratings, left = _ratings(protocol, endpoint, group)
        left_out += left
        reports.append(_report(protocol, endpoint, ratings))
    return {
        "arms": {arm: _within_bounds(_mean([_of_arm(report, arm) for report in reports])) for arm in protocol.arms},
        "differences": {
            arm: _difference(protocol, endpoint, [_less(report, arm, protocol.reference_arm) for report in reports])
            for arm in protocol.arms
            if arm != protocol.reference_arm
        },
        "readers": [row for report in reports for row in report["readers"]],
        "components": [report["components"] for report in reports],
        "positive": sum(report["positive"] for report in reports),
        "negative": sum(report["negative"] for report in reports),
        "left_out": left_out,
    }


def groups_of(protocol: Protocol, rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Rows of readers who read the same cases."""
    cases = rows.groupby("reader", sort=False)["case"].agg(frozenset)
    if protocol.design.groups == 1:
        yield rows
        return
    found: dict[int, list[str]] = {}
    seen: list[set[str]] = []
    for reader in cases.index:
        place = next((number for number, group in enumerate(seen) if group & cases[reader]), len(seen))
        if place == len(seen):
            seen.append(set())
        seen[place] |= cases[reader]
        found.setdefault(place, []).append(reader)
    for readers in found.values():
        yield rows[rows["reader"].isin(readers)]


def _ratings(protocol: Protocol, endpoint: Endpoint, rows: pd.DataFrame) -> tuple[Ratings, int]:
    known = rows[rows["is_positive"].notna()] if endpoint.statistic != "free_response" else rows
    every = len(protocol.arms) * known["reader"].nunique()
    counts = known.groupby("item")["item"].transform("size")
    whole = known[counts == every]
    left = rows["item"].nunique() - whole["item"].nunique()
    if whole.empty:
        raise DataError("no case has its truth and the answers of all readers in all arms")
    if endpoint.statistic == "free_response":
        return _free_response(protocol, endpoint.question, whole), left
    column = "rating" if endpoint.statistic == "auc" else "decision"
    table = pd.DataFrame(
        {
            "reader": whole["reader"],
            "treatment": whole["arm"],
            "case": whole["item"],
            "truth": whole["is_positive"].astype(int),
            "rating": whole[column].astype(float),
            "patient": whole["patient"],
        }
    )
    return Ratings.from_table(table, source=endpoint.question), left


def _free_response(protocol: Protocol, name: str, rows: pd.DataFrame) -> Ratings:
    """Marks as ratings of the lesions that they hit."""
    question = protocol.questions[name]
    assert isinstance(question, Marks)  # noqa: S101 - the protocol was checked
    cases, marks = [], []
    for item, own in rows.groupby("item"):
        lesions = own["truth"].iloc[0] or []
        base = {"case": item, "patient": own["patient"].iloc[0]}
        cases += [{**base, "lesion": str(number + 1)} for number in range(len(lesions))] or [{**base, "lesion": ""}]
        for row in own.itertuples():
            place = {"reader": row.reader, "treatment": row.arm, "case": item}
            marks += [
                {**place, "lesion": _hit(question, mark, lesions), "rating": mark.get("rating", 100)}
                for mark in row.answer
            ]
    for reader in rows["reader"].unique():  # those without any mark have read, too
        marks += [{"reader": reader, "treatment": a, "case": "", "lesion": "", "rating": 0} for a in protocol.arms]
    return lesion_ratings(pd.DataFrame(marks), pd.DataFrame(cases))


def _hit(question: Marks, mark: Mapping[str, Any], lesions: Sequence[Mapping[str, Any]]) -> str:
    """The number of the nearest lesion in whose radius a mark lies; nothing if it lies in none."""
    found = [
        (float(np.hypot(mark["x"] - lesion["x"], mark["y"] - lesion["y"])), str(number + 1))
        for number, lesion in enumerate(lesions)
        if lesion["image"] == mark["image"]
        and np.hypot(mark["x"] - lesion["x"], mark["y"] - lesion["y"])
        <= lesion.get("radius", question.acceptance_radius)
    ]
    return min(found)[1] if found else ""


def _report(protocol: Protocol, endpoint: Endpoint, ratings: Ratings) -> dict[str, Any]:
    figure = _FIGURES.get(endpoint.statistic, endpoint.statistic)
    return mrmc_report(
        ratings,
        figure=figure,
        threshold=None if figure == "auc" else _THRESHOLD,
        covariance=endpoint.covariance,
        fixed=fixed_of(endpoint),
        reference=protocol.reference_arm,
        draws=protocol.bootstrap_samples,
        seed=protocol.design.seed % 2**32,
    )


def _of_arm(report: Mapping[str, Any], arm: str) -> Mapping[str, Any]:
    return next(row for row in report["means"] if row["treatment"] == arm)


def _less(report: Mapping[str, Any], arm: str, other: str) -> Mapping[str, Any]:
    return next(row for row in report["differences"] if (row["first"], row["second"]) == (arm, other))


def _mean(rows: Sequence[Mapping[str, Any]]) -> Comparison:
    """The mean over groups that are independent."""
    variances = np.array([row["standard_error"] ** 2 for row in rows]) / len(rows) ** 2
    total = float(variances.sum())
    spread = float(np.sum(variances**2 / np.array([row["df"] for row in rows])))
    df = total**2 / spread if spread > 0 else np.inf
    return compare(float(np.mean([row["value"] for row in rows])), float(np.sqrt(total)), df)


def _within_bounds(mean: Comparison) -> Comparison:
    """With an interval on the scale of log-odds, which does not leave 0 to 1."""
    low, high = mean.log_odds()
    return replace(mean, low=low, high=high)


def _difference(protocol: Protocol, endpoint: Endpoint, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found = _mean(rows)
    result: dict[str, Any] = {**vars(found), "test": None}
    if endpoint.margin is not None and found.standard_error > 0:
        given = (found.value, found.standard_error, found.df, endpoint.margin)
        if endpoint.comparison == "non_inferiority":
            result["test"] = margins.non_inferiority(*given, alpha=protocol.alpha / 2)
            result["p"] = min(1.0, 2 * result["test"].p)  # one-sided, to stand beside two-sided ones
        else:
            result["test"] = margins.equivalence(*given, alpha=protocol.alpha)
            result["p"] = result["test"].p
    return result


def decisions_of(protocol: Protocol, rows: pd.DataFrame, bootstrap: Bootstrap) -> list[dict[str, Any]]:
    """Confusion, and proportions with intervals, of each reader in each arm.

    Args:
        protocol: Of the study.
        rows: First readings of a question with decisions.
        bootstrap: How patients are resampled.
    """
    found = []
    known = rows[rows["is_positive"].notna()]
    for (arm, reader), own in known.groupby(["arm", "reader"], sort=False):
        truth, calls = own["is_positive"].to_numpy(bool), own["decision"].to_numpy(bool)
        proportions = clustered_proportions(truth, calls[None], patients=own["patient"].to_numpy(), bootstrap=bootstrap)
        found.append(
            {
                "arm": arm,
                "reader": reader,
                "confusion": vars(confusion(truth, calls)),
                **{name: mean for name, (_, mean) in proportions.items()},
            }
        )
    return found


def paired_decisions(protocol: Protocol, rows: pd.DataFrame, bootstrap: Bootstrap) -> list[dict[str, Any]]:
    """McNemar's test of right decisions, each arm against the reference, for each reader."""
    found = []
    known = rows[rows["is_positive"].notna()].assign(right=lambda all_: all_["decision"] == all_["is_positive"])
    for reader, own in known.groupby("reader", sort=False):
        right = own.pivot(index=["item", "patient"], columns="arm", values="right").dropna()
        for arm in protocol.arms:
            if arm == protocol.reference_arm or not {arm, protocol.reference_arm} <= set(right):
                continue
            test = mcnemar(
                right[arm].to_numpy(bool),
                right[protocol.reference_arm].to_numpy(bool),
                patients=right.index.get_level_values("patient").to_numpy(),
                bootstrap=bootstrap,
            )
            found.append({"reader": reader, "arm": arm, "test": test})
    return found
