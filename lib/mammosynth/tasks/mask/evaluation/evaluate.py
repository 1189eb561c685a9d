"""`evaluate_mask`: mammograms from label maps beside real ones, floors and a control, by the same code."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from mammosynth import __version__
from mammosynth.bundle import Bundle
from mammosynth.counts import count_of
from mammosynth.errors import DataError
from mammosynth.evaluation.evaluation import MODEL, identify_models, name_models
from mammosynth.evaluation.pool_distance import PoolDistance
from mammosynth.evaluation.statistics import interval, resample_patients, weighted_mean, weighted_ratio
from mammosynth.evaluation.texture import MOMENTS, SLOPE, gaps, halves_gaps
from mammosynth.evaluation.told_apart import told_apart
from mammosynth.networks.efficientnet_lite import are_weights_installed
from mammosynth.parallel.engine import Engine, in_order
from mammosynth.parallel.local import LocalEngine
from mammosynth.parallel.threads import one_thread
from mammosynth.preprocessing.look import Look
from mammosynth.task import Rendering
from mammosynth.tasks.mask.cases import MaskCase
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.data import DATASET
from mammosynth.tasks.mask.evaluation.goals import GOALS, Goal
from mammosynth.tasks.mask.evaluation.lesion_judge import LesionJudge
from mammosynth.tasks.mask.evaluation.protocol import Shown
from mammosynth.tasks.mask.roles import LABEL_MAP
from mammosynth.tasks.mask.specification import SPECIFICATION
from mammosynth.terms import ViewPosition

REAL, CONTROL = "real", "other label map"
CLASS_MEANS, NEAREST = "class means", "nearest training image"
HALVES, HALVES_KS = 100, 200
LEAST_CASES = 8
"""Fewer have no distribution."""
SEEDS, SEEDED = 10, 3
"""Images of one label map whose spread is told, and of how many label maps."""
Progress = Callable[[float, str], None]
Watch = Callable[[MaskCase, Mapping[str, Shown]], None]


def evaluate_mask(
    place: Path,
    split: str,
    *bundles: Bundle,
    seed: int = 0,
    bootstrap: int = 2000,
    segmenter_steps: int = 400,
    view: ViewPosition = ViewPosition.CC,
    engine: Engine | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Judge sampled renderings of one view of one split: do they look real, do they obey, are they new?

    Every image is made from a real view's label map, and goes through the codec that the real images went through.
    Real images of the other splits are the pool: what halves of it differ by is the measure of "alike".

    Args:
        place: As the task's dataset reads it.
        split: Any of its splits.
        *bundles: Mask models; the first is `model` in the report, the others go by their names.
        seed: Of the first image; the next ones follow.
        bootstrap: Resamples of patients for every interval.
        segmenter_steps: Of the network that looks for the masses; 0 does without it, and the report says so.
        view: Which view is judged, and makes the pool.
        engine: Where images are made; None: in this process.
        progress: Told a fraction in [0, 1] and what happens.
        watch: Given every case and its images by method, before the next is made.

    Returns:
        JSON values: what was judged; the pool's own numbers; per method the measures; models against their goals.

    Raises:
        DataError: If the split is unknown, files are bad, or there are fewer than eight views.
        BundleError: If a model is of another task, or two have one name.
    """
    models = name_models(SPECIFICATION, bundles)
    report = progress or (lambda fraction, message: None)
    report(0.0, "reading cases")
    cases = DATASET.read(place, split, view)
    train = cases if split == "train" else DATASET.read(place, "train", view)
    others = [name for name in DATASET.splits(place) if name not in (split, "train")]
    shown_train = [_real(case) for case in train]
    pool = [_real(case) for name in others for case in DATASET.read(place, name, view)] + shown_train
    if min(len(cases), len(pool) // 2) < LEAST_CASES:
        raise DataError(
            f"{place.name}: split {split} shows {count_of(len(cases), f'{view} view')}, and those that may be compared "
            f"with are {len(pool)}, expected {LEAST_CASES} and {2 * LEAST_CASES} or more; add breasts (of 40 phantoms "
            f"with both sides {LEAST_CASES} are in val), or choose another split or --set view_position"
        )
    floors = _Floors(shown_train, [case.look for case in train])

    made: dict[str, list[Shown]] = {}
    jobs = [(case, cases[(index + 1) % len(cases)], seed + index) for index, case in enumerate(cases)]
    report(0.1, f"generating {count_of(len(cases), 'image')}")
    with closing(in_order(engine or LocalEngine(1), partial(_generate_all, models), jobs)) as generated:
        for index, of_models in enumerate(generated):
            case = cases[index]
            real_view = _real(case)
            images = {REAL: real_view, **floors.of(real_view, case.look), **of_models}
            for name, shown in images.items():
                made.setdefault(name, []).append(shown)
            if watch:
                watch(case, images)
            report(0.1 + 0.7 * (index + 1) / len(cases), f"generated {index + 1} of {len(cases)}")
    report(0.8, "comparing sets")
    patients = [case.patient_id for case in cases]
    ruler = _Ruler(pool)
    real = ruler.real_numbers(len(cases))
    weights = resample_patients(patients, bootstrap)
    spreads = {name: _spread_over_seeds(bundle, cases, seed) for name, bundle in models.items()}
    spreads[REAL] = _spread(made[REAL])
    report(0.85, "looking for the masses")
    judge = LesionJudge(shown_train, steps=segmenter_steps, seed=seed, is_known=split == "train")
    near = _held_out_distance(made[REAL], floors.thumbnails) if split != "train" else math.nan
    methods: dict[str, dict[str, Any]] = {
        name: {
            "kind": _kind(name, models),
            "measures": {
                **_measures(shown, made[REAL], ruler, patients, weights, floors, near),
                **judge.measures(shown, made[REAL], weights),
                "spread": {"value": spreads.get(name)},
            },
        }
        for name, shown in made.items()
    }
    report(1.0, "done")
    return {
        "task": SPECIFICATION.name,
        "protocol": f"512 px frame, {view}, sampled rendering, through the codec of the real images",
        "split": split,
        "n_patients": len(set(patients)),
        "n_images": len(cases),
        "n_pool": len(pool),
        "software_version": __version__,
        "models": identify_models(models),
        "seed": seed,
        "bootstrap": bootstrap,
        "real": real,
        "segmenter": judge.about(),
        "methods": methods,
        "goals": {model: [_goal_row(goal, methods[model]["measures"], real) for goal in GOALS] for model in models},
    }


def _generate_all(models: Mapping[str, Bundle], job: tuple[MaskCase, MaskCase, int]) -> dict[str, Shown]:
    """What the models make of a case's label map, and of another one's in its place."""
    case, other, seed = job
    images: dict[str, Shown] = {}
    with one_thread():  # what a sum over several is depends on their number
        for name, bundle in models.items():
            images[name] = generate(bundle, case, seed)
            key = CONTROL if name == MODEL else f"{CONTROL}, {name}"
            images[key] = _relabelled(generate(bundle, other, seed), _real(case))
    return images


def generate(bundle: Bundle, case: MaskCase, seed: int) -> Shown:
    """The sampled rendering of a case's label map, as it is judged; an expected one if the model has no other."""
    rendering = Rendering.SAMPLED if Rendering.SAMPLED in bundle.renderings else bundle.renderings[0]
    known = bundle.synthesizer.parameters.json_schema()["properties"]
    about = {"look": str(case.look), "density": case.density}
    parameters = {name: value for name, value in about.items() if name in known and value is not None}
    result = bundle.synthesize({LABEL_MAP: case.labels}, parameters=parameters, rendering=rendering, seed=seed)
    return Shown.of(result.image.pixels, case.labels.labels, case.look, generated=True)


class _Floors:
    """What needs no model: every class at its mean grey, and the training image whose label map is the most alike."""

    def __init__(self, train: Sequence[Shown], looks: Sequence[Look]) -> None:
        self._train, self._looks = train, looks
        self.thumbnails = np.stack([shown.thumbnail.ravel() for shown in self._train])
        self._maps = np.stack([_small(shown.labels) for shown in self._train])
        self._means = {look: self._class_means(look) for look in set(self._looks)}

    def of(self, real: Shown, look: Look) -> dict[str, Shown]:
        means = self._means.get(look, next(iter(self._means.values())))
        flat = ndimage.gaussian_filter(means[real.labels], 1.0) * (real.labels > 0)
        nearest = self._train[int((self._maps != _small(real.labels)).mean(axis=(1, 2)).argmin())]
        return {
            CLASS_MEANS: Shown.of(flat.astype(np.float32), real.labels, look, generated=True),
            NEAREST: _relabelled(nearest, real),
        }

    def _class_means(self, look: Look) -> np.ndarray:
        shown = [each for each, own in zip(self._train, self._looks, strict=True) if own is look]
        labels = np.concatenate([each.labels.ravel() for each in shown])
        pixels = np.concatenate([each.pixels.ravel() for each in shown])
        counts = np.bincount(labels, minlength=len(BreastClass))
        means = np.bincount(labels, pixels, minlength=len(BreastClass)) / np.maximum(counts, 1)
        means[counts == 0] = means[BreastClass.FIBROGLANDULAR]
        means[BreastClass.BACKGROUND] = 0
        return means.astype(np.float32)


def _real(case: MaskCase) -> Shown:
    return Shown.of(case.image.pixels, case.labels.labels, case.look, generated=False)


def _relabelled(shown: Shown, by: Shown) -> Shown:
    """An image beside the label map of another, on the other's matrix: what does not obey shows."""
    canvas = np.zeros_like(by.pixels)
    columns = min(canvas.shape[1], shown.pixels.shape[1])
    canvas[:, :columns] = shown.pixels[:, :columns]
    return Shown(canvas, by.labels)


def _small(labels: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(labels.any(axis=1)), np.flatnonzero(labels.any(axis=0))
    box = labels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    at = np.ix_(*(np.linspace(0, side - 1, 64).round().astype(int) for side in box.shape))
    return box[at]


class _Ruler:
    """Distances from the real pool, and what halves of it differ by, with as many images in each as are judged."""

    def __init__(self, pool: Sequence[Shown]) -> None:
        self._features, self._moments = (
            np.stack([getattr(shown, name) for shown in pool]) for name in ("features", "moments")
        )
        self.texture = PoolDistance(self._features)
        self.pretrained = PoolDistance(_pretrained(pool), standardised=False) if are_weights_installed() else None

    def real_numbers(self, count: int) -> dict[str, float]:
        count = min(count, len(self._features) // 2)
        ks = np.percentile(halves_gaps(self._moments, count, HALVES_KS), 95, axis=0)
        distances = {"frechet": self.texture, "frechet_pretrained": self.pretrained}
        return {
            "n_each": count,
            **{
                f"{name}_{key}": value
                for name, distance in distances.items()
                if distance is not None
                for key, value in distance.halves(count, HALVES).items()
            },
            "beta": float(np.nanmean(self._features[:, SLOPE])),
            **{f"ks95_{name}": float(value) for name, value in zip(MOMENTS, ks, strict=True)},
        }


def _pretrained(shown: Sequence[Shown]) -> np.ndarray:
    return np.stack([each.pretrained_features for each in shown])


def _measures(
    shown: Sequence[Shown],
    real: Sequence[Shown],
    ruler: _Ruler,
    patients: Sequence[str],
    weights: np.ndarray,
    floors: _Floors,
    near: float,
) -> dict[str, Any]:
    own, theirs = (np.stack([each.features for each in images]) for images in (shown, real))
    ks = gaps(*(np.stack([each.moments for each in images]) for images in (shown, real)))
    distances = np.array([_distance(each, floors.thumbnails) for each in shown])
    plain = {
        "frechet": ruler.texture(own),
        "frechet_pretrained": ruler.pretrained(_pretrained(shown)) if ruler.pretrained else math.nan,
        "frechet_split": ruler.texture.between(own, theirs),
        **{f"ks_{name}": float(value) for name, value in zip(MOMENTS, ks, strict=True)},
        "beta": float(np.nanmean(own[:, SLOPE])),
        "beta_shift": abs(float(np.nanmean(own[:, SLOPE]) - np.nanmean(theirs[:, SLOPE]))),
        "auc": told_apart(own, theirs, patients),
        "nearest_share": float((distances < near).mean()) if math.isfinite(near) else math.nan,
    }
    columns = {
        name: (np.array([getattr(each, name) for each in shown]), np.array([getattr(each, name) for each in real]))
        for name in ("lesion_contrast", "gland_contrast")
    }
    lesion, gland = columns["lesion_contrast"], columns["gland_contrast"]
    return {
        **{name: {"value": None if math.isnan(value) else round(value, 6) + 0.0} for name, value in plain.items()},
        "iou": interval(weighted_mean(np.array([each.outline_overlap for each in shown]), weights)),
        "lesion_ratio": interval(weighted_ratio(*lesion, weights)),
        "gland_ratio": interval(weighted_ratio(*gland, weights)),
        "lesions": {"value": int((~np.isnan(lesion[0] + lesion[1])).sum())},
    }


def _held_out_distance(real: Sequence[Shown], thumbnails: np.ndarray) -> float:
    """The 1st percentile of the distances of held-out real images to their nearest training image."""
    return float(np.percentile([_distance(shown, thumbnails) for shown in real], 1))


def _spread_over_seeds(bundle: Bundle, cases: Sequence[MaskCase], seed: int) -> float:
    """The mean over some label maps of what ten images of one differ by."""
    sets = [[generate(bundle, case, seed + number) for number in range(SEEDS)] for case in cases[:SEEDED]]
    return float(np.mean([_spread(images) for images in sets]))


def _spread(images: Sequence[Shown]) -> float:
    """Standard deviation over images of a small picture of the breast, the mean over its pixels."""
    return float(np.stack([shown.thumbnail for shown in images]).std(axis=0).mean())


def _distance(shown: Shown, thumbnails: np.ndarray) -> float:
    """Root-mean-square difference to the nearest training image, each as bright as the other."""
    own = shown.thumbnail.ravel()
    return float(np.sqrt(((thumbnails - own) ** 2).mean(axis=1)).min())


def _kind(name: str, models: Mapping[str, Bundle]) -> str:
    if name in models:
        return "model"
    if name.startswith(CONTROL):
        return "control"
    return "real" if name == REAL else "floor"


def _goal_row(goal: Goal, measures: Mapping[str, Any], real: Mapping[str, float]) -> dict[str, Any]:
    high = goal.high * real.get(goal.times, math.inf) if goal.times else goal.high
    value = measures[goal.measure]["value"]
    return {
        "measure": goal.measure,
        **measures[goal.measure],
        "at_least": None if math.isinf(goal.low) else goal.low,
        "at_most": None if math.isinf(high) else high,
        "reached": None if value is None else bool(goal.low <= value <= high),
    }
