"""`evaluate_contrast`: a contrast model beside floors, ceilings and a control, on the same images, by the same code."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from mammosynth import __version__
from mammosynth.bundle import Bundle, default_model_zoo
from mammosynth.errors import BundleError
from mammosynth.evaluation.floors import FLOORS, NAMES, Floors, fit_floors
from mammosynth.evaluation.metrics import BEST_AT_ONE, LOWER_IS_BETTER, MEAN_METRICS, score_case
from mammosynth.evaluation.protocol import Case, smooth_within
from mammosynth.evaluation.statistics import (
    interval,
    resample_patients,
    weighted_auroc,
    weighted_correlation,
    weighted_mean,
    weighted_ratio,
)
from mammosynth.preprocessing.pairs import ContrastPair, read_cdd_cesm, splits
from mammosynth.terms import Task

ENHANCING = 1.0
"""A lesion enhances if it is this many standard deviations of its ring brighter in the real image."""
BLURS = (2, 4, 8)
SHIFT = 2.0
"""Length in pixels of the shift that stands for what registration leaves."""

MODEL, REAL, CONTROL = "model", "real", "other breast"
Progress = Callable[[float, str], None]
Scores = dict[str, np.ndarray]


def evaluate_contrast(
    folder: Path, split: str, bundle: Bundle, *, progress: Progress | None = None, bootstrap: int = 2000
) -> dict[str, Any]:
    """Score a model on one split of a CDD-CESM folder.

    The recombined image is registered onto the low-energy one with the numbers in `pairs.csv`. Floors are fitted on
    the folder's `train` rows; a folder without them uses those fitted for the released model.

    Args:
        folder: Holds `pairs.csv`, `512/images`, `512/masks`.
        split: Any split of its `pairs.csv`.
        bundle: A contrast model.
        progress: Told a fraction in [0, 1] and what happens.
        bootstrap: Resamples of patients for every interval.

    Returns:
        JSON values: what was scored, and per method and metric the value with its 95 % interval.

    Raises:
        DataError: If the split is unknown or files are bad.
        BundleError: If the model is of another task, or no floors can be had.
    """
    if bundle.task is not Task.CONTRAST:
        raise BundleError(
            f"{bundle.name}: synthesizes '{bundle.task}', expected '{Task.CONTRAST}'; choose another bundle"
        )
    report = progress or (lambda fraction, message: None)
    report(0.0, "reading pairs")
    pairs = read_cdd_cesm(folder, split)
    if "train" in splits(folder):
        report(0.05, "fitting floors")
        floors, fitted_on = fit_floors(read_cdd_cesm(folder, "train")), "the folder's train rows"
    else:
        floors, fitted_on = shipped_floors(), "CDD-CESM train rows (shipped with the released model)"

    cases: list[Case] = []
    scores: dict[str, list[dict[str, float]]] = {}
    for index, pair in enumerate(pairs):
        report(0.2 + 0.7 * index / len(pairs), f"scoring {index + 1} of {len(pairs)}")
        case = Case.from_pair(pair)
        for name, image in _images(case, pair, _other_breast(pairs, index), bundle, floors):
            scores.setdefault(name, []).append(score_case(case, image))
        cases.append(case)
    report(0.9, "resampling patients")
    columns = {name: _columns(rows) for name, rows in scores.items()}
    result = summarise(columns, [case.patient_id for case in cases], bootstrap)
    report(1.0, "done")
    return {
        "task": str(Task.CONTRAST),
        "protocol": "A: 512 px frame, recombined image registered onto low energy, scored inside both breasts",
        "split": split,
        "n_patients": len({case.patient_id for case in cases}),
        "n_images": len(cases),
        "bundle": {"name": bundle.name, "version": bundle.version, "weights_sha256": bundle.weights_sha256},
        "software_version": __version__,
        "floors_fitted_on": fitted_on,
        "bootstrap": bootstrap,
        **result,
    }


def shipped_floors() -> Floors:
    """The floors fitted for a released contrast model.

    Raises:
        BundleError: If the model zoo holds none.
    """
    for path in sorted(default_model_zoo().glob(f"*/{FLOORS.as_posix()}")):
        return Floors.load(path)
    raise BundleError(f"the model zoo holds no {FLOORS.as_posix()}; evaluate a folder that has train rows")


def summarise(columns: Mapping[str, Scores], patient_ids: Sequence[str], bootstrap: int) -> dict[str, Any]:
    """Values and intervals of every method, and the model against the best floor of each metric.

    Args:
        columns: Per method, `score_case`'s numbers as arrays over cases; holds `real` and the model.
        patient_ids: One per case.
        bootstrap: Resamples of patients.
    """
    weights = resample_patients(patient_ids, bootstrap)
    statistics = {name: _statistics(scores, columns[REAL], columns["F0"], weights) for name, scores in columns.items()}
    methods = {
        name: {
            "kind": _kind(name),
            "description": _describe(name),
            "metrics": {metric: interval(values) for metric, values in of_method.items()},
        }
        for name, of_method in statistics.items()
    }
    enhancing = columns[REAL]["contrast_c"] >= ENHANCING
    return {
        "n_enhancing": int(enhancing.sum()),
        "methods": methods,
        "paired": {metric: _paired(metric, statistics) for metric in statistics[MODEL]},
    }


def _images(
    case: Case, pair: ContrastPair, other: ContrastPair | None, bundle: Bundle, floors: Floors
) -> list[tuple[str, np.ndarray]]:
    real = case.recombined
    generated = bundle.synthesize(pair.low_energy).image.pixels
    images = [(MODEL, case.turn(generated)), *floors.predict(case).items()]
    if other is not None:
        images.append((CONTROL, case.turn(_generate_from_other(pair, other, bundle))))
    images += [(f"blur {sigma} px", smooth_within(real, case.shared, sigma)) for sigma in BLURS]
    step = SHIFT / math.sqrt(2)
    images.append((f"shift {SHIFT:g} px", ndimage.shift(real, (step, step), order=1, mode="nearest")))
    return [*images, (REAL, real)]


def _other_breast(pairs: Sequence[ContrastPair], index: int) -> ContrastPair | None:
    """The next image of the same view and another patient."""
    this = pairs[index]
    for other in [*pairs[index + 1 :], *pairs[:index]]:
        if other.patient_id != this.patient_id and other.low_energy.view_position is this.low_energy.view_position:
            return other
    return None


def _generate_from_other(pair: ContrastPair, other: ContrastPair, bundle: Bundle) -> np.ndarray:
    synthesizer = bundle.synthesizer
    prepare = synthesizer.preprocessing.prepare
    generated = synthesizer.generate(prepare(other.low_energy))
    return synthesizer.preprocessing.restore(prepare(pair.low_energy), generated)


def _columns(rows: Sequence[Mapping[str, float]]) -> Scores:
    return {key: np.array([row[key] for row in rows], float) for key in rows[0]}


def _statistics(scores: Scores, real: Scores, source: Scores, weights: np.ndarray) -> Scores:
    enhancing = np.where(np.isnan(real["contrast_c"]), False, real["contrast_c"] >= ENHANCING)
    known = ~np.isnan(real["contrast_c"])
    ring = np.where(enhancing, scores["auroc_ring"], np.nan)
    return {
        **{metric: weighted_mean(scores[metric], weights) for metric in MEAN_METRICS},
        "d_r": weighted_correlation(scores["contrast_d"], real["contrast_d"], weights),
        "d_ratio": weighted_ratio(scores["contrast_d"], real["contrast_d"], weights),
        "auroc_enhances": weighted_auroc(np.where(known, scores["contrast_c"], np.nan), enhancing, weights),
        "auroc_ring_enhancing": weighted_mean(ring, weights),
        # The source's own SSIM and MAE against the real image are how much there is to change.
        "change_mae_r": weighted_correlation(scores["change_mae"], source["mae"], weights),
        "change_ssim_r": weighted_correlation(scores["change_ssim"], source["ssim"], weights),
    }


def _paired(metric: str, statistics: Mapping[str, Scores]) -> dict[str, Any]:
    lower_is_better = metric in LOWER_IS_BETTER or metric in BEST_AT_ONE

    def values(name: str) -> np.ndarray:
        return abs(statistics[name][metric] - 1) if metric in BEST_AT_ONE else statistics[name][metric]

    def badness(name: str) -> float:
        value = values(name)[0]
        return math.inf if math.isnan(value) else value if lower_is_better else -value

    best = min(NAMES, key=badness)
    return {"best_floor": best, "lower_is_better": lower_is_better, **interval(values(MODEL) - values(best))}


def _kind(name: str) -> str:
    if name in NAMES:
        return "floor"
    return {MODEL: "model", REAL: "real", CONTROL: "control"}.get(name, "ceiling")


def _describe(name: str) -> str:
    fixed = {
        MODEL: "the bundle",
        REAL: "the real recombined image",
        CONTROL: "the model given another patient's breast: must fall",
    }
    return {**NAMES, **fixed}.get(name, f"the real image, {name}")
