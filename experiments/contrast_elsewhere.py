"""Does it help `breast_cem_residual` that networks have seen other images: as a loss, or as where to start from?

    PYTHONPATH=. python -m experiments.contrast_elsewhere --data <cdd-cesm folder> --film <folder of film>
        --output runs/contrast-elsewhere

A loss: what people find alike (`ShiftTolerantDistance`, trained with one trunk, judged with the other), which forgives
that the images of a pair do not lie on each other exactly, and punishes what is smooth. A start: encoder and decoder
have learned, from images that need no pair, to fill in what was hidden of the grey values, or where lesions are drawn.
Those images are of film, and low-energy views, some at full resolution; of the split `train` alone.

Every row is the released recipe, but for fewer steps, with one change; the last weights count; all are scored on
`val`. What was learned is kept: the same command goes on where it was interrupted. Writes `results.json`, `table.md`.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from experiments.compared import LESIONS, compare_rows, write_table
from experiments.contrast_ablation import AblationTemplate
from experiments.contrast_lesion_map import read_film
from experiments.shift_tolerant import ShiftTolerantDistance
from mammosynth.bundle import METADATA, WEIGHTS, default_model_zoo, load_bundle
from mammosynth.mammogram import Mammogram
from mammosynth.parallel.local import LocalEngine
from mammosynth.preprocessing.pairs import ContrastPair, read_cdd_cesm, read_grey, read_table
from mammosynth.tasks.contrast.evaluation.metrics import score_case
from mammosynth.tasks.contrast.evaluation.protocol import Case
from mammosynth.tasks.contrast.framed import Batch, FramedPair, frame_pair
from mammosynth.tasks.contrast.objectives.residual import MASK, ResidualObjective
from mammosynth.tasks.contrast.specification import SPECIFICATION as CONTRAST
from mammosynth.terms import ViewPosition
from mammosynth.training.objective import GENERATOR, Objective
from mammosynth.training.similarity import masked_mean
from mammosynth.training.template import Template
from mammosynth.training.train import train_model

logger = logging.getLogger("contrast_elsewhere")

BUNDLE = "breast_cem_residual"
STEPS, START_STEPS = 200, 400
COMPARED = 2
"""Images of a batch that the perceptual loss sees, at half the frame's resolution: it costs more than all else."""
GRID, HIDDEN = (16, 12), 0.4
"""The frame in rows and columns of squares, and the share of them that is hidden."""
GREY = slice(0, 2)
"""Channels that are hidden: grey, and the normalised grey that has to be filled in."""
SHUFFLE = 4
FULL_COLUMNS = ("split", "file", "patient")
MEANS = ("psnr", "ssim", "ncc_interior", "ncc_hp", "dice_hot", "perceptual")


class Perceptual(ResidualObjective):
    """The released loss, and some times the distance that people would see."""

    counts = 0.0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._distance = ShiftTolerantDistance("alex").to(self.recipe.device)

    def loss(self, generated: torch.Tensor, batch: Batch) -> torch.Tensor:
        """See `ResidualObjective`."""
        two = ((image * batch.scored)[:COMPARED] for image in (generated, batch.recombined))
        return super().loss(generated, batch) + self.counts * self._distance(*(F.avg_pool2d(i, 2) for i in two)).mean()


class PerceptualSmall(Perceptual):
    """Counts little."""

    counts = 0.5


class PerceptualLarge(Perceptual):
    """Counts much."""

    counts = 2.0


class Start(ResidualObjective):
    """What the network's last features must tell of an image alone; a head of its own is left away afterwards."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        network = self.networks[GENERATOR]
        seen = self._seen = dict[str, torch.Tensor]()
        network.decoder[0].register_forward_hook(lambda module, inputs, output: seen.update(features=output))
        self.networks["head"] = nn.Conv2d(network.fields.in_channels, 1, kernel_size=1)

    def losses(self, batch: Batch) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        """See `ResidualObjective`."""
        yield GENERATOR, self.learned(batch), {}

    def learned(self, batch: Batch) -> torch.Tensor:
        """A scalar, made small."""
        raise NotImplementedError

    def said(self, channels: torch.Tensor) -> torch.Tensor:
        """(B, 1, H / 4, W / 4) of the head."""
        self.networks[GENERATOR](channels)
        return self.networks["head"](self._seen["features"])


class FillIn(Start):
    """Some squares of the grey values are hidden, and must be filled in."""

    def learned(self, batch: Batch) -> torch.Tensor:
        """See `Start`."""
        channels, breast = batch.channels, batch.channels[:, MASK : MASK + 1]
        hidden = (torch.rand(len(channels), 1, *GRID) < HIDDEN).float()
        hidden = F.interpolate(hidden, channels.shape[2:], mode="nearest")
        shown = torch.cat([channels[:, GREY] * (1 - hidden), channels[:, GREY.stop :]], dim=1)
        wanted = F.avg_pool2d(channels[:, GREY.stop - 1 : GREY.stop], SHUFFLE)
        counts = F.avg_pool2d(hidden * breast, SHUFFLE)
        return masked_mean((self.said(shown) - wanted).abs(), counts).mean()


class FindLesions(Start):
    """Where lesions are drawn must be found."""

    def learned(self, batch: Batch) -> torch.Tensor:
        """See `Start`."""
        lesion, breast = (F.avg_pool2d(each, SHUFFLE) for each in (batch.lesion, batch.channels[:, MASK : MASK + 1]))
        said = self.said(batch.channels)
        wrong = F.binary_cross_entropy_with_logits(said, lesion, reduction="none")
        found = torch.sigmoid(said) * breast
        overlap = (found * lesion).sum(dim=(1, 2, 3))
        both = (found + lesion).sum(dim=(1, 2, 3))
        return masked_mean(wrong, breast).mean() + 0.2 * (1 - (2 * overlap + 1) / (both + 1)).mean()


STARTS: dict[str, type[Start]] = {"start-fill-in": FillIn, "start-find-lesions": FindLesions}


@dataclass(frozen=True)
class Row:
    """One change of the recipe.

    Attributes:
        recipe: Other values of the recipe.
        objective: Another way of training.
        start: Which of `STARTS` the network has learned before; "": none.
    """

    recipe: Mapping[str, Any] = field(default_factory=dict)
    objective: type[Objective] | None = None
    start: str = ""


ROWS = {
    "released recipe, 200 steps": Row(),
    "another seed: what chance does": Row(recipe={"seed": 1}),
    "ST-LPIPS (AlexNet) counts 0.5": Row(objective=PerceptualSmall),
    "ST-LPIPS (AlexNet) counts 2": Row(objective=PerceptualLarge),
    "starts from filling in what was hidden": Row(start="start-fill-in"),
    "starts from finding lesions": Row(start="start-find-lesions"),
}


def read_alone(data: Path, film: Path) -> Iterator[tuple[Mammogram, str, np.ndarray | None]]:
    """Image, patient and drawn lesions of all that is in the split `train`."""
    for pair in read_cdd_cesm(data, "train"):
        yield pair.low_energy, pair.patient_id, pair.low_energy_lesion
    for row in read_table(data / "full", "cc_index.csv", FULL_COLUMNS, images="cc_low_energy"):
        if row["split"] == "train":  # drawn on another matrix: only what needs no drawing learns from them
            pixels = read_grey(data / "full" / "cc_low_energy" / row["file"])
            yield Mammogram(pixels, row["file"], ViewPosition.CC), row["patient"] or row["file"], None
    for image, row, lesion in read_film(film, "train"):
        yield image, row["patient"], lesion


def frame_alone(
    images: Iterator[tuple[Mammogram, str, np.ndarray | None]], preprocessing: Any, *, drawn: bool
) -> list[FramedPair]:
    """The images in the network's frame, each as its own recombined image, which no start looks at.

    Args:
        images: See `read_alone`.
        preprocessing: The bundle's own.
        drawn: Whether only those on which readers have looked for lesions are of use.
    """
    framed = []
    for image, patient_id, lesion in images:
        if drawn and lesion is None:
            continue
        prepared = preprocessing.prepare(image)
        pair = ContrastPair(image, image.pixels, patient_id, lesion=lesion)
        breast = np.ones(image.pixels.shape, bool)
        framed.append(frame_pair(pair, prepared, breast, preprocessing))
    return framed


def learn_start(name: str, data: Path, film: Path, output: Path) -> None:
    """Train one start into `<output>/<name>`, unless it is there."""
    kept = output / name / WEIGHTS
    if kept.is_file():
        return
    template = Template.find(CONTRAST, default_model_zoo() / BUNDLE)
    recipe = template.recipe({"steps": START_STEPS, "seed": 0})
    torch.set_num_threads(1)
    blank = template.build(recipe.seed)
    kind = STARTS[name]
    images = frame_alone(read_alone(data, film), blank.preprocessing, drawn=kind is FindLesions)
    logger.warning("%s: %d images", name, len(images))
    objective = kind(images, [], blank.network, recipe)
    optimise(objective, name)
    kept.parent.mkdir(parents=True, exist_ok=True)
    state = blank.network.state_dict()
    save_file({blank.prefix + key: value.contiguous() for key, value in state.items()}, kept)


def optimise(objective: ResidualObjective, name: str) -> list[float]:
    """All steps of a start; its losses."""
    recipe = objective.recipe
    objective.networks.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(objective.networks.parameters(), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=recipe.steps)
    losses: list[float] = []
    for step in range(recipe.steps):
        ((_, loss, _),) = objective.losses(objective.draw(step, 0, 1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(objective.networks.parameters(), recipe.gradient_clip)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if (step + 1) % 50 == 0:
            logger.warning("%s: step %d of %d, loss %.4f", name, step + 1, recipe.steps, np.mean(losses[-50:]))
    return losses


def train_row(name: str, data: Path, output: Path) -> None:
    """Train one row into `<output>/<its number>`, unless it is there."""
    row, bundle = ROWS[name], folder_of(name, output)
    if (bundle / METADATA).is_file():
        return
    found = Template.find(CONTRAST, default_model_zoo() / BUNDLE)
    template = AblationTemplate(found.folder, found.task, found.objective, found.values, other=row.objective)
    train_model(
        read_cdd_cesm(data, "train"),
        read_cdd_cesm(data, "val"),
        output=bundle,
        template=template,
        recipe=template.recipe({"steps": STEPS, "validate_every": STEPS, "threads": 1, **row.recipe}),
        initial_weights=output / row.start if row.start else None,
        progress=lambda fraction, message, values: _tell(name, message, values),
    )


def folder_of(name: str, output: Path) -> Path:
    """Where a row is kept."""
    return output / f"row{list(ROWS).index(name)}"


def _tell(name: str, message: str, values: Mapping[str, float]) -> None:
    if message.endswith(f"0 of {STEPS}"):
        logger.warning("%s: %s %s", name, message, {key: round(value, 4) for key, value in values.items()})


def score_rows(data: Path, output: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Per row and metric the value on `val`, and its difference to the first row, with 95 % intervals."""
    pairs, distance = read_cdd_cesm(data, "val"), ShiftTolerantDistance("vgg")
    bundles = {name: load_bundle(folder_of(name, output)) for name in names}
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    real = []
    for pair in pairs:
        case = Case.from_pair(pair)
        real.append(score_case(case, case.recombined)[LESIONS])
        for name, bundle in bundles.items():
            image = case.turn(bundle.synthesize({"source": pair.low_energy}).image.pixels)
            rows[name].append({**score_case(case, image), "perceptual": seen_apart(distance, image, case)})
    return compare_rows(rows, real, [pair.patient_id for pair in pairs], MEANS)


@torch.inference_mode()
def seen_apart(distance: ShiftTolerantDistance, image: np.ndarray, case: Case) -> float:
    """Distance of an image to the real one, at half the resolution, of the pixels that are scored."""
    two = (torch.from_numpy((each * case.scored).astype(np.float32))[None, None] for each in (image, case.recombined))
    return float(distance(*(F.avg_pool2d(each, 2) for each in two)))


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder laid out like CDD-CESM")
    parser.add_argument("--film", type=Path, required=True, metavar="DIR", help="CBIS-DDSM: index.csv, images, masks")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="trainings at once (default: %(default)s)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    start = partial(learn_start, data=args.data, film=args.film, output=args.output)
    row = partial(train_row, data=args.data, output=args.output)
    for job, names in ((start, list(STARTS)), (row, list(ROWS))):
        for name, _ in LocalEngine(args.jobs).run(job, names):
            logger.warning("%s: done", name)
    results = score_rows(args.data, args.output, list(ROWS))
    (args.output / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    write_table(results, args.output / "table.md", title="row")


if __name__ == "__main__":
    main()
