"""The objective "cyclegan": the published supervised cycle-GAN, Zormpas-Petridis et al., Eur Radiol Exp 2026.

Two generators (low-energy to recombined image and back) and a discriminator for each kind of image learn from patches.
Published: the layers, patches of 128 by 128 from informative regions, the cycle loss as equal weights of mean absolute
error and SSIM, the least-squares discriminator loss, the identity loss with weight 10, Adam with 2e-4 for all four
networks, 20 patches a step, about 6000 steps. How the rest was decided:

- "Supervised (paired)": both patches of a pair are cut at the same place of the same breast. No loss that compares a
  generated with its real recombined patch is published, so there is none by default; `paired_weight` adds one, the
  other reading of "supervised".
- Weight 10 of the cycle loss, half the discriminator loss, moments 0.5 and 0.999 of Adam: as Zhu et al. 2017,
  doi:10.1109/ICCV.2017.244, and its published code.
- Zhu et al. show discriminators a history of 50 generated images, and let the learning rate fall. Here they see the
  step's own patches, 20 instead of one, so that a step depends on the weights alone and a run can be resumed; the rate
  stays, since one rate is published.
- A patch is informative if at least half of it is breast on both images: chosen.
- No augmentation but the place of the patch: none is published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from pydantic import Field
from torch import nn

from mammosynth.errors import InvalidParameterError
from mammosynth.networks.resnet_generator import MULTIPLE, ResNetGenerator
from mammosynth.networks.strided_discriminator import StridedDiscriminator
from mammosynth.tasks.contrast.framed import FramedPair, draw_pairs
from mammosynth.tasks.contrast.objectives.cyclegan_losses import (
    adversarial_loss,
    discriminator_loss,
    identity_loss,
    perceptual_loss,
)
from mammosynth.tasks.contrast.objectives.scores import frame_scores, mean_scores
from mammosynth.training.objective import GENERATOR, own_start_weights
from mammosynth.training.recipe import BatchSize, Decay, LearningRate, PlainRecipe, Steps

GENERATORS, DISCRIMINATORS = "generators", "discriminators"
BACKWARD = "backward_generator"
LOW_ENERGY, RECOMBINED = "low_energy_discriminator", "recombined_discriminator"
BETAS = (0.5, 0.999)
"""Of Adam: Zhu et al. 2017, published code."""
SHOWN = 4
"""Pairs in a sample grid."""


class CycleGANRecipe(PlainRecipe):
    """A run of the objective "cyclegan"; the defaults are the published values."""

    steps: Steps = 6000
    batch_size: BatchSize = 20
    learning_rate: LearningRate = 2e-4
    ema_decay: Decay = 0.0
    validate_every: Steps = 250
    patch_size: int = Field(128, ge=24, le=4096)
    """Side of a patch in pixels of the frame, a multiple of 4."""
    informative: float = Field(0.5, ge=0.0, le=1.0)
    """Least part of a patch that is breast on both images."""
    cycle_weight: float = Field(10.0, ge=0.0, le=1000.0)
    """Of the cycle loss, beside the adversarial loss with weight 1."""
    identity_weight: float = Field(10.0, ge=0.0, le=1000.0)
    """Of the identity loss."""
    paired_weight: float = Field(0.0, ge=0.0, le=1000.0)
    """Of the cycle loss's formula between generated and real patch of a pair; 0 as published."""


@dataclass(frozen=True, eq=False)
class Patches:
    """Both images of some pairs at the same places, (B, 1, P, P) float32 in [-1, 1]."""

    low_energy: torch.Tensor
    recombined: torch.Tensor


class CycleGANObjective:
    """See `Objective`, and this module's text.

    Args:
        train_pairs: At least one.
        val_pairs: Of other patients; may be empty.
        network: The generator from low-energy to recombined image; a second one like it goes the other way.
        recipe: Every choice.

    Raises:
        InvalidParameterError: If patches do not fit the frame or the network.
    """

    def __init__(
        self,
        train_pairs: Sequence[FramedPair],
        val_pairs: Sequence[FramedPair],
        network: ResNetGenerator,
        recipe: CycleGANRecipe,
    ) -> None:
        height, width = train_pairs[0].maps.shape[-2:]
        _check_patch_size(recipe.patch_size, (height, width))
        with own_start_weights(recipe.seed):
            self.networks = nn.ModuleDict(
                {
                    GENERATOR: network,
                    BACKWARD: ResNetGenerator(network.features, network.residual_units),
                    LOW_ENERGY: StridedDiscriminator(),
                    RECOMBINED: StridedDiscriminator(),
                }
            )
        self._recipe = recipe
        self._train = [pair.to(recipe.device) for pair in train_pairs]
        self._val = [pair.to(recipe.device) for pair in val_pairs]
        self._places = [
            informative_places(_scored(pair).cpu().numpy() > 0, recipe.patch_size, recipe.informative)
            for pair in self._train
        ]

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Adam for both generators, and for both discriminators: the same as one for each network."""
        return {GENERATORS: self._adam(GENERATOR, BACKWARD), DISCRIMINATORS: self._adam(LOW_ENERGY, RECOMBINED)}

    def _adam(self, *names: str) -> torch.optim.Optimizer:
        parameters = [parameter for name in names for parameter in self.networks[name].parameters()]
        recipe = self._recipe
        return torch.optim.Adam(parameters, lr=recipe.learning_rate, betas=BETAS, weight_decay=recipe.weight_decay)

    def draw(self, step: int, rank: int, world_size: int) -> Patches:
        """This rank's patches of a step, one from each of its pairs."""
        patches = []
        for place, index in draw_pairs(len(self._train), step, self._recipe, rank, world_size):
            corners = self._places[index]
            top, left = corners[np.random.default_rng([self._recipe.seed, 1, step, place]).integers(len(corners))]
            side = self._recipe.patch_size
            patches.append(_signed(self._train[index])[:, top : top + side, left : left + side])
        low_energy, recombined = torch.stack(patches).split(1, dim=1)
        return Patches(low_energy, recombined)

    def losses(self, batch: Patches) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        """Two updates: both generators, then both discriminators on what the generators made before their update.

        Logged without weights: adversarial, cycle, identity, paired; each the sum of both directions.
        """
        forward, backward = self.networks[GENERATOR], self.networks[BACKWARD]
        judges = nn.ModuleDict({name: self.networks[name] for name in (LOW_ENERGY, RECOMBINED)})
        low_energy, recombined = batch.low_energy, batch.recombined
        judges.requires_grad_(False)
        made_recombined, made_low_energy = forward(low_energy), backward(recombined)
        parts = {
            "adversarial": adversarial_loss(judges[RECOMBINED](made_recombined))
            + adversarial_loss(judges[LOW_ENERGY](made_low_energy)),
            "cycle": perceptual_loss(backward(made_recombined), low_energy)
            + perceptual_loss(forward(made_low_energy), recombined),
            "identity": identity_loss(forward(recombined), recombined)
            + identity_loss(backward(low_energy), low_energy),
            "paired": perceptual_loss(made_recombined, recombined) + perceptual_loss(made_low_energy, low_energy),
        }
        yield GENERATORS, self._weighted(parts), {name: float(value.detach()) for name, value in parts.items()}
        judges.requires_grad_(True)
        loss = _judged(judges[RECOMBINED], recombined, made_recombined)
        yield DISCRIMINATORS, loss + _judged(judges[LOW_ENERGY], low_energy, made_low_energy), {}

    def _weighted(self, parts: Mapping[str, torch.Tensor]) -> torch.Tensor:
        recipe = self._recipe
        loss = parts["adversarial"] + recipe.cycle_weight * parts["cycle"] + recipe.identity_weight * parts["identity"]
        return loss + recipe.paired_weight * parts["paired"] if recipe.paired_weight else loss

    def validate(self, generator: nn.Module) -> dict[str, float]:
        """Means over the validation pairs in the frame. Not published: there the number of steps was fixed."""
        return mean_scores([self._scores(generator, pair) for pair in self._val])

    def sample_grid(self, generator: nn.Module) -> np.ndarray:
        """A row for each of the first validation pairs, else of the training pairs."""
        rows = []
        for pair in (self._val or self._train)[:SHOWN]:
            low_energy, recombined = _signed(pair).split(1)
            signed = torch.cat([low_energy, self._generate(generator, low_energy[None])[0], recombined], dim=2)
            rows.append((signed[0].clamp(-1, 1).cpu().numpy() + 1) / 2)
        return np.concatenate(rows)

    def _generate(self, generator: nn.Module, low_energy: torch.Tensor) -> torch.Tensor:
        """(1, 1, H, W) in [-1, 1], the mean of windows of a patch's size that overlap by half.

        Instance normalisation makes a whole frame, much of it air, look unlike what the generator was trained on.
        """
        return sliding_window_inference(low_energy, self._recipe.patch_size, 4, generator, overlap=0.5).float()

    def _scores(self, generator: nn.Module, pair: FramedPair) -> dict[str, float]:
        low_energy, recombined = _signed(pair)[:, None, None]
        scored = _scored(pair)[None, None].float()
        shown, real = (self._generate(generator, low_energy) + 1) / 2, (recombined + 1) / 2
        return frame_scores(shown, real, scored)


def informative_places(informative: np.ndarray, side: int, least: float) -> np.ndarray:
    """Where patches may lie.

    Args:
        informative: (H, W) bool, nowhere smaller than a patch.
        side: Of a patch.
        least: Part of a patch that has to be informative; where no patch has that much, the best ones are taken.

    Returns:
        (N, 2) int: row and column of every first pixel.
    """
    sums = np.pad(informative.astype(np.int64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return np.argwhere(inside >= min(least * side**2, inside.max()))


def _judged(discriminator: nn.Module, real: torch.Tensor, generated: torch.Tensor) -> torch.Tensor:
    return discriminator_loss(discriminator(real), discriminator(generated.detach()))


def _check_patch_size(side: int, frame_shape: tuple[int, int]) -> None:
    if side % MULTIPLE or side > min(frame_shape):
        raise InvalidParameterError(
            f"training recipe: patch_size is {side}, expected a multiple of {MULTIPLE} that is at most "
            f"{min(frame_shape)}, the shorter side of the frame"
        )


def _signed(pair: FramedPair) -> torch.Tensor:
    """(2, H, W) float32 in [-1, 1]: low-energy and recombined image. The former is so already."""
    low_energy, recombined = pair.maps[:2].float()
    return torch.stack([low_energy, 2 * recombined - 1])


def _scored(pair: FramedPair) -> torch.Tensor:
    """(H, W), 1 on breast that both images show."""
    return pair.maps[2]
