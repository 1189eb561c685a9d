"""`evaluate_contrast`: contrast models beside floors, ceilings and a control, on the same images, by the same code."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from scipy import ndimage

from mammosynth import __version__
from mammosynth.bundle import Bundle, default_model_zoo
from mammosynth.counts import count_of
from mammosynth.errors import BundleError
from mammosynth.evaluation.evaluation import MODEL, identify_models, name_models
from mammosynth.evaluation.statistics import (
    interval,
    resample_patients,
    weighted_auroc,
    weighted_correlation,
    weighted_mean,
    weighted_ratio,
)
from mammosynth.mammogram import Mammogram
from mammosynth.parallel.engine import Engine, in_order
from mammosynth.parallel.local import LocalEngine
from mammosynth.parallel.threads import one_thread
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.task import Rendering
from mammosynth.tasks.contrast.data import DATASET
from mammosynth.tasks.contrast.evaluation.coverage import Rows, coverage_rows, summarise_coverage
from mammosynth.tasks.contrast.evaluation.false_enhancement import false_enhancement, rates_elsewhere, real_rate
from mammosynth.tasks.contrast.evaluation.floors import FLOORS, NAMES, Floors, fit_floors
from mammosynth.tasks.contrast.evaluation.goals import CEILING, anchor_rows, goal_rows
from mammosynth.tasks.contrast.evaluation.halo import halo
from mammosynth.tasks.contrast.evaluation.metrics import BEST_AT_ONE, LOWER_IS_BETTER, MEAN_METRICS, score_case
from mammosynth.tasks.contrast.evaluation.protocol import Case, into_frame, smooth_within
from mammosynth.tasks.contrast.evaluation.sampled import SampledJudge
from mammosynth.tasks.contrast.evaluation.tissue import Tissue, contrast_to_noise, read_drawn, tissue_of
from mammosynth.tasks.contrast.specification import SOURCE as SOURCE_ROLE
from mammosynth.tasks.contrast.specification import SPECIFICATION
from mammosynth.tasks.contrast.synthesizer import ContrastSynthesizer
from mammosynth.tasks.contrast.windowed import WindowedContrastSynthesizer
from mammosynth.training.dataset import hash_cases

ENHANCING = 1.0
"""A lesion enhances if it is this many standard deviations of its ring brighter in the real image."""
BLURS = (2, 4, 8)
SHIFT = 2.0
"""Length in pixels of the shift that stands for what registration leaves."""

REAL, CONTROL, SOURCE, FLAT = "real", "other breast", "F0", "F1"
"""Keys of methods: the first model, the real image, its control, the low-energy image, the constant one."""
DESCRIBED = ("cnr", "cnr_abs", "halo", "false_enhancement")
"""Averaged over cases, but no better for being higher or lower: to be read beside the real image's."""
Progress = Callable[[float, str], None]
Watch = Callable[[Case, Mapping[str, np.ndarray]], None]
Scores = dict[str, np.ndarray]


def evaluate_contrast(
    folder: Path,
    split: str,
    *bundles: Bundle,
    regions: Path | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
    bootstrap: int = 2000,
    samples: int = 0,
) -> dict[str, Any]:
    """Score one model, or several on the same images, on one split of a folder of CDD-CESM or of phantoms.

    The recombined image is registered onto the low-energy one with the numbers in `pairs.csv`. Floors are fitted on
    the folder's `train` rows, or are a released model's if fitted on the same; a folder without such rows uses those.
    A lesion is compared with tissue of its own breast only: the other breast, whose mirrored place would be an
    alternative, is not in the image.

    Args:
        folder: As `ContrastDataset` reads it.
        split: Any of its splits.
        *bundles: Contrast models; the first is `model` in the report, the others go by their names.
        regions: Folder of regions drawn by hand for the contrast-to-noise ratio, see `tissue.read_drawn`.
        engine: Where images are made and scored; None: in this process.
        progress: Told a fraction in [0, 1] and what happens.
        watch: Given every case and its images by method, turned as the case, before the next is read.
        bootstrap: Resamples of patients for every interval.
        samples: Images of every case by which the sampled rendering is judged, of models that can it; 0: it is not.

    Returns:
        JSON values: what was scored; per method and metric the value with its 95 % interval; the models against
        floors, goals and each other; the sampled rendering of each; every image's numbers.

    Raises:
        DataError: If the split is unknown or files are bad.
        BundleError: If a model is of another task, two have one name, or no floors can be had.
    """
    models = name_models(SPECIFICATION, bundles)
    report = progress or (lambda fraction, message: None)
    report(0.0, "reading pairs")
    pairs = [into_frame(pair) for pair in DATASET.read(folder, split)]
    drawn = read_drawn(regions, [pair.low_energy.source_name for pair in pairs]) if regions else {}
    report(0.05, "fitting floors")
    floors, fitted_on = _floors_for(folder)

    judges = {
        name: SampledJudge(cast(ContrastSynthesizer, bundle.synthesizer), samples)
        for name, bundle in models.items()
        if samples and Rendering.SAMPLED in bundle.renderings
    }
    about: list[dict[str, str]] = []
    scores: dict[str, list[dict[str, float]]] = {}
    held: dict[str, Rows] = {}
    jobs = [(pair, _other_breast(pairs, index)) for index, pair in enumerate(pairs)]
    score = partial(_score_pair, models, floors, drawn, watch is not None)
    report(0.2, f"scoring {count_of(len(pairs), 'image')}")
    with closing(in_order(engine or LocalEngine(1), score, jobs)) as scored:
        for index, (pair, (case, rows, shares, images)) in enumerate(zip(pairs, scored, strict=True), start=1):
            for name, row in rows.items():
                scores.setdefault(name, []).append(row)
            for name, kinds in shares.items():
                for kind, share in kinds.items():
                    held.setdefault(name, {}).setdefault(kind, []).append(share)
            for judge in judges.values():
                judge.add(case, pair)
            if watch:
                watch(case, images)
            about.append({"name": case.name, "patient_id": case.patient_id, "view_position": str(case.view_position)})
            report(0.2 + 0.7 * index / len(pairs), f"scored {index} of {len(pairs)}")
    report(0.9, "resampling patients")
    columns = {name: _columns(rows) for name, rows in scores.items()}
    patient_ids = [case["patient_id"] for case in about]
    result = summarise(columns, patient_ids, bootstrap, models=list(models))
    report(1.0, "done")
    described = identify_models(models)
    return {
        "task": SPECIFICATION.name,
        "protocol": "A: 512 px frame, recombined image registered onto low energy, scored inside both breasts",
        "split": split,
        "n_patients": len(set(patient_ids)),
        "n_images": len(about),
        "n_drawn_regions": len(drawn),
        "bundle": described[MODEL],
        "models": described,
        "software_version": __version__,
        "floors_fitted_on": fitted_on,
        "bootstrap": bootstrap,
        **result,
        "uncertainty": summarise_coverage(held, resample_patients(patient_ids, bootstrap)),
        "sampled": {name: judge.report(bootstrap) for name, judge in judges.items()},
        "cases": _case_rows(about, {name: columns[name] for name in (*models, SOURCE, REAL)}),
    }


def shipped_floors() -> Floors:
    """The floors fitted for a released contrast model.

    Raises:
        BundleError: If the model zoo holds none.
    """
    for floors in _all_shipped_floors():
        return floors
    raise BundleError(f"the model zoo holds no {FLOORS.as_posix()}; evaluate a folder that has train rows")


def summarise(
    columns: Mapping[str, Scores], patient_ids: Sequence[str], bootstrap: int, *, models: Sequence[str] = (MODEL,)
) -> dict[str, Any]:
    """Values and intervals of every method, and the models against floors, goals and each other.

    Args:
        columns: Per method, the numbers of every case as arrays; holds `real`, the models, and all floors.
        patient_ids: One per case.
        bootstrap: Resamples of patients.
        models: Which methods are models; the first is compared with the others.
    """
    weights = resample_patients(patient_ids, bootstrap)
    statistics = {
        name: _statistics(scores, columns[REAL], columns[SOURCE], weights) for name, scores in columns.items()
    }
    methods: dict[str, dict[str, Any]] = {
        name: {
            "kind": _kind(name, models),
            "description": _describe(name, models),
            "metrics": {metric: interval(values) for metric, values in of_method.items()},
        }
        for name, of_method in statistics.items()
    }
    for name, scores in columns.items():
        for metric in DESCRIBED:
            methods[name]["metrics"][metric]["sd"] = _deviation(scores[metric])
    compared = [metric for metric in statistics[models[0]] if metric not in DESCRIBED]
    paired = {model: {metric: _paired(metric, statistics, model) for metric in compared} for model in models}
    result: dict[str, Any] = {
        "n_enhancing": int((columns[REAL]["contrast_c"] >= ENHANCING).sum()),
        "methods": methods,
        "paired": paired[models[0]],
        "versus": {other: _versus(statistics[models[0]], statistics[other], compared) for other in models[1:]},
        "anchors": {model: anchor_rows(methods[model]["metrics"], methods[FLAT]["metrics"]) for model in models},
        "false_enhancement": _false_enhancement(columns, patient_ids, weights),
    }
    if CEILING in methods:
        ceiling = methods[CEILING]["metrics"]
        result["goals"] = {model: goal_rows(methods[model]["metrics"], paired[model], ceiling) for model in models}
    return result


def _all_shipped_floors() -> list[Floors]:
    return [Floors.load(path) for path in sorted(default_model_zoo().glob(f"*/{FLOORS.as_posix()}"))]


def _floors_for(folder: Path) -> tuple[Floors, str]:
    if "train" not in DATASET.splits(folder):
        return shipped_floors(), "CDD-CESM train rows (shipped with the released model)"
    train = [into_frame(pair) for pair in DATASET.read(folder, "train")]
    digest = hash_cases(train)
    for floors in _all_shipped_floors():
        if floors.fitted_on == digest:
            return floors, "the folder's train rows (shipped with the released model)"
    return fit_floors(train), "the folder's train rows"


def _score_pair(
    models: Mapping[str, Bundle],
    floors: Floors,
    drawn: Mapping[str, tuple[np.ndarray, np.ndarray]],
    is_watched: bool,
    job: tuple[ContrastPair, ContrastPair | None],
) -> tuple[Case, dict[str, dict[str, float]], dict[str, dict[str, dict[str, float]]], dict[str, np.ndarray]]:
    """The turned case, its numbers by method, what intervals of models hold and, if somebody looks, its images."""
    pair, other = job
    with one_thread():  # what a sum over several is depends on their number
        case = Case.from_pair(pair)
        tissue = tissue_of(case, drawn)
        images = _images(case, pair, other, models, floors)
        rows = {name: _score(case, tissue, image) for name, image in images.items()}
        shares = {name: coverage_rows(bundle, pair.low_energy, case) for name, bundle in models.items()}
    rows[REAL]["real_rate"] = real_rate(case)
    return case, rows, shares, images if is_watched else {}


def _images(
    case: Case, pair: ContrastPair, other: ContrastPair | None, models: Mapping[str, Bundle], floors: Floors
) -> dict[str, np.ndarray]:
    real = case.recombined
    images = {
        name: case.turn(bundle.synthesize({SOURCE_ROLE: pair.low_energy}, rendering=Rendering.EXPECTED).image.pixels)
        for name, bundle in models.items()
    }
    images |= floors.predict(case)
    if other is not None:
        for name, bundle in models.items():
            key = CONTROL if name == MODEL else f"{CONTROL}, {name}"
            images[key] = case.turn(_transplant(bundle, pair.low_energy, other.low_energy).pixels)
    images |= {f"blur {sigma} px": smooth_within(real, case.shared, sigma) for sigma in BLURS}
    step = SHIFT / math.sqrt(2)
    images[CEILING] = ndimage.shift(real, (step, step), order=1, mode="nearest")
    return {**images, REAL: real}


def _transplant(bundle: Bundle, source: Mammogram, other: Mammogram) -> Mammogram:
    """The control that a good score must not survive, which contrast synthesizers can make."""
    return cast(ContrastSynthesizer | WindowedContrastSynthesizer, bundle.synthesizer).transplant(source, other)


def _score(case: Case, tissue: Tissue, image: np.ndarray) -> dict[str, float]:
    shown = np.clip(image, 0, 1).astype(np.float32)
    ratio = contrast_to_noise(shown, tissue)
    return {
        **score_case(case, shown),
        "cnr": ratio,
        "cnr_abs": abs(ratio),
        "halo": halo(shown, case),
        "false_enhancement": false_enhancement(shown, case),
    }


def _other_breast(pairs: Sequence[ContrastPair], index: int) -> ContrastPair | None:
    """The next image of the same view and another patient."""
    this = pairs[index]
    for other in [*pairs[index + 1 :], *pairs[:index]]:
        if other.patient_id != this.patient_id and other.low_energy.view_position is this.low_energy.view_position:
            return other
    return None


def _columns(rows: Sequence[Mapping[str, float]]) -> Scores:
    return {key: np.array([row[key] for row in rows], float) for key in rows[0]}


def _case_rows(about: Sequence[Mapping[str, str]], columns: Mapping[str, Scores]) -> list[dict[str, Any]]:
    def of_case(scores: Scores, index: int) -> dict[str, float | None]:
        return {
            key: None if math.isnan(values[index]) else round(float(values[index]), 6) for key, values in scores.items()
        }

    return [
        {**case, "scores": {name: of_case(scores, index) for name, scores in columns.items()}}
        for index, case in enumerate(about)
    ]


def _statistics(scores: Scores, real: Scores, source: Scores, weights: np.ndarray) -> Scores:
    enhancing = np.where(np.isnan(real["contrast_c"]), False, real["contrast_c"] >= ENHANCING)
    known = ~np.isnan(real["contrast_c"])
    ring = np.where(enhancing, scores["auroc_ring"], np.nan)
    return {
        **{metric: weighted_mean(scores[metric], weights) for metric in (*MEAN_METRICS, *DESCRIBED)},
        "d_r": weighted_correlation(scores["contrast_d"], real["contrast_d"], weights),
        "d_ratio": weighted_ratio(scores["contrast_d"], real["contrast_d"], weights),
        "auroc_enhances": weighted_auroc(np.where(known, scores["contrast_c"], np.nan), enhancing, weights),
        "auroc_ring_enhancing": weighted_mean(ring, weights),
        # The source's own SSIM and MAE against the real image are how much there is to change.
        "change_mae_r": weighted_correlation(scores["change_mae"], source["mae"], weights),
        "change_ssim_r": weighted_correlation(scores["change_ssim"], source["ssim"], weights),
        "cnr_r": weighted_correlation(scores["cnr"], real["cnr"], weights),
        "halo_r": weighted_correlation(scores["halo"], real["halo"], weights),
    }


def _deviation(values: np.ndarray) -> float | None:
    """Standard deviation over cases, as the publication gives it beside each mean."""
    known = values[~np.isnan(values)]
    return round(float(known.std(ddof=1)), 6) if known.size > 1 else None


def _false_enhancement(
    columns: Mapping[str, Scores], patient_ids: Sequence[str], weights: np.ndarray
) -> dict[str, Any]:
    """Rates beside that of the same patient's other real images, over the cases that have such an image."""
    elsewhere = rates_elsewhere(columns[REAL]["real_rate"], patient_ids)
    known = ~np.isnan(elsewhere)
    return {
        "n_images": int(known.sum()),
        "n_patients": len(set(np.asarray(patient_ids)[known])),
        "real_elsewhere": interval(weighted_mean(elsewhere, weights)),
        "methods": {
            name: {
                "rate": interval(weighted_mean(np.where(known, scores["false_enhancement"], np.nan), weights)),
                "minus_real_elsewhere": interval(weighted_mean(scores["false_enhancement"] - elsewhere, weights)),
            }
            for name, scores in columns.items()
        },
    }


def _versus(first: Scores, other: Scores, metrics: Sequence[str]) -> dict[str, Any]:
    return {metric: interval(_distance(first, metric) - _distance(other, metric)) for metric in metrics}


def _distance(statistics: Scores, metric: str) -> np.ndarray:
    return abs(statistics[metric] - 1) if metric in BEST_AT_ONE else statistics[metric]


def _paired(metric: str, statistics: Mapping[str, Scores], model: str = MODEL) -> dict[str, Any]:
    lower_is_better = metric in LOWER_IS_BETTER or metric in BEST_AT_ONE

    def badness(name: str) -> float:
        value = _distance(statistics[name], metric)[0]
        return math.inf if math.isnan(value) else value if lower_is_better else -value

    best = min(NAMES, key=badness)
    difference = _distance(statistics[model], metric) - _distance(statistics[best], metric)
    return {"best_floor": best, "lower_is_better": lower_is_better, **interval(difference)}


def _kind(name: str, models: Sequence[str]) -> str:
    if name in models:
        return "model"
    if name.startswith(CONTROL):
        return "control"
    return "floor" if name in NAMES else "real" if name == REAL else "ceiling"


def _describe(name: str, models: Sequence[str]) -> str:
    if name in models:
        return "the bundle" if name == MODEL else f"the bundle {name}"
    if name.startswith(CONTROL):
        return "the model given another patient's breast: must fall"
    return {**NAMES, REAL: "the real recombined image"}.get(name, f"the real image, {name}")
