"""Are generated mammograms of use to networks that have few real ones? To find masses; to tell malignant from benign.

    mammosynth synthesize mask --cases 800 --spec SPECIFICATION --output GENERATED
    PYTHONPATH=.:lib python -m experiments.mask_usefulness --data REAL --generated GENERATED --output runs/usefulness

REAL: any folder that the task reads and that shows masses. GENERATED: images of new label maps, nobody's; beside
CBIS-DDSM with `look: film`, `lesions: {benign: 1, malignant: 1}`, `split: train`, `burned_in_mark: false`.

Networks learn from squares around masses and squares without (`lesion_patches`): of real patients of `train` who have
so many masses together, drawn anew with every seed, the same for all ways of training. They are scored on the real
`val`. Nothing is selected there, the last weights count. Intervals: patients of `val` are resampled; values are means
over seeds.

Every run is a file, and is kept: the same command goes on where it was interrupted. Writes `results.json`, `table.md`.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.networks.nets import Classifier
from torch import nn
from torch.nn import functional as F

from mammosynth.atomic import write_json
from mammosynth.errors import DataError
from mammosynth.evaluation.evaluation import format_table
from mammosynth.evaluation.statistics import interval, resample_patients, weighted_auroc, weighted_mean
from mammosynth.tasks.mask.data import DATASET
from mammosynth.tasks.mask.evaluation.lesion_patches import SEEN, LesionPatches, cut_patches
from mammosynth.tasks.mask.evaluation.patch_networks import (
    lesion_dice,
    new_segmenter,
    scores,
    train_on_patches,
    train_segmenter,
)
from mammosynth.tasks.mask.evaluation.protocol import Shown
from mammosynth.training.objective import own_start_weights

logger = logging.getLogger("mask_usefulness")

REAL, ADDED, BEFORE, GENERATED = "real", "real and generated", "generated, then real", "generated"
"""Ways of training: half of every batch generated; generated ones first, then as long real ones; no real ones."""
SIZES, SEEDS, STEPS = (25, 100, 400), (0, 1, 2), 250
BOOTSTRAP = 2000
DICE, AUC = "dice", "auc"


@dataclass(frozen=True, eq=False)
class Squares:
    """Squares of a set, with the patient of each."""

    patches: LesionPatches
    patients: np.ndarray

    def take(self, chosen: np.ndarray) -> Squares:
        """Some of them, by a mask."""
        return Squares(self.patches.take(torch.from_numpy(chosen)), self.patients[chosen])


@dataclass(frozen=True)
class Run:
    """One training of both networks; without real images, `size` is 0."""

    way: str
    size: int
    seed: int

    @property
    def file(self) -> str:
        """Where its scores are kept."""
        return f"{self.way.replace(', ', '-').replace(' ', '-')}-{self.size}-{self.seed}.json"


def plan(sizes: Sequence[int], seeds: Sequence[int]) -> list[Run]:
    """All runs, a seed after the other."""
    return [
        run
        for seed in seeds
        for run in (Run(GENERATED, 0, seed), *(Run(way, size, seed) for way in (REAL, ADDED, BEFORE) for size in sizes))
    ]


def read_squares(place: Path, split: str, cache: Path, *, generated: bool) -> Squares:
    """Squares of a split, which are cut once and kept.

    Raises:
        DataError: If the folder or the split cannot be read, or shows no mass.
    """
    if not cache.is_file():
        cases = DATASET.read(place, split)
        shown = [Shown.of(case.image.pixels, case.labels.labels, case.look, generated=generated) for case in cases]
        patches = cut_patches(shown)
        if not patches.has_lesion.any():
            raise DataError(f"{place.name}, split {split}: shows no mass, expected label maps with classes 6 or 7")
        cache.parent.mkdir(parents=True, exist_ok=True)
        patients = [cases[index].patient_id for index in patches.case.tolist()]
        torch.save({**vars(patches), "patients": patients}, cache)
    kept = torch.load(cache, weights_only=True)
    patients = np.array(kept.pop("patients"))
    return Squares(LesionPatches(**kept), patients)


def some_patients(squares: Squares, masses: int, seed: int) -> Squares:
    """All squares of patients drawn at random, until they have so many masses.

    Raises:
        DataError: If all have fewer.
    """
    has = squares.patches.has_lesion.numpy()
    if has.sum() < masses:
        raise DataError(f"{masses} real masses were asked for, the training split has {has.sum()}; ask for fewer")
    names, index = np.unique(squares.patients, return_inverse=True)
    order = np.random.default_rng([seed, masses]).permutation(len(names))
    counts = np.bincount(index, has, minlength=len(names))[order]
    chosen = order[: int(np.searchsorted(counts.cumsum(), masses)) + 1]
    return squares.take(np.isin(index, chosen))


@dataclass(frozen=True, eq=False)
class Networks:
    """What finds masses, and what tells malignant from benign ones."""

    segmenter: nn.Module
    classifier: nn.Module

    @classmethod
    def new(cls, seed: int) -> Networks:
        """With start weights of the seed."""
        with own_start_weights(seed):
            classifier = Classifier(
                (1, SEEN, SEEN), 1, (8, 16, 32, 64), (2, 2, 2, 2), norm=("group", {"num_groups": 4})
            )
        return cls(new_segmenter(seed), classifier)

    def train(self, pools: Sequence[LesionPatches], steps: int, seed: int) -> Networks:
        """Both, trained in place."""
        train_segmenter(self.segmenter, pools, steps=steps, seed=seed)
        masses = [pool.with_lesion() for pool in pools]
        train_on_patches(self.classifier, masses, _class_loss, steps=steps, seed=seed)
        return self

    def score(self, val: LesionPatches) -> dict[str, Any]:
        """Dice and score of every mass, and how often something is found where there is none."""
        dice = lesion_dice(self.segmenter, val)
        return {
            DICE: dice[val.has_lesion].tolist(),
            "scores": scores(self.classifier, val.with_lesion()).tolist(),
            "false_alarms": float((~dice[~val.has_lesion].isnan()).float().mean()),
        }


def train(run: Run, real: Squares, generated: Squares, steps: int, first: Path) -> Networks:
    """The networks of one run.

    Args:
        run: Which.
        real: Of all training patients.
        generated: All of them.
        steps: Of each network, and again where generated ones come first.
        first: Where networks that learned from generated ones are kept.
    """
    networks, made = Networks.new(run.seed), generated.patches
    if run.way in (GENERATED, BEFORE):
        kept = first / f"generated-{run.seed}.pt"
        parts = nn.ModuleDict(vars(networks))
        if kept.is_file():
            parts.load_state_dict(torch.load(kept, weights_only=True))
        else:
            networks.train([made], steps, run.seed)
            torch.save(parts.state_dict(), kept)
    if run.way == GENERATED:
        return networks
    own = some_patients(real, run.size, run.seed).patches
    return networks.train([own, made] if run.way == ADDED else [own], steps, run.seed)


def summarise(runs: Mapping[Run, Mapping[str, Any]], val: Squares) -> list[dict[str, Any]]:
    """A row for every way and size: values on `val`, and what they are more than with real ones alone.

    Generated ones alone are compared with the largest number of real ones.
    """
    has = val.patches.has_lesion.numpy()
    is_malignant = val.patches.is_malignant.numpy()[has]
    weights = resample_patients(list(val.patients[has]), BOOTSTRAP)
    largest = max((run.size for run in runs), default=0)
    rows = []
    for way, size in sorted({(run.way, run.size) for run in runs}, key=lambda each: (each[1], each[0] != REAL)):
        other = Run(REAL, size or largest, 0)
        own, real = (_values(runs, run, is_malignant, weights) for run in (Run(way, size, 0), other))
        rows.append(
            {
                "way": way,
                "real masses": size,
                "seeds": sum((run.way, run.size) == (way, size) for run in runs),
                "false alarms": float(np.mean([each["false_alarms"] for each in _alike(runs, way, size)])),
                **{
                    name: {
                        **interval(own[name]),
                        "share": interval(own[name] / real[name]),
                        "more": interval(own[name] - real[name]),
                    }
                    for name in (DICE, AUC)
                },
            }
        )
    return rows


def format_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown."""
    table = [["real masses", "trained on", "seeds", "Dice", "more than real alone", "share of real alone",
              "false alarms", "AUC malignant v. benign", "more than real alone"]]  # fmt: skip
    for row in rows:
        dice, auc = row[DICE], row[AUC]
        table.append(
            [
                str(row["real masses"] or "-"),
                row["way"],
                str(row["seeds"]),
                _with_interval(dice),
                "" if row["way"] == REAL else _with_interval(dice["more"], "+"),
                "" if row["way"] == REAL else _with_interval(dice["share"]),
                f"{row['false alarms']:.2f}",
                _with_interval(auc),
                "" if row["way"] == REAL else _with_interval(auc["more"], "+"),
            ]
        )
    return format_table(table)


def _values(
    runs: Mapping[Run, Mapping[str, Any]], of: Run, is_malignant: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    alike = _alike(runs, of.way, of.size)
    aucs = [weighted_auroc(np.array(each["scores"]), is_malignant, weights) for each in alike]
    return {
        DICE: weighted_mean(np.mean([each[DICE] for each in alike], axis=0), weights),
        AUC: np.mean(aucs, axis=0),
    }


def _alike(runs: Mapping[Run, Mapping[str, Any]], way: str, size: int) -> list[Mapping[str, Any]]:
    return [values for run, values in runs.items() if (run.way, run.size) == (way, size)]


def _class_loss(score: torch.Tensor, batch: Any) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(score[:, 0], batch.is_malignant)


def _with_interval(entry: Mapping[str, float], sign: str = "") -> str:
    return f"{entry['value']:{sign}.3f} [{entry['low']:{sign}.3f}, {entry['high']:{sign}.3f}]"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="real images")
    parser.add_argument("--generated", type=Path, required=True, metavar="DIR", help="of `synthesize mask --cases`")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help="(default: %(default)s)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    squares = args.output / "squares"
    real, val = (read_squares(args.data, name, squares / f"{name}.pt", generated=False) for name in ("train", "val"))
    generated = read_squares(args.generated, "train", squares / "generated.pt", generated=True)
    runs: dict[Run, dict[str, Any]] = {}
    for run in plan(args.sizes, args.seeds):
        path = args.output / run.file
        if not path.is_file():
            write_json(path, train(run, real, generated, args.steps, args.output).score(val.patches))
        runs[run] = json.loads(path.read_text())
        logger.info("%s: Dice %.3f", path.stem, np.mean(runs[run][DICE]))
        rows = summarise(runs, val) if len(runs) > 1 else []
        write_json(args.output / "results.json", rows)
        (args.output / "table.md").write_text(format_rows(rows) + "\n")


if __name__ == "__main__":
    main()
