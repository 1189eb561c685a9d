"""Which losses and which conditioning help `breast_cem_residual`? One change at a time, the same few steps for each.

    PYTHONPATH=. python -m experiments.contrast_ablation --data <cdd-cesm folder> --output runs/contrast-ablation

Every variant is a first recipe with one change, trained on the split `train` (the learning curve: on a part of its
patients). All are scored on `val` on the same images. Nothing is selected along the way: the last weights count. Every
step is kept; the same command goes on where it was interrupted. Writes `results.json` and `table.md`.

The variants that the released recipe does not use live here alone: an auxiliary lesion map, a loss that tolerates
misregistration, SSIM at several scales, and feature matching with a multi-scale patch discriminator (Wang et al. 2018,
pix2pixHD, doi:10.1109/CVPR.2018.00917).
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from monai.losses import PatchAdversarialLoss
from monai.networks.nets import MultiScalePatchDiscriminator
from torch import nn
from torch.nn import functional as F

from experiments import compared
from experiments.compared import LESIONS, compare_rows
from mammosynth.bundle import INFERENCE, METADATA, TRAIN, default_model_zoo, load_bundle
from mammosynth.parallel.local import LocalEngine
from mammosynth.preprocessing.pairs import read_cdd_cesm
from mammosynth.tasks.contrast.evaluation.metrics import score_case
from mammosynth.tasks.contrast.evaluation.protocol import Case
from mammosynth.tasks.contrast.framed import Batch
from mammosynth.tasks.contrast.objectives.losses import contrast_loss, masked_ssim
from mammosynth.tasks.contrast.objectives.residual import ResidualObjective, compose
from mammosynth.tasks.contrast.specification import SPECIFICATION as CONTRAST
from mammosynth.training.objective import GENERATOR, Objective
from mammosynth.training.similarity import masked_mean
from mammosynth.training.template import Template
from mammosynth.training.train import train_model

logger = logging.getLogger("contrast_ablation")

BUNDLE = "breast_cem_residual"
RECIPE = "recipe"
FIRST = {"ssim_weight": 0.2, "correlation_weight": 0.1, "lesion_weight": 0.5, "contrast_weight": 0.0}
"""Weights of the recipe that all variants change; the released one took over what helped."""
STEPS = 200
SHIFT = 3
"""Frame pixels that the target may move by, each way, where misregistration is tolerated."""
REAL = "real"
MEANS = ("psnr", "ssim", "mae", "ncc_interior", "ncc_hp", "dice_hot")


class Squared(ResidualObjective):
    """Mean squared instead of mean absolute error."""

    def loss(self, generated: torch.Tensor, batch: Batch) -> torch.Tensor:
        """See `ResidualObjective`."""
        absolute = masked_mean((generated - batch.recombined).abs(), self._weight(batch)).mean()
        # Scaled to the same size where the error is what it is at the end of training, about .1.
        squared = 10 * masked_mean((generated - batch.recombined) ** 2, self._weight(batch)).mean()
        return super().loss(generated, batch) - absolute + squared

    def _weight(self, batch: Batch) -> torch.Tensor:
        return batch.scored * (1 + self.recipe.lesion_weight * batch.lesion)


class MultiScale(ResidualObjective):
    """SSIM at three scales, each half of the one before, instead of one."""

    def loss(self, generated: torch.Tensor, batch: Batch) -> torch.Tensor:
        """See `ResidualObjective`."""
        images = generated, batch.recombined, batch.scored
        at_one = 1 - masked_ssim(*images).mean()
        coarser = [1 - masked_ssim(*(F.avg_pool2d(i, k) for i in images)).mean() for k in (2, 4)]
        several = torch.stack([at_one, *coarser]).mean()
        return super().loss(generated, batch) + self.recipe.ssim_weight * (several - at_one)


class Tolerant(ResidualObjective):
    """The target may lie some pixels off: of nine places the one that fits the generated image best counts."""

    def loss(self, generated: torch.Tensor, batch: Batch) -> torch.Tensor:
        """See `ResidualObjective`."""
        moves = [(dy, dx) for dy in (-SHIFT, 0, SHIFT) for dx in (-SHIFT, 0, SHIFT)]
        with torch.no_grad():
            moved = torch.stack([torch.roll(batch.recombined, move, (2, 3)) for move in moves])
            errors = torch.stack([masked_mean((generated - image).abs(), batch.scored) for image in moved])
            nearest = moved[errors.argmin(dim=0), torch.arange(len(generated))]
        return contrast_loss(generated, nearest, batch.scored, batch.lesion, self.recipe)


class LesionMap(ResidualObjective):
    """The network's last features must also tell where lesions are drawn; the map is not used afterwards."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        last = self.networks[GENERATOR].decoder[0]
        last.register_forward_hook(lambda module, inputs, output: setattr(self, "_features", output))
        channels = self.networks[GENERATOR].fields.in_channels
        self.networks["lesion"] = nn.Conv2d(channels, 1, kernel_size=1)

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """See `ResidualObjective`."""
        made = super().optimizers()
        made[GENERATOR].add_param_group({"params": list(self.networks["lesion"].parameters()), "weight_decay": 0.0})
        return made

    def loss(self, generated: torch.Tensor, batch: Batch) -> torch.Tensor:
        """See `ResidualObjective`."""
        logits = self.networks["lesion"](self._features)
        scale = batch.scored.shape[2] // logits.shape[2]
        lesion, scored = F.avg_pool2d(batch.lesion, scale), F.avg_pool2d(batch.scored, scale)
        wrong = F.binary_cross_entropy_with_logits(logits, lesion, reduction="none")
        return super().loss(generated, batch) + 0.1 * masked_mean(wrong, scored).mean()


class FeatureMatching(ResidualObjective):
    """A least-squares multi-scale patch discriminator that sees the low-energy image, too; its features are matched."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.networks["discriminator"] = MultiScalePatchDiscriminator(
            num_d=2, num_layers_d=3, spatial_dims=2, channels=16, in_channels=2, out_channels=1, norm="INSTANCE"
        )
        self._adversarial = PatchAdversarialLoss(criterion="least_squares")

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """See `ResidualObjective`."""
        judge = torch.optim.Adam(self.networks["discriminator"].parameters(), lr=4e-4, betas=(0.5, 0.999))
        return {**super().optimizers(), "discriminator": judge}

    def losses(self, batch: Batch) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        """See `ResidualObjective`."""
        judge = self.networks["discriminator"]
        generated = compose(self.networks[GENERATOR](batch.channels), batch.channels)

        def seen(image: torch.Tensor) -> torch.Tensor:
            return torch.cat([batch.channels[:, :1], image], dim=1) * batch.scored

        verdicts, features = judge(seen(generated))
        with torch.no_grad():
            real_features = judge(seen(batch.recombined))[1]
        matched = torch.stack(
            [
                F.l1_loss(ours, theirs)
                for scale, real in zip(features, real_features, strict=True)
                for ours, theirs in zip(scale, real, strict=True)
            ]
        ).mean()
        fooled = self._adversarial(verdicts, target_is_real=True, for_discriminator=False)
        yield (
            GENERATOR,
            self.loss(generated, batch) + 0.01 * fooled + 0.1 * matched,
            {"matched": float(matched.detach())},
        )
        right = self._adversarial(judge(seen(batch.recombined))[0], target_is_real=True, for_discriminator=True)
        wrong = self._adversarial(judge(seen(generated.detach()))[0], target_is_real=False, for_discriminator=True)
        yield "discriminator", (right + wrong) / 2, {}


@dataclass(frozen=True)
class Variant:
    """One change of the recipe.

    Attributes:
        description: What is other.
        recipe: Other values of the recipe.
        network: Other arguments of the network.
        objective: Another way of training.
        pretrained: Whether to start from weights trained on phantoms.
    """

    description: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    objective: type[Objective] | None = None
    pretrained: bool = False


VARIANTS = {
    RECIPE: Variant("first recipe"),
    "seed": Variant("first recipe, another seed: what chance does", recipe={"seed": 1}),
    "no-ssim": Variant("without SSIM in the loss", recipe={"ssim_weight": 0.0}),
    "no-correlation": Variant("without correlation in the loss", recipe={"correlation_weight": 0.0}),
    "correlation-0.3": Variant("correlation counts three times", recipe={"correlation_weight": 0.3}),
    "correlation-1": Variant("correlation counts ten times", recipe={"correlation_weight": 1.0}),
    "lesion-4": Variant("lesion pixels count 5 times, not 1.5 times", recipe={"lesion_weight": 4.0}),
    "contrast-1": Variant("error of each lesion's contrast counts, too", recipe={"contrast_weight": 1.0}),
    "constant-gain": Variant(
        "gain one number: detail of the source scaled alike everywhere", {}, {"learn_gain": False}
    ),
    "not-normalised": Variant("without the robustly normalised channel", network={"ignored": [1]}),
    "no-place": Variant("without skin distance, depth, row and column", network={"ignored": [2, 3, 4, 5]}),
    "squared": Variant("squared error instead of absolute", objective=Squared),
    "multi-scale": Variant("SSIM at three scales", objective=MultiScale),
    "tolerant": Variant("target may move by 3 pixels", objective=Tolerant),
    "lesion-map": Variant("must also say where lesions are", objective=LesionMap),
    "feature-matching": Variant("multi-scale patch discriminator, feature matching", objective=FeatureMatching),
    "pretrained": Variant("starts from weights trained on phantoms", pretrained=True),
    "half": Variant("half the training patients", recipe={"patients": 0.5}),
    "quarter": Variant("a quarter of the training patients", recipe={"patients": 0.25}),
}


@dataclass(frozen=True)
class AblationTemplate(Template):
    """A template with another way of training."""

    other: type[Objective] | None = None

    def build_objective(self, *arguments: Any) -> Objective:
        """See `Template`."""
        return self.other(*arguments) if self.other else super().build_objective(*arguments)


def train_variant(name: str, data: Path, output: Path, phantoms: Path | None) -> None:
    """Train one variant into `<output>/<name>`, unless it is there."""
    variant, bundle = VARIANTS[name], output / name
    if (bundle / METADATA).is_file():
        return
    changes = {"steps": STEPS, "validate_every": STEPS, "threads": 1, **FIRST, **variant.recipe}
    template = write_variant_template(output / "templates" / name, variant, changes)
    train_model(
        read_cdd_cesm(data, "train"),
        read_cdd_cesm(data, "val"),
        output=bundle,
        template=template,
        recipe=template.recipe(changes),
        initial_weights=phantoms if variant.pretrained else None,
        progress=_progress(name),
    )


def write_variant_template(folder: Path, variant: Variant, changes: Mapping[str, Any]) -> AblationTemplate:
    """The released bundle with what a variant changes, in a folder."""
    shutil.copytree(default_model_zoo() / BUNDLE, folder, dirs_exist_ok=True)
    inference = json.loads((folder / INFERENCE).read_text())
    inference["network"]["members"] = [{**inference["network"]["members"][0], **variant.network}]
    (folder / INFERENCE).write_text(json.dumps(inference, indent=4))
    train = json.loads((folder / TRAIN).read_text())
    (folder / TRAIN).write_text(json.dumps({**train, "recipe": {**train["recipe"], **changes}}, indent=4))
    found = Template.find(CONTRAST, folder)
    return AblationTemplate(found.folder, found.task, found.objective, found.values, other=variant.objective)


def _progress(name: str) -> Any:
    def progress(fraction: float, message: str, values: Mapping[str, float]) -> None:
        if message.endswith(f"0 of {STEPS}"):
            logger.warning("%s: %s %s", name, message, {key: round(value, 4) for key, value in values.items()})

    return progress


def score_variants(data: Path, output: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Per variant and metric the value on `val`, and its difference to the first recipe, with 95 % intervals."""
    pairs = read_cdd_cesm(data, "val")
    bundles = {name: load_bundle(output / name) for name in names}
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in (REAL, *names)}
    for pair in pairs:
        case = Case.from_pair(pair)
        rows[REAL].append(score_case(case, case.recombined))
        for name, bundle in bundles.items():
            rows[name].append(score_case(case, case.turn(bundle.synthesize({"source": pair.low_energy}).image.pixels)))
    real = [row[LESIONS] for row in rows.pop(REAL)]
    return compare_rows(rows, real, [pair.patient_id for pair in pairs], MEANS)


def write_table(results: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Values, and differences to the first recipe with their intervals."""
    names = {name: variant.description for name, variant in VARIANTS.items()}
    compared.write_table(results, path, title="variant", names=names)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder laid out like CDD-CESM")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--phantoms", type=Path, metavar="BUNDLE", help="trained on phantoms, for 'pretrained'")
    parser.add_argument(
        "--only", nargs="+", choices=list(VARIANTS), help="these beside the first recipe (default: all)"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="trainings at once (default: %(default)s)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    names = [n for n in VARIANTS if n == RECIPE or not args.only or n in args.only]
    names = [n for n in names if args.phantoms or not VARIANTS[n].pretrained]
    job = partial(train_variant, data=args.data, output=args.output, phantoms=args.phantoms)
    for name, _ in LocalEngine(args.jobs).run(job, names):
        logger.warning("%s: trained", name)
    results = score_variants(args.data, args.output, names)
    (args.output / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    write_table(results, args.output / "table.md")


if __name__ == "__main__":
    main()
