"""What a model makes of twins: lesion contrast in mg/cm2 for every twin, and what follows from it for all lesions.

Contrast is the mean over the lesion minus the mean over its ring. Intervals are 95 % percentile intervals from
resampling patients, so both views of a breast stay together.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from experiments.iodine_twins import FREE, HIGH, LEVELS, LOW, NATURAL, ZERO, TwinView, to_mg_cm2
from mammosynth.atomic import atomic_path
from mammosynth.bundle import Bundle
from mammosynth.evaluation.statistics import (
    interval,
    resample_patients,
    weighted_auroc,
    weighted_correlation,
    weighted_mean,
    weighted_ratio,
)
from mammosynth.tasks.contrast.evaluation.metrics import correlation

WITH = "with iodine"
SEEN = (NATURAL, *LEVELS)  # the twins that models are tested on
TARGET_AGAIN, LOW_ENERGY, RAW_SIGNAL, TOLD_KIND = "target again", "low-energy grey", "low-energy signal", "told kind"
HOT_MG_CM2 = 0.3  # iodine that normal tissue must not show: the limit of phantom tests of such units
SENSITIVITY = 0.8  # at which the threshold for enhancement is fixed on val
_SMOOTHING_MM = 1.0
Interval = dict[str, float | None]


@dataclass(frozen=True)
class Reading:
    """One lesion of one twin as one model shows it.

    Attributes:
        model: Its name, or that of a floor or ceiling.
        low_energy: What it saw: `WITH` or `FREE`.
        twin: Which twin the target is of.
        seed: Of the patient.
        kind: Of the lesion.
        view_position: CC or MLO.
        contrast: Of the output, in mg/cm2; of floors in their own unit.
        target: Contrast of the recombined image, in mg/cm2.
        truth: Contrast of the lesion's true iodine, in mg/cm2.
        ncc: Correlation with the recombined image in the interior; NaN for what is no image.
        hot: Share of the interior away from the lesion that is more than `HOT_MG_CM2` too bright; NaN likewise.
    """

    model: str
    low_energy: str
    twin: str
    seed: int
    kind: str
    view_position: str
    contrast: float
    target: float
    truth: float
    ncc: float = float("nan")
    hot: float = float("nan")


def read_models(view: TwinView, bundles: Mapping[str, Bundle]) -> Iterator[Reading]:
    """What every model makes of every twin of a view, with iodine in the low-energy image and without."""
    outputs = {
        (name, seen): image
        for seen in (*SEEN, FREE)
        if seen in view.low_energy
        for name, image in synthesize(view, seen, bundles).items()
    }
    smooth_targets = {twin: _smooth(view.iodine_mg_cm2[twin], view) for twin in SEEN}
    for (name, seen), image in outputs.items():
        contrast, smooth = view.contrast(image), _smooth(image, view)
        for twin in SEEN if seen == FREE else (seen,):
            too_bright = smooth - smooth_targets[twin] > HOT_MG_CM2
            yield Reading(
                **_about(view, twin, name, FREE if seen == FREE else WITH),
                contrast=contrast,
                ncc=correlation(smooth[view.interior], smooth_targets[twin][view.interior]),
                hot=float(too_bright[view.elsewhere].mean()) if view.elsewhere.any() else float("nan"),
            )


def synthesize(view: TwinView, seen: str, bundles: Mapping[str, Bundle]) -> dict[str, np.ndarray]:
    """(H, W) float32 mg/cm2 per model."""
    source = view.source(seen)
    return {name: to_mg_cm2(bundle.synthesize({"source": source}).image.pixels) for name, bundle in bundles.items()}


def read_bounds(view: TwinView) -> Iterator[Reading]:
    """Floors and the ceiling: no network.

    The low-energy image itself; its signal for processing; iodine as expected of a lesion whose kind and depth are
    told; and the target exposed once more.
    """
    expected = view.contrast(view.iodine_cm) * view.expected_uptake_mg_ml
    for twin in SEEN:
        yield Reading(**_about(view, twin, LOW_ENERGY, WITH), contrast=view.contrast(view.low_energy[twin]))
        yield Reading(**_about(view, twin, LOW_ENERGY, FREE), contrast=view.contrast(view.low_energy[FREE]))
        yield Reading(**_about(view, twin, RAW_SIGNAL, WITH), contrast=view.contrast(view.log_signal[twin]))
        again = view.log_signal[f"{twin} again"]
        yield Reading(**_about(view, twin, f"{RAW_SIGNAL} again", WITH), contrast=view.contrast(again))
        yield Reading(**_about(view, twin, TOLD_KIND, FREE), contrast=expected)
        yield Reading(**_about(view, twin, TARGET_AGAIN, WITH), contrast=view.contrast(view.again_mg_cm2[twin]))


def read_lesion_reader(views: Sequence[TwinView], contrasts: Mapping[str, np.ndarray], name: str) -> list[Reading]:
    """What the lesion reader makes of the twins of many views; of the natural twin by interpolation between levels."""
    readings = []
    for place, view in enumerate(views):
        levels = [contrasts[twin][place] for twin in LEVELS]
        for twin in SEEN:
            contrast = float(np.interp(view.uptake_mg_ml[twin], list(LEVELS.values()), levels))
            readings.append(Reading(**_about(view, twin, name, WITH), contrast=contrast))
    return readings


def _about(view: TwinView, twin: str, model: str, low_energy: str) -> dict[str, Any]:
    return {
        "model": model,
        "low_energy": low_energy,
        "twin": twin,
        "seed": view.seed,
        "kind": str(view.kind),
        "view_position": str(view.view_position),
        "target": view.contrast(view.iodine_mg_cm2[twin]),
        "truth": view.contrast(view.iodine_cm) * view.uptake_mg_ml[twin],
    }


def _smooth(image: np.ndarray, view: TwinView) -> np.ndarray:
    return ndimage.gaussian_filter(image, _SMOOTHING_MM / view.pixel_mm, mode="nearest")


def write_readings(path: Path, readings: Sequence[Reading]) -> None:
    """As CSV; either the old or the new file exists at any moment."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([field.name for field in fields(Reading)])
        writer.writerows([getattr(reading, field.name) for field in fields(Reading)] for reading in readings)


def read_readings(path: Path) -> list[Reading]:
    """What `write_readings` wrote."""
    convert = {field.name: {"str": str, "int": int, "float": float}[str(field.type)] for field in fields(Reading)}
    with path.open(newline="") as stream:
        return [Reading(**{key: convert[key](value) for key, value in row.items()}) for row in csv.DictReader(stream)]


class Lesions:
    """Contrasts of one model on one sort of low-energy image as (lesions, twins) arrays.

    Args:
        readings: Of any models.
        model: The one to take.
        low_energy: The sort to take.
        kind: The kind of lesion to take; None: all.
    """

    def __init__(self, readings: Sequence[Reading], model: str, low_energy: str, kind: str | None = None) -> None:
        chosen = [r for r in readings if (r.model, r.low_energy) == (model, low_energy) and kind in (None, r.kind)]
        keys = sorted({(r.seed, r.view_position) for r in chosen})
        by_key = {(r.seed, r.view_position, r.twin): r for r in chosen}
        self.patients = [str(seed) for seed, _ in keys]
        self._rows = [{twin: by_key[(*key, twin)] for twin in SEEN} for key in keys]
        self.contrast, self.target, self.truth, self.ncc, self.hot = (
            {twin: np.array([getattr(row[twin], name) for row in self._rows], float) for twin in SEEN}
            for name in ("contrast", "target", "truth", "ncc", "hot")
        )

    def __len__(self) -> int:
        return len(self._rows)

    def pooled(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Zero, low and high one after the other."""
        return np.concatenate([values[twin] for twin in LEVELS])

    def slopes(self) -> tuple[np.ndarray, np.ndarray]:
        """(lesions,) covariance of output and true iodine over the twins of a lesion, and variance of the latter."""
        y, x = (np.stack([values[twin] for twin in LEVELS]) for values in (self.contrast, self.truth))
        x = x - x.mean(axis=0)
        return (x * y).mean(axis=0), (x * x).mean(axis=0)


def summarise(lesions: Lesions, threshold: float, bootstrap: int) -> dict[str, Interval]:
    """All numbers of a model with their intervals.

    Args:
        lesions: Of the test split.
        threshold: Contrast from which on a lesion counts as enhancing.
        bootstrap: Resamples of patients.
    """
    weights = resample_patients(lesions.patients, bootstrap)
    tripled = np.tile(weights, len(LEVELS))
    contrast, zero, high = lesions.contrast, lesions.contrast[ZERO], lesions.contrast[HIGH]
    covariance, variance = lesions.slopes()
    values = {
        "r, natural": weighted_correlation(contrast[NATURAL], lesions.target[NATURAL], weights),
        "r, decorrelated": weighted_correlation(lesions.pooled(contrast), lesions.pooled(lesions.target), tripled),
        "slope": weighted_mean(covariance, weights) / weighted_mean(variance, weights),
        "read share": _read_share(lesions, weights),
        **{f"contrast, {twin}": weighted_mean(contrast[twin], weights) for twin in SEEN},
        **{f"called, {twin}": weighted_mean((contrast[twin] > threshold).astype(float), weights) for twin in LEVELS},
        "AUROC, high v. zero": weighted_auroc(
            np.concatenate([zero, high]), np.repeat([False, True], len(zero)), np.tile(weights, 2)
        ),
        "NCC, natural": weighted_mean(lesions.ncc[NATURAL], weights),
        "hot, natural": weighted_mean(lesions.hot[NATURAL], weights),
        "hot, zero": weighted_mean(lesions.hot[ZERO], weights),
    }
    return {name: interval(value) for name, value in values.items()}


def _read_share(lesions: Lesions, weights: np.ndarray) -> np.ndarray:
    """Of the natural twins that take up iodine: the share of their mean contrast that is gone in their zero twins."""
    enhancing = lesions.truth[NATURAL] > 0
    shown = np.where(enhancing, lesions.contrast[NATURAL], np.nan)
    if not enhancing.any():
        return np.full(len(weights), np.nan)
    return weighted_ratio(shown - lesions.contrast[ZERO], shown, weights)


def threshold_of(lesions: Lesions) -> float:
    """Contrast that `SENSITIVITY` of the enhancing twins of val exceed."""
    return float(np.quantile(np.concatenate([lesions.contrast[LOW], lesions.contrast[HIGH]]), 1 - SENSITIVITY))


def visibility(readings: Sequence[Reading], bootstrap: int) -> dict[str, Interval]:
    """How visible a lesion's iodine is in the signal of the low-energy image, before any display or network.

    Returns:
        `per mg/cm2`: -log signal that iodine adds; `against noise` and `against anatomy`: what the highest twin's
        iodine adds, in standard deviations of the noise of a lesion's contrast, and of that contrast without iodine
        between lesions.
    """
    first, second = (Lesions(readings, name, WITH) for name in (RAW_SIGNAL, f"{RAW_SIGNAL} again"))
    weights = resample_patients(first.patients, bootstrap)
    covariance, variance = first.slopes()
    added = first.contrast[HIGH] - first.contrast[ZERO]
    zero = first.contrast[ZERO]
    noise = np.sqrt(weighted_mean((second.contrast[ZERO] - zero) ** 2, weights) / 2)
    anatomy = np.sqrt(np.maximum(weighted_mean(zero**2, weights) - weighted_mean(zero, weights) ** 2, 0))
    anatomy[anatomy == 0] = np.nan  # a resample of one lesion has no spread
    mean = weighted_mean(added, weights)
    values = {
        "per mg/cm2": weighted_mean(covariance, weights) / weighted_mean(variance, weights),
        "added by the highest twin": mean,
        "true iodine of the highest twin": weighted_mean(first.truth[HIGH], weights),
        "noise": noise,
        "anatomy": anatomy,
        "against noise": mean / noise,
        "against anatomy": mean / anatomy,
    }
    return {name: interval(value) for name, value in values.items()}
