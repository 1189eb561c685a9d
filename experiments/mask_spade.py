"""SPADE from label maps alone: what the ablation of task mask has against tissue that is drawn.

Park et al. 2019, doi:10.1109/CVPR.2019.00244: residual blocks whose normalisation is modulated by the label map
(MONAI's), a style vector from an image encoder in training and from a normal distribution afterwards, discriminators of
two scales, hinge loss, feature matching, Kullback-Leibler divergence of the style; Adam with 1e-4 and 4e-4, moments 0
and 0.999. What differs, for one thread of a CPU: a quarter of the channels or fewer, images of 256 x 192, batches of
one, no perceptual loss, instance instead of batch and spectral normalisation. The bundle of pix2pix lends its
upsampler, so that the image network alone differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets import PatchDiscriminator
from monai.networks.nets.spade_network import SPADEEncoder, SPADENetResBlock
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from mammosynth.bundle import WEIGHTS, Bundle, default_model_zoo, hash_file, load_bundle
from mammosynth.tasks.mask.cases import MaskCase
from mammosynth.tasks.mask.objectives.pix2pix import Batch, Pix2pixObjective
from mammosynth.tasks.mask.pix2pix import LabelFrame, Pix2pixNetwork, Pix2pixSynthesizer
from mammosynth.tasks.mask.specification import SPECIFICATION as MASK
from mammosynth.training.objective import GENERATOR, Objective, own_start_weights
from mammosynth.training.template import Blank, Template
from mammosynth.training.train import Progress, train_model

LENDER = "breast_mg_mask_pix2pix"
CHANNELS = (64, 64, 64, 48, 32, 16)
"""Of the blocks, each of which is followed by a doubling."""
MODULATION = 24
"""Channels between label map and modulation."""
ENCODER, STYLE = (16, 32, 64, 64, 64), 32
"""Channels of the image encoder, each at half the resolution of the one before; length of the style."""
MATCHING, DIVERGENCE = 10.0, 0.05
"""Weights beside the adversarial loss, as published."""
DISCRIMINATOR = "discriminator"
RATES, BETAS = {GENERATOR: 1e-4, DISCRIMINATOR: 4e-4}, (0.0, 0.999)


class SpadeGenerator(nn.Module):
    """Label map and style to image.

    Args:
        frame_shape: (H, W) of the image; multiples of 64.
    """

    def __init__(self, frame_shape: Sequence[int]) -> None:
        super().__init__()
        self.in_channels = len(LabelFrame.CHANNELS)
        self._start = tuple(side // 2 ** len(CHANNELS) for side in frame_shape)
        self.encoder = SPADEEncoder(2, 1, STYLE, list(ENCODER), list(frame_shape))
        self.first = nn.Linear(STYLE, CHANNELS[0] * self._start[0] * self._start[1])
        widths = (*CHANNELS, CHANNELS[-1])
        self.blocks = nn.ModuleList(
            SPADENetResBlock(2, own, following, self.in_channels, spade_intermediate_channels=MODULATION)
            for own, following in zip(widths, widths[1:], strict=False)
        )
        self.last = nn.Conv2d(widths[-1], 1, kernel_size=3, padding=1)

    def decode(self, channels: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        """(B, 9, H, W) and (B, 32) to (B, 1, H, W) in [-1, 1]."""
        hidden = self.first(style).view(len(style), CHANNELS[0], *self._start)
        for block in self.blocks:
            hidden = F.interpolate(block(hidden, channels), scale_factor=2.0)
        return torch.tanh(self.last(F.leaky_relu(hidden, 0.2)))

    def forward(self, channels: torch.Tensor, noise: torch.Generator | None = None) -> torch.Tensor:
        """With a style that is drawn; without `noise`, with the middle one."""
        shape = (len(channels), STYLE)
        style = torch.zeros(shape) if noise is None else torch.randn(shape, generator=noise)
        return self.decode(channels, style.to(channels))


class TwoScales(nn.Module):
    """Discriminators of patches, of the image and of half its resolution.

    Args:
        features: Channels of their first layers.
        in_channels: Of what is judged.
    """

    def __init__(self, features: int, in_channels: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(2, features, in_channels, norm="INSTANCE") for _ in range(2))

    def forward(self, x: torch.Tensor) -> tuple[list[torch.Tensor], list[list[torch.Tensor]]]:
        """(B, C, H, W) to the verdicts of both, and what their layers see."""
        layers = [judge(image) for judge, image in zip(self.scales, (x, F.avg_pool2d(x, 2)), strict=True)]
        return [each[-1] for each in layers], [each[:-1] for each in layers]


class SpadeObjective(Pix2pixObjective):
    """See the module's text; cases, batches and validation are pix2pix's."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        with own_start_weights(self._recipe.seed):
            judge = TwoScales(self._recipe.discriminator_features, self._network.image.in_channels + 1)
        self.networks = nn.ModuleDict({GENERATOR: self._network, DISCRIMINATOR: judge})
        self._large = []  # the upsampler is lent

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Adam for both; the discriminator is four times as fast."""
        modules = {GENERATOR: self._network.image, DISCRIMINATOR: self.networks[DISCRIMINATOR]}
        return {name: torch.optim.Adam(module.parameters(), RATES[name], BETAS) for name, module in modules.items()}

    def losses(self, batch: Batch) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        """Two updates: generator with encoder, discriminator."""
        judge = self.networks[DISCRIMINATOR].requires_grad_(False)
        mean, log_variance = self._network.image.encoder(batch.image)
        style = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        made = self._network.image.decode(batch.channels, style)
        verdicts, features = judge(torch.cat([batch.channels, made], dim=1))
        with torch.no_grad():
            _, wanted = judge(torch.cat([batch.channels, batch.image], dim=1))
        adversarial = torch.stack([-verdict.mean() for verdict in verdicts]).mean()
        matched = _matching(features, wanted)
        divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=1).mean()
        parts = {"adversarial": adversarial, "matched": matched, "divergence": divergence}
        loss = adversarial + MATCHING * matched + DIVERGENCE * divergence
        yield GENERATOR, loss, {name: float(part.detach()) for name, part in parts.items()}
        judge.requires_grad_(True)
        real, _ = judge(torch.cat([batch.channels, batch.image], dim=1))
        generated, _ = judge(torch.cat([batch.channels, made.detach()], dim=1))
        hinges = [F.relu(1 - one).mean() + F.relu(1 + two).mean() for one, two in zip(real, generated, strict=True)]
        yield DISCRIMINATOR, torch.stack(hinges).mean(), {}


@dataclass(frozen=True)
class SpadeTemplate(Template):
    """The template of pix2pix with another image network and objective."""

    def build(self, seed: int) -> Blank:
        """See `Template`."""
        blank = super().build(seed)
        lender = load_bundle(self.folder).synthesizer.network
        blank.network.image = SpadeGenerator(lender.frame_shape)
        blank.network.upsampler.load_state_dict(lender.upsampler.state_dict())
        blank.network.upsampler.requires_grad_(False)
        image = {"_target_": f"{SpadeGenerator.__module__}.{SpadeGenerator.__name__}"}
        return replace(blank, inference={**blank.inference, "network": {**blank.inference["network"], "image": image}})

    def build_objective(self, *arguments: Any) -> Objective:
        """See `Template`."""
        return SpadeObjective(*arguments)


def train_spade(
    train: Sequence[MaskCase], val: Sequence[MaskCase], output: Path, *, steps: int, progress: Progress | None = None
) -> None:
    """Train into a folder, or go on there; weights of the highest `val_score` are kept, as for pix2pix."""
    found = Template.find(MASK, LENDER)
    template = SpadeTemplate(found.folder, found.task, found.objective, found.values)
    every = min(250, steps)
    recipe = template.recipe({"steps": steps, "threads": 1, "validate_every": every, "sample_every": every})
    train_model(train, val, output=output, template=template, recipe=recipe, progress=progress)


def load_spade(folder: Path) -> Bundle:
    """What was trained, beside the lender's way from label map to image and back."""
    lender = load_bundle(default_model_zoo() / LENDER)
    lent = lender.synthesizer.network
    network = Pix2pixNetwork(SpadeGenerator(lent.frame_shape), lent.upsampler, lent.frame_shape)
    network.load_state_dict({key: value.float() for key, value in load_file(folder / WEIGHTS).items()})
    synthesizer = Pix2pixSynthesizer(network.eval().requires_grad_(False))
    digest = hash_file(folder / WEIGHTS, folder.name)
    return replace(lender, name="spade", version="experiment", weights_sha256=digest, synthesizer=synthesizer)


def _matching(features: Sequence[Sequence[torch.Tensor]], wanted: Sequence[Sequence[torch.Tensor]]) -> torch.Tensor:
    """Mean absolute difference of what the discriminators see at every layer."""
    layers = [pair for scales in zip(features, wanted, strict=True) for pair in zip(*scales, strict=True)]
    return torch.stack([F.l1_loss(made, real) for made, real in layers]).mean()
