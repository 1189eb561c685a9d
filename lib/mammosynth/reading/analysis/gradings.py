"""Ratings by arm, visual grading, and whether readers tell generated from real."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mammosynth.errors import DataError
from mammosynth.reading.analysis.table import Crossed, crossed
from mammosynth.reading.endpoints import Endpoint
from mammosynth.reading.protocol import Protocol
from mammosynth.reading.questions import Category, Likert, Question
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
    arms = {
        arm: vars(summarise_arm(own.values, scale=scale, patients=own.patients, bootstrap=bootstrap))
        for arm, own in found.items()
    }
    reference = found.pop(protocol.reference_arm)
    differences = {arm: _difference(own, reference, bootstrap) for arm, own in found.items()}
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
    first = _of_arm(endpoint, rows, protocol.reference_arm)
    differences = {}
    for arm in protocol.arms:
        if arm != protocol.reference_arm:
            own = _of_arm(endpoint, rows, arm)
            patients = {"first_patients": first.patients, "second_patients": own.patients}
            analysis = visual_grading(arm_ratings(first.values, own.values, **patients), fixed=fixed_of(endpoint))
            differences[arm] = {
                **vars(analysis.means[0]),
                "readers": dict(zip(first.labels[0], analysis.figures[0].tolist(), strict=True)),
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


def _of_arm(endpoint: Endpoint, rows: pd.DataFrame, arm: str) -> Crossed:
    """(R, N) ratings in an arm."""
    found = crossed(rows[rows["arm"] == arm], "rating", ("reader",))
    if not found.items:
        raise DataError(f"{endpoint.question}: no case of {arm} has the answers of all readers")
    return replace(found, values=found.values.astype(float))


def _difference(own: Crossed, reference: Crossed, bootstrap: Bootstrap) -> dict[str, Any]:
    """An arm less the reference, of the means over readers."""
    one, other = own.values.mean(axis=0), reference.values.mean(axis=0)
    shared = [item for item in own.items if item in set(reference.items)]
    if not shared:
        p = float(stats.mannwhitneyu(one, other).pvalue)
        return {"method": "Mann-Whitney", "value": float(one.mean() - other.mean()), "p": p}
    one = one[[own.items.index(item) for item in shared]]
    places = [reference.items.index(item) for item in shared]
    test = wilcoxon(one, other[places], patients=reference.patients[places], bootstrap=bootstrap)
    return {
        "method": "Wilcoxon signed-rank",
        "value": float(np.mean(one - other[places])),
        "effect": test.effect,
        "pairs": test.pairs,
        "p": test.p,
    }


def _scale(question: Question) -> np.ndarray | None:
    """The levels that could be chosen, if they are few."""
    if isinstance(question, Likert):
        return np.arange(1, question.levels + 1)
    if isinstance(question, Category):
        return np.arange(len(question.categories))
    return None
