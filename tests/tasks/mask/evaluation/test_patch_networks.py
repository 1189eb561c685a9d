"""A segmenter of masses learns, obeys its seed, and is asked at four places."""

import math

import pytest
import torch
from torch import nn

from mammosynth.tasks.mask.evaluation.lesion_patches import SEEN, SIDE, LesionPatches
from mammosynth.tasks.mask.evaluation.patch_networks import (
    draw_batch,
    lesion_dice,
    new_segmenter,
    scores,
    train_segmenter,
)


def patches(count: int, seed: int = 0, grey: float = 1.0) -> LesionPatches:
    """Noise with a disk in the middle of every other one: bright, if it is not told otherwise."""
    random = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(SIDE) - SIDE / 2, torch.arange(SIDE) - SIDE / 2, indexing="ij")
    radius = torch.randint(5, 12, (count, 1, 1, 1), generator=random)
    has_lesion = torch.arange(count) % 2 == 0
    lesion = ((y**2 + x**2) < radius**2).float() * has_lesion[:, None, None, None]
    image = 0.2 * torch.randn(count, 1, SIDE, SIDE, generator=random) - 0.5 + (grey + 0.5) * lesion
    return LesionPatches(image.clamp(-1, 1), lesion, has_lesion, has_lesion, torch.arange(count))


class Bright(nn.Module):
    """Logits that are positive where the image is."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image


class Mean(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image[:, :1].mean(dim=(2, 3))


def changed(subject: LesionPatches, **values: torch.Tensor) -> LesionPatches:
    return LesionPatches(**{**vars(subject), **values})


def test_every_pool_has_its_share_of_a_batch() -> None:
    malignant = patches(8).with_lesion()
    benign = changed(malignant, is_malignant=torch.zeros(4, dtype=torch.bool))
    batch = draw_batch([malignant, benign], torch.Generator().manual_seed(0))
    assert batch.image.shape == batch.lesion.shape == (16, 1, SEEN, SEEN)
    assert batch.is_malignant.tolist() == [1.0] * 8 + [0.0] * 8


def test_dice_is_of_the_mass_and_silence_without_one_is_no_number() -> None:
    subject = patches(2)
    exact = changed(subject, image=2 * subject.lesion - 1)
    assert lesion_dice(Bright(), exact).tolist() == pytest.approx([1, math.nan], nan_ok=True)
    assert lesion_dice(Bright(), changed(subject, image=torch.ones_like(subject.image)))[1] == 0


def test_scores_are_means_of_four_places() -> None:
    corner = torch.zeros(1, 1, SIDE, SIDE)
    corner[..., :12, :12] = 1  # the four places begin at 4 and 12: one sees 8 x 8 pixels of it
    subject = changed(patches(1), image=corner)
    assert scores(Mean(), subject).tolist() == pytest.approx([8 * 8 / SEEN**2 / 4])


@pytest.mark.slow
def test_it_learns_what_is_bright_and_fails_on_what_is_not_drawn() -> None:
    learned = train_segmenter(new_segmenter(1), [patches(32)], steps=60, seed=1)
    assert lesion_dice(learned, patches(20, seed=9).with_lesion()).mean() > 0.8
    found = patches(20, seed=9).with_lesion()
    assert lesion_dice(learned, changed(found, lesion=found.lesion.roll(20, dims=-1))).mean() < 0.3


@pytest.mark.slow
def test_the_same_seed_gives_the_same_network() -> None:
    first, again, other = (train_segmenter(new_segmenter(seed), [patches(4)], steps=2, seed=seed) for seed in (1, 1, 2))
    weights = [torch.cat([each.flatten() for each in net.parameters()]) for net in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
