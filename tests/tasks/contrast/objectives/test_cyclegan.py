"""The published cycle-GAN: every loss by hand, patches, and that it learns."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mammosynth.bundle import TARGETS, build_synthesizer, default_model_zoo, read_config, refuse_code
from mammosynth.errors import InvalidParameterError
from mammosynth.mammogram import Mammogram
from mammosynth.networks.resnet_generator import ResNetGenerator
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.tasks.contrast.objectives.cyclegan import (
    BACKWARD,
    DISCRIMINATORS,
    GENERATORS,
    LOW_ENERGY,
    RECOMBINED,
    CycleGANObjective,
    CycleGANRecipe,
    Patches,
    informative_places,
)
from mammosynth.tasks.contrast.objectives.cyclegan_losses import (
    adversarial_loss,
    discriminator_loss,
    identity_loss,
    perceptual_loss,
)
from mammosynth.tasks.contrast.signed_frame import SignedFramePreprocessing
from mammosynth.tasks.contrast.specification import SPECIFICATION as CONTRAST
from mammosynth.terms import ViewPosition
from mammosynth.training.objective import GENERATOR
from tests.support.breasts import half_ellipse
from tests.support.templates import framed

RECIPE = CycleGANRecipe(batch_size=2, patch_size=32, learning_rate=5e-3)
TEMPLATE = default_model_zoo() / "breast_cem_cyclegan"


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def pair(seed: int) -> ContrastPair:
    """A breast whose recombined image is its negative, a little darker."""
    breast = half_ellipse(64, 48)
    texture = np.random.default_rng(seed).uniform(0.2, 0.6, (8, 6)).repeat(8, axis=0).repeat(8, axis=1)
    source = Mammogram((breast * texture).astype(np.float32), f"{seed}.png", view_position=ViewPosition.CC)
    return ContrastPair(source, (breast * (0.8 - texture)).astype(np.float32), f"P{seed}")


def objective(recipe: CycleGANRecipe = RECIPE, *, train: int = 2, val: int = 0) -> CycleGANObjective:
    pairs = framed([pair(seed) for seed in range(train + val)], SignedFramePreprocessing((64, 48)))
    return CycleGANObjective(pairs[:train], pairs[train:], ResNetGenerator(4, 1), recipe)


def test_perceptual_loss_weighs_mean_absolute_error_and_ssim_alike() -> None:
    generated, real = torch.full((2, 1, 16, 16), -0.6), torch.full((2, 1, 16, 16), 0.2)
    # Flat images: 0.2 and 0.6 in [0, 1], SSIM is its luminance term; the absolute error is 0.8.
    ssim = (2 * 0.2 * 0.6 + 0.01**2) / (0.2**2 + 0.6**2 + 0.01**2)
    assert perceptual_loss(generated, real).item() == pytest.approx(0.5 * 0.8 + 0.5 * (1 - ssim), rel=1e-4)
    assert perceptual_loss(real, real).item() == pytest.approx(0, abs=1e-6)


def test_ssim_of_the_cycle_loss_sees_structure_that_the_mean_absolute_error_does_not() -> None:
    checks = torch.ones(1, 1, 32, 32)
    checks[..., ::2, ::2] = checks[..., 1::2, 1::2] = -1
    flat, shifted = torch.zeros_like(checks), 0.5 * checks + 0.5
    # Both are wrong by 1 on every second pixel or more, by the mean 1 and 0.5.
    assert perceptual_loss(flat, checks).item() == pytest.approx(0.5 + 0.5 * (1 - ssim_of_flat_with_checks()), rel=1e-3)
    assert perceptual_loss(shifted, checks).item() < 0.5


def ssim_of_flat_with_checks() -> float:
    """Both means are 0.5, the variances 0 and 0.25: only the constants of the structure term are left."""
    return 0.03**2 / (0.25 + 0.03**2)


def test_perceptual_loss_is_taken_in_single_precision_under_autocast() -> None:
    real = torch.rand(1, 1, 32, 32) * 0.01
    generated = real + 0.001
    alone = perceptual_loss(generated, real)
    with torch.autocast("cpu", torch.bfloat16):
        assert perceptual_loss(generated, real) == alone


def test_adversarial_losses_are_least_squares_to_one_and_zero() -> None:
    of_generated, of_real = torch.tensor([0.2, 0.6]), torch.tensor([0.9, 0.7])
    assert adversarial_loss(of_generated).item() == pytest.approx((0.8**2 + 0.4**2) / 2)
    expected = ((0.1**2 + 0.3**2) / 2 + (0.2**2 + 0.6**2) / 2) / 2
    assert discriminator_loss(of_real, of_generated).item() == pytest.approx(expected)


def test_identity_loss_is_the_mean_absolute_change() -> None:
    assert identity_loss(torch.tensor([0.5, -1.0]), torch.tensor([0.0, 1.0])).item() == pytest.approx(1.25)


def test_generators_loss_is_the_published_sum() -> None:
    trained = objective()
    _, loss, parts = next(iter(trained.losses(trained.draw(0, 0, 1))))
    assert loss.item() == pytest.approx(parts["adversarial"] + 10 * parts["cycle"] + 10 * parts["identity"], rel=1e-5)
    weighted = objective(
        CycleGANRecipe(batch_size=2, patch_size=32, cycle_weight=1, identity_weight=0, paired_weight=3)
    )
    _, loss, parts = next(iter(weighted.losses(weighted.draw(0, 0, 1))))
    assert loss.item() == pytest.approx(parts["adversarial"] + parts["cycle"] + 3 * parts["paired"], rel=1e-5)


def test_parts_are_those_of_a_network_that_changes_nothing() -> None:
    trained = objective()
    for name in (GENERATOR, BACKWARD):
        trained.networks[name] = torch.nn.Identity()
    for name in (LOW_ENERGY, RECOMBINED):
        trained.networks[name] = torch.nn.Flatten()  # its scores are the pixels
    low_energy, recombined = torch.full((1, 1, 16, 16), 0.5), torch.full((1, 1, 16, 16), -0.5)
    updates = iter(trained.losses(Patches(low_energy, recombined)))
    _, _, parts = next(updates)
    # Nothing changes, so cycles and identities are perfect; the judges see 0.5 and -0.5 instead of 1.
    assert parts["cycle"] == pytest.approx(0, abs=1e-6)
    assert parts["identity"] == 0
    assert parts["adversarial"] == pytest.approx(0.5**2 + 1.5**2)
    _, loss, _ = next(updates)
    # Of recombined images: real -0.5, generated 0.5. Of low-energy images: real 0.5, generated -0.5.
    assert loss.item() == pytest.approx((1.5**2 + 0.5**2) / 2 + (0.5**2 + 0.5**2) / 2)


def train(trained: CycleGANObjective, steps: int) -> list[dict[str, float]]:
    """What a loop does, in ten lines."""
    optimizers, history = trained.optimizers(), []
    for step in range(steps):
        row = {}
        for name, loss, parts in trained.losses(trained.draw(step, 0, 1)):
            optimizers[name].zero_grad(set_to_none=True)
            loss.backward()
            optimizers[name].step()
            row.update({name: loss.item(), **parts})
        history.append(row)
    return history


@pytest.mark.slow
def test_generators_learn_the_cycle_and_the_identity_of_one_pair() -> None:
    trained = objective(train=1)
    history = train(trained, 20)
    for part in ("cycle", "identity", GENERATORS):
        first, last = (np.mean([row[part] for row in rows]) for rows in (history[:3], history[-3:]))
        assert last < 0.8 * first, part


@pytest.mark.slow
def test_discriminators_learn_to_tell_real_from_generated() -> None:
    trained = objective(train=1)
    batch = trained.draw(0, 0, 1)
    optimizer = trained.optimizers()[DISCRIMINATORS]
    values = []
    for _ in range(10):
        _, loss, _ = list(trained.losses(batch))[1]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[0] == pytest.approx(0.5, abs=0.1)  # two judges, scores near one half: 2 * (0.25 + 0.25) / 2
    assert values[-1] < 0.5 * values[0]


def test_neither_side_leaks_gradients_into_the_other() -> None:
    trained = objective()
    generators = [*trained.networks[GENERATOR].parameters(), *trained.networks[BACKWARD].parameters()]
    judges = [*trained.networks[LOW_ENERGY].parameters(), *trained.networks[RECOMBINED].parameters()]
    updates = iter(trained.losses(trained.draw(0, 0, 1)))
    next(updates)[1].backward()
    assert all(parameter.grad is not None for parameter in generators)
    assert all(parameter.grad is None for parameter in judges)
    for parameter in generators:
        parameter.grad = None
    next(updates)[1].backward()
    assert all(parameter.grad is None for parameter in generators)
    assert all(parameter.grad is not None for parameter in judges)


def test_one_optimizer_of_two_networks_is_adam_with_the_published_values() -> None:
    optimizers = objective(CycleGANRecipe(patch_size=32)).optimizers()
    assert set(optimizers) == {GENERATORS, DISCRIMINATORS}
    for optimizer in optimizers.values():
        assert type(optimizer) is torch.optim.Adam
        (group,) = optimizer.param_groups
        assert (group["lr"], group["betas"], group["weight_decay"]) == (2e-4, (0.5, 0.999), 0)


@pytest.mark.slow
def test_training_is_a_function_of_the_seed() -> None:
    def run(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        trained = objective(CycleGANRecipe(batch_size=2, patch_size=32, seed=seed))
        train(trained, 2)
        return trained.networks.state_dict()

    one, same, other = run(1), run(1), run(2)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["generator.layers.0.0.weight"], other["generator.layers.0.0.weight"])


def test_both_generators_start_differently() -> None:
    networks = objective().networks
    a, b = (networks[name].layers[0][0].weight for name in (GENERATOR, BACKWARD))
    assert a.shape == b.shape
    assert not torch.equal(a, b)


def test_patches_of_a_pair_lie_at_the_same_place() -> None:
    batch = objective().draw(0, 0, 1)
    assert batch.low_energy.shape == batch.recombined.shape == (2, 1, 32, 32)
    # The recombined image is 0.8 - low energy: in [-1, 1], the two add up to 2 * 0.8 - 2.
    low_energy, recombined = batch.low_energy, batch.recombined
    inside = (low_energy > -0.99) & (recombined > -0.99)
    total = (low_energy + recombined)[inside]
    assert inside.float().mean() > 0.5
    assert total.median().item() == pytest.approx(-0.4, abs=0.01)
    assert (total + 0.4).abs().mean() < 0.03


def test_a_batch_is_the_same_however_many_processes_share_it() -> None:
    recipe = CycleGANRecipe(batch_size=4, patch_size=32)
    trained = objective(recipe, train=3)
    whole = trained.draw(5, 0, 1).low_energy
    parts = [trained.draw(5, rank, 2).low_energy for rank in range(2)]
    torch.testing.assert_close(torch.stack(parts, dim=1).flatten(0, 1), whole)
    assert not torch.equal(trained.draw(6, 0, 1).low_energy, whole)


def test_patches_lie_only_where_enough_is_informative() -> None:
    informative = np.zeros((6, 5), bool)
    informative[2:4, 1:3] = True
    # Of 2x2 windows, four lie at least half inside, beside the one that lies there wholly.
    places = informative_places(informative, 2, 0.5)
    assert places.tolist() == [[1, 1], [2, 0], [2, 1], [2, 2], [3, 1]]
    assert informative_places(informative, 2, 1.0).tolist() == [[2, 1]]


def test_a_breast_smaller_than_a_patch_gives_the_patch_that_shows_most() -> None:
    informative = np.zeros((6, 5), bool)
    informative[2, 2] = True
    places = informative_places(informative, 4, 0.9)
    assert len(places) == 6  # every 4x4 window that holds the pixel
    assert informative_places(np.ones((4, 4), bool), 4, 0.5).tolist() == [[0, 0]]


@pytest.mark.parametrize("side", [30, 64])
def test_patches_that_do_not_fit_are_refused(side: int) -> None:
    with pytest.raises(
        InvalidParameterError, match=f"patch_size is {side}, expected a multiple of 4 that is at most 48"
    ):
        objective(CycleGANRecipe(patch_size=side))


def test_validation_scores_the_real_image_best() -> None:
    trained = objective(val=1)

    class Negative(torch.nn.Module):
        """Knows the rule: recombined = 0.8 - low energy inside the breast."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.where(x > -0.99, -0.4 - x, x)

    scores, unchanged = trained.validate(Negative()), trained.validate(torch.nn.Identity())
    summed = scores["val_psnr"] / 20 + scores["val_ssim"] + scores["val_correlation"]
    assert scores["val_score"] == pytest.approx(summed)
    assert all(scores[name] > unchanged[name] for name in scores)
    assert scores["val_psnr"] > 20
    assert objective().validate(Negative()) == {}


def test_sample_grid_shows_source_generated_and_real_beside_each_other() -> None:
    trained = objective(val=1)
    grid = trained.sample_grid(torch.nn.Identity())
    assert grid.shape == (64, 3 * 48)
    assert grid.dtype == np.float32
    np.testing.assert_array_equal(grid[:, :48], grid[:, 48:96])
    assert grid.min() >= 0
    assert grid[30, 10] + grid[30, 106] == pytest.approx(0.8, abs=0.02)


def test_template_is_the_published_model() -> None:
    config = read_config(TEMPLATE, Path("configs", "train.json"))
    assert config["objective"] == "cyclegan"
    recipe = CycleGANRecipe(**config["recipe"])
    assert (recipe.steps, recipe.batch_size, recipe.learning_rate, recipe.patch_size) == (6000, 20, 2e-4, 128)
    assert (recipe.identity_weight, recipe.paired_weight, recipe.schedule) == (10, 0, "constant")
    refuse_code(read_config(TEMPLATE, Path("configs", "inference.json")), TEMPLATE.name, (*TARGETS, *CONTRAST.targets))
    synthesizer = build_synthesizer(TEMPLATE)
    assert (synthesizer.network.features, synthesizer.network.residual_units) == (64, 9)
    assert (synthesizer.window, synthesizer.stride) == ((128, 128), 16)
