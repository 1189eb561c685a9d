"""The objective "pix2pix": Isola et al. 2017, doi:10.1109/CVPR.2017.632, and super-resolution beside it.

As published: a conditional discriminator on patches, mean absolute error with weight 100, Adam with 2e-4 and moments
0.5 and 0.999, one image a step, mirror images. How the rest was decided:

- The discriminator judges patches of 46 pixels instead of 70: `StridedDiscriminator`, with the label map beside the
  image. Its loss is halved, as in the published code.
- Piras et al. 2025 enlarge with Real-ESRGAN as it was trained by others, on photographs. Here a light network learns to
  enlarge by eight on patches of real mammograms of full size, with a patch discriminator of its own; images that are
  too small for that take no part. It learns from real small images, not from generated ones, as there.
- `val_score` is minus the mean absolute error, minus a tenth of the absolute log ratio of the strength of detail, for
  both networks: neither blur nor noise wins. Published: the last step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from mammosynth.networks.strided_discriminator import StridedDiscriminator
from mammosynth.tasks.mask.cases import MaskCase
from mammosynth.tasks.mask.pix2pix import LabelFrame, Pix2pixNetwork
from mammosynth.terms import ViewPosition
from mammosynth.training.objective import GENERATOR, own_start_weights
from mammosynth.training.recipe import BatchSize, Decay, LearningRate, PlainRecipe

DISCRIMINATOR, UPSAMPLER, LARGE_DISCRIMINATOR = "discriminator", "upsampler", "large_discriminator"
BETAS = (0.5, 0.999)
LEAST_SIZE = 0.7
"""Rows of a breast, of those of the large frame, from which on its image shows what enlargement is learned from."""
LEAST_BREAST = 0.5
"""Of a patch."""
SHOWN = 4


class Pix2pixRecipe(PlainRecipe):
    """A run of the objective "pix2pix"; defaults as published where that is said."""

    batch_size: BatchSize = 1
    learning_rate: LearningRate = 2e-4
    ema_decay: Decay = 0.0
    error_weight: float = Field(100.0, ge=0.0, le=10000.0)
    """Of the mean absolute error beside the adversarial loss."""
    discriminator_features: int = Field(64, ge=4, le=256)
    """Channels of the first layer of both discriminators."""
    patch: int = Field(24, ge=16, le=128)
    """Side in pixels of the small image of what the upsampler learns from."""
    upsampler_error_weight: float = Field(50.0, ge=0.0, le=10000.0)
    """Of the upsampler's mean absolute error beside its adversarial loss."""


@dataclass(frozen=True, eq=False)
class Framed:
    """A case: (9, H, W) classes, (1, H, W) image in [-1, 1], and the large (S H, S W) uint8 or None."""

    channels: torch.Tensor
    image: torch.Tensor
    large: np.ndarray | None
    is_craniocaudal: bool


@dataclass(frozen=True, eq=False)
class Batch:
    """(B, 9, H, W), (B, 1, H, W); patches (B, 1, P, P) and (B, 1, S P, S P), or None without large images."""

    channels: torch.Tensor
    image: torch.Tensor
    small: torch.Tensor | None
    large: torch.Tensor | None


class Pix2pixObjective:
    """See `Objective`, and this module's text.

    Args:
        train: At least one case.
        val: Of other patients; may be empty.
        network: Both networks.
        recipe: Every choice.
    """

    def __init__(
        self, train: Sequence[MaskCase], val: Sequence[MaskCase], network: Pix2pixNetwork, recipe: Pix2pixRecipe
    ) -> None:
        self._recipe, self._network = recipe, network
        self._preprocessing = LabelFrame(network.frame_shape)
        self._scale = network.upsampler.scale
        self._train, self._val = ([self._framed(case) for case in cases] for cases in (train, val))
        self._large = [case for case in self._train if case.large is not None]
        with own_start_weights(recipe.seed):
            features, channels = recipe.discriminator_features, network.image.in_channels
            self.networks = nn.ModuleDict(
                {
                    GENERATOR: network,
                    DISCRIMINATOR: StridedDiscriminator(features, channels + 1),
                    LARGE_DISCRIMINATOR: StridedDiscriminator(features),
                }
            )

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Adam for each network; the upsampler is not part of the generator's."""
        modules: dict[str, nn.Module] = {
            GENERATOR: self._network.image,
            DISCRIMINATOR: self.networks[DISCRIMINATOR],
            UPSAMPLER: self._network.upsampler,
            LARGE_DISCRIMINATOR: self.networks[LARGE_DISCRIMINATOR],
        }
        rate = self._recipe.learning_rate
        return {name: torch.optim.Adam(module.parameters(), rate, betas=BETAS) for name, module in modules.items()}

    def draw(self, step: int, rank: int, world_size: int) -> Batch:
        """This rank's images of a step, and a patch of a large image for each."""
        whole, patches = [], []
        for place in range(rank, self._recipe.batch_size, world_size):
            random = np.random.default_rng([self._recipe.seed, 1, step, place])
            case = self._train[random.integers(len(self._train))]
            flip = case.is_craniocaudal and random.random() < 0.5
            both = torch.cat([case.channels, case.image])
            whole.append(both.flip(1) if flip else both)
            if self._large:
                patches.append(self._patch(self._large[random.integers(len(self._large))], random))
        channels, image = torch.stack(whole).to(self._recipe.device).float().split([whole[0].shape[0] - 1, 1], dim=1)
        if not patches:
            return Batch(channels, image, None, None)
        large = torch.stack(patches).to(self._recipe.device)
        return Batch(channels, image, F.avg_pool2d(large, self._scale), large)

    def losses(self, batch: Batch) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        """Two updates, or four: generator and its discriminator, upsampler and its discriminator."""
        made = self._network.image(batch.channels)
        yield from self._updates(GENERATOR, DISCRIMINATOR, made, batch.image, self._recipe.error_weight, batch.channels)
        if batch.small is not None and batch.large is not None:
            made = self._network.upsampler(batch.small)
            weight = self._recipe.upsampler_error_weight
            yield from self._updates(UPSAMPLER, LARGE_DISCRIMINATOR, made, batch.large, weight, None)

    def _updates(
        self,
        name: str,
        judge_name: str,
        made: torch.Tensor,
        real: torch.Tensor,
        weight: float,
        given: torch.Tensor | None,
    ) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        judge = self.networks[judge_name].requires_grad_(False)
        adversarial, error = _against(judge(_beside(made, given)), 1.0), (made - real).abs().mean()
        parts = {f"{name} adversarial": float(adversarial.detach()), f"{name} error": float(error.detach())}
        yield name, adversarial + weight * error, parts
        judge.requires_grad_(True)
        loss = _against(judge(_beside(real, given)), 1.0) + _against(judge(_beside(made.detach(), given)), 0.0)
        yield judge_name, loss / 2, {}

    def validate(self, generator: Any) -> dict[str, float]:
        """Means over the validation cases; see this module's text."""
        if not self._val:
            return {}
        scores = [self._scores(generator, case) for case in self._val]
        names = sorted({name for score in scores for name in score})
        means = {name: float(np.mean([score[name] for score in scores if name in score])) for name in names}
        return {"val_score": -sum(value * (0.1 if "detail" in name else 1) for name, value in means.items()), **means}

    def _scores(self, generator: Pix2pixNetwork, case: Framed) -> dict[str, float]:
        real = case.image[None].to(self._recipe.device).float()
        made = generator.image(case.channels[None].to(real).float())
        scores = {"val_error": float((made - real).abs().mean()), "val_detail": _detail_ratio(made, real)}
        if case.large is not None:
            patch = self._patch(case, np.random.default_rng(0))[None].to(real)
            made = generator.upsampler(F.avg_pool2d(patch, self._scale))
            scores["val_large_error"] = float((made - patch).abs().mean())
            scores["val_large_detail"] = _detail_ratio(made, patch)
        return scores

    def sample_grid(self, generator: Any) -> np.ndarray:
        """A row for each of the first validation cases, else of the training cases: label map, generated, real."""
        rows = []
        for case in (self._val or self._train)[:SHOWN]:
            channels = case.channels[None].to(self._recipe.device).float()
            made = (generator.image(channels)[0, 0].cpu().numpy() + 1) / 2
            numbers = np.arange(len(case.channels))[:, None, None] / (len(case.channels) - 1)
            drawn = (case.channels.float().numpy() * numbers).sum(axis=0)
            rows.append(np.concatenate([drawn, made, (case.image[0].float().numpy() + 1) / 2], axis=1))
        return np.clip(np.concatenate(rows), 0, 1).astype(np.float32)

    def _framed(self, case: MaskCase) -> Framed:
        channels = torch.from_numpy(self._preprocessing.channels(case.labels)).half()
        frame = self._preprocessing.frame(case.labels)
        image = torch.from_numpy(2 * np.clip(frame.apply(case.image.pixels), 0, 1) - 1)[None].half()
        large = None
        if frame.box[1] - frame.box[0] >= LEAST_SIZE * self._scale * self._preprocessing.frame_shape[0]:
            pixels = self._preprocessing.frame(case.labels, self._scale).apply(case.image.pixels)
            large = np.round(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
        return Framed(channels, image, large, case.image.view_position is not ViewPosition.MLO)

    def _patch(self, case: Framed, random: np.random.Generator) -> torch.Tensor:
        """(1, S P, S P) float32 in [-1, 1], at least half of it breast if ten places are enough to find that."""
        assert case.large is not None  # noqa: S101 (the callers ask for large cases only)
        side = self._scale * self._recipe.patch
        patch = case.large[:side, :side]
        for _ in range(10):
            top, left = (int(random.integers(length - side + 1)) for length in case.large.shape)
            patch = case.large[top : top + side, left : left + side]
            if (patch > 5).mean() >= LEAST_BREAST:
                break
        return torch.from_numpy(patch.astype(np.float32) / 127.5 - 1)[None]


def _beside(image: torch.Tensor, given: torch.Tensor | None) -> torch.Tensor:
    return image if given is None else torch.cat([given, image], dim=1)


def _against(judged: torch.Tensor, wanted: float) -> torch.Tensor:
    # Autocast on a GPU refuses it, for the sake of those who give it half precision.
    with torch.autocast(judged.device.type, enabled=False):
        return F.binary_cross_entropy(judged, torch.full_like(judged, wanted))


def _detail_ratio(made: torch.Tensor, real: torch.Tensor) -> float:
    """|log| of the ratio of what a mean over three by three pixels takes away."""
    strengths = [(image - F.avg_pool2d(image, 3, 1, 1)).std() for image in (made, real)]
    return float((strengths[0].clamp_min(1e-6) / strengths[1].clamp_min(1e-6)).log().abs())
