"""`evaluate_view`: views that are made beside the real ones, floors and controls, by the same code."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mammosynth import __version__
from mammosynth.bundle import Bundle
from mammosynth.counts import count_of
from mammosynth.errors import DataError, UnsupportedImageError
from mammosynth.evaluation.evaluation import identify_models, name_models
from mammosynth.evaluation.pool_distance import PoolDistance
from mammosynth.evaluation.statistics import interval, resample_patients, weighted_mean
from mammosynth.evaluation.texture import COMPONENTS, SLOPE
from mammosynth.label_map import LabelMap
from mammosynth.parallel.engine import Engine, in_order
from mammosynth.parallel.local import LocalEngine
from mammosynth.parallel.threads import one_thread
from mammosynth.radiomics import extract_radiomics
from mammosynth.task import Rendering
from mammosynth.tasks.view.cases import ViewCase
from mammosynth.tasks.view.data import DATASET
from mammosynth.tasks.view.evaluation.floors import Floors
from mammosynth.tasks.view.evaluation.goals import GOALS, Goal
from mammosynth.tasks.view.evaluation.protocol import Shown, concordance, pair_scores, profile_distance, rank
from mammosynth.tasks.view.frame import ViewFrame
from mammosynth.tasks.view.roles import LESIONS, MASK, SOURCE
from mammosynth.tasks.view.specification import CLASSES, SPECIFICATION
from mammosynth.terms import ViewPosition

REAL, ANOTHER, SAME_DEPTH, SHUFFLED = "the real view", "another real view", "same depth", "source of another breast"
ORDER = ("test", "val", "train")
"""Of the splits from which real views come that others are compared with."""
WHITENED = 130
"""Of those, the first so many scale the texture features."""
LEAST_CASES = 3
SHIFT = 7
"""Cases by which profiles are shuffled."""
RADIOMICS = ("firstorder_Mean", "firstorder_Entropy", "glcm_Contrast", "glcm_JointEntropy", "glrlm_RunEntropy")
"""Of the features, those whose concordance is told: grey, its spread, and texture of three families."""
Progress = Callable[[float, str], None]
Watch = Callable[[ViewCase, Mapping[str, Shown]], None]


def evaluate_view(
    place: Path,
    split: str,
    *bundles: Bundle,
    seed: int = 0,
    bootstrap: int = 2000,
    renderings: Sequence[Rendering] = tuple(Rendering),
    to: ViewPosition = ViewPosition.MLO,
    engine: Engine | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Judge both renderings on the breasts of one split; those whose aspect is a guess are left out.

    Args:
        place: As the task's dataset reads it; of one look.
        split: Any of its splits.
        *bundles: View models; the first is `model` in the report, the others go by their names.
        seed: Of the first image; the next ones follow.
        bootstrap: Resamples of patients for every interval.
        renderings: Those that are judged, of what each model can.
        to: The view that is made.
        engine: Where views are made; None: in this process.
        progress: Told a fraction in [0, 1] and what happens.
        watch: Given every case and its views by method.

    Returns:
        JSON values: what was judged; per method the measures; models against their goals.

    Raises:
        DataError: If the split is unknown, files are bad, there are fewer than three breasts, or of two looks.
        BundleError: If a model is of another task, or two have one name.
    """
    models = name_models(SPECIFICATION, bundles)
    report = progress or (lambda fraction, message: None)
    report(0.0, "reading cases")
    cases = _cases(place, split, to)
    looks = {case.look for case in cases}
    if len(cases) < LEAST_CASES or len(looks) > 1:
        raise DataError(
            f"{place.name}: split {split} shows {count_of(len(cases), 'breast')} of {count_of(len(looks), 'look')}, "
            f"expected {LEAST_CASES} and more of one look; add breasts (of 20 phantoms with both sides 4 are in val), "
            "choose another split, or keep film and digital images in folders of their own"
        )
    look = looks.pop()
    sources, real = [Shown.of(case.source.pixels, case.source_lesion) for case in cases], [_real(c) for c in cases]
    others = {name: _cases(place, name, to) for name in _in_order(DATASET.splits(place)) if name != split}
    train = cases if split == "train" else others.get("train", [])
    floors = Floors([(Shown.of(case.source.pixels), _real(case)) for case in train])
    pool = [*real, *(_real(case) for name in others for case in others[name])]

    made: dict[str, list[Shown]] = {}
    jobs = [(case, cases[(index + 1) % len(cases)], seed + index) for index, case in enumerate(cases)]
    report(0.1, f"generating {count_of(len(cases), 'view')}")
    with closing(in_order(engine or LocalEngine(1), partial(_generate_all, models, renderings), jobs)) as generated:
        for index, of_models in enumerate(generated):
            images = {REAL: real[index], ANOTHER: real[(index + 1) % len(real)], **floors.of(sources[index])}
            images |= of_models
            for name, shown in images.items():
                made.setdefault(name, []).append(shown)
            if watch:
                watch(cases[index], images)
            report(0.1 + 0.6 * (index + 1) / len(cases), f"generated {index + 1} of {len(cases)}")
    report(0.7, "comparing")
    weights = resample_patients([case.patient_id for case in cases], bootstrap)
    thumbnails = np.stack([shown.thumbnail for shown in pool])
    real_texture = np.stack([shown.texture(look, generated=False) for shown in real])
    scaled_by = pool[len(real) : len(real) + WHITENED] or real
    distance = PoolDistance(np.stack([shown.texture(look, generated=False) for shown in scaled_by]))
    radiomics = _radiomics(real)
    methods = {}
    for number, (name, images_made) in enumerate(made.items()):
        report(0.75 + 0.25 * number / len(made), f"comparing {name}")
        texture = (
            real_texture if name == REAL else np.stack([each.texture(look, generated=True) for each in images_made])
        )
        methods[name] = {
            "kind": _kind(name, models),
            "measures": {
                **_measures(images_made, real, thumbnails, weights),
                **_texture_measures(texture, real_texture, distance),
                **_lesion_measures(images_made, real, radiomics, weights),
            },
        }
    methods[SAME_DEPTH] = {"kind": "floor", "measures": _depth_measures([s.depth for s in sources], real, weights)}
    report(1.0, "done")
    return {
        "task": SPECIFICATION.name,
        "protocol": "padded frame and box of the breast at 256 px, texture at 512 px through the real images' codec",
        "split": split,
        "look": str(look),
        "to": str(to),
        "n_patients": len({case.patient_id for case in cases}),
        "n_images": len(cases),
        "n_pool": len(pool),
        "software_version": __version__,
        "models": identify_models(models),
        "seed": seed,
        "bootstrap": bootstrap,
        "methods": methods,
        "goals": {
            _key(name, rendering): [_goal_row(goal, _key(name, rendering), methods) for goal in GOALS[rendering]]
            for name, bundle in models.items()
            for rendering in _both(bundle, renderings)
        },
    }


def _generate_all(
    models: Mapping[str, Bundle], renderings: Sequence[Rendering], job: tuple[ViewCase, ViewCase, int]
) -> dict[str, Shown]:
    """What the models make of a case, and of another one in its place."""
    case, other, seed = job
    images: dict[str, Shown] = {}
    with one_thread():  # what a sum over several is depends on their number
        for name, bundle in models.items():
            for rendering in _both(bundle, renderings):
                images[_key(name, rendering)] = generate(bundle, case, rendering, seed)
            images[f"{SHUFFLED}, {name}"] = generate(bundle, other, _both(bundle, renderings)[0], seed)
    return images


def generate(bundle: Bundle, case: ViewCase, rendering: Rendering, seed: int) -> Shown:
    """A model's view of a case, as it is judged."""
    inputs: dict[str, Any] = {SOURCE: case.source}
    lesion = case.source_lesion
    if lesion is not None and lesion.any():
        inputs[LESIONS] = LabelMap(lesion.astype(np.uint8), case.name, CLASSES)
    known = bundle.synthesizer.parameters.json_schema()["properties"]
    parameters = {"look": case.look} if "look" in known else {}
    try:
        result = bundle.synthesize(inputs, parameters=parameters, rendering=rendering, seed=seed)
    except UnsupportedImageError:  # the lesion that is drawn lies outside of the breast
        result = bundle.synthesize({SOURCE: case.source}, parameters=parameters, rendering=rendering, seed=seed)
    drawn = next((output.value for output in result.outputs if output.role == MASK), None)
    mirrored = ViewFrame.of(case.source.pixels, case.look).mirrored
    return Shown.of(result.image.pixels, drawn.labels > 0 if isinstance(drawn, LabelMap) else None, mirrored=mirrored)


def _cases(place: Path, split: str, to: ViewPosition) -> list[ViewCase]:
    return [replace(case, to=to) for case in DATASET.read(place, split) if case.has_true_aspect]


def _real(case: ViewCase) -> Shown:
    return Shown.of(case.target.pixels, case.target_lesion)


def _in_order(names: Sequence[str]) -> list[str]:
    return sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def _both(bundle: Bundle, renderings: Sequence[Rendering]) -> list[Rendering]:
    return [each for each in bundle.renderings if each in renderings] or [bundle.renderings[0]]


def _key(model: str, rendering: Rendering) -> str:
    return f"{model}, {rendering}"


def _measures(
    made: Sequence[Shown], real: Sequence[Shown], thumbnails: np.ndarray, weights: np.ndarray
) -> dict[str, dict[str, float | None]]:
    scores = [pair_scores(own, wanted) for own, wanted in zip(made, real, strict=True)]
    for place, (own, row) in enumerate(zip(made, scores, strict=True)):
        row["rank"] = rank(own, place, thumbnails)
        row["emd_shuffled"] = profile_distance(own, real[(place + SHIFT) % len(real)])
    return {name: interval(weighted_mean(np.array([row[name] for row in scores]), weights)) for name in scores[0]}


def _texture_measures(made: np.ndarray, real: np.ndarray, distance: PoolDistance) -> dict[str, dict[str, float | None]]:
    slopes = [np.nanmean(rows[:, SLOPE]) if np.isfinite(rows[:, SLOPE]).any() else math.nan for rows in (made, real)]
    numbers = {
        "beta": slopes[0],
        "beta_shift": abs(slopes[0] - slopes[1]),
        # Of no more images than components a covariance is singular.
        "frechet": distance.between(made, real) if len(made) > COMPONENTS else math.nan,
    }
    return {name: {"value": None if math.isnan(value) else round(float(value), 6)} for name, value in numbers.items()}


def _depth_measures(
    depths: Sequence[float], real: Sequence[Shown], weights: np.ndarray
) -> dict[str, dict[str, float | None]]:
    errors = np.abs(np.array(depths) - np.array([each.depth for each in real]))
    return {"depth_error": interval(weighted_mean(errors, weights)) if np.isfinite(errors).any() else {"value": None}}


def _lesion_measures(
    made: Sequence[Shown], real: Sequence[Shown], radiomics: np.ndarray, weights: np.ndarray
) -> dict[str, dict[str, float | None]]:
    depths = [each.depth for each in made]
    shuffled = [*depths[1:], depths[0]]
    contrasts = np.array([(own.contrast, wanted.contrast) for own, wanted in zip(made, real, strict=True)])
    known = np.isfinite(contrasts).all(axis=1)
    total = contrasts[known].mean(axis=0) if known.any() else np.full(2, np.nan)
    ratio = total[0] / total[1] if known.any() and abs(total[1]) > 1e-6 else math.nan
    own = _radiomics(made)
    both = np.isfinite(own).all(axis=1) & np.isfinite(radiomics).all(axis=1)
    concordances = [math.nan, math.nan]
    if both.sum() >= LEAST_CASES:
        a, b = own[both], radiomics[both]
        concordances = [_mean_concordance(rows, b) for rows in (a, np.roll(a, 1, axis=0))]
    numbers = {
        "contrast_ratio": ratio,
        "radiomics": concordances[0],
        "radiomics_shuffled": concordances[1],
        "lesions": float(known.sum()),
    }
    return {
        **_depth_measures(depths, real, weights),
        "depth_error_shuffled": _depth_measures(shuffled, real, weights)["depth_error"],
        **{name: {"value": None if math.isnan(value) else round(value, 6)} for name, value in numbers.items()},
    }


def _mean_concordance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean([concordance(x, y) for x, y in zip(a.T, b.T, strict=True)]))


def _radiomics(shown: Sequence[Shown]) -> np.ndarray:
    """(N, 5), NaN without a lesion."""
    rows = []
    for each in shown:
        try:
            found = {} if each.lesion is None else extract_radiomics(each.pixels, each.lesion)
        except UnsupportedImageError:
            found = {}
        rows.append([found.get(name, math.nan) for name in RADIOMICS])
    return np.array(rows)


def _kind(name: str, models: Mapping[str, Bundle]) -> str:
    if name.split(", ")[0] in models:
        return "model"
    if name.startswith(SHUFFLED):
        return "control"
    return "real" if name in (REAL, ANOTHER) else "floor"


def _goal_row(goal: Goal, method: str, methods: Mapping[str, Any]) -> dict[str, Any]:
    own = methods[method]["measures"][goal.measure]
    bound = goal.bound
    if goal.floor:
        floor = methods[method if goal.floor == "itself" else goal.floor]["measures"]
        value = floor[goal.other or goal.measure]["value"]
        bound = None if value is None else goal.times * value
    value = own["value"]
    reached = None
    if value is not None and bound is not None:
        reached = bool(value >= bound) if goal.at_least else bool(value <= bound)
    return {"measure": goal.measure, **own, "bound": bound, "at_least": goal.at_least, "reached": reached}
