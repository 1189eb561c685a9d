"""The structure is drawn, the look is learned: what each part does for `breast_mg_mask`, beside what learns it all.

    PYTHONPATH=.:lib python -m experiments.mask_ablation --data <cdd-cesm folder> --output runs/mask-ablation

The released model, the same without one part at a time, the two published systems (their bundles) and SPADE (trained
here from label maps alone, resumed where it was interrupted) go through the task's own evaluation on `val`, beside its
floors. Writes `results.json`, `table.md` and `cases.jpg`.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image

from experiments.mask_spade import load_spade, train_spade
from mammosynth.atomic import write_json
from mammosynth.bundle import METADATA, Bundle, default_model_zoo, load_bundle
from mammosynth.evaluation.evaluation import MODEL, format_table
from mammosynth.task import Rendering
from mammosynth.tasks.mask import tissue
from mammosynth.tasks.mask.cases import MaskCase
from mammosynth.tasks.mask.data import DATASET
from mammosynth.tasks.mask.drawing import Drawing
from mammosynth.tasks.mask.evaluation.evaluate import CLASS_MEANS, CONTROL, NEAREST, REAL, evaluate_mask
from mammosynth.tasks.mask.evaluation.protocol import Shown
from mammosynth.tasks.mask.evaluation.report import TITLES
from mammosynth.tasks.mask.network import MaskNetwork
from mammosynth.tasks.mask.style import Style
from mammosynth.tasks.mask.style_model import StyleModels
from mammosynth.tasks.mask.synthesizer import MaskSynthesizer

logger = logging.getLogger("mask_ablation")

OURS = "breast_mg_mask"
PUBLISHED = {
    "breast_mg_mask_pix2pix": "pix2pix, then super-resolution (published way, narrow)",
    "breast_mg_mask_dcgan": "conditional DCGAN, 64 px (published way)",
}
STEPS = 2000
"""Of SPADE; half an hour on one busy thread."""
MEASURES = (
    "frechet",
    "frechet_pretrained",
    "beta_shift",
    "auc",
    "iou",
    "lesion_ratio",
    "gland_ratio",
    "nearest_share",
)
SHOWN_CASES, SHOWN_ROWS = 4, 256


class MiddleStyle(StyleModels):
    """The middle style of what the label map shows, for every seed."""

    def draw(self, known: np.ndarray, random: np.random.Generator | None) -> Style:
        """See `StyleModels`."""
        return super().draw(known, None)


def straight_grid(drawing: Drawing, random: np.random.Generator) -> tuple[Any, torch.Tensor]:
    """Rows and columns instead of strands; borders are frayed as ever."""
    _, bends = bent_grid(drawing, random)
    height, width = drawing.labels.shape
    y, x = (torch.arange(side, dtype=torch.float32) for side in (height, width))
    return tissue._Grid(*torch.meshgrid(y, x, indexing="ij")), bends


def means_only(image: torch.Tensor, drawing: Drawing, style: Style, share: torch.Tensor, *_: Any) -> torch.Tensor:
    """Means of both tissues as the style has them, bands as they came."""
    adipose, dense = (torch.from_numpy(drawing.measured(dense=kind)) for kind in (False, True))
    lift = style.adipose - image[adipose].mean(), style.dense - image[dense].mean()
    return image + lift[0] * (1 - share) + lift[1] * share


def no_vessels(drawing: Drawing, random: np.random.Generator) -> np.ndarray:
    """Nothing instead of vessels."""
    return np.zeros(drawing.labels.shape, np.float32)


bent_grid = tissue._bent_grid


@dataclass(frozen=True)
class Variant:
    """The released model with one change.

    Attributes:
        description: What is other.
        changes: Other values of names in `tissue`.
        styles: Another way of drawing a style.
    """

    description: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    styles: Callable[[], StyleModels] = StyleModels


VARIANTS = {
    "no-strands": Variant("without strands: coarse fields lie along rows and columns", {"_bent_grid": straight_grid}),
    "one-layer": Variant("one net instead of layers over each other", {"LAYERS": 1}),
    "no-ridges": Variant("without the net of ridges", {"RIDGES": ()}),
    "no-streaks": Variant("without straight streaks", {"STREAKS": ()}),
    "no-vessels": Variant("without vessels", {"draw_vessels": no_vessels}),
    "no-structure": Variant(
        "without all four: power-law noise",
        {"_bent_grid": straight_grid, "RIDGES": (), "STREAKS": (), "draw_vessels": no_vessels},
    ),
    "no-bands": Variant("without setting the strength of bands", {"_with_strength": means_only}),
    "middle-style": Variant("style not drawn: the middle one", styles=MiddleStyle),
}


class ChangedSynthesizer(MaskSynthesizer):
    """The released synthesizer with the changes of a variant.

    Args:
        network: Of the released model; is not changed.
        variant: What is other.
    """

    def __init__(self, network: MaskNetwork, variant: Variant) -> None:
        own = MaskNetwork.__new__(MaskNetwork)
        torch.nn.Module.__init__(own)
        own.expected, own.styles = network.expected, variant.styles()
        own.styles.load_state_dict(network.styles.state_dict())
        super().__init__(own)
        self._changes = dict(variant.changes)

    def generate(self, drawing: Drawing, known: np.ndarray, rendering: Rendering, seed: int) -> np.ndarray:
        """See `MaskSynthesizer`."""
        with patch.multiple(tissue, **self._changes) if self._changes else nullcontext():
            return super().generate(drawing, known, rendering, seed)


def changed(bundle: Bundle, name: str) -> Bundle:
    """The released model as a variant."""
    return replace(bundle, name=name, synthesizer=ChangedSynthesizer(bundle.synthesizer.network, VARIANTS[name]))


def write_table(values: Mapping[str, Any], titles: Mapping[str, str], path: Path) -> None:
    """Methods by measures, Markdown; the last column counts the goals that are reached.

    Args:
        values: Of `evaluate_mask`.
        titles: Methods, in reading order, and how they are called.
        path: Where to.
    """
    real = values["real"]
    rows = [["", *(TITLES[name] for name in MEASURES), "goals"]]
    for method, title in titles.items():
        measures = values["methods"][method]["measures"]
        goals = values["goals"].get(method, [])
        reached = f"{sum(goal['reached'] is True for goal in goals)} of {len(goals)}" if goals else ""
        numbers = [measures[name]["value"] for name in MEASURES]
        rows.append([title, *("-" if number is None else f"{number:.3g}" for number in numbers), reached])
    limits = {goal["measure"]: goal for goal in values["goals"][MODEL]}
    rows.append(["goal", *(_limits(limits.get(name, {})) for name in MEASURES), ""])
    halves = [("median", "median"), ("95th percentile", "95")]
    for title, key in halves:
        floors = {name: real.get(f"{name}_{key}") for name in MEASURES}
        numbers = ["" if floors[name] is None else f"{floors[name]:.3g}" for name in MEASURES]
        rows.append([f"real halves of {real['n_each']}, {title}", *numbers, ""])
    path.write_text(format_table(rows) + "\n")


def _limits(goal: Mapping[str, Any]) -> str:
    low, high = goal.get("at_least"), goal.get("at_most")
    if low is not None and high is not None:
        return f"{low:.3g} to {high:.3g}"
    return f"≥ {low:.3g}" if low is not None else f"≤ {high:.3g}" if high is not None else ""


def draw_cases(cases: Sequence[Mapping[str, Shown]], methods: Sequence[str], path: Path) -> None:
    """A row of images of every method, a column for each case."""
    rows = [np.concatenate([images[method].pixels for images in cases], axis=1) for method in methods]
    whole = Image.fromarray(np.rint(np.concatenate(rows) * 255).astype(np.uint8))
    whole.resize((whole.width * SHOWN_ROWS // 512, len(rows) * SHOWN_ROWS), Image.Resampling.BOX).save(path, quality=90)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder laid out like CDD-CESM")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help="of SPADE (default: %(default)s)")
    parser.add_argument("--bootstrap", type=int, default=2000, metavar="N", help="resamples (default: %(default)s)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    spade = args.output / "spade"
    if not (spade / METADATA).is_file():
        cases = (DATASET.read(args.data, split) for split in ("train", "val"))
        train_spade(*cases, spade, steps=args.steps, progress=_progress)
    ours = load_bundle(default_model_zoo() / OURS)
    published = [load_bundle(default_model_zoo() / name) for name in PUBLISHED]
    bundles = [ours, *(changed(ours, name) for name in VARIANTS), load_spade(spade), *published]
    watched: list[Mapping[str, Shown]] = []

    def watch(case: MaskCase, images: Mapping[str, Shown]) -> None:
        if len(watched) < SHOWN_CASES:
            watched.append(images)

    values = evaluate_mask(args.data, "val", *bundles, bootstrap=args.bootstrap, watch=watch)
    write_json(args.output / "results.json", values)
    titles = {
        REAL: "real",
        NEAREST: "nearest training image",
        CLASS_MEANS: "class means",
        MODEL: "ours",
        **{name: variant.description for name, variant in VARIANTS.items()},
        "spade": "SPADE, from label maps alone",
        **PUBLISHED,
        CONTROL: "ours, of another label map",
    }
    write_table(values, titles, args.output / "table.md")
    draw_cases(watched, [name for name in titles if name != CONTROL], args.output / "cases.jpg")


def _progress(fraction: float, message: str, values: Mapping[str, float]) -> None:
    if message.endswith("00 of " + message.rpartition(" ")[2]):
        logger.warning("SPADE: %s %s", message, {key: round(value, 4) for key, value in values.items()})


if __name__ == "__main__":
    main()
