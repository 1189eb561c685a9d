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
from collections.abc import Callable, Mapping, Sequence
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
    PatchBatch,
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
DICE, SCORES = "dice", "scores"


@dataclass(frozen=True, eq=False)
class Squares:
    """Squares of a set, with the patient of each."""

    patches: LesionPatches
    patients: np.ndarray

    def take(self, chosen: np.ndarray) -> Squares:
        """Some of them, by a mask."""
        return Squares(self.patches.take(torch.from_numpy(chosen)), self.patients[chosen])


@dataclass(frozen=True)
class Learner:
    """A kind of network.

    Attributes:
        new: By the seed of its start weights.
        train: In place: network, pools, steps and seed.
        score: On the squares of `val`, as JSON values.
    """

    new: Callable[[int], nn.Module]
    train: Callable[..., nn.Module]
    score: Callable[[nn.Module, LesionPatches], dict[str, Any]]


@dataclass(frozen=True)
class Run:
    """One training; without real images, `size` is 0."""

    learner: str
    way: str
    size: int
    seed: int

    @property
    def file(self) -> str:
        """Where its scores are kept."""
        return f"{self.learner}-{self.way.replace(', ', '-').replace(' ', '-')}-{self.size}-{self.seed}.json"


def plan(sizes: Sequence[int], seeds: Sequence[int], learners: Sequence[str]) -> list[Run]:
    """All runs, a seed after the other."""
    real = [(way, size) for way in (REAL, ADDED, BEFORE) for size in sizes]
    kinds = [(learner, way, size) for learner in learners for way, size in [(GENERATED, 0), *real]]
    return [Run(*kind, seed) for seed in seeds for kind in kinds]


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


def train(run: Run, real: Squares, generated: Squares, steps: int, first: Path) -> nn.Module:
    """The network of one run.

    Args:
        run: Which.
        real: Of all training patients.
        generated: All of them.
        steps: Of the training, and again where generated ones come first.
        first: Where networks that learned from generated ones are kept.
    """
    learner, made = LEARNERS[run.learner], generated.patches
    network = learner.new(run.seed)
    if run.way in (GENERATED, BEFORE):
        kept = first / f"{run.learner}-generated-{run.seed}.pt"
        if kept.is_file():
            network.load_state_dict(torch.load(kept, weights_only=True))
        else:
            learner.train(network, [made], steps=steps, seed=run.seed)
            torch.save(network.state_dict(), kept)
    if run.way != GENERATED:
        own = some_patients(real, run.size, run.seed).patches
        learner.train(network, [own, made] if run.way == ADDED else [own], steps=steps, seed=run.seed)
    return network.eval()


def summarise(runs: Mapping[Run, Mapping[str, Any]], val: Squares) -> list[dict[str, Any]]:
    """A row for every learner, way and size: values on `val`, and what they are more than with real ones alone.

    Generated ones alone are compared with the largest number of real ones.
    """
    has = val.patches.has_lesion.numpy()
    is_malignant = val.patches.is_malignant.numpy()[has]
    weights = resample_patients(list(val.patients[has]), BOOTSTRAP)
    values: dict[tuple[str, str, int], list[np.ndarray]] = {}
    for run, scored in runs.items():
        measured = (
            weighted_mean(np.array(scored[DICE]), weights)
            if DICE in scored
            else weighted_auroc(np.array(scored[SCORES]), is_malignant, weights)
        )
        values.setdefault((run.learner, run.way, run.size), []).append(measured)
    rows = []
    for (learner, way, size), measured in values.items():
        own = np.mean(measured, axis=0)
        row = {"learner": learner, "way": way, "size": size, "seeds": len(measured), **interval(own)}
        most = size or max((other for each, its, other in values if (each, its) == (learner, REAL)), default=0)
        if way != REAL and (learner, REAL, most) in values:
            alone = np.mean(values[learner, REAL, most], axis=0)
            row |= {"compared_with": most, "more": interval(own - alone), "share": interval(own / alone)}
        rows.append(row)
    return rows


def format_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown, a table for each learner."""
    parts = []
    for learner, measure in (("segmenter", "Dice"), ("classifier", "AUC, malignant v. benign")):
        table = [["trained on", "real masses", "seeds", measure, "more than real ones alone", "share of theirs"]]
        for row in rows:
            if row["learner"] == learner:
                told = [_with_interval(row["more"], "+"), _with_interval(row["share"])] if "more" in row else ["", ""]
                about = [row["way"], str(row["size"] or "-"), str(row["seeds"])]
                table.append([*about, _with_interval(row), *told])
        parts.append(format_table(table))
    return "\n\n".join(parts)


def _new_classifier(seed: int) -> nn.Module:
    with own_start_weights(seed):
        return Classifier((2, SEEN, SEEN), 1, (8, 16, 32, 64), (2, 2, 2, 2), norm=("group", {"num_groups": 4}))


def _train_classifier(network: nn.Module, pools: Sequence[LesionPatches], *, steps: int, seed: int) -> nn.Module:
    """By cross-entropy, of image and outline of a mass."""

    def loss(batch: PatchBatch) -> torch.Tensor:
        score = network(torch.cat([batch.image, batch.lesion], dim=1))[:, 0]
        return F.binary_cross_entropy_with_logits(score, batch.is_malignant)

    return train_on_patches(network, [pool.with_lesion() for pool in pools], loss, steps=steps, seed=seed)


def _score_segmenter(network: nn.Module, val: LesionPatches) -> dict[str, Any]:
    dice = lesion_dice(network, val)
    return {
        DICE: dice[val.has_lesion].tolist(),
        "false_alarms": float((~dice[~val.has_lesion].isnan()).float().mean()),
    }


def _score_classifier(network: nn.Module, val: LesionPatches) -> dict[str, Any]:
    return {SCORES: scores(network, val.with_lesion()).tolist()}


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
    parser.add_argument("--learners", nargs="+", default=[*LEARNERS], choices=LEARNERS, help="(default: both)")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help="(default: %(default)s)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    squares = args.output / "squares"
    real, val = (read_squares(args.data, name, squares / f"{name}.pt", generated=False) for name in ("train", "val"))
    generated = read_squares(args.generated, "train", squares / "generated.pt", generated=True)
    runs: dict[Run, dict[str, Any]] = {}
    for run in plan(args.sizes, args.seeds, args.learners):
        path = args.output / run.file
        if not path.is_file():
            network = train(run, real, generated, args.steps, args.output)
            write_json(path, LEARNERS[run.learner].score(network, val.patches))
        runs[run] = json.loads(path.read_text())
        logger.info("%s is done", path.stem)
        rows = summarise(runs, val)
        write_json(args.output / "results.json", rows)
        (args.output / "table.md").write_text(format_rows(rows) + "\n")


LEARNERS = {
    "segmenter": Learner(new_segmenter, train_segmenter, _score_segmenter),
    "classifier": Learner(_new_classifier, _train_classifier, _score_classifier),
}


if __name__ == "__main__":
    main()
