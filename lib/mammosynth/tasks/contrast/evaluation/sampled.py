"""`SampledJudge`: do sampled images look real, and what does that cost? Beside the expected image and real halves.

Looks are 34 features of texture in the frame of 512 pixels, of images as published: a generated one goes through the
same 8 bits and JPEG first. Cost and spread are taken where both breasts are, as in Protocol A. One image after another
is judged and forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mammosynth.evaluation.pool_distance import PoolDistance
from mammosynth.evaluation.statistics import interval, resample_patients, weighted_mean, weighted_ratio
from mammosynth.evaluation.texture import COMPONENTS, SLOPE, features, halves_distances, through_codec
from mammosynth.evaluation.told_apart import told_apart
from mammosynth.preprocessing.breast import erode, segment_breast
from mammosynth.preprocessing.look import JPEG_QUALITY, Look
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.tasks.contrast.evaluation.goals import Goal
from mammosynth.tasks.contrast.evaluation.metrics import correlation, lesion_contrast, psnr
from mammosynth.tasks.contrast.evaluation.protocol import Case
from mammosynth.tasks.contrast.synthesizer import ContrastSynthesizer

SKIN_PX = 6
"""Left out along the outline."""
INVERSE_PENALTY = 0.1
"""Of the classifier: a few dozen images and 34 features."""
HALVES = 100
LOW_ENERGY, EXPECTED, SAMPLED = "low energy", "expected", "sampled"


GOALS = (
    Goal("frechet", high=11.0),
    Goal("auc", high=0.80),
    Goal("beta_shift", high=0.15),
    Goal("psnr_drop", high=1.2),
    Goal("mean_psnr_drop", high=0.15),
    Goal("spread_r", low=0.6),
    Goal("lesion_ratio", low=0.8, high=1.25),
)
"""For CDD-CESM: the distance is a few times what real halves of a split differ by, and depends on how many they are."""


class SampledJudge:
    """Judges the sampled rendering of one model.

    Args:
        synthesizer: Of a model that can it; its network is asked once for each case.
        samples: Images of each case whose mean and spread are told; 2 or more.
        seed: Of the first sample of every case; the next ones follow.
    """

    def __init__(self, synthesizer: ContrastSynthesizer, samples: int, seed: int = 0) -> None:
        self._synthesizer, self._samples, self._seed = synthesizer, samples, seed
        self._features: dict[str, list[np.ndarray]] = {}
        self._rows: list[dict[str, float]] = []
        self._patients: list[str] = []

    def add(self, case: Case, pair: ContrastPair) -> None:
        """Make the images of a case, and measure them."""
        synthesizer = self._synthesizer
        prediction = synthesizer.predict(pair.low_energy)
        expected = synthesizer.expected(prediction)
        uncertainty = synthesizer.uncertainty(prediction, expected) if synthesizer.has_members else None
        first = synthesizer.sampled(prediction, self._seed)
        total, squares = first.astype(np.float64), first.astype(np.float64) ** 2
        for number in range(1, self._samples):
            made = synthesizer.sampled(prediction, self._seed + number)
            total += made
            squares += made.astype(np.float64) ** 2
        mean = total / self._samples
        spread = np.sqrt(np.maximum(squares / self._samples - mean**2, 0))
        breast = erode(segment_breast(pair.low_energy.pixels, background=0.0), SKIN_PX)
        for name, pixels in ((EXPECTED, expected), (SAMPLED, first)):
            self._add_features(name, through_codec(pixels, JPEG_QUALITY[Look.DIGITAL]), breast)
        self._add_features(LOW_ENERGY, pair.low_energy.pixels, breast)
        real = pair.recombined if pair.published is None else pair.published
        self._add_features("", real, erode(segment_breast(real, background=0.0), SKIN_PX))
        self._rows.append(self._measured(case, expected, first, mean, spread, uncertainty))
        self._patients.append(case.patient_id)

    def report(self, bootstrap: int) -> dict[str, Any]:
        """What was found.

        Args:
            bootstrap: Resamples of patients for every interval.

        Returns:
            JSON values: by method its measures; "real": what halves of the real images differ by; "goals".
        """
        weights = resample_patients(self._patients, bootstrap)
        table = {name: np.stack(rows) for name, rows in self._features.items()}
        real = table.pop("")
        measures = {name: self._looks(rows, real) for name, rows in table.items()}
        columns = {name: np.array([row[name] for row in self._rows]) for name in self._rows[0]}
        for name in ("psnr_drop", "mean_psnr_drop", "spread_r"):
            measures[SAMPLED][name] = interval(weighted_mean(columns[name], weights))
        for name in (EXPECTED, SAMPLED):
            measures[name]["lesion_ratio"] = interval(weighted_ratio(columns[f"{name}_d"], columns["real_d"], weights))
        return {
            "samples": self._samples,
            "seed": self._seed,
            "real": self._real(real),
            "methods": measures,
            "goals": [_goal_row(goal, measures[SAMPLED][goal.metric]) for goal in GOALS],
        }

    def _add_features(self, name: str, pixels: np.ndarray, inside: np.ndarray) -> None:
        self._features.setdefault(name, []).append(features(pixels, inside))

    def _measured(
        self,
        case: Case,
        expected: np.ndarray,
        first: np.ndarray,
        mean: np.ndarray,
        spread: np.ndarray,
        uncertainty: np.ndarray | None,
    ) -> dict[str, float]:
        scored, real = case.scored, case.recombined
        turned = {name: case.turn(each) for name, each in ((EXPECTED, expected), (SAMPLED, first), ("mean", mean))}
        error = {name: psnr(each[scored], real[scored]) for name, each in turned.items()}
        return {
            "psnr_drop": error[EXPECTED] - error[SAMPLED],
            "mean_psnr_drop": error[EXPECTED] - error["mean"],
            "spread_r": math.nan
            if uncertainty is None
            else correlation(case.turn(spread)[scored], case.turn(uncertainty)[scored]),
            "real_d": lesion_contrast(real, case)[0],
            **{f"{name}_d": lesion_contrast(turned[name], case)[0] for name in (EXPECTED, SAMPLED)},
        }

    def _looks(self, rows: np.ndarray, real: np.ndarray) -> dict[str, dict[str, float | None]]:
        # Of no more images than components a covariance is singular.
        enough = len(rows) > COMPONENTS
        betas = [_mean_slope(each) for each in (rows, real)]
        numbers = {
            "frechet": PoolDistance(np.nan_to_num(real))(np.nan_to_num(rows)) if enough else np.nan,
            "auc": told_apart(rows, real, self._patients, inverse_penalty=INVERSE_PENALTY),
            "beta": betas[0],
            "beta_shift": abs(betas[0] - betas[1]),
        }
        return {name: {"value": None if np.isnan(value) else round(float(value), 6)} for name, value in numbers.items()}

    def _real(self, real: np.ndarray) -> dict[str, float | None]:
        distances = np.full(1, np.nan)
        if len(real) >= 2 * (COMPONENTS + 1):
            white = PoolDistance(np.nan_to_num(real)).white(np.nan_to_num(real))
            distances = halves_distances(white, len(real) // 2, HALVES)
        numbers = {
            "frechet_median": float(np.median(distances)),
            "frechet_95": float(np.percentile(distances, 95)),
            "beta": _mean_slope(real),
        }
        return {name: None if np.isnan(value) else round(value, 6) for name, value in numbers.items()}


def _mean_slope(rows: np.ndarray) -> float:
    slopes = rows[:, SLOPE]
    return float(slopes[np.isfinite(slopes)].mean()) if np.isfinite(slopes).any() else float("nan")


def _goal_row(goal: Goal, measured: Mapping[str, float | None]) -> dict[str, Any]:
    return {
        "measure": goal.metric,
        **measured,
        "at_least": None if np.isinf(goal.low) else goal.low,
        "at_most": None if np.isinf(goal.high) else goal.high,
        "reached": goal.is_reached(measured["value"]),
    }
