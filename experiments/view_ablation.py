"""What each part of the expected view does, on the validation breasts of one look.

    PYTHONPATH=.:lib python -m experiments.view_ablation --data <cbis-ddsm or cdd-cesm folder> [--phantoms <folder>]

Phantom pairs: `mammosynth phantom --out <folder> --cases 24 --seed 1000 --sides L --views CC,MLO --pixel-mm 1`.

Models are fitted to `train` with one choice changed at a time and judged as `mammosynth evaluate view` judges them,
with 95 % intervals over patients; women whose views may be nearer are those of `train` and `val`. Prints a table of
Markdown; docs/concepts/view.md shows it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from mammosynth import radiomics
from mammosynth.errors import UnsupportedImageError
from mammosynth.evaluation.statistics import resample_patients
from mammosynth.label_map import LabelMap
from mammosynth.preprocessing.look import Look
from mammosynth.task import IMAGE, Rendering
from mammosynth.tasks.view import expected, lesions, regression, synthesizer
from mammosynth.tasks.view.cases import ViewCase
from mammosynth.tasks.view.data import DATASET
from mammosynth.tasks.view.evaluation.evaluate import _lesion_measures, _measures, _radiomics, _real
from mammosynth.tasks.view.evaluation.protocol import Shown
from mammosynth.tasks.view.frame import ViewFrame
from mammosynth.tasks.view.network import ViewNetwork
from mammosynth.tasks.view.objectives.expected import Laid, lay_out
from mammosynth.tasks.view.roles import LESIONS, MASK, SOURCE
from mammosynth.tasks.view.specification import CLASSES
from mammosynth.terms import ViewPosition

MEASURES = ("padded_psnr", "padded_ssim", "breast_mae", "rank", "contrast_ratio", "radiomics")
RESAMPLES = 1000
NEVER = -9.0
Changes = tuple[tuple[Any, str, Any], ...]


def even_spot(pixels: np.ndarray, breast: np.ndarray, placed: lesions.Placed, **how: Any) -> np.ndarray:
    """Without the lesion's own pixels: a spot of its contrast."""
    return lesions.show_lesion(pixels, breast, replace(placed, detail=placed.detail * 0), **how)


def all_of_it(pixels: np.ndarray, breast: np.ndarray, placed: lesions.Placed, **how: Any) -> np.ndarray:
    """With all of the lesion's own pixels, not only what is fine."""
    return lesions.show_lesion(pixels, breast, placed, **{**how, "smooth": False})


def no_lesion(pixels: np.ndarray, breast: np.ndarray, placed: lesions.Placed, **how: Any) -> np.ndarray:
    """What the lesion costs."""
    return pixels


def black_below(chance: float) -> dict[Look, float]:
    """Alike for both looks."""
    return dict.fromkeys(Look, chance)


@dataclass(frozen=True)
class Variant:
    """A model with one choice changed.

    Attributes:
        name: In the table.
        changes: Module, constant, value.
        guessed: Whether breasts are learned from whose aspect is a guess.
        phantoms: Whether phantom pairs are learned from, too.
        radiomics: Whether the lesion's radiomic features are regressed on.
    """

    name: str
    changes: Changes = ()
    guessed: bool = False
    phantoms: bool = False
    radiomics: bool = False


FRAME_ALONE = {name: (size, float(name == "frame")) for name, (size, _) in regression.BLOCKS.items()}
BLOCKS = regression.BLOCKS
WITH_RADIOMICS = {**BLOCKS, "radiomics": (radiomics.COUNT, 0.5)}
LESS_CONTRAST = {Look.FILM: 1.0, Look.DIGITAL: 0.55}
NO_BOX: Changes = ((expected, "BOX_SHARE", 0.0),)
VARIANTS = (
    Variant(
        "frame from frame",
        (*NO_BOX, (regression, "BLOCKS", FRAME_ALONE), (expected, "LEAST_CHANCE", black_below(NEVER))),
    ),
    Variant("and black where breast is not likely", (*NO_BOX, (regression, "BLOCKS", FRAME_ALONE))),
    Variant("and from outline, box, profile, histogram", NO_BOX),
    Variant("and the box, as the ridge has it", ((regression, "GAIN", 1.0),)),
    Variant("**and 1.7 times as far from the mean: as released**"),
    Variant("2.5 times as far", ((regression, "GAIN", 2.5),)),
    Variant("black below a third", ((expected, "LEAST_CHANCE", black_below(0.33)),)),
    Variant("black below one half", ((expected, "LEAST_CHANCE", black_below(0.5)),)),
    Variant("breasts of guessed aspect, too", guessed=True),
    Variant("phantom pairs, too", phantoms=True),
    Variant("radiomics of the lesion, too", ((regression, "BLOCKS", WITH_RADIOMICS),), radiomics=True),
    Variant("no lesion", ((synthesizer, "show_lesion", no_lesion),)),
    Variant("lesion of less contrast", ((synthesizer, "EXPECTED_SHARES", LESS_CONTRAST),)),
    Variant("lesion: an even spot", ((synthesizer, "show_lesion", even_spot),)),
    Variant("lesion: all of its own pixels", ((synthesizer, "show_lesion", all_of_it),)),
)


def main() -> None:
    """Print a line for each variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--phantoms", type=Path, help="folder of phantom pairs; without it their line is left out")
    parser.add_argument("--only", action="append", help="a word of the variants that are judged, may be repeated")
    args = parser.parse_args()
    train, val = (DATASET.read(args.data, split) for split in ("train", "val"))
    val = [case for case in val if case.has_true_aspect]
    _write("| variant | " + " | ".join(MEASURES) + " |\n" + "|---" * (len(MEASURES) + 1) + "|")
    for variant in VARIANTS:
        if (variant.phantoms and not args.phantoms) or not any(word in variant.name for word in args.only or [""]):
            continue
        used = [case for case in train if case.has_true_aspect or variant.guessed]
        found = judged(variant, used, val, _phantoms(args.phantoms, val[0].look) if variant.phantoms else ())
        _write(f"| {variant.name} | " + " | ".join(_told(found[name]) for name in MEASURES) + " |")


def judged(
    variant: Variant, train: Sequence[ViewCase], val: Sequence[ViewCase], phantoms: Sequence[ViewCase] = ()
) -> dict[str, dict[str, float | None]]:
    """Fit a variant and judge it.

    Args:
        variant: What is changed.
        train: To fit; of one look.
        val: To judge; likewise.
        phantoms: To fit, too; none of their views is one that may be nearer.
    """
    learned = [*train, *phantoms]
    for case in learned:
        _laid(case)
    with ExitStack() as stack:
        for module, name, value in variant.changes:
            stack.enter_context(patch.object(module, name, value))
        scale = _Radiomics.of(learned) if variant.radiomics else None
        network = fitted(learned, scale)
        made = [_generate(network, case, scale) for case in val]
    real = [_shown(case) for case in val]
    pool = [*real, *(_shown(case) for case in train if case.has_true_aspect)]
    weights = resample_patients([case.patient_id for case in val], RESAMPLES)
    thumbnails = np.stack([shown.thumbnail for shown in pool])
    return {**_measures(made, real, thumbnails, weights), **_lesion_measures(made, real, _radiomics(real), weights)}


def fitted(train: Sequence[ViewCase], scale: _Radiomics | None = None) -> ViewNetwork:
    """What the expected rendering needs."""
    laid, look, network = [_laid(case) for case in train], train[0].look, ViewNetwork()
    given = np.stack([each.given for each in laid])
    if scale is not None:
        given = np.concatenate([given, np.stack([scale.scaled(case) for case in train])], axis=1)
    way = network.way_to(ViewPosition.MLO)
    way.regression(look).fit(given, np.stack([each.made for each in laid]))
    way.lesion(look).fit(np.array([each.lesion for each in laid if each.lesion is not None]))
    return network.eval()


@dataclass(frozen=True, eq=False)
class _Radiomics:
    """Features of the lesion on a source, z-scored by training breasts; 0 without one."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, train: Sequence[ViewCase]) -> _Radiomics:
        found = np.stack([features for case in train if (features := _features(case)) is not None])
        return cls(found.mean(axis=0), found.std(axis=0) + 1e-6)

    def scaled(self, case: ViewCase) -> np.ndarray:
        found = _features(case)
        zero = np.zeros_like(self.mean) if found is None else (found - self.mean) / self.deviation
        return np.clip(zero, -3, 3).astype(np.float32)


@cache
def _features(case: ViewCase) -> np.ndarray | None:
    if case.source_lesion is None:
        return None
    try:
        return np.nan_to_num(
            np.array(list(radiomics.extract_radiomics(case.source.pixels, case.source_lesion).values()))
        )
    except UnsupportedImageError:
        return None


def _phantoms(folder: Path, look: Look) -> list[ViewCase]:
    """Of all splits, as if they were of that look."""
    return [replace(case, look=look) for split in DATASET.splits(folder) for case in DATASET.read(folder, split)]


@cache
def _laid(case: ViewCase) -> Laid:
    return lay_out(case, style=False)


@cache
def _shown(case: ViewCase) -> Shown:
    return _real(case)


def _generate(network: ViewNetwork, case: ViewCase, scale: _Radiomics | None = None) -> Shown:
    if scale is None:
        return _made(network, case)

    def given_of(*of: np.ndarray) -> np.ndarray:
        with patch.object(regression, "BLOCKS", BLOCKS):
            return np.concatenate([regression.given_of(*of), scale.scaled(case)])

    with patch.object(synthesizer, "given_of", given_of):
        return _made(network, case)


def _made(network: ViewNetwork, case: ViewCase) -> Shown:
    inputs: dict[str, Any] = {SOURCE: case.source}
    if case.source_lesion is not None and case.source_lesion.any():
        inputs[LESIONS] = LabelMap(case.source_lesion.astype(np.uint8), case.name, CLASSES)
    parameters = synthesizer.ViewParameters(look=case.look)
    make = synthesizer.ViewSynthesizer(network)
    try:
        outputs = make(inputs, parameters, rendering=Rendering.EXPECTED, seed=0)
    except UnsupportedImageError:  # the lesion that is drawn lies outside of the breast
        outputs = make({SOURCE: case.source}, parameters, rendering=Rendering.EXPECTED, seed=0)
    values = {each.role: each.value for each in outputs}
    mirrored = ViewFrame.of(case.source.pixels, case.look).mirrored
    drawn = values[MASK].labels > 0 if MASK in values else None
    return Shown.of(values[IMAGE].pixels, drawn, mirrored=mirrored)


def _told(measure: dict[str, float | None]) -> str:
    value, low, high = (measure.get(name) for name in ("value", "low", "high"))
    if value is None:
        return "-"
    places = 2 if value > 2 else 3
    return f"{value:.{places}f}" + (f" [{low:.{places}f}, {high:.{places}f}]" if low is not None else "")


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
