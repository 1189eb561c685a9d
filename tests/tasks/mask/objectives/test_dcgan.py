import numpy as np
import pytest
import torch
from torch import nn

from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.networks.dcgan import DcganGenerator
from mammosynth.preprocessing.look import Look
from mammosynth.tasks.mask.cases import MaskCase
from mammosynth.tasks.mask.classes import CLASSES, BreastClass
from mammosynth.tasks.mask.dcgan import DcganNetwork
from mammosynth.tasks.mask.objectives.dcgan import (
    DcganObjective,
    DcganRecipe,
    energy_distance,
    gradient_penalty,
    ssim,
)
from mammosynth.terms import ViewPosition


def case(number):
    """Grey with a bright lesion somewhere; from above, every other one malignant."""
    random = np.random.default_rng(number)
    labels = np.zeros((64, 48), np.uint8)
    labels[4:60, :40] = BreastClass.ADIPOSE
    top, left = random.integers(10, 40), random.integers(4, 24)
    labels[top : top + 12, left : left + 12] = (BreastClass.BENIGN_LESION, BreastClass.MALIGNANT_LESION)[number % 2]
    pixels = np.array([0, 0.3, 0, 0, 0, 0, 0.9, 0.9], np.float32)[labels]
    image = Mammogram(pixels, f"case {number}", ViewPosition.CC if number < 4 else ViewPosition.MLO)
    return MaskCase(image, LabelMap(labels, f"case {number}", CLASSES), f"P{number}", Look.FILM)


def objective(**values):
    torch.manual_seed(0)
    network = DcganNetwork(DcganGenerator(16, 2, 8, 8, 16), (4, 4, 8, 8, 8, 4))
    recipe = DcganRecipe(critic_features=8, **{"batch_size": 8, "learning_rate": 2e-3, **values})
    return DcganObjective([case(number) for number in range(8)], [case(8), case(9)], network, recipe)


class Weighted(nn.Module):
    """A critic that is a weighted sum of pixels: its gradient is the weights."""

    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights))

    def forward(self, image):
        return (image.flatten(1) * self.weights).sum(dim=1)


def test_penalty_of_a_linear_critic_is_how_far_its_weights_are_from_length_one():
    critic = Weighted([3.0, 0.0, 4.0, 0.0])
    real, made, shares = torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2), torch.tensor([0.2, 0.7])
    penalty = gradient_penalty(critic, real, made, shares)
    assert penalty.item() == pytest.approx((5 - 1) ** 2)
    penalty.backward()
    # d/dw of (|w| - 1)^2 is 2 (|w| - 1) w / |w|
    assert critic.weights.grad.tolist() == pytest.approx([2 * 4 * 3 / 5, 0, 2 * 4 * 4 / 5, 0])


def test_penalty_is_taken_between_the_images_by_their_shares():
    # The sum of squares has the gradient 2 x: of length 2 * share of the real image, which is one pixel of 1.
    real, made = torch.zeros(2, 1, 1, 2), torch.zeros(2, 1, 1, 2)
    real[..., 0] = 1
    penalty = gradient_penalty(lambda x: x.square().flatten(1).sum(dim=1), real, made, torch.tensor([0.25, 1.0]))
    assert penalty.item() == pytest.approx(((0.5 - 1) ** 2 + (2 - 1) ** 2) / 2)


def test_critic_updates_come_first_and_every_network_learns_by_its_own_loss_alone():
    subject = objective(critic_updates=2)
    generator = subject.networks["generator"]
    modules = {"generator": generator.image, "critic": subject.networks["critic"], "segmenter": generator.segmenter}
    names = []
    for name, loss, _ in subject.losses(subject.draw(0, 0, 1)):
        subject.networks.zero_grad()
        loss.backward()
        assert {n for n, module in modules.items() if any(p.grad is not None for p in module.parameters())} == {name}
        names.append(name)
    assert names == ["critic", "critic", "generator", "segmenter"]
    assert set(names) == set(subject.optimizers())


def test_segmenter_stops_learning():
    subject = objective(segmenter_steps=3)
    assert subject.draw(2, 0, 1).changes is not None
    batch = subject.draw(3, 0, 1)
    assert batch.changes is None
    assert [name for name, _, _ in subject.losses(batch)] == ["critic"] * 5 + ["generator"]


def test_step_is_a_function_of_seed_and_step_and_only_views_from_above_are_mirrored():
    subject = objective()
    first, again, other = (subject.draw(step, 0, 1) for step in (5, 5, 6))
    assert torch.equal(first.noise, again.noise)
    assert not torch.equal(first.noise, other.noise)
    assert first.image.shape == (6, 8, 1, 16, 16)
    known = subject._train.views
    oblique = known[~subject._train.is_craniocaudal]
    drawn = torch.cat([torch.cat([b.image, b.condition], dim=2).flatten(0, 1) for b in (first, other)])
    mirrored = [v for v in drawn if not any(torch.equal(v, k) for k in known)]
    assert mirrored
    assert not any(torch.equal(v.flip(-2), k) for v in mirrored for k in oblique)


@pytest.mark.slow
def test_lesions_become_bright_where_they_are_asked_for():
    subject = objective(critic_updates=2, segmenter_steps=0, learning_rate=5e-3)
    network, optimizers = subject.networks["generator"], subject.optimizers()
    for step in range(300):
        for name, loss, _ in subject.losses(subject.draw(step, 0, 1)):
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
    cases = subject._val
    with torch.inference_mode():
        made = network.eval().image(torch.zeros(2, 8), cases.condition)
    lesion = cases.condition[:, :1] > 0.9
    breast = (cases.image > -0.5) & (cases.condition[:, :1] == 0)
    assert made[lesion].mean() > made[breast].mean() + 0.2


def test_energy_distance_by_hand():
    first, second = torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [4.0]])
    # between: (0 + 4 + 2 + 2) / 4 = 2; within: 2 and 4
    assert energy_distance(first, second) == pytest.approx((2 * 2 - 2 - 4) / 4)


def test_ssim_of_equal_inverted_and_flat_images():
    image = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert ssim(image, image).tolist() == pytest.approx([1, 1], abs=1e-5)
    assert ssim(image, -image).max() < 0
    # Flat images of grey 0 and 1: (2 * 0 * 1 + c) / (0 + 1 + c), c = 0.01^2
    black, white = torch.full((1, 1, 16, 16), -1.0), torch.ones(1, 1, 16, 16)
    assert ssim(black, white).item() == pytest.approx(1e-4 / (1 + 1e-4), rel=1e-3)


def test_validation_gives_the_published_figures():
    subject = objective()
    with torch.inference_mode():
        scores = subject.validate(subject.networks["generator"].eval())
    assert set(scores) == {"val_score", "val_ssim", "val_dice", "val_dice_made", "val_dice_real", "val_energy"}
    assert scores["val_score"] == pytest.approx(scores["val_dice"] - scores["val_energy"])


def test_sample_grid_shows_real_mask_and_two_generated_of_both_classes():
    subject = objective()
    with torch.inference_mode():
        grid = subject.sample_grid(subject.networks["generator"].eval())
    assert grid.shape == (4 * 16, 2 * 16)
    masks = grid[16:32]
    assert masks[:, :16].max() == pytest.approx(0.5)
    assert masks[:, 16:].max() == pytest.approx(1)
