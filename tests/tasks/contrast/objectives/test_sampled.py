"""The style is measured on pairs, the members stay as they are, and the bundle can then do both renderings."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from mammosynth.bundle import METADATA, TRAIN, WEIGHTS, load_bundle
from mammosynth.cli import main
from mammosynth.errors import BundleError, DataError
from mammosynth.task import Rendering
from mammosynth.tasks.contrast.specification import SPECIFICATION as CONTRAST
from mammosynth.training.ensemble import join_members
from mammosynth.training.template import Template
from mammosynth.training.train import train_model
from tests.support.data_sets import write_data_sets
from tests.support.templates import NETWORK, tiny_pair, write_template

ENSEMBLE = {"_target_": "mammosynth.networks.ensemble.Ensemble", "members": [NETWORK]}
RECIPE = {"steps": 2, "batch_size": 2, "warmup_steps": 0, "validate_every": 2, "sample_every": 0}


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trained ones, joined."""
    folder = tmp_path_factory.mktemp("zoo")
    template = Template.find(CONTRAST, write_template(folder / "template", network=ENSEMBLE, **RECIPE))
    cases = [tiny_pair(seed) for seed in range(3)]
    for seed in (0, 1):
        recipe = template.recipe({"seed": seed, "threads": 1})
        train_model(cases[:2], cases[2:], output=folder / f"seed{seed}", template=template, recipe=recipe)
    join_members([folder / "seed0", folder / "seed1"], folder / "members")
    return folder / "members"


def fit(members: Path, output: Path, pairs: int = 4) -> Path:
    cases = [tiny_pair(seed) for seed in range(pairs)]
    template = Template.find(CONTRAST, members, objective="sampled")
    train_model(cases[:-1], cases[-1:], output=output, template=template, recipe=template.recipe({"threads": 1}))
    return output


def test_members_are_kept_and_a_style_is_added(members: Path, tmp_path: Path) -> None:
    fitted = fit(members, tmp_path / "fitted")
    before, after = load_file(members / WEIGHTS), load_file(fitted / WEIGHTS)
    assert set(after) - set(before) == {
        f"style.{name}" for name in ("factor", "looks.given_scale", "looks.made_scale", "looks.weights", "looks.root")
    }
    for key, value in before.items():
        np.testing.assert_allclose(after[key], value, atol=1e-3)  # halves
    assert 1 <= float(after["style.factor"]) <= 3
    assert json.loads((fitted / TRAIN).read_text())["objective"] == "residual"
    training = json.loads((fitted / METADATA).read_text())["mammosynth"]["training"]
    assert training["sampled"]["initial_weights"]["bundle"] == "members"
    assert training["sampled"]["val_in_frame"]["val_band_shift"] > 0


def test_a_fitted_bundle_can_both_renderings_and_is_fitted_again_to_the_same(members: Path, tmp_path: Path) -> None:
    fitted = fit(members, tmp_path / "fitted")
    bundle = load_bundle(fitted)
    assert bundle.renderings == (Rendering.EXPECTED, Rendering.SAMPLED)
    source = {"source": tiny_pair(9).low_energy}
    images = [bundle.synthesize(source, rendering=Rendering.SAMPLED, seed=seed).image.pixels for seed in (1, 1, 2)]
    np.testing.assert_array_equal(images[0], images[1])
    assert np.abs(images[0] - images[2]).mean() > 0.001
    before, again = load_file(fitted / WEIGHTS), load_file(fit(fitted, tmp_path / "again") / WEIGHTS)
    for key in ("members.0.weight", "style.looks.made_scale"):
        np.testing.assert_allclose(again[key], before[key], rtol=1e-3)


def test_members_of_a_fitted_bundle_can_be_trained_anew_and_joined_without_its_style(
    members: Path, tmp_path: Path
) -> None:
    fitted = fit(members, tmp_path / "fitted")
    template = Template.find(CONTRAST, fitted)
    cases = [tiny_pair(seed) for seed in range(3)]
    train_model(
        cases[:2], cases[2:], output=tmp_path / "one", template=template, recipe=template.recipe({"threads": 1})
    )
    assert load_bundle(tmp_path / "one").renderings == (Rendering.EXPECTED,)
    join_members([fitted], tmp_path / "joined")
    joined = load_bundle(tmp_path / "joined")
    assert joined.renderings == (Rendering.EXPECTED,)
    assert not any(key.startswith("style.") for key in joined.synthesizer.network.state_dict())


def test_what_cannot_be_fitted_is_refused_in_words(members: Path, tmp_path: Path) -> None:
    single = write_template(tmp_path / "single", **RECIPE)
    with pytest.raises(BundleError, match="single: its network is no ensemble"):
        fit(single, tmp_path / "a")
    with pytest.raises(DataError, match="1 training pair, expected 2"):
        fit(members, tmp_path / "b", pairs=2)
    with pytest.raises(BundleError, match="objective is 'magic', expected residual or cyclegan or sampled"):
        Template.find(CONTRAST, members, objective="magic")


@pytest.mark.slow
def test_the_command_fits_to_a_tiny_folder_of_pairs(members: Path, tmp_path: Path) -> None:
    data, output = write_data_sets(tmp_path / "data") / "cdd-cesm", tmp_path / "out"
    options = ["--objective", "sampled", "--bundle", str(members), "--threads", "1"]
    assert main(["train", "contrast", "--data", str(data), "--output", str(output), *options]) == 0
    assert load_bundle(output).renderings == (Rendering.EXPECTED, Rendering.SAMPLED)
