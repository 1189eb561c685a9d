import numpy as np
import pytest
import torch

from mammosynth.mammogram import Mammogram
from mammosynth.networks.residual_upsampler import ResidualUpsampler
from mammosynth.networks.skip_generator import SkipGenerator
from mammosynth.preprocessing.look import Look
from mammosynth.tasks.mask.cases import MaskCase
from mammosynth.tasks.mask.objectives.pix2pix import Pix2pixObjective, Pix2pixRecipe
from mammosynth.tasks.mask.parametric.breast import Ellipse, ParametricBreast
from mammosynth.tasks.mask.parametric.draw import label_map
from mammosynth.tasks.mask.pix2pix import Pix2pixNetwork


def case(number, rows=256):
    """Glands bright, fat grey, grain of the size of a pixel."""
    glands = Ellipse(x=0.2, y=0.4 + 0.02 * number, a=0.1, b=0.2)
    labels = label_map(ParametricBreast(fibroglandular=glands), (rows, rows))
    grain = np.random.default_rng(number).uniform(0, 0.05, labels.labels.shape)
    grey = np.array([0, 0.3, 0.7, 0.4, 0, 0.4, 0, 0, 0])[labels.labels]
    pixels = (grey + grain * (labels.labels > 0)).astype(np.float32)
    return MaskCase(Mammogram(pixels, f"case {number}"), labels, f"P{number}", Look.DIGITAL)


def objective(rows=256, **values):
    torch.manual_seed(0)
    network = Pix2pixNetwork(SkipGenerator(9, 4, 4), ResidualUpsampler(8, 1, 2), (64, 48))
    recipe = Pix2pixRecipe(discriminator_features=4, patch=16, learning_rate=2e-3, **values)
    return Pix2pixObjective([case(number, rows) for number in range(3)], [case(9, rows)], network, recipe)


def train(subject, steps):
    optimizers = subject.optimizers()
    for step in range(steps):
        for name, loss, _ in subject.losses(subject.draw(step, 0, 1)):
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
    return optimizers


@pytest.mark.slow
def test_every_network_learns_by_its_own_loss_alone():
    subject = objective()
    optimizers = subject.optimizers()
    modules = {name: subject.networks[name] for name in ("discriminator", "large_discriminator")}
    modules |= {"generator": subject.networks["generator"].image, "upsampler": subject.networks["generator"].upsampler}
    names = []
    for name, loss, _ in subject.losses(subject.draw(0, 0, 1)):
        subject.networks.zero_grad()
        loss.backward()
        moved = {key for key, module in modules.items() if any(p.grad is not None for p in module.parameters())}
        assert moved == {name}
        names.append(name)
    assert names == ["generator", "discriminator", "upsampler", "large_discriminator"]
    assert set(names) == set(optimizers)


@pytest.mark.slow
def test_glands_become_brighter_than_fat():
    subject = objective()
    network = subject.networks["generator"]
    with torch.inference_mode():
        before = subject.validate(network)
    train(subject, 40)
    with torch.inference_mode():
        after = subject.validate(network.eval())
    assert after["val_error"] < before["val_error"]
    drawn = subject._val[0].channels[None].float()
    with torch.inference_mode():
        made = network.image(drawn)[0, 0]
    glands, fat = (made[drawn[0, number] > 0.99].mean() for number in (2, 1))
    assert glands > fat + 0.2


def test_step_is_a_function_of_seed_and_step():
    subject = objective()
    first, again, other = (subject.draw(step, 0, 1) for step in (5, 5, 6))
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.large, again.large)
    assert not torch.equal(first.large, other.large)
    assert first.small.shape == (1, 1, 16, 16)
    assert first.large.shape == (1, 1, 64, 64)


def test_small_images_teach_no_enlargement():
    subject = objective(rows=128)
    batch = subject.draw(0, 0, 1)
    assert batch.large is None
    assert [name for name, _, _ in subject.losses(batch)] == ["generator", "discriminator"]
    with torch.inference_mode():
        scores = subject.validate(subject.networks["generator"])
    assert set(scores) == {"val_score", "val_error", "val_detail"}


def test_validation_punishes_blur_and_noise():
    subject = objective()
    with torch.inference_mode():
        scores = subject.validate(subject.networks["generator"].eval())
    parts = scores["val_error"] + scores["val_large_error"] + 0.1 * (scores["val_detail"] + scores["val_large_detail"])
    assert scores["val_score"] == pytest.approx(-parts)


def test_sample_grid_shows_label_map_generated_and_real_side_by_side():
    subject = objective()
    with torch.inference_mode():
        grid = subject.sample_grid(subject.networks["generator"])
    assert grid.shape == (64, 3 * 48)
    assert 0 <= grid.min() <= grid.max() <= 1
