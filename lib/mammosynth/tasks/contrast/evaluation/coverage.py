"""Does a map of uncertainty keep its promise? Its 90 % intervals must hold about 90 % of real values.

Two promises are tested: on every pixel, and on the contrast of every drawn lesion. The floor is the bare spread of the
members. An interval that holds everything is no merit, so goals have two ends and widths are told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mammosynth.bundle import Bundle
from mammosynth.evaluation.statistics import interval, weighted_mean
from mammosynth.mammogram import Mammogram
from mammosynth.tasks.contrast.calibration import BARE, NORMAL_90, Calibration
from mammosynth.tasks.contrast.evaluation.goals import Goal
from mammosynth.tasks.contrast.evaluation.metrics import lesion_contrast
from mammosynth.tasks.contrast.evaluation.protocol import Case
from mammosynth.tasks.contrast.synthesizer import ContrastSynthesizer

GOALS = (Goal("pixels", low=0.85, high=0.95), Goal("contrasts", low=0.85, high=0.95))
"""Share of real pixels, and of real lesion contrasts, inside the 90 % interval."""
CALIBRATED, SPREAD = "calibrated", "spread"
Rows = dict[str, list[dict[str, float]]]


def coverage_rows(bundle: Bundle, source: Mammogram, case: Case) -> dict[str, dict[str, float]]:
    """What the intervals of a model hold of one real image, as it gives them and by its members' bare spread.

    Returns:
        Empty for a model that has no members.
    """
    synthesizer = bundle.synthesizer
    if not isinstance(synthesizer, ContrastSynthesizer) or not synthesizer.has_members:
        return {}
    image, spread = image_and_spread(synthesizer, source, case)
    kinds = {CALIBRATED: synthesizer.calibration, SPREAD: BARE}
    return {kind: held(case, image, spread, calibration) for kind, calibration in kinds.items()}


def image_and_spread(synthesizer: ContrastSynthesizer, source: Mammogram, case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The expected image and the standard deviation over the members, whatever the calibration, turned as the case."""
    prediction = synthesizer.predict(source)
    return case.turn(synthesizer.expected(prediction)), case.turn(synthesizer.spread(prediction))


def held(case: Case, image: np.ndarray, spread: np.ndarray, calibration: Calibration) -> dict[str, float]:
    """Share of scored pixels inside their intervals, whether the lesion's contrast is inside its own, and widths.

    Args:
        case: The pair.
        image: (512, 512) in [0, 1], turned as the case.
        spread: (512, 512) standard deviation over the members, likewise.
        calibration: What the spread means.

    Returns:
        "pixels" and "contrasts" in [0, 1], "pixel_width" and "contrast_width" in grey values; of contrasts NaN without
        a usable lesion.
    """
    half = NORMAL_90 * calibration.deviation(image, spread)
    error = np.abs(case.recombined - image)
    generated, real = (lesion_contrast(pixels, case)[0] for pixels in (image, case.recombined))
    of_lesion = calibration.contrast * float(half[case.interior_lesion].mean()) if case.has_ring else float("nan")
    return {
        "pixels": float((error <= half)[case.scored].mean()),
        "contrasts": float(abs(generated - real) <= of_lesion) if case.has_ring else float("nan"),
        "pixel_width": 2 * float(half[case.scored].mean()),
        "contrast_width": 2 * of_lesion,
    }


def summarise_coverage(models: Mapping[str, Rows], weights: np.ndarray) -> dict[str, Any]:
    """Per model and kind of interval what is held, with 95 % intervals, and per model whether the goals are reached.

    Args:
        models: Of models that have intervals, the rows of all images by kind.
        weights: Of `resample_patients`.
    """
    result: dict[str, Any] = {}
    for model, kinds in models.items():
        found = {kind: _means(rows, weights) for kind, rows in kinds.items()}
        result[model] = {
            **found,
            "goals": [
                {
                    "metric": goal.metric,
                    "goal": str(goal),
                    "reached": goal.is_reached(found[CALIBRATED][goal.metric]["value"]),
                }
                for goal in GOALS
            ],
        }
    return result


def _means(rows: Sequence[Mapping[str, float]], weights: np.ndarray) -> dict[str, Any]:
    return {key: interval(weighted_mean(np.array([row[key] for row in rows]), weights)) for key in rows[0]}
