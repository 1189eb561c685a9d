"""The ways of training that only the ablation knows, each against what it must do."""

import copy

import numpy as np
import pytest
import torch

from experiments.contrast_ablation import (
    FIRST,
    RECIPE,
    VARIANTS,
    FeatureMatching,
    LesionMap,
    MultiScale,
    Squared,
    Tolerant,
    write_table,
    write_variant_template,
)
from mammosynth.networks.residual_unet import ResidualUNet
from mammosynth.tasks.contrast.framed import Batch
from mammosynth.tasks.contrast.objectives.residual import ResidualObjective
from mammosynth.tasks.contrast.objectives.residual_recipe import ResidualRecipe
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing
from mammosynth.training.objective import GENERATOR
from tests.support.templates import framed, tiny_pair

FRAME = (256, 192)
"""Smallest that a discriminator of two scales can see."""
SETTINGS = ResidualRecipe(batch_size=2, steps=2, **FIRST)


def objective(kind: type[ResidualObjective]) -> ResidualObjective:
    torch.manual_seed(0)
    network = ResidualUNet(8, [4, 8])
    return kind(framed([tiny_pair(0), tiny_pair(1)], BreastFramePreprocessing(FRAME)), [], network, SETTINGS)


@pytest.fixture
def batch() -> Batch:
    return objective(ResidualObjective).draw(0, 0, 1)


def moved(batch: Batch, rows: int) -> torch.Tensor:
    return torch.roll(batch.recombined, rows, 2)


def test_shift_costs_nothing_where_misregistration_is_tolerated(batch: Batch) -> None:
    plain, tolerant = objective(ResidualObjective), objective(Tolerant)
    assert float(tolerant.loss(moved(batch, 3), batch)) == pytest.approx(0, abs=1e-4)
    assert float(plain.loss(moved(batch, 3), batch)) > 0.02
    assert float(tolerant.loss(moved(batch, 9), batch)) > 0.02


def test_squared_error_counts_large_errors_more(batch: Batch) -> None:
    plain, squared = objective(ResidualObjective), objective(Squared)

    def growth(of: ResidualObjective) -> float:
        small, large = (float(of.loss(batch.recombined + error, batch)) for error in (0.05, 0.4))
        return large / small

    assert growth(squared) > 2 * growth(plain)


def test_structure_at_coarse_scales_counts_where_ssim_has_several(batch: Batch) -> None:
    grain = 0.1 * (-1.0) ** (torch.arange(FRAME[0])[:, None] + torch.arange(FRAME[1]))
    plain, several = (objective(kind).loss(batch.recombined + grain, batch) for kind in (ResidualObjective, MultiScale))
    # Grain of one pixel is gone at half the resolution.
    assert float(several) < float(plain)


def test_a_variant_is_trained_as_the_released_bundle_but_for_what_it_changes(tmp_path) -> None:
    plain, other = (write_variant_template(tmp_path / name, VARIANTS[name], FIRST) for name in (RECIPE, "tolerant"))
    assert (plain.other, other.other) == (None, Tolerant)
    assert {each.build(0).prefix for each in (plain, other)} == {"members.0."}
    assert plain.recipe().correlation_weight == FIRST["correlation_weight"]


@pytest.mark.slow
def test_lesion_map_trains_its_own_head_and_the_network() -> None:
    trained = objective(LesionMap)
    drawn = trained.draw(0, 0, 1)
    ((_, loss, _),) = trained.losses(drawn)
    loss.backward()
    assert trained.networks["lesion"].weight.grad.abs().sum() > 0
    assert any(p is trained.networks["lesion"].weight for g in optimizer_groups(trained) for p in g["params"])
    # Validation runs on a copy of the network, whose features must be its own.
    duplicate = copy.deepcopy(trained.networks[GENERATOR]).eval()
    assert duplicate(drawn.channels).shape == (2, 2, *FRAME)


def optimizer_groups(of: ResidualObjective) -> list[dict[str, list[torch.Tensor]]]:
    return of.optimizers()[GENERATOR].param_groups


@pytest.mark.slow
def test_discriminator_learns_apart_from_the_generator() -> None:
    trained = objective(FeatureMatching)
    updates = trained.losses(trained.draw(0, 0, 1))
    name, loss, parts = next(updates)
    assert (name, set(parts)) == (GENERATOR, {"matched"})
    loss.backward()
    trained.networks.zero_grad()
    name, loss, _ = next(updates)
    loss.backward()
    assert name == "discriminator"
    assert all(p.grad is None or not p.grad.any() for p in trained.networks[GENERATOR].parameters())
    assert any(p.grad is not None and p.grad.any() for p in trained.networks["discriminator"].parameters())


def test_table_shows_differences_to_the_first_recipe(tmp_path) -> None:
    def scores(value: float) -> dict[str, object]:
        return {"psnr": {"value": value, "minus_first": {"low": value - 20.1, "high": value - 19.9}}}

    write_table({RECIPE: scores(20.0), "no-ssim": scores(19.0)}, tmp_path / "table.md")
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[2] == f"| {VARIANTS[RECIPE].description} | 20.000 |"
    assert lines[3].endswith("| 19.000 (-1.100 to -0.900) |")
    assert np.all([line.count("|") == 3 for line in lines])
