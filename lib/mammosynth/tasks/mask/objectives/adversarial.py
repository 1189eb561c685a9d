"""The objective "adversarial": the sampled and the expected image of a label map, together.

Sampled: the generator sees the style that was measured of the real image, and must be like it in what can be told
without being the same image: grey on a coarse scale, strength of bands per tissue, the distribution of every feature of
the critics (sliced Wasserstein distance over channels, Heitz et al. 2021, doi:10.1109/CVPR46437.2021.00929). And it
must pass the critics (Goodfellow et al. 2014; penalty on the gradient, Mescheder et al. 2018, arXiv:1801.04406). Images
are judged as JPEG gives them back, since the real ones were published so; the gradient goes past it unchanged.

Expected: mean absolute error without noise and without the style, so that it becomes the median of what is possible.
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

from mammosynth.evaluation.texture import SLOPE, features, interior, through_codec
from mammosynth.networks.noise_decoder import NoiseDecoder
from mammosynth.networks.patch_critic import PatchCritic, smooth
from mammosynth.tasks.mask.cases import JPEG_QUALITY, Look, MaskCase
from mammosynth.tasks.mask.classes import CLASSES
from mammosynth.tasks.mask.drawing import Drawing
from mammosynth.tasks.mask.network import MaskNetwork
from mammosynth.tasks.mask.style import about, measure_style
from mammosynth.training.objective import GENERATOR
from mammosynth.training.recipe import Decay, Fraction, LearningRate, Norm, Schedule, StepsOrNone, TrainingRecipe

CRITICS = "critics"
JUDGES = 3
"""Critics at once, each at half the resolution of the one before."""
DRAWN = slice(1, 1 + len(CLASSES))
"""Channels of the classes."""
ANGLE, STRANDS_FROM = 1 + len(CLASSES) + 4, 1 + len(CLASSES) + 6
"""Channels of the sine of the nipple's direction, and the first of the strands."""
BANDS = 4
LEAST_BREAST, TRIES = 0.35, 20
SAMPLES = 768
"""Places at which the distributions of features are compared."""
PENALTY_EVERY = 8
COARSE_PX = 8.0
BLOCK = 8
"""Of JPEG: crops begin at multiples of it."""
SHOWN = 4


class AdversarialRecipe(TrainingRecipe):
    """A run of the objective "adversarial"."""

    batch_size: int = Field(4, ge=1, le=4096)
    learning_rate: LearningRate = 4e-4
    schedule: Schedule = "constant"
    warmup_steps: StepsOrNone = 0
    weight_decay: Fraction = 0.0
    gradient_clip: Norm = 0.0
    ema_decay: Decay = 0.998
    skipped: int = Field(0, ge=0, le=2)
    """Finest scales that are left out: train coarse scales first, then go on from their weights."""
    crop: int = Field(256, ge=64, le=512)
    """Side in pixels of the frame of 512 rows, a multiple of 32."""
    critic_learning_rate: LearningRate = 1e-3
    critic_weight: float = Field(1.0, ge=0.0, le=1000.0)
    """Of the adversarial loss."""
    features_weight: float = Field(2.0, ge=0.0, le=1000.0)
    """Of the distance of the critics' features."""
    coarse_weight: float = Field(20.0, ge=0.0, le=1000.0)
    """Of the difference of coarse grey."""
    bands_weight: float = Field(1.0, ge=0.0, le=1000.0)
    """Of the difference of the strength of bands."""
    penalty: float = Field(0.002, ge=0.0, le=1000.0)
    """Of the gradient of the critics at real images."""


@dataclass(frozen=True, eq=False)
class Framed:
    """A case in the frame.

    Attributes:
        drawing: Its label map.
        pixels: (512, W) float16 in [0, 1].
        style: (16,) float32.
        known: (10,) float32.
        look: Digital or film.
    """

    drawing: Drawing
    pixels: np.ndarray
    style: np.ndarray
    known: np.ndarray
    look: Look

    @classmethod
    def of(cls, case: MaskCase) -> Framed:
        """The case, turned and reduced; what is not drawn as breast is black."""
        drawing = Drawing.of(case.labels.labels)
        pixels = np.clip(drawing.take(case.image.pixels), 0, 1) * drawing.breast
        known = about(drawing, case.image.view_position, case.look, case.density)
        return cls(drawing, pixels.astype(np.float16), measure_style(pixels, drawing), known, case.look)


@dataclass(frozen=True, eq=False)
class Crops:
    """A batch, all (B, C, P, P) float32 but for the styles (B, 26)."""

    real: torch.Tensor
    channels: torch.Tensor
    style: torch.Tensor
    expected_style: torch.Tensor
    quality: tuple[int, ...]


class AdversarialObjective:
    """See `Objective`.

    Args:
        train: At least one case.
        val: Of other patients; may be empty.
        network: Both decoders and the styles, which are fitted here.
        recipe: Every choice.
    """

    def __init__(
        self, train: Sequence[MaskCase], val: Sequence[MaskCase], network: MaskNetwork, recipe: AdversarialRecipe
    ) -> None:
        self.recipe = recipe
        self._train, self._val = ([Framed.of(case) for case in cases] for cases in (train, val))
        network.styles.fit(
            np.stack([case.style for case in self._train]), np.stack([case.known for case in self._train])
        )
        self.network = network
        critics = nn.ModuleList(PatchCritic(len(CLASSES)) for _ in range(JUDGES + 2))
        self.networks = nn.ModuleDict({GENERATOR: network, CRITICS: critics})
        self._step = 0

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Adam without memory of the gradient, as adversarial training wants it."""
        rates = {GENERATOR: self.recipe.learning_rate, CRITICS: self.recipe.critic_learning_rate}
        return {
            name: torch.optim.Adam(self.networks[name].parameters(), rate, betas=(0.0, 0.99))
            for name, rate in rates.items()
        }

    def draw(self, step: int, rank: int, world_size: int) -> Crops:
        """This rank's crops of a step."""
        self._step = step
        count = max(1, self.recipe.batch_size // world_size)
        randoms = [np.random.default_rng([self.recipe.seed, 1, step, rank * count + place]) for place in range(count)]
        crops = [self._crop(random) for random in randoms]
        styles = self.network.styles
        return Crops(
            real=_stack([crop[0][None] for crop in crops]),
            channels=_stack([crop[1] for crop in crops]),
            style=_stack([np.concatenate([styles.standardised(crop[2].style), crop[2].known]) for crop in crops]),
            expected_style=_stack([self._expected_style(crop[2].known) for crop in crops]),
            quality=tuple(JPEG_QUALITY[crop[2].look] for crop in crops),
        )

    def losses(self, batch: Crops) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        """Two updates: of the critics, then of both decoders."""
        recipe, skipped = self.recipe, self.recipe.skipped
        real, drawn = batch.real, batch.channels[:, DRAWN]
        for _ in range(skipped):
            real, drawn = F.avg_pool2d(real, 2), F.avg_pool2d(drawn, 2)
        decoder = self.network.sampled
        made = decoder(batch.channels, batch.style, decoder.noise(*_size(batch.channels)), skipped=skipped)
        shown = made if skipped else _past_codec(made, batch.quality)

        judged = self._judge(torch.cat([real, shown.detach()]), torch.cat([drawn, drawn]))
        count = len(real)
        critic_loss = sum(F.softplus(-v[:count]).mean() + F.softplus(v[count:]).mean() for v, _ in judged)
        parts = {}
        if recipe.penalty and self._step % PENALTY_EVERY == 0:
            penalty = self._gradient_penalty(real, drawn)
            critic_loss = critic_loss + PENALTY_EVERY * recipe.penalty * penalty
            parts["gradient"] = float(penalty.detach())
        seen = [[layer[:count].detach() for layer in layers] for _, layers in judged]
        yield CRITICS, critic_loss, parts

        self.networks[CRITICS].requires_grad_(False)
        judged = self._judge(shown, drawn)
        adversarial = sum(F.softplus(-verdict).mean() for verdict, _ in judged)
        alike = sum(
            _feature_distance(own, theirs, drawn)
            for (_, layers), of_real in zip(judged, seen, strict=True)
            for own, theirs in zip(layers, of_real, strict=True)
        )
        coarse = _coarse_difference(made, real, COARSE_PX / 2**skipped)
        bands = (_strength(shown, drawn, BANDS - skipped) - _strength(real, drawn, BANDS - skipped)).abs().mean()
        error = self._expected_error(batch)
        loss = (
            recipe.critic_weight * adversarial
            + recipe.features_weight * alike
            + recipe.coarse_weight * coarse
            + recipe.bands_weight * bands
            + error
        )
        named = {"adversarial": adversarial, "alike": alike, "coarse": coarse, "bands": bands, "expected": error}
        yield GENERATOR, loss, {name: float(value.detach()) for name, value in named.items()}
        self.networks[CRITICS].requires_grad_(True)

    def validate(self, generator: nn.Module) -> dict[str, float]:
        """How far sampled images are from the real ones of their label maps, in the mean of every feature.

        `val_score` is minus the root-mean-square of the shifts of the 34 features, in standard deviations of the real
        images: 0 would be no shift at all.
        """
        if not self._val:
            return {}
        pairs = [(self._features(case, generator), self._real_features(case)) for case in self._val]
        own, real = (np.array(rows) for rows in zip(*pairs, strict=True))
        shift = (np.nanmean(own, axis=0) - np.nanmean(real, axis=0)) / (np.nanstd(real, axis=0) + 1e-9)
        score = -float(np.sqrt((shift**2).mean()))
        return {"val_score": score, "val_beta": float(np.nanmean(own[:, SLOPE]))}

    def sample_grid(self, generator: nn.Module) -> np.ndarray:
        """Rows of label map, expected, sampled and real image."""
        columns = []
        for case in (self._val or self._train)[:SHOWN]:
            sampled = self._sampled(case, generator)
            real = self._real(case)
            expected = self._expected(case, generator)
            rows = [case.drawing.labels / len(CLASSES), expected, sampled, real]
            columns.append(np.concatenate([_padded(row, 384) for row in rows]))
        return np.clip(np.concatenate(columns, axis=1), 0, 1).astype(np.float32)

    def _crop(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Framed]:
        case = self._train[int(random.integers(len(self._train)))]
        side, (height, width) = self.recipe.crop, case.pixels.shape
        for _ in range(TRIES):
            top = BLOCK * int(random.integers((height - side) // BLOCK + 1))
            left = BLOCK * int(random.integers(max(width - side, 0) // BLOCK + 1))
            at = slice(top, top + side), slice(left, min(left + side, width))
            if case.drawing.breast[at].sum() > LEAST_BREAST * side**2:
                break
        channels, pixels = case.drawing.channels(random, at), case.pixels[at].astype(np.float32)
        if random.random() < 0.5:  # upside down: the angle's sine turns its sign
            channels, pixels = channels[:, ::-1].copy(), pixels[::-1]
            channels[ANGLE] *= -1
        return _padded(pixels, side), _padded(channels, side), case

    def _judge(self, image: torch.Tensor, drawn: torch.Tensor) -> list[tuple[torch.Tensor, list[torch.Tensor]]]:
        critics = self.networks[CRITICS]
        judged = []
        for critic in critics[self.recipe.skipped : self.recipe.skipped + JUDGES]:  # type: ignore[index]
            judged.append(critic(image, drawn))
            image, drawn = F.avg_pool2d(image, 2), F.avg_pool2d(drawn, 2)
        return judged

    def _gradient_penalty(self, real: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        real = real.detach().clone().requires_grad_(True)
        verdicts = sum(v.mean(dim=(1, 2, 3)).sum() * v.shape[2] for v, _ in self._judge(real, drawn))
        (gradient,) = torch.autograd.grad(verdicts, real, create_graph=True)
        return gradient.square().sum(dim=(1, 2, 3)).mean()

    def _expected_error(self, batch: Crops) -> torch.Tensor:
        decoder, skipped = self.network.expected, 1
        noise = [torch.zeros_like(each) for each in decoder.noise(*_size(batch.channels))]
        channels = batch.channels.clone()
        channels[:, STRANDS_FROM:] = 0
        made = decoder(channels, batch.expected_style, noise, skipped=skipped)
        return (made - F.avg_pool2d(batch.real, 2)).abs().mean()

    def _expected_style(self, known: np.ndarray) -> np.ndarray:
        styles = self.network.styles
        return np.concatenate([styles.standardised(styles.draw(known, None)), known])

    def _sampled(self, case: Framed, generator: Any) -> np.ndarray:
        """With the real image's own style and a fixed seed: what differs is texture."""
        random = np.random.default_rng(0)
        style = np.concatenate([generator.styles.standardised(case.style), case.known])
        noise = torch.Generator().manual_seed(0)
        made = _run(generator.sampled, case.drawing.channels(random), style, noise, self.recipe.skipped)
        return made if self.recipe.skipped else through_codec(made, JPEG_QUALITY[case.look])

    def _expected(self, case: Framed, generator: Any) -> np.ndarray:
        return _run(generator.expected, case.drawing.channels(None), self._expected_style(case.known), None, 1)

    def _features(self, case: Framed, generator: nn.Module) -> np.ndarray:
        made = self._sampled(case, generator)
        return features(made, interior(made))

    def _real(self, case: Framed) -> np.ndarray:
        """As coarse as the generated ones."""
        pixels = torch.from_numpy(case.pixels.astype(np.float32))[None, None]
        for _ in range(self.recipe.skipped):
            pixels = F.avg_pool2d(pixels, 2)
        return _enlarged(pixels, self.recipe.skipped)

    def _real_features(self, case: Framed) -> np.ndarray:
        real = self._real(case)
        return features(real, interior(real))


def _run(
    decoder: NoiseDecoder, channels: np.ndarray, style: np.ndarray, generator: torch.Generator | None, skipped: int
) -> np.ndarray:
    where = next(decoder.parameters()).device
    noise = decoder.noise(1, (channels.shape[1], channels.shape[2]), generator)
    if generator is None:
        noise = [torch.zeros_like(each) for each in noise]
    given = (torch.from_numpy(each.astype(np.float32))[None].to(where) for each in (channels, style))
    return _enlarged(decoder(*given, noise, skipped=skipped).float().cpu(), skipped)


def _enlarged(pixels: torch.Tensor, doublings: int) -> np.ndarray:
    if doublings:
        pixels = F.interpolate(pixels, scale_factor=2**doublings, mode="bilinear", align_corners=False)
    return np.clip(pixels[0, 0].numpy(), 0, 1)


def _size(channels: torch.Tensor) -> tuple[int, tuple[int, int]]:
    return len(channels), (channels.shape[2], channels.shape[3])


def _stack(rows: Sequence[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(rows).astype(np.float32))


def _padded(pixels: np.ndarray, width: int) -> np.ndarray:
    missing = width - pixels.shape[-1]
    if missing <= 0:
        return pixels[..., :width]
    return np.pad(pixels, [(0, 0)] * (pixels.ndim - 1) + [(0, missing)])


def _past_codec(made: torch.Tensor, quality: Sequence[int]) -> torch.Tensor:
    """As JPEG gives it back; the gradient is that of the image itself."""
    plain = made.detach().float().cpu().numpy()[:, 0]
    coded = _stack([through_codec(each, own)[None] for each, own in zip(plain, quality, strict=True)])
    return made + (coded.to(made) - made).detach()


def _feature_distance(own: torch.Tensor, theirs: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Mean 1-Wasserstein distance over channels, at places of the breast, in standard deviations of the real ones."""
    breast = F.interpolate(drawn.sum(dim=1, keepdim=True), size=own.shape[2:], mode="area")[:, 0] > 0.5
    places = breast.flatten().nonzero()[:, 0]
    if len(places) < 32:
        return own.mean() * 0
    places = places[torch.randint(len(places), (min(SAMPLES, len(places)),), device=places.device)]
    ours, real = (each.permute(1, 0, 2, 3).flatten(1)[:, places] for each in (own, theirs))
    return (ours.sort(dim=1)[0] - real.sort(dim=1)[0]).abs().mean() / (real.std() + 0.1)


def _coarse_difference(made: torch.Tensor, real: torch.Tensor, sigma: float) -> torch.Tensor:
    return (smooth(made, sigma) - smooth(real, sigma)).abs().mean()


def _strength(image: torch.Tensor, drawn: torch.Tensor, bands: int) -> torch.Tensor:
    """Log root-mean-square of every octave in adipose and in dense tissue: (B, 2 * bands)."""
    adipose = drawn[:, :1]
    dense = (drawn[:, 1:2] + drawn[:, 5:8].sum(dim=1, keepdim=True)).clamp(0, 1)
    strengths = []
    for octave in range(bands):
        coarse = F.avg_pool2d(smooth(image, 1.0), 2)
        band = image - F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
        for tissue in (adipose, dense):
            weight = F.avg_pool2d(tissue, 2**octave) if octave else tissue
            total = weight.sum(dim=(1, 2, 3))
            power = (band.square() * weight).sum(dim=(1, 2, 3)) / (total + 1)
            strength = 0.5 * torch.log(power + 1e-6)
            strengths.append(torch.where(total > 200 / 4**octave, strength, torch.zeros_like(strength)))
        image = coarse
    return torch.stack(strengths, dim=1)
