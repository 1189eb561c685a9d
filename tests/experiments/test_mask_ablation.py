"""What the ablation of task mask changes, and SPADE, each against what it must do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.mask_ablation import MEASURES, VARIANTS, MiddleStyle, changed, write_table
from experiments.mask_spade import STYLE, SpadeGenerator, SpadeObjective
from mammosynth.bundle import Bundle, default_bundle, load_bundle
from mammosynth.evaluation.evaluation import MODEL
from mammosynth.label_map import LabelMap
from mammosynth.networks.residual_upsampler import ResidualUpsampler
from mammosynth.task import Rendering
from mammosynth.tasks.mask import tissue
from mammosynth.tasks.mask.classes import CLASSES
from mammosynth.tasks.mask.objectives.pix2pix import Pix2pixRecipe
from mammosynth.tasks.mask.pix2pix import Pix2pixNetwork
from mammosynth.tasks.mask.roles import LABEL_MAP
from mammosynth.tasks.mask.style import KNOWN
from tests.support.drawn_breasts import drawn_breast, mask_case

FRAME = (128, 64)


@pytest.fixture(scope="module")
def ours() -> Bundle:
    return load_bundle(default_bundle("mask"))


def made(bundle: Bundle) -> np.ndarray:
    labels = LabelMap(drawn_breast(512), "drawn", CLASSES, None)
    return bundle.synthesize({LABEL_MAP: labels}, rendering=Rendering.SAMPLED, seed=1).image.pixels


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_changes_the_image_and_not_the_released_model(name: str, ours: Bundle) -> None:
    before = made(ours)
    variant = made(changed(ours, name))
    assert np.abs(variant - before).mean() > 1e-3
    assert ((variant > 0) == (before > 0)).mean() > 0.98
    assert np.array_equal(made(ours), before)


@pytest.mark.slow
def test_bands_that_are_not_set_leave_the_means_as_they_shall_be(ours: Bundle) -> None:
    assert made(changed(ours, "no-bands")).mean() == pytest.approx(made(ours).mean(), abs=0.02)


def test_every_name_that_a_variant_changes_is_there() -> None:
    assert all(hasattr(tissue, name) for variant in VARIANTS.values() for name in variant.changes)


def test_the_middle_style_is_the_same_for_every_seed() -> None:
    known = np.zeros(len(KNOWN))
    first, second = (MiddleStyle().draw(known, np.random.default_rng(seed)).numbers() for seed in (1, 2))
    np.testing.assert_array_equal(first, second)


def objective() -> SpadeObjective:
    torch.manual_seed(0)
    network = Pix2pixNetwork(SpadeGenerator(FRAME), ResidualUpsampler(4, 1, 2), FRAME)
    recipe = Pix2pixRecipe(discriminator_features=4)
    return SpadeObjective([mask_case(number, rows=256) for number in range(2)], [], network, recipe)


@pytest.mark.slow
def test_each_network_of_spade_learns_by_its_own_loss_alone() -> None:
    subject = objective()
    modules = {"generator": subject.networks["generator"].image, "discriminator": subject.networks["discriminator"]}
    names = []
    for name, loss, _ in subject.losses(subject.draw(0, 0, 1)):
        subject.networks.zero_grad()
        loss.backward()
        moved = {key for key, module in modules.items() if any(p.grad is not None for p in module.parameters())}
        assert moved == {name}
        names.append(name)
    assert names == list(subject.optimizers()) == ["generator", "discriminator"]


@pytest.mark.slow
def test_spade_learns_what_it_is_shown() -> None:
    subject = objective()
    optimizers, matched = subject.optimizers(), []
    for step in range(30):
        for name, loss, parts in subject.losses(subject.draw(step % 2, 0, 1)):
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            matched += [parts["matched"]] if "matched" in parts else []
    assert np.mean(matched[-5:]) < 0.8 * np.mean(matched[:5])


def test_spade_sees_the_label_map_and_the_style() -> None:
    torch.manual_seed(0)
    network = SpadeGenerator(FRAME).eval()
    maps = torch.rand(2, network.in_channels, *FRAME)
    styles = torch.randn(2, STYLE)
    image = network.decode(maps[:1], styles[:1])
    assert image.shape == (1, 1, *FRAME)
    assert not torch.allclose(network.decode(maps[1:], styles[:1]), image, atol=1e-3)
    assert not torch.allclose(network.decode(maps[:1], styles[1:]), image, atol=1e-3)
    noise = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    assert torch.equal(network(maps[:1], noise[0]), network(maps[:1], noise[1]))


def test_the_table_tells_values_goals_and_what_real_halves_differ_by(tmp_path: Path) -> None:
    measures = {name: {"value": 1.234} for name in MEASURES} | {"auc": {"value": None}}
    values = {
        "methods": {"real": {"measures": measures}, MODEL: {"measures": measures}},
        "goals": {MODEL: [{"measure": "iou", "at_least": 0.97, "at_most": None, "reached": True}]},
        "real": {"n_each": 14, "frechet_median": 6.2, "frechet_95": 10.5},
    }
    write_table(values, {"real": "real", MODEL: "ours"}, tmp_path / "table.md")
    lines = (tmp_path / "table.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[0] for row in cells[2:]] == [
        "real",
        "ours",
        "goal",
        "real halves of 14, median",
        "real halves of 14, 95th percentile",
    ]
    assert (cells[3][1], cells[3][MEASURES.index("auc") + 1], cells[3][-1]) == ("1.23", "-", "1 of 1")
    assert cells[4][MEASURES.index("iou") + 1] == "≥ 0.97"
    assert (cells[5][1], cells[6][1]) == ("6.2", "10.5")
