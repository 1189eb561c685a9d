"""The objective "cgan": as published, a conditional GAN that is told the lesion's radiomic features.

Andreotti 2025 (Sapienza): a residual U-Net conditioned on the radiomic vector, a PatchGAN and a discriminator of the
view; the generator's loss has six terms, the discriminators' one each; Adam with 2e-4, batches of four whose gradients
are accumulated, clipping, early stopping on the SSIM of the validation cases. How the rest was decided:

- The patch discriminator sees the generated view alone, since no patch of one view corresponds to one of the other;
  the discriminator of the view sees both views, and tells a breast's own pair from that of two women.
- Accumulated gradients are those of a larger batch, because nothing is normalised over it: `batch_size` counts all.
- The radiomic loss compares eight features that have a gradient, in the lesion of the real view, see `losses`.
- The weights of the terms are not told: those below bring the terms into the same order of magnitude at the start.
- Published views are crops of the lesion; here the whole view is made, which is what the task asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from mammosynth.errors import DataError, InvalidParameterError, UnsupportedImageError
from mammosynth.networks.efficientnet_lite import MISSING, are_weights_installed, load_pretrained
from mammosynth.networks.pair_discriminator import PairDiscriminator
from mammosynth.networks.perceptual_distance import PerceptualDistance
from mammosynth.networks.strided_discriminator import StridedDiscriminator
from mammosynth.preprocessing.look import Look
from mammosynth.radiomics import RadiomicScaling, extract_radiomics
from mammosynth.tasks.view.cases import ViewCase
from mammosynth.tasks.view.frame import ViewFrame, resized
from mammosynth.tasks.view.objectives.cgan_losses import (
    patch_discriminator_loss,
    patch_loss,
    view_discriminator_loss,
    view_loss,
)
from mammosynth.tasks.view.objectives.losses import lesion_radiomics_error, ssim
from mammosynth.tasks.view.radiomics_network import RadiomicGenerator
from mammosynth.training.objective import GENERATOR, own_start_weights
from mammosynth.training.recipe import BatchSize, Decay, Fraction, LearningRate, Schedule, StepsOrNone, TrainingRecipe

PATCHES, VIEW = "patch_discriminator", "view_discriminator"
BETAS = (0.5, 0.999)
JITTER = 0.02
"""Standard deviation of every entry of the affine map by which the craniocaudal view is moved, in half sides."""
SHOWN = 6
JUDGED = 256


class CganRecipe(TrainingRecipe):
    """A run of the objective "cgan"; defaults as published where that is said."""

    batch_size: BatchSize = 16
    """Four batches of four, accumulated."""
    learning_rate: LearningRate = 2e-4
    schedule: Schedule = "constant"
    warmup_steps: StepsOrNone = 0
    weight_decay: Fraction = 0.0
    ema_decay: Decay = 0.99
    patience: StepsOrNone = 10
    adversarial_weight: float = Field(1.0, ge=0.0, le=1000.0)
    view_weight: float = Field(0.2, ge=0.0, le=1000.0)
    error_weight: float = Field(30.0, ge=0.0, le=1000.0)
    perceptual_weight: float = Field(4.0, ge=0.0, le=1000.0)
    """0 does without the package that has the weights of the features."""
    ssim_weight: float = Field(10.0, ge=0.0, le=1000.0)
    radiomics_weight: float = Field(1.0, ge=0.0, le=1000.0)


@dataclass(frozen=True, eq=False)
class Batch:
    """Breasts of a step.

    Attributes:
        given: (B, 2, S, S) craniocaudal view in [0, 1] and its lesion.
        radiomics: (B, 103) scaled features of that lesion.
        real: (B, 1, S, S) the other view.
        lesion: (B, 1, S, S) its lesion.
        another: (B, 1, S, S) the other view of the step's breast before this one.
    """

    given: torch.Tensor
    radiomics: torch.Tensor
    real: torch.Tensor
    lesion: torch.Tensor
    another: torch.Tensor


class CganObjective:
    """See `Objective`, and this module's text.

    Args:
        train: At least one case; those whose aspect is a guess are left out.
        val: Of other patients; may be empty.
        network: The generator; its scaling of radiomic features is fitted here.
        recipe: Every choice.
    """

    def __init__(
        self, train: Sequence[ViewCase], val: Sequence[ViewCase], network: RadiomicGenerator, recipe: CganRecipe
    ) -> None:
        self.recipe = recipe
        used, judged = ([case for case in cases if case.has_true_aspect] for cases in (train, val))
        features, val_features = ([lesion_features(case) for case in cases] for cases in (used, judged))
        known = [each for each in features if each is not None]
        if not known:
            raise DataError("no training breast has a lesion drawn on its CC view, expected some: draw lesions")
        network.set_scaling(RadiomicScaling.fit(np.stack(known)))
        self._train, self._val = _laid(used, features, network), _laid(judged, val_features, network)
        with own_start_weights(recipe.seed):
            self.networks = nn.ModuleDict(
                {GENERATOR: network, PATCHES: StridedDiscriminator(), VIEW: PairDiscriminator()}
            )
        self._perceptual: PerceptualDistance | None = None
        if recipe.perceptual_weight:
            if not are_weights_installed():
                raise InvalidParameterError(f"perceptual_weight: {MISSING}, or set perceptual_weight to 0")
            self._perceptual = PerceptualDistance(load_pretrained()).to(recipe.device)

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Adam for each network."""
        return {
            name: torch.optim.Adam(network.parameters(), self.recipe.learning_rate, betas=BETAS)
            for name, network in self.networks.items()
        }

    def draw(self, step: int, rank: int, world_size: int) -> Batch:
        """This rank's breasts of a step; the craniocaudal view is turned, stretched and moved a little."""
        random = np.random.default_rng([self.recipe.seed, 1, step, 0])
        chosen = random.integers(len(self._train.radiomics), size=self.recipe.batch_size)
        moves = JITTER * random.normal(size=(len(chosen), 2, 3))
        own = slice(rank, None, world_size)
        batch = self._train.take(chosen[own], self.recipe.device)
        another = self._train.take(np.roll(chosen, 1)[own], self.recipe.device).real
        return replace(batch, given=_moved(batch.given, moves[own]), another=another)

    def losses(self, batch: Batch) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        """Three updates: the generator's six terms, then the two discriminators."""
        generator = self.networks[GENERATOR]
        patches, view = self.networks[PATCHES].requires_grad_(False), self.networks[VIEW].requires_grad_(False)
        cc = _signed(batch.given[:, :1])
        made = generator(batch.given, batch.radiomics).float()  # variances of nearly equal numbers need it
        terms = self.terms(batch, made)
        loss = sum(getattr(self.recipe, f"{name}_weight") * term for name, term in terms.items())
        yield GENERATOR, cast(torch.Tensor, loss), {name: float(term.detach()) for name, term in terms.items()}
        patches.requires_grad_(True)
        view.requires_grad_(True)
        generated, real = _signed(made.detach()), _signed(batch.real)
        yield PATCHES, patch_discriminator_loss(patches(real), patches(generated)), {}
        yield VIEW, view_discriminator_loss(view(cc, real), view(cc, _signed(batch.another)), view(cc, generated)), {}

    def terms(self, batch: Batch, made: torch.Tensor) -> dict[str, torch.Tensor]:
        """The six terms of the generator's loss, not weighted; each is a scalar.

        Args:
            batch: What was given and what is wanted.
            made: (B, 1, S, S) in [0, 1].
        """
        shown = _signed(made)
        return {
            "adversarial": patch_loss(self.networks[PATCHES](shown)),
            "view": view_loss(self.networks[VIEW](_signed(batch.given[:, :1]), shown)),
            "error": (made - batch.real).abs().mean(),
            "perceptual": made.new_zeros(()) if self._perceptual is None else self._perceptual(made, batch.real),
            "ssim": 1 - ssim(made, batch.real).mean(),
            "radiomics": lesion_radiomics_error(made, batch.real, batch.lesion),
        }

    def validate(self, generator: nn.Module) -> dict[str, float]:
        """`val_score` is SSIM in the padded frame at 256 pixels; PSNR and mean absolute error beside it."""
        if not len(self._val.radiomics):
            return {}
        scores = []
        for place in range(len(self._val.radiomics)):
            batch = self._val.take(np.array([place]), self.recipe.device)
            made, real = (_judged(each) for each in (generator(batch.given, batch.radiomics), batch.real))
            square = float((made - real).square().mean())
            scores.append((float(ssim(made, real)), -10 * np.log10(square + 1e-10), float((made - real).abs().mean())))
        likeness, psnr, error = (float(each) for each in np.mean(scores, axis=0))
        return {"val_score": likeness, "val_psnr": psnr, "val_mae": error}

    def sample_grid(self, generator: nn.Module) -> np.ndarray:
        """Rows of craniocaudal view, generated and real other view."""
        shown = self._val if len(self._val.radiomics) else self._train
        batch = shown.take(np.arange(min(SHOWN, len(shown.radiomics))), self.recipe.device)
        made = generator(batch.given, batch.radiomics)
        rows = torch.cat([batch.given[:, :1], made, batch.real], dim=3)[:, 0]
        return rows.reshape(-1, rows.shape[2]).clamp(0, 1).float().cpu().numpy()


@dataclass(frozen=True, eq=False)
class _Laid:
    """(N, 4, S, S) float16: both views and both lesions; (N, 103) float32 features."""

    images: np.ndarray
    radiomics: np.ndarray

    def take(self, chosen: np.ndarray, device: str) -> Batch:
        images = torch.from_numpy(self.images[chosen]).float().to(device)
        radiomics = torch.from_numpy(self.radiomics[chosen]).to(device)
        real = images[:, 1:2]
        return Batch(images[:, [0, 2]], radiomics, real, images[:, 3:4], another=real.roll(1, dims=0))


def lesion_features(case: ViewCase) -> np.ndarray | None:
    """(102,) radiomic features of the lesion on a craniocaudal view; None without one that has a texture."""
    cc, lesion = case.views.cc, case.views.cc_lesion
    if lesion is None or not lesion.any():
        return None
    try:
        found = np.array(list(extract_radiomics(cc.pixels, lesion, cc.pixel_spacing_mm).values()))
    except UnsupportedImageError:
        return None
    return found if np.isfinite(found).all() else None


def _laid(cases: Sequence[ViewCase], features: Sequence[np.ndarray | None], network: RadiomicGenerator) -> _Laid:
    images = np.zeros((len(cases), 4, network.side, network.side), np.float16)
    for case, own in zip(cases, images, strict=True):
        views = case.views
        pairs = ((views.cc.pixels, views.cc_lesion), (views.mlo.pixels, views.mlo_lesion))
        for place, (pixels, lesion) in enumerate(pairs):
            frame = ViewFrame.of(pixels, Look.FILM)  # nothing is cropped, as published
            own[place] = resized(frame.apply(pixels), network.side)
            if lesion is not None:
                own[2 + place] = resized(frame.apply(lesion.astype(np.float32)), network.side) > 0.5
    vectors = [network.scaled(each) for each in features]
    return _Laid(images, np.stack(vectors) if vectors else np.zeros((0, 1), np.float32))


def _moved(images: torch.Tensor, moves: np.ndarray) -> torch.Tensor:
    maps = np.eye(2, 3)[None] + moves
    grid = F.affine_grid(
        torch.from_numpy(maps.astype(np.float32)).to(images.device), list(images.shape), align_corners=False
    )
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _judged(images: torch.Tensor) -> torch.Tensor:
    if images.shape[2] == JUDGED:
        return images
    return F.interpolate(images, size=(JUDGED, JUDGED), mode="bilinear", align_corners=False)


def _signed(image: torch.Tensor) -> torch.Tensor:
    return 2 * image - 1
