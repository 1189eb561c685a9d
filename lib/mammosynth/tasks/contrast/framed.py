"""Pairs in the network's frame, kept in memory as half-precision maps, and their augmentation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional as F

from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.breast import erode
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.tasks.contrast.objectives.residual_recipe import ResidualRecipe
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing, PreparedMammogram
from mammosynth.terms import ViewPosition
from mammosynth.training.recipe import TrainingRecipe

EDGE = 1.5 / 256
"""Rim of the breast that is not scored, in frame heights: the two breasts were cropped by hand, separately."""
ELASTIC_GRID = (6, 5)
"""Rows and columns of shifts that deform a breast, chosen: as coarse as a breast deforms under compression."""
SAMPLED = 7
"""Every so-manieth pixel is enough to know the percentiles of a breast that was given other grey values."""
_TARGETS = 3  # recombined, scored, lesion: after the input's channels
_GREY, _NORMALISED, _ROW, _MASK = (
    BreastFramePreprocessing.CHANNELS.index(name)
    for name in ("low_energy", "low_energy_normalised", "row", "breast_mask")
)


class Preprocessing(Protocol):
    """What every contrast model's preprocessing can do."""

    def prepare(self, source: Mammogram) -> PreparedMammogram:
        """The source in the frame."""

    def channels(self, low_energy: np.ndarray, breast_mask: np.ndarray, view_position: ViewPosition) -> np.ndarray:
        """(C, H, W) float32: the network's input."""


@dataclass(frozen=True, eq=False)
class FramedPair:
    """One pair in the frame.

    Attributes:
        maps: (C + 3, H, W) float16: the input's channels, then recombined, scored, lesion.
        view_position: CC or MLO.
        patient_id: Whose it is.
        published: (H', W') float32: the recombined image before registration; None: it needed none.
    """

    maps: torch.Tensor
    view_position: ViewPosition
    patient_id: str
    published: np.ndarray | None = None

    def to(self, device: str) -> FramedPair:
        """The same on a device; itself if it is there."""
        return replace(self, maps=self.maps.to(device))


@dataclass(frozen=True, eq=False)
class Batch:
    """(B, C, H, W) input and three (B, 1, H, W) maps, float32.

    Attributes:
        channels: What the network sees.
        recombined: In [0, 1].
        scored: 1 where the loss counts, else 0.
        lesion: In [0, 1], 1 on drawn lesions.
    """

    channels: torch.Tensor
    recombined: torch.Tensor
    scored: torch.Tensor
    lesion: torch.Tensor

    @classmethod
    def of(cls, maps: torch.Tensor) -> Batch:
        """The batch in (B, C + 3, H, W) maps."""
        channels, recombined, scored, lesion = maps.split([maps.shape[1] - _TARGETS, 1, 1, 1], dim=1)
        return cls(channels.contiguous(memory_format=torch.channels_last), recombined, scored, lesion)


def frame_pair(
    pair: ContrastPair, prepared: PreparedMammogram, recombined_breast: np.ndarray, preprocessing: Preprocessing
) -> FramedPair:
    """A pair in the frame, on the CPU.

    Args:
        pair: The images.
        prepared: What `preprocessing` made of the low-energy image.
        recombined_breast: bool, in the source's matrix.
        preprocessing: Gives the network's input.
    """
    shared = prepared.breast_mask & (prepared.frame.apply(recombined_breast) > 0.5)
    lesion = np.zeros(shared.shape, np.float32) if pair.lesion is None else prepared.frame.apply(pair.lesion)
    targets = np.stack(
        [
            np.clip(prepared.frame.apply(pair.recombined), 0, 1),
            erode(shared, EDGE * shared.shape[0]).astype(np.float32),
            lesion,
        ]
    )
    channels = preprocessing.channels(prepared.low_energy, prepared.breast_mask, prepared.view_position)
    maps = torch.from_numpy(np.concatenate([channels, targets])).to(torch.float16)
    return FramedPair(maps, prepared.view_position, pair.patient_id, pair.published)


def draw_pairs(count: int, step: int, recipe: TrainingRecipe, rank: int, world_size: int) -> list[tuple[int, int]]:
    """(place in the batch, index of the pair) of a rank's share of a step's batch.

    Every pair is drawn once before any is drawn again.
    """
    places = range(rank, recipe.batch_size, world_size)
    return [(place, _drawn(count, step * recipe.batch_size + place, recipe.seed)) for place in places]


def _drawn(count: int, position: int, seed: int) -> int:
    epoch, place = divmod(position, count)
    return int(np.random.default_rng([seed, 2, epoch]).permutation(count)[place])


def augment(pairs: Sequence[FramedPair], recipe: ResidualRecipe, randoms: Sequence[np.random.Generator]) -> Batch:
    """The pairs flipped (CC only: an MLO view has an up and a down), moved, and with other grey values of the source.

    All maps move together, coordinates with the tissue: the frame snaps to the breast's box, so in the frame a place
    of the breast has the same coordinates wherever the breast was.

    Args:
        pairs: The batch.
        recipe: How far.
        randoms: One for each pair, so that a pair's augmentation does not depend on its neighbours.
    """
    maps = torch.stack([pair.maps for pair in pairs]).float()
    flips = [r.random() < 0.5 and p.view_position is ViewPosition.CC for r, p in zip(randoms, pairs, strict=True)]
    shape = (maps.shape[2], maps.shape[3])
    flow = torch.stack([_coordinates(shape, recipe, random, flip) for random, flip in zip(randoms, flips, strict=True)])
    # From outside the frame comes its border, mostly air, at the chest wall, too; a mirror would show lesions twice.
    maps = F.grid_sample(maps, flow.to(maps.device), mode="bilinear", padding_mode="border", align_corners=True)
    # Up and down are those of the frame, not those of the tissue.
    maps[:, _ROW] *= 1 - 2 * torch.tensor(flips, dtype=maps.dtype, device=maps.device)[:, None, None]
    mask = (maps[:, _MASK] > 0.5).float()
    maps[:, _MASK] = mask
    maps[:, -2] = (maps[:, -2] > 0.99) * mask
    for image, breast, random in zip(maps, mask, randoms, strict=True):
        image[_GREY] = _other_grey_values(image[_GREY], recipe, random) * breast
        image[_NORMALISED] = _normalise(image[_GREY], breast)
    return Batch.of(maps)


def _coordinates(
    shape: tuple[int, int], recipe: ResidualRecipe, random: np.random.Generator, flip: bool
) -> torch.Tensor:
    """(H, W, 2) where each pixel is taken from, as `grid_sample` wants it: x, y in [-1, 1]."""
    height, width = shape
    angle = math.radians(random.uniform(-recipe.rotation_deg, recipe.rotation_deg))
    zoom = 1 + random.uniform(-recipe.scaling, recipe.scaling)
    aspect = 1 + random.uniform(-recipe.scaling, recipe.scaling) / 2
    down, right = random.uniform(-recipe.translation, recipe.translation, 2) * height
    # About the middle of the chest wall, which so stays on the left edge.
    y = torch.arange(height)[:, None] - (height - 1) / 2
    x = torch.arange(width)[None, :].float()
    cosine, sine = math.cos(angle), math.sin(angle)
    rows = (cosine * y + sine * x) / zoom * aspect - down
    columns = (cosine * x - sine * y) / zoom / aspect - right
    if recipe.elastic:
        shifts = torch.from_numpy(random.standard_normal((1, 2, *ELASTIC_GRID)).astype(np.float32))
        shifts = F.interpolate(shifts * recipe.elastic * height, shape, mode="bicubic", align_corners=True)[0]
        rows, columns = rows + shifts[0], columns + shifts[1]
    return torch.stack([columns / (width - 1) * 2 - 1, rows / (height - 1) * 2 * (-1 if flip else 1)], dim=-1)


def _other_grey_values(image: torch.Tensor, recipe: ResidualRecipe, random: np.random.Generator) -> torch.Tensor:
    image = image.clamp(0, 1) ** math.exp(random.uniform(-recipe.gamma, recipe.gamma))
    image = image * (1 + random.uniform(-recipe.gain, recipe.gain))
    if recipe.noise:
        noise = random.uniform(0, recipe.noise) * random.standard_normal(image.shape, np.float32)
        image = image + torch.from_numpy(noise.astype(np.float32)).to(image.device)
    return image.clamp(0, 1)


def _normalise(image: torch.Tensor, breast: torch.Tensor) -> torch.Tensor:
    """As `BreastFramePreprocessing.channels` does, but with percentiles of a part of the pixels."""
    inside = image[breast > 0.5][::SAMPLED]
    if not inside.numel():
        return torch.zeros_like(image)
    low, middle, high = torch.quantile(inside, torch.tensor([0.05, 0.5, 0.95], device=inside.device))
    return ((image - middle) / (high - low).clamp_min(0.05)).clamp(-3, 3) * breast
