"""Ratings by arm, visual grading, and whether readers tell generated from real."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mammosynth.errors import DataError
from mammosynth.reading.analysis.table import crossed
from mammosynth.reading.endpoints import Endpoint
from mammosynth.reading.protocol import Protocol
from mammosynth.reading.questions import Category, Items, Likert, Question, YesNo
from mammosynth.reading.statistics.estimate import Bootstrap
from mammosynth.reading.statistics.grading import (
    against_chance,
    arm_ratings,
    readers_against_chance,
    summarise_arm,
    visual_grading,
)
from mammosynth.reading.statistics.obuchowski_rockette import Fixed
from mammosynth.reading.statistics.paired import wilcoxon
from mammosynth.reading.statistics.ratings import Ratings


def ratings_by_arm(protocol: Protocol, endpoint: Endpoint, rows: pd.DataFrame, bootstrap: Bootstrap) -> dict[str, Any]:
    """Means and counts of each arm, and each arm against the reference, of the mean of all readers.

    The test is Wilcoxon's of pairs where the same cases were read in both arms, and Mann and Whitney's otherwise.

    Args:
        protocol: Of the study.
        endpoint: Whose statistic is rating.
        rows: First readings of its question.
        bootstrap: How patients are resampled.

    Raises:
        DataError: If an arm has no case with the answers of all readers.
    """
    scale = _scale(protocol.questions[endpoint.question])
    found = {arm: _of_arm(endpoint, rows, arm) for arm in protocol.arms}
    arms = {}
    for arm, (values, _, patients) in found.items():
        summary = summarise_arm(values, scale=scale, patients=patients, bootstrap=bootstrap)
        arms[arm] = vars(summary)
    differences = {}
    first, first_items, first_patients = found[protocol.reference_arm]
    for arm, (values, items, _) in found.items():
        if arm == protocol.reference_arm:
            continue
        shared = [item for item in items if item in set(first_items)]
        if shared:
            one = values[:, [items.index(item) for item in shared]].mean(axis=0)
            places = [first_items.index(item) for item in shared]
            other = first[:, places].mean(axis=0)
            test = wilcoxon(one, other, patients=first_patients[places], bootstrap=bootstrap)
            differences[arm] = {
                "method": "Wilcoxon signed-rank",
                "value": float(np.mean(one - other)),
                "effect": test.effect,
                "pairs": test.pairs,
                "p": test.p,
            }
        else:
            one, other = values.mean(axis=0), first.mean(axis=0)
            differences[arm] = {
                "method": "Mann-Whitney",
                "value": float(one.mean() - other.mean()),
                "p": float(stats.mannwhitneyu(one, other).pvalue),
            }
    return {"arms": arms, "differences": differences}


def graded(protocol: Protocol, endpoint: Endpoint, rows: pd.DataFrame) -> dict[str, Any]:
    """The area under the visual grading characteristic of each arm against the reference.

    Args:
        protocol: Of the study.
        endpoint: Whose statistic is visual_grading.
        rows: First readings of its question.

    Raises:
        DataError: If an arm has too few cases, or there is one reader who is not fixed.
    """
    first, _, first_patients = _of_arm(endpoint, rows, protocol.reference_arm)
    differences = {}
    for arm in protocol.arms:
        if arm != protocol.reference_arm:
            values, _, patients = _of_arm(endpoint, rows, arm)
            ratings = arm_ratings(first, values, first_patients=first_patients, second_patients=patients)
            analysis = visual_grading(ratings, fixed=fixed_of(endpoint))
            differences[arm] = {
                **vars(analysis.means[0]),
                "readers": dict(zip(rows["reader"].unique(), analysis.figures[0].tolist(), strict=True)),
            }
    return {"differences": differences, "null": 0.5}


def told_apart(protocol: Protocol, endpoint: Endpoint, rows: pd.DataFrame) -> dict[str, Any]:
    """Area under the curve and accuracy of generated against real: of each reader, and of all together.

    Args:
        protocol: Of the study.
        endpoint: Whose statistic is realism.
        rows: First readings of its question.

    Raises:
        DataError: If real or generated images have too few patients, or there is one reader who is not fixed.
    """
    rows = rows.assign(image=rows["item"] + " " + rows["arm"])
    wide = rows.pivot(index=["image", "patient", "is_positive"], columns="reader", values="rating").dropna()
    readers = list(rows["reader"].unique())
    truth = wide.index.get_level_values("is_positive").to_numpy(bool)
    if truth.all() or not truth.any():
        raise DataError(f"{endpoint.question}: expected real and generated images that all readers have answered")
    patients = np.unique(wide.index.get_level_values("patient").to_numpy(), return_inverse=True)[1]
    scores = wide[readers].to_numpy(float).T[None]
    ratings = Ratings(scores, truth, patients, ("all",), tuple(readers), tuple(wide.index.get_level_values("image")))
    together = readers_against_chance(ratings, 0.0, fixed=fixed_of(endpoint))
    return {
        "all": {name: vars(found) for name, found in together.items()},
        "readers": {reader: against_chance(ratings, number, 0.0) for number, reader in enumerate(readers)},
        "real": int((~truth).sum()),
        "generated": int(truth.sum()),
        "null": 0.5,
    }


def fixed_of(endpoint: Endpoint) -> Fixed:
    """What the endpoint's conclusion is confined to."""
    if endpoint.readers == "fixed":
        return Fixed.READERS
    return Fixed.CASES if endpoint.cases == "fixed" else Fixed.NONE


def _of_arm(endpoint: Endpoint, rows: pd.DataFrame, arm: str) -> tuple[np.ndarray, list[str], np.ndarray]:
    """(R, N) ratings, items, (N,) patients."""
    own = rows[rows["arm"] == arm]
    values, _, patients = crossed(own, "rating", ("reader",))
    if not len(patients):
        raise DataError(f"{endpoint.question}: no case of {arm} has the answers of all readers")
    wide = own.pivot(index=["item", "patient"], columns="reader", values="rating").dropna()
    return values.astype(float), list(wide.index.get_level_values("item")), patients


def _scale(question: Question) -> np.ndarray | None:
    """The levels that could be chosen, if they are few."""
    if isinstance(question, Likert):
        return np.arange(1, question.levels + 1)
    if isinstance(question, Category):
        return np.arange(len(question.categories))
    return None if isinstance(question, Items) or (isinstance(question, YesNo) and question.suspicion) else None
