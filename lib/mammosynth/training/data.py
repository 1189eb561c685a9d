"""Pairs in the network's frame, kept in memory, and their augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from mammosynth.errors import DataError, MammoSynthError
from mammosynth.preprocessing.breast import erode, segment_breast
from mammosynth.preprocessing.contrast import ContrastPreprocessing
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.terms import ViewPosition
from mammosynth.training.recipe import TrainingRecipe

EDGE = 1.5 / 256
"""Rim of the breast that is not scored, in frame heights: the two breasts were cropped by hand, separately."""


@dataclass(frozen=True, eq=False)
class FramedPair:
    """One pair in the frame.

    Attributes:
        low_energy: (H, W) float32 in [0, 1].
        recombined: (H, W) float32 in [0, 1].
        breast_mask: (H, W) bool.
        scored: (H, W) float32, 1 where the loss counts.
        lesion: (H, W) float32, 1 on drawn lesions.
        view_position: CC or MLO.
    """

    low_energy: np.ndarray
    recombined: np.ndarray
    breast_mask: np.ndarray
    scored: np.ndarray
    lesion: np.ndarray
    view_position: ViewPosition


@dataclass(frozen=True, eq=False)
class Batch:
    """(B, C, H, W) input and three (B, 1, H, W) maps."""

    channels: torch.Tensor
    recombined: torch.Tensor
    scored: torch.Tensor
    lesion: torch.Tensor


def frame_pairs(pairs: Sequence[ContrastPair], preprocessing: ContrastPreprocessing) -> list[FramedPair]:
    """Every pair in the frame.

    Raises:
        DataError: With the reason for every pair that cannot be used.
    """
    framed, problems = [], []
    for pair in pairs:
        try:
            framed.append(_frame_pair(pair, preprocessing))
        except MammoSynthError as error:
            problems.append(str(error))
    if problems:
        listed = "\n  ".join(problems)
        raise DataError(f"{len(problems)} of {len(pairs)} pairs cannot be used; repair or leave them out:\n  {listed}")
    return framed


def _frame_pair(pair: ContrastPair, preprocessing: ContrastPreprocessing) -> FramedPair:
    prepared = preprocessing.prepare(pair.low_energy)
    support = pair.recombined_breast
    if support is None:
        support = segment_breast(pair.recombined)
    shared = prepared.breast_mask & (prepared.frame.apply(support) > 0.5)
    lesion = np.zeros(shared.shape, np.float32) if pair.lesion is None else prepared.frame.apply(pair.lesion)
    return FramedPair(
        low_energy=prepared.low_energy,
        recombined=np.clip(prepared.frame.apply(pair.recombined), 0, 1),
        breast_mask=prepared.breast_mask,
        scored=erode(shared, EDGE * shared.shape[0]).astype(np.float32),
        lesion=lesion,
        view_position=prepared.view_position,
    )


def augment(pair: FramedPair, recipe: TrainingRecipe, random: np.random.Generator) -> FramedPair:
    """The pair flipped (CC only: an MLO view has an up and a down), moved, and with other grey values of the source."""
    maps = [pair.low_energy, pair.recombined, pair.breast_mask.astype(np.float32), pair.scored, pair.lesion]
    flip = random.random() < 0.5
    if flip and pair.view_position is ViewPosition.CC:
        maps = [image[::-1] for image in maps]
    angle = np.deg2rad(random.uniform(-recipe.rotation_deg, recipe.rotation_deg))
    zoom = 1 + random.uniform(-recipe.scaling, recipe.scaling)
    height, width = pair.low_energy.shape
    shift = random.uniform(-recipe.translation, recipe.translation, 2) * height
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / zoom
    # About the middle of the chest wall, which so stays on the left edge.
    centre = np.array([(height - 1) / 2, 0.0])
    offset = centre - matrix @ (centre + shift)

    def move(image: np.ndarray) -> np.ndarray:
        return ndimage.affine_transform(image, matrix, offset=offset, order=1, mode="nearest")

    low_energy, recombined, mask, scored, lesion = (move(image) for image in maps)
    breast_mask = mask > 0.5
    low_energy = np.clip(low_energy, 0, 1) ** np.exp(random.uniform(-recipe.gamma, recipe.gamma))
    low_energy = low_energy * (1 + random.uniform(-recipe.gain, recipe.gain))
    low_energy = low_energy + random.uniform(0, recipe.noise) * random.standard_normal(low_energy.shape)
    return FramedPair(
        low_energy=(np.clip(low_energy, 0, 1) * breast_mask).astype(np.float32),
        recombined=recombined,
        breast_mask=breast_mask,
        scored=((scored > 0.99) & breast_mask).astype(np.float32),
        lesion=lesion,
        view_position=pair.view_position,
    )


def collate(pairs: Sequence[FramedPair], preprocessing: ContrastPreprocessing) -> Batch:
    """A batch of framed pairs."""

    def stack(images: list[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.stack(images)[:, None].astype(np.float32))

    channels = [preprocessing.channels(pair.low_energy, pair.breast_mask, pair.view_position) for pair in pairs]
    return Batch(
        channels=torch.from_numpy(np.stack(channels)),
        recombined=stack([pair.recombined for pair in pairs]),
        scored=stack([pair.scored for pair in pairs]),
        lesion=stack([pair.lesion for pair in pairs]),
    )
