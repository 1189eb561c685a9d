"""The objective "dcgan": a conditional Wasserstein GAN with gradient penalty, and a U-Net that finds lesions beside it.

Tripathi et al.: noise vector, mask and class to a mammogram; a discriminator that judges the image and its agreement
with the mask; WGAN with gradient penalty; a U-Net that learns masks; SSIM, and Dice of the U-Net's masks. How the rest
was decided:

- Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1: five updates of the critic for one of the generator, penalty 10
  on straight lines between a real and a generated image of the same mask, batches of 64. Adam with 1e-4 and moments 0
  and 0.9: their table of settings.
- The condition is the mask as it was annotated, not as the U-Net finds it: that is what a user draws.
- Views from above are mirrored at random, as anatomy allows: real images are few. What is kept is a moving average.
- The U-Net learns from real images alone, turned, shifted, scaled and of other contrast, by cross-entropy and soft
  Dice; its steps are few, since it would learn the training images by heart.
- `val_score` is the published Dice minus the energy distance between generated and real images: lesions where they
  belong in images that differ as real ones do. Published: the last step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from monai.metrics.regression import SSIMMetric
from pydantic import Field
from torch import nn

from mammosynth.networks.dcgan import DcganCritic
from mammosynth.tasks.mask.cases import MaskCase
from mammosynth.tasks.mask.dcgan import DcganNetwork, LesionSquare, is_mirrored
from mammosynth.tasks.mask.segmentation import changed, dice, lesion_loss
from mammosynth.terms import ViewPosition
from mammosynth.training.objective import GENERATOR, own_start_weights
from mammosynth.training.recipe import BatchSize, Decay, LearningRate, PlainRecipe, StepsOrNone

CRITIC, SEGMENTER = "critic", "segmenter"
BETAS = (0.0, 0.9)
NOISES = 4
"""Images that are made of a validation case."""
SHOWN = 4
"""Cases of each class in a sample grid."""


class DcganRecipe(PlainRecipe):
    """A run of the objective "dcgan"; a step is one update of the generator."""

    batch_size: BatchSize = 64
    learning_rate: LearningRate = 1e-4
    ema_decay: Decay = 0.999
    critic_updates: int = Field(5, ge=1, le=100)
    """Of the critic, for one of the generator."""
    penalty_weight: float = Field(10.0, ge=0.0, le=1000.0)
    """Of the gradient penalty."""
    critic_features: int = Field(64, ge=4, le=256)
    """Channels of the critic's first layer."""
    segmenter_learning_rate: LearningRate = 1e-3
    """Of the U-Net that finds lesions."""
    segmenter_steps: StepsOrNone = 3000
    """After which the U-Net learns no more."""


@dataclass(frozen=True, eq=False)
class Small:
    """All cases of a split, on the device.

    Attributes:
        views: (N, 3, S, S): image in [-1, 1], and the condition's two channels in [0, 1].
        is_craniocaudal: (N,) bool.
    """

    views: torch.Tensor
    is_craniocaudal: torch.Tensor

    @property
    def image(self) -> torch.Tensor:
        """(N, 1, S, S)."""
        return self.views[:, :1]

    @property
    def condition(self) -> torch.Tensor:
        """(N, 2, S, S)."""
        return self.views[:, 1:]


@dataclass(frozen=True, eq=False)
class Batch:
    """What T updates are made of: T - 1 of the critic, then one of the generator.

    Attributes:
        image: (T, B, 1, S, S) in [-1, 1].
        condition: (T, B, 2, S, S).
        noise: (T, B, Z).
        shares: (T, B) in [0, 1], of real image where the gradient is penalised.
        changes: (5, B) in [-1, 1]: how the U-Net's images are changed; None where it learns no more.
    """

    image: torch.Tensor
    condition: torch.Tensor
    noise: torch.Tensor
    shares: torch.Tensor
    changes: torch.Tensor | None


class DcganObjective:
    """See `Objective`, and this module's text.

    Args:
        train: At least one case.
        val: Of other patients; may be empty.
        network: Generator and U-Net.
        recipe: Every choice.
    """

    def __init__(
        self, train: Sequence[MaskCase], val: Sequence[MaskCase], network: DcganNetwork, recipe: DcganRecipe
    ) -> None:
        self._recipe, self._network = recipe, network
        self._train = small_of(train, network.image.size, recipe.device)
        self._val = small_of(val, network.image.size, recipe.device) if val else None
        with own_start_weights(recipe.seed):
            critic = DcganCritic(network.image.size, network.image.in_channels + 1, recipe.critic_features)
        self.networks = nn.ModuleDict({GENERATOR: network, CRITIC: critic})

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Adam for each network; the U-Net is not part of the generator's."""
        rate, segmenter = self._recipe.learning_rate, self._network.segmenter.parameters()
        return {
            GENERATOR: torch.optim.Adam(self._network.image.parameters(), rate, BETAS),
            CRITIC: torch.optim.Adam(self.networks[CRITIC].parameters(), rate, BETAS),
            SEGMENTER: torch.optim.Adam(segmenter, self._recipe.segmenter_learning_rate),
        }

    def draw(self, step: int, rank: int, world_size: int) -> Batch:
        """This rank's images, masks and noise of all updates of a step, drawn where the images are."""
        recipe, where = self._recipe, self._train.views.device
        seed = int(np.random.SeedSequence([recipe.seed, 1, step, 0]).generate_state(1)[0])
        random = torch.Generator(where).manual_seed(seed)
        shape = (recipe.critic_updates + 1, recipe.batch_size)
        own = (slice(None), slice(rank, None, world_size))

        def uniform(*sizes: int) -> torch.Tensor:
            return torch.rand(*sizes, generator=random, device=where)[own]

        index = torch.randint(len(self._train.views), shape, generator=random, device=where)[own]
        flip = self._train.is_craniocaudal[index] & (uniform(*shape) < 0.5)
        views = self._train.views[index]
        image, condition = torch.where(flip[..., None, None, None], views.flip(-2), views).split([1, 2], dim=2)
        noise = torch.randn(*shape, self._network.image.noise, generator=random, device=where)[own]
        shares, changes = uniform(*shape), 2 * uniform(5, shape[1]) - 1
        return Batch(image, condition, noise, shares, changes if step < recipe.segmenter_steps else None)

    def losses(self, batch: Batch) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        """The critic's updates, then the generator's, then the U-Net's."""
        critic, last = self.networks[CRITIC], self._recipe.critic_updates
        for turn in range(last):
            real, condition = batch.image[turn], batch.condition[turn]
            with torch.no_grad():
                made = self._network.image(batch.noise[turn], condition)
            judged = critic(torch.cat([real, made]), torch.cat([condition, condition]))
            distance = judged[: len(real)].mean() - judged[len(real) :].mean()
            penalty = gradient_penalty(partial(critic, condition=condition), real, made, batch.shares[turn])
            parts = (
                {"distance": float(distance.detach()), "penalty": float(penalty.detach())} if turn == last - 1 else {}
            )
            yield CRITIC, self._recipe.penalty_weight * penalty - distance, parts
        critic.requires_grad_(False)
        made = self._network.image(batch.noise[last], batch.condition[last])
        yield GENERATOR, -critic(made, batch.condition[last]).mean(), {}
        critic.requires_grad_(True)
        if batch.changes is not None:
            image, lesion = changed(batch.image[last], batch.condition[last][:, :1], batch.changes)
            yield SEGMENTER, lesion_loss(self._network.segmenter(image), lesion), {}

    def validate(self, generator: Any) -> dict[str, float]:
        """Means over the validation cases and four noise vectors; see this module's text.

        `val_ssim`: of generated and real image of a mask. `val_dice`: of the U-Net's masks of both. `val_dice_made`,
        `val_dice_real`: of each of them with the drawn mask. `val_energy`: see `energy_distance`.
        """
        if self._val is None:
            return {}
        real, drawn = self._val.image, self._val.condition[:, :1] > 0.5
        made = [made_of(generator, self._val.condition, seed) for seed in range(NOISES)]
        found_real, found = find_lesions(generator, real), [find_lesions(generator, each) for each in made]
        energy = energy_distance(torch.cat(made).flatten(1), real.flatten(1))
        published = float(np.mean([dice(each, found_real) for each in found]))
        return {
            "val_score": published - energy,
            "val_ssim": float(torch.stack([ssim(each, real) for each in made]).mean()),
            "val_dice": published,
            "val_dice_made": float(np.mean([dice(each, drawn) for each in found])),
            "val_dice_real": dice(found_real, drawn),
            "val_energy": energy,
        }

    def sample_grid(self, generator: Any) -> np.ndarray:
        """Columns of benign, then malignant cases: real image, mask (malignant ones white), two generated images."""
        cases = self._val or self._train
        kinds = cases.condition[:, 1, 0, 0] > 0.5
        chosen = torch.cat([torch.nonzero(kinds == kind)[:SHOWN, 0] for kind in (False, True)])
        condition = cases.condition[chosen]
        masks = condition[:, :1] * (1 + condition[:, 1:]) - 1
        rows = [cases.image[chosen], masks, *(made_of(generator, condition, seed) for seed in (0, 1))]
        grid = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)[0]
        return np.clip((grid.float().cpu().numpy() + 1) / 2, 0, 1)


def small_of(cases: Sequence[MaskCase], size: int, device: str) -> Small:
    """Cases as the networks see them."""
    square, views = LesionSquare(size), []
    for case in cases:
        image = 2 * np.clip(square.reduce(case.image.pixels, is_mirrored(case.labels)), 0, 1) - 1
        views.append(np.concatenate([image[None], square.condition(case.labels)]))
    above = [case.image.view_position is ViewPosition.CC for case in cases]
    return Small(torch.from_numpy(np.stack(views)).to(device), torch.tensor(above, device=device))


def gradient_penalty(
    critic: Callable[[torch.Tensor], torch.Tensor], real: torch.Tensor, made: torch.Tensor, shares: torch.Tensor
) -> torch.Tensor:
    """Mean square of how far the critic's gradient is from length 1, between real and generated images.

    Args:
        critic: (B, 1, H, W) to (B,), each number of its own image alone.
        real: (B, 1, H, W).
        made: Likewise.
        shares: (B,) in [0, 1], of the real image.

    Source: Gulrajani et al. 2017, equation 3.
    """
    between = torch.lerp(made, real, shares[:, None, None, None]).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def made_of(generator: DcganNetwork, condition: torch.Tensor, seed: int) -> torch.Tensor:
    """(N, 1, S, S) in [-1, 1], one image for each condition."""
    noise = torch.randn(len(condition), generator.image.noise, generator=torch.Generator().manual_seed(seed))
    return generator.image(noise.to(condition), condition)


def find_lesions(generator: DcganNetwork, image: torch.Tensor) -> torch.Tensor:
    """(N, 1, S, S) bool, by the U-Net."""
    return generator.segmenter(image) > 0


def ssim(made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Structural similarity of each of (N, 1, H, W) in [-1, 1]: (N,), whole image, Gaussian window of 11 pixels.

    Taken of grey values in [0, 1]: it compares means, which therefore must not be negative.
    """
    unit_range = ((image.float() + 1) / 2 for image in (made, real))
    return SSIMMetric(spatial_dims=2, data_range=1.0)(*unit_range).flatten()


def energy_distance(first: torch.Tensor, second: torch.Tensor) -> float:
    """How much farther two sets of (N, P) lie apart than their members do, in distances between those of the second.

    Twice the mean distance between the sets, minus the mean distance within each; 0 for samples of one distribution,
    in the mean. A set of one image again and again, or of smooth ones, is far away.
    """
    within = [torch.pdist(each.float()).mean() for each in (first, second)]
    between = torch.cdist(first.float(), second.float()).mean()
    return float((2 * between - within[0] - within[1]) / within[1])
