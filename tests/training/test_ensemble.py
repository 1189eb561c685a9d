import json
from pathlib import Path

import numpy as np
import pytest

from mammosynth.bundle import INFERENCE, load_bundle
from mammosynth.cli import main
from mammosynth.errors import BundleError
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.tasks.contrast.specification import SPECIFICATION as CONTRAST
from mammosynth.training.ensemble import join_members
from mammosynth.training.template import Template
from mammosynth.training.train import train_model
from tests.support.templates import NETWORK, tiny_pair, write_template

ENSEMBLE = {"_target_": "mammosynth.networks.ensemble.Ensemble", "members": [NETWORK]}
HEAD = {
    "_target_": "mammosynth.networks.hypercolumn_head.HypercolumnHead",
    "in_channels": 8,
    "width": 4,
    "depth": 1,
    "taps": [],
}
CALIBRATION = {
    "_target_": "mammosynth.tasks.contrast.calibration.Calibration",
    "constant": 0.01,
    "spread": 2.0,
    "grey": 0.1,
    "contrast": 0.5,
}
RECIPE = {"steps": 2, "batch_size": 2, "warmup_steps": 0, "validate_every": 2, "sample_every": 0}


@pytest.fixture(scope="module")
def pairs() -> list[ContrastPair]:
    return [tiny_pair(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def trained(pairs: list[ContrastPair], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("zoo")
    template = Template.find(CONTRAST, write_template(folder / "template", network=ENSEMBLE, **RECIPE))
    outputs = [folder / f"seed{seed}" for seed in (0, 1)]
    for seed, output in enumerate(outputs):
        recipe = template.recipe({"seed": seed, "threads": 1})
        train_model(pairs[:2], pairs[2:], output=output, recipe=recipe, template=template)
    return outputs


def test_joined_model_gives_the_mean_of_its_members(
    trained: list[Path], pairs: list[ContrastPair], tmp_path: Path
) -> None:
    assert main(["join", *map(str, trained), "--output", str(tmp_path / "both")]) == 0
    source = pairs[0].low_energy
    images = [load_bundle(bundle).synthesizer.generate(prepared(bundle, source)) for bundle in trained]
    both = load_bundle(tmp_path / "both")
    joined = both.synthesizer.generate(prepared(tmp_path / "both", source))
    np.testing.assert_allclose(joined, np.concatenate(images), atol=1e-6)
    result = both.synthesize({"source": source}, parameters={"uncertainty": True})
    assert result["uncertainty"].pixels.max() > 0


def prepared(bundle: Path, source: object) -> object:
    return load_bundle(bundle).synthesizer.preprocessing.prepare(source)


def test_every_members_recipe_and_weights_are_recorded(trained: list[Path], tmp_path: Path) -> None:
    join_members(trained, tmp_path / "both")
    members = load_bundle(tmp_path / "both").metadata["mammosynth"]["training"]["members"]
    assert [member["recipe"]["seed"] for member in members] == [0, 1]
    assert members[0]["weights_sha256"] == load_bundle(trained[0]).weights_sha256


def test_joined_models_can_be_joined_again(trained: list[Path], tmp_path: Path) -> None:
    join_members(trained, tmp_path / "two")
    join_members([tmp_path / "two", trained[0]], tmp_path / "three")
    assert len(load_bundle(tmp_path / "three").synthesizer.network.members) == 3


def test_members_of_other_networks_are_trained_one_by_one_and_joined(pairs: list[ContrastPair], tmp_path: Path) -> None:
    both = {**ENSEMBLE, "members": [NETWORK, HEAD]}
    folder = write_template(tmp_path / "template", network=both, **RECIPE)
    outputs = [tmp_path / f"member{member}" for member in (0, 1)]
    for member, output in enumerate(outputs):
        template = Template.find(CONTRAST, folder, member=member)
        recipe = template.recipe({"threads": 1})
        train_model(pairs[:2], pairs[2:], output=output, recipe=recipe, template=template)
    join_members(outputs, tmp_path / "joined")
    joined = load_bundle(tmp_path / "joined").synthesizer.network
    assert [type(member).__name__ for member in joined.members] == ["Conv2d", "HypercolumnHead"]


def test_a_member_that_there_is_not_is_refused(tmp_path: Path) -> None:
    folder = write_template(tmp_path / "template", network=ENSEMBLE, **RECIPE)
    with pytest.raises(BundleError, match="template: member is 1, expected 0 to 0"):
        Template.find(CONTRAST, folder, member=1)


def test_the_calibration_of_all_members_is_not_inherited(trained: list[Path], tmp_path: Path) -> None:
    join_members(trained, tmp_path / "both")
    inference = json.loads((tmp_path / "both" / INFERENCE).read_text())
    inference["synthesizer"]["calibration"] = CALIBRATION
    (tmp_path / "both" / INFERENCE).write_text(json.dumps(inference))
    join_members([tmp_path / "both", trained[0]], tmp_path / "three")
    assert "calibration" not in json.loads((tmp_path / "three" / INFERENCE).read_text())["synthesizer"]
    blank = Template.find(CONTRAST, tmp_path / "both").build(0)
    assert "calibration" not in blank.inference["synthesizer"]


def test_models_of_other_data_are_refused(trained: list[Path], pairs: list[ContrastPair], tmp_path: Path) -> None:
    template = Template.find(CONTRAST, trained[0])
    recipe = template.recipe({"threads": 1})
    train_model(pairs[1:2], pairs[2:], output=tmp_path / "other", recipe=recipe, template=template)
    with pytest.raises(BundleError, match="other: differs from seed0 in train_sha256"):
        join_members([trained[0], tmp_path / "other"], tmp_path / "both")


def test_single_network_is_refused(tmp_path: Path) -> None:
    folder = write_template(tmp_path / "plain", **RECIPE)
    with pytest.raises(BundleError, match="plain/configs/inference.json: network is no ensemble"):
        join_members([folder], tmp_path / "both")
