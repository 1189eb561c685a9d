"""What tells sampled images of `breast_cem_residual` from real ones, and can lesions be made brighter in them alone?

    PYTHONPATH=. python -m experiments.contrast_sampled --data <cdd-cesm folder> --output <folder>

Looks: the AUC of `told_apart` over many draws of patients of `train` and `val`, since it grows with their number; of
samples that one stream of random numbers made for all images, and of independent ones; beside real images against those
of other patients. The style that an image is drawn from was fitted without its patient.

Lesions: how the contrast of a spot in a real image compares to that in the expected one, where members have not seen
the patient (those of `experiments.contrast_lesion_map`, kept in the same folder), of small and of large spots; and what
it brings and costs on `val` to make spots of a sample brighter, by a constant or by what real spots vary by. Writes
`looks.json`, `spots.json`, `results.json` and `table.md`.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import torch
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from experiments.compared import compare_rows, write_table
from experiments.contrast_lesion_map import BUNDLE, MEANS, USED, add_enhances, folds_of, score, train_member
from mammosynth.bundle import default_model_zoo, load_bundle
from mammosynth.evaluation.statistics import interval, resample_patients, weighted_ratio
from mammosynth.evaluation.texture import features, through_codec
from mammosynth.evaluation.told_apart import told_apart
from mammosynth.preprocessing.breast import erode, segment_breast
from mammosynth.preprocessing.look import JPEG_QUALITY, Look
from mammosynth.preprocessing.pairs import ContrastPair, read_cdd_cesm
from mammosynth.tasks.contrast import sampled
from mammosynth.tasks.contrast.evaluation.metrics import correlation, lesion_contrast, psnr
from mammosynth.tasks.contrast.evaluation.protocol import Case
from mammosynth.tasks.contrast.evaluation.sampled import INVERSE_PENALTY, SKIN_PX
from mammosynth.tasks.contrast.objectives.sampled import SampledObjective, SampledRecipe
from mammosynth.tasks.contrast.preflight import check_pairs
from mammosynth.tasks.contrast.sampled import LARGE_PX, LEVELS
from mammosynth.tasks.contrast.style import StyledEnsemble
from mammosynth.tasks.contrast.synthesizer import ContrastSynthesizer

PATIENTS = (17, 31, 60)
"""As many as `val` and `test` have, and more."""
DRAWS = 60
SAMPLES = 16
LEAST_SPOT = 30
"""Pixels; of a smaller one no contrast is told."""
ONE, OWN = "one stream of random numbers for all images", "independent samples"
NOT_DRAWN = {"SMALL_GAINS": (0.0,) * len(LEVELS), "LARGE_GAINS": (0.0,) * len(LEVELS)}
ROWS: dict[str, dict[str, Any]] = {
    "all spots 1.4 times (0.4.1)": {"HOT": 0.4, **NOT_DRAWN},
    "all spots 1.9 times": {"HOT": 0.9, **NOT_DRAWN},
    "all spots 2.4 times": {"HOT": 1.4, **NOT_DRAWN},
    "every spot as real ones vary, whatever its size": {
        "HOT": 0.4,
        **dict.fromkeys(NOT_DRAWN, (-1.0, -1.0, -0.93, -0.4, 0.26, 2.08, 4.0)),
    },
    "every spot as real ones of its size vary": {"HOT": 0.4},
    "and 0.2 more (0.5.0)": {"HOT": sampled.HOT},
    "and 0.6 more": {"HOT": 1.0},
}
"""Of the table: constants of `mammosynth.tasks.contrast.sampled` that samples are drawn with."""


def styles_of_halves(
    pairs: Sequence[ContrastPair], synthesizer: ContrastSynthesizer
) -> Iterator[tuple[np.ndarray, ContrastSynthesizer]]:
    """For each half of the patients, the numbers of its images and a synthesizer whose style the other half gave."""
    patients, index = np.unique([pair.patient_id for pair in pairs], return_inverse=True)
    half = np.random.default_rng(0).permutation(len(patients))[index] % 2
    for number in (0, 1):
        fitted = copy.deepcopy(synthesizer)
        others = [pair for pair, where in zip(pairs, half, strict=True) if where != number]
        framed = check_pairs(others, [], synthesizer.preprocessing).train
        SampledObjective(framed, [], cast(StyledEnsemble, fitted.network), SampledRecipe())
        yield np.flatnonzero(half == number), fitted


def features_of(pair: ContrastPair, synthesizer: ContrastSynthesizer) -> dict[str, np.ndarray]:
    """Of the real image and of samples, as the evaluation takes them."""
    prediction = synthesizer.predict(pair.low_energy)
    breast = erode(segment_breast(pair.low_energy.pixels, background=0.0), SKIN_PX)
    made = {
        ONE: synthesizer.drawn(prediction, np.random.default_rng(0)),
        OWN: synthesizer.sampled(prediction, 0),
    }
    found = {name: features(through_codec(each, JPEG_QUALITY[Look.DIGITAL]), breast) for name, each in made.items()}
    real = pair.recombined if pair.published is None else pair.published
    return {"real": features(real, erode(segment_breast(real, background=0.0), SKIN_PX)), **found}


def spread_of_auc(
    own: np.ndarray, real: np.ndarray, patient_ids: Sequence[str], count: int, *, others: bool = False
) -> dict[str, float]:
    """Mean and 90 % range of the AUC over draws of patients.

    Args:
        own: (N, F), of generated images.
        real: (N, F), of the real ones.
        patient_ids: Of both, in order.
        count: Patients of a draw.
        others: Whether those of the generated images are others than those of the real ones.
    """
    ids, random = np.asarray(patient_ids), np.random.default_rng(0)
    patients, found = np.unique(ids), []
    for _ in range(DRAWS):
        order = random.permutation(patients)
        first = np.flatnonzero(np.isin(ids, order[:count]))
        second = np.flatnonzero(np.isin(ids, order[count : 2 * count])) if others else first
        length = min(len(first), len(second))
        found.append(
            told_apart(
                own[first[:length]],
                real[second[:length]],
                ids[first[:length]].tolist(),
                inverse_penalty=INVERSE_PENALTY,
            )
        )
    low, high = np.percentile(found, [5, 95])
    return {"mean": round(float(np.mean(found)), 3), "low": round(float(low), 3), "high": round(float(high), 3)}


def judge_looks(pairs: dict[str, list[ContrastPair]], synthesizer: ContrastSynthesizer) -> dict[str, Any]:
    """AUC by number of patients; and that of every single feature, above 0.5 where real images have more of it."""
    rows: list[tuple[str, dict[str, np.ndarray]]] = [
        (pair.patient_id, features_of(pair, synthesizer)) for pair in pairs["val"]
    ]
    for chosen, fitted in styles_of_halves(pairs["train"], synthesizer):
        rows += [(pairs["train"][at].patient_id, features_of(pairs["train"][at], fitted)) for at in chosen]
    ids = [patient_id for patient_id, _ in rows]
    table = {name: np.nan_to_num([found[name] for _, found in rows]) for name in rows[0][1]}
    real = table["real"]
    kinds = np.repeat([0, 1], len(real))
    return {
        "images": len(rows),
        "patients": len(set(ids)),
        "real against other patients": {
            str(count): spread_of_auc(real, real, ids, count, others=True)
            for count in PATIENTS
            if 2 * count <= len(set(ids))
        },
        **{
            name: {
                "auc": {str(count): spread_of_auc(table[name], real, ids, count) for count in PATIENTS},
                "single features": [
                    round(float(roc_auc_score(kinds, np.concatenate([own, theirs]))), 3)
                    for own, theirs in zip(table[name].T, real.T, strict=True)
                ],
            }
            for name in (ONE, OWN)
        },
    }


@dataclass(frozen=True)
class SpotNumbers:
    """What is told of the spots of one image: where the expected image is brighter than its surroundings.

    Attributes:
        patient_id: Whose it is.
        ratios: (S,) contrast of every spot in the real image as a multiple of that in the expected one.
        areas: (S,) of every spot, in pixels.
        spots: Sums over the spots of the real and of the expected contrast.
        drawn: Contrast of the lesions that readers drew, real and expected; NaN: none is large enough.
    """

    patient_id: str
    ratios: np.ndarray
    areas: np.ndarray
    spots: tuple[float, float]
    drawn: tuple[float, float]

    @classmethod
    def of(cls, case: Case, expected: np.ndarray) -> SpotNumbers:
        """Of an expected image, turned as the case."""
        high = case.smooth(expected) - case.background(expected)
        found = case.interior & (high > sampled.HOT_FROM * high[case.interior].std())
        labels, count = ndimage.label(found)
        numbers = np.arange(1, count + 1)
        real, own, areas = (
            np.asarray(ndimage.sum(each, labels, numbers)) for each in (case.real_high_pass, high, found)
        )
        told = areas >= LEAST_SPOT
        contrasts = [lesion_contrast(image, case)[0] for image in (case.recombined, expected)]
        return cls(
            case.patient_id,
            ratios=real[told] / own[told],
            areas=areas[told],
            spots=(float(real.sum()), float(own.sum())),
            drawn=(contrasts[0], contrasts[1]),
        )


def judge_spots(numbers: Sequence[SpotNumbers]) -> dict[str, Any]:
    """Real as a multiple of expected contrast: of spots of the expected image, and of what readers have drawn."""
    weights = resample_patients([each.patient_id for each in numbers], 2000)
    spots, drawn = (np.array(pairs).T for pairs in ([each.spots for each in numbers], [each.drawn for each in numbers]))
    ratios, areas = (np.concatenate(parts) for parts in ([n.ratios for n in numbers], [n.areas for n in numbers]))
    levels = 100 * np.array(LEVELS[1:-1])
    return {
        "images": len(numbers),
        "real / expected, spots of the expected image": interval(weighted_ratio(*spots, weights)),
        "real / expected, lesions that readers drew": interval(weighted_ratio(*drawn, weights)),
        "percentiles": levels.tolist(),
        **{
            f"one {name} spot, of {int(chosen.sum())}": np.percentile(ratios[chosen], levels).round(2).tolist()
            for name, chosen in (("small", areas < LARGE_PX), ("large", areas >= LARGE_PX))
            if chosen.any()
        },
    }


def score_rows(
    pairs: Sequence[ContrastPair], synthesizer: ContrastSynthesizer
) -> tuple[dict[str, dict[str, dict[str, Any]]], dict[str, float]]:
    """Every row of the table on `val`, with the differences to the first; and the AUC of each."""
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in ROWS}
    looks: dict[str, list[np.ndarray]] = {name: [] for name in rows}
    real, real_looks = [], []
    for pair in pairs:
        case, prediction = Case.from_pair(pair), synthesizer.predict(pair.low_energy)
        expected = synthesizer.expected(prediction)
        uncertainty = case.turn(synthesizer.uncertainty(prediction, expected))[case.scored]
        target = case.recombined[case.scored]
        best = psnr(case.turn(expected)[case.scored], target)
        breast = erode(segment_breast(pair.low_energy.pixels, background=0.0), SKIN_PX)
        for name, constants in ROWS.items():
            with mock.patch.multiple(sampled, **constants):
                images = [synthesizer.sampled(prediction, seed) for seed in range(SAMPLES)]
            mean, spread = (case.turn(each(images, axis=0)) for each in (np.mean, np.std))
            first = case.turn(images[0])
            rows[name].append(
                {
                    **score(case, first),
                    "psnr_drop": best - psnr(first[case.scored], target),
                    "mean_psnr_drop": best - psnr(mean[case.scored], target),
                    "spread_r": correlation(spread[case.scored], uncertainty),
                }
            )
            looks[name].append(features(through_codec(images[0], JPEG_QUALITY[Look.DIGITAL]), breast))
        real.append(lesion_contrast(case.recombined, case))
        published = pair.recombined if pair.published is None else pair.published
        real_looks.append(features(published, erode(segment_breast(published, background=0.0), SKIN_PX)))
    ids = [pair.patient_id for pair in pairs]
    means = (*MEANS, "psnr_drop", "mean_psnr_drop", "spread_r")
    results = compare_rows(rows, [each[0] for each in real], ids, means)
    add_enhances(results, rows, np.array([each[1] for each in real]), resample_patients(ids, 2000))
    auc = {
        name: told_apart(np.stack(found), np.stack(real_looks), ids, inverse_penalty=INVERSE_PENALTY)
        for name, found in looks.items()
    }
    return results, auc


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder laid out like CDD-CESM")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folds that it holds are used again")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.output.mkdir(parents=True, exist_ok=True)
    pairs = {split: read_cdd_cesm(args.data, split) for split in ("train", "val")}
    released = cast(ContrastSynthesizer, load_bundle(default_model_zoo() / BUNDLE).synthesizer)
    folds = folds_of([pair.patient_id for pair in pairs["train"]])
    members = [train_member(fold, pairs["train"], args.output) for fold in range(USED)]
    numbers: dict[str, list[SpotNumbers]] = {"train": [], "val": []}
    for split, found in numbers.items():
        for number, pair in enumerate(pairs[split]):
            if split == "val" or folds[number] < USED:
                synthesizer = released if split == "val" else members[folds[number]]
                case = Case.from_pair(pair)
                found.append(
                    SpotNumbers.of(case, case.turn(synthesizer.expected(synthesizer.predict(pair.low_energy))))
                )
    spots = {split: judge_spots(found) for split, found in numbers.items()}
    (args.output / "spots.json").write_text(json.dumps(spots, indent=2) + "\n")
    results, auc = score_rows(pairs["val"], released)
    (args.output / "results.json").write_text(json.dumps({"auc": auc, "rows": results}, indent=2) + "\n")
    write_table(results, args.output / "table.md", title="spots of a sample", digits={"psnr": 2})
    looks = judge_looks(pairs, released)
    (args.output / "looks.json").write_text(json.dumps(looks, indent=2) + "\n")


if __name__ == "__main__":
    main()
