"""The objective "expected": the view of least error, smooth.

A regression is fitted to the training breasts in closed form; then a network learns what to change in its predictions.
It sees those of regressions that have not seen the patient, so that it learns how unsure they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from mammosynth.errors import DataError
from mammosynth.preprocessing.breast import segment_breast
from mammosynth.preprocessing.look import Look
from mammosynth.tasks.view.cases import ViewCase
from mammosynth.tasks.view.frame import ViewFrame, resized
from mammosynth.tasks.view.lesions import Box, lesion_contrast
from mammosynth.tasks.view.look import measure
from mammosynth.tasks.view.network import ViewNetwork
from mammosynth.tasks.view.objectives.losses import ssim
from mammosynth.tasks.view.regression import MADE, given_of, made_of, predict_left_out
from mammosynth.tasks.view.style import measure_style
from mammosynth.training.objective import GENERATOR
from mammosynth.training.recipe import BatchSize, Fraction, LearningRate, TrainingRecipe

JUDGED = 2 * MADE
"""Side in pixels at which losses and scores are taken."""
MOST_SHIFT = 6
"""Rows of 128 by which a breast and its view are moved together, up or down."""
SHOWN = 6
STYLES = 100
"""Breasts of each look, about, whose style is measured: eight numbers need no more."""


class ExpectedRecipe(TrainingRecipe):
    """A run of the objective "expected"."""

    steps: int = Field(160, ge=1, le=1_000_000)
    batch_size: BatchSize = 8
    learning_rate: LearningRate = 1.5e-3
    weight_decay: Fraction = 1e-2
    digital_share: Fraction = 0.4
    """Of the breasts of a step, where both looks are there."""
    square_weight: float = Field(10.0, ge=0.0, le=1000.0)
    """Of the mean squared error."""
    ssim_weight: float = Field(0.2, ge=0.0, le=1000.0)
    """Of 1 - SSIM beside it."""
    error_weight: float = Field(0.2, ge=0.0, le=1000.0)
    """Of the mean absolute error beside it."""


@dataclass(frozen=True, eq=False)
class Laid:
    """A breast in the frame.

    Attributes:
        patient_id: Whose.
        look: Of the images.
        given: (4096,) float32.
        made: (2, 128, 128) float32, see `regression.made_of`.
        cc: (128, 128) float32.
        mlo: (256, 256) float32.
        styles: (2, 8) of both views, see `style.measure_style`; None where it was not measured.
        lesion: (8,), see `LesionModel.fit`; None without a lesion on both views.
        measured: (9,) of the craniocaudal image, see `look.measure`; None likewise.
    """

    patient_id: str
    look: Look
    given: np.ndarray
    made: np.ndarray
    cc: np.ndarray
    mlo: np.ndarray
    styles: np.ndarray | None
    lesion: np.ndarray | None
    measured: np.ndarray | None


class ExpectedObjective:
    """See `Objective`.

    Args:
        train: At least one case; those whose aspect is a guess are left out.
        val: Of other patients; may be empty.
        network: What is fitted and trained.
        recipe: Every choice.
    """

    def __init__(
        self, train: Sequence[ViewCase], val: Sequence[ViewCase], network: ViewNetwork, recipe: ExpectedRecipe
    ) -> None:
        self.recipe = recipe
        laid = [lay_out(case, style=measured) for case, measured in _chosen(train)]
        self._val = [lay_out(case, style=False) for case in val if case.has_true_aspect]
        self._channels, self._targets = _fit(network, laid)
        self._by_look = [
            np.array(places)
            for look in Look
            if (places := [place for place, each in enumerate(laid) if each.look is look])
        ]
        self._val_channels = [
            network.channels(each.cc, network.regression(each.look).predict(each.given[None])[0], each.look)
            for each in self._val
        ]
        self.networks = nn.ModuleDict({GENERATOR: network})

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """AdamW."""
        parameters = self.networks[GENERATOR].parameters()
        rate, decay = self.recipe.learning_rate, self.recipe.weight_decay
        return {GENERATOR: torch.optim.AdamW(parameters, rate, weight_decay=decay)}

    def draw(self, step: int, rank: int, world_size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """This rank's breasts of a step: (B, 5, 128, 128) and (B, 1, 256, 256), moved up or down together."""
        random = np.random.default_rng([self.recipe.seed, 1, step, rank])
        chosen, shift = [], int(random.integers(-MOST_SHIFT, MOST_SHIFT + 1))
        for _ in range(max(1, self.recipe.batch_size // world_size)):
            digital = len(self._by_look) == len(Look) and random.random() < self.recipe.digital_share
            places = self._by_look[0 if digital else -1]
            chosen.append(int(places[random.integers(len(places))]))
        channels, targets = (
            torch.from_numpy(np.roll(whole[chosen], rows, axis=2)).float().to(self.recipe.device)
            for whole, rows in ((self._channels, shift), (self._targets, 2 * shift))
        )
        return channels, targets

    def losses(self, batch: tuple[torch.Tensor, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        """One update: squared error, absolute error, SSIM."""
        channels, real = batch
        made = _enlarged(self.networks[GENERATOR](channels))
        square, error = (made - real).square().mean(), (made - real).abs().mean()
        unlike = 1 - ssim(made, real).mean()
        loss = self.recipe.square_weight * square + self.recipe.error_weight * error + self.recipe.ssim_weight * unlike
        yield GENERATOR, loss, {"error": float(error.detach()), "unlike": float(unlike.detach())}

    def validate(self, generator: nn.Module) -> dict[str, float]:
        """SSIM and PSNR in the padded frame, the looks apart; `val_score` sums both, 20 dB as much as 1 of SSIM."""
        found: dict[str, list[tuple[float, float]]] = {}
        for each, channels in zip(self._val, self._val_channels, strict=True):
            made, real = self._made(generator, channels), torch.tensor(each.mlo)[None, None]
            psnr = -10 * float(torch.log10((made - real).square().mean().clamp(min=1e-10)))
            found.setdefault(each.look.value, []).append((float(ssim(made, real)), psnr))
        scores = {}
        for look, values in found.items():
            scores[f"val_{look}_ssim"], scores[f"val_{look}_psnr"] = (float(each) for each in np.mean(values, axis=0))
        if not scores:
            return {}
        parts = [value / (20 if name.endswith("psnr") else 1) for name, value in scores.items()]
        return {"val_score": float(np.mean(parts)), **scores}

    def sample_grid(self, generator: nn.Module) -> np.ndarray:
        """Rows of craniocaudal view, made and real view."""
        step = max(1, len(self._val) // SHOWN)
        rows = [
            np.concatenate([resized(each.cc, JUDGED), self._made(generator, channels)[0, 0].numpy(), each.mlo], axis=1)
            for each, channels in list(zip(self._val, self._val_channels, strict=True))[::step][:SHOWN]
        ]
        return np.clip(np.concatenate(rows or [np.zeros((1, 1))]), 0, 1).astype(np.float32)

    def _made(self, generator: nn.Module, channels: np.ndarray) -> torch.Tensor:
        given = torch.from_numpy(channels)[None].to(self.recipe.device)
        return _enlarged(generator(given)).clamp(0, 1).float().cpu()


def _chosen(train: Sequence[ViewCase]) -> Iterator[tuple[ViewCase, bool]]:
    """The cases that are learned from; and of each look so many as are enough for a style."""
    for look in Look:
        own = [case for case in train if case.look is look and case.has_true_aspect]
        step = max(1, len(own) // STYLES)
        yield from ((case, place % step == 0) for place, case in enumerate(own))


def lay_out(case: ViewCase, *, style: bool) -> Laid:
    """A case in the frame.

    Args:
        case: With a breast on both views.
        style: Whether style and look are measured, which takes as long as all the rest.

    Raises:
        DataError: If a view shows no breast.
    """
    views = (case.views.cc, case.views.mlo)
    frames = [ViewFrame.of(view.pixels, case.look) for view in views]
    cc, mlo = (frame.apply(view.pixels) for frame, view in zip(frames, views, strict=True))
    breasts = [segment_breast(view, background=0.0) for view in (cc, mlo)]
    if not all(breast.any() for breast in breasts):
        raise DataError(f"{case.name}: a view shows no breast; remove it from the table")
    drawn = (case.views.cc_lesion, case.views.mlo_lesion)
    lesions = [
        frame.apply(lesion.astype(np.float32)) > 0.5
        for frame, lesion in zip(frames, drawn, strict=True)
        if lesion is not None
    ]
    return Laid(
        patient_id=case.patient_id,
        look=case.look,
        given=given_of(cc),
        made=made_of(mlo, breasts[1]),
        cc=resized(cc, MADE),
        mlo=resized(mlo, JUDGED),
        styles=np.stack([measure_style(*each) for each in zip((cc, mlo), breasts, strict=True)]) if style else None,
        lesion=_lesion_pair((cc, mlo), breasts, lesions),
        measured=measure(cc) if style else None,
    )


def _lesion_pair(
    views: Sequence[np.ndarray], breasts: Sequence[np.ndarray], lesions: Sequence[np.ndarray]
) -> np.ndarray | None:
    if len(lesions) < 2 or not all(lesion.any() for lesion in lesions):
        return None
    numbers = [
        (*Box.of(breast).place(lesion), lesion_contrast(view, lesion, breast), lesion.sum() ** 0.5)
        for view, breast, lesion in zip(views, breasts, lesions, strict=True)
    ]
    found = np.concatenate(numbers)
    return found if np.isfinite(found).all() else None


def _fit(network: ViewNetwork, laid: Sequence[Laid]) -> tuple[np.ndarray, np.ndarray]:
    """Fit all that has a closed form; what the network sees, (N, 5, 128, 128), and should give, (N, 1, 256, 256)."""
    measured = [(each.measured, each.look is Look.FILM) for each in laid if each.measured is not None]
    network.looks.fit(np.stack([each for each, _ in measured]), np.array([is_film for _, is_film in measured]))
    channels: list[np.ndarray | None] = [None] * len(laid)
    for number, look in enumerate(Look):
        places = [place for place, each in enumerate(laid) if each.look is look]
        if not places:
            continue
        own = [laid[place] for place in places]
        given, made = np.stack([each.given for each in own]), np.stack([each.made for each in own])
        network.regression(look).fit(given, made)
        network.medians[number].copy_(torch.from_numpy(np.median(made[:, 0], axis=0)))
        both = np.stack([each.styles for each in own if each.styles is not None])
        network.style(look).fit(both[:, 0], both[:, 1])
        pairs = [each.lesion for each in own if each.lesion is not None]
        network.lesion(look).fit(np.array(pairs))
        left_out = predict_left_out(given, made, [each.patient_id for each in own])
        for place, each, predicted in zip(places, own, left_out, strict=True):
            channels[place] = network.channels(each.cc, predicted, look)
    targets = np.stack([each.mlo for each in laid])[:, None]
    return np.stack([each for each in channels if each is not None]).astype(np.float16), targets.astype(np.float16)


def _enlarged(made: torch.Tensor) -> torch.Tensor:
    return F.interpolate(made, size=(JUDGED, JUDGED), mode="bilinear", align_corners=False)
