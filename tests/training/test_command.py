"""`mammosynth train`: what it asks for, prints, and hands to the loop."""

from pathlib import Path

import pytest

from mammosynth.bundle import load_bundle
from mammosynth.cli import main
from mammosynth.phantom.cohort import write_cohort
from mammosynth.phantom.manifest import CohortSettings
from mammosynth.phantom.parameters import CaseParameters
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.training.templates import write_template

RECIPE = {"steps": 2, "batch_size": 1, "validate_every": 1, "sample_every": 0}


def test_settings_of_a_bundle_are_printed_with_its_own_values(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    bundle = write_template(tmp_path / "mine", **RECIPE, noise=0.125)
    assert main(["train", "contrast", "--bundle", str(bundle), "--settings"]) == 0
    printed = capsys.readouterr().out
    assert "Settings of mine:" in printed
    assert "noise=0.125" in printed
    assert "precision=float32" in printed


def test_wrong_settings_are_told_together(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    command = ["train", "contrast", "--bundle", str(write_template(tmp_path / "mine", **RECIPE))]
    assert main(command) == 1
    assert "--data and --output are needed" in capsys.readouterr().err
    command += ["--data", str(tmp_path), "--output", str(tmp_path / "out"), "--set"]
    assert main([*command, "noise"]) == 1
    assert "--set noise: expected NAME=VALUE" in capsys.readouterr().err
    assert main([*command, "noise=much", "--steps", "0"]) == 1
    assert "steps is 0, expected 1 to 1e+06; noise is 'much', expected a number" in capsys.readouterr().err


def test_phantoms_train_a_bundle_from_the_weights_of_another(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    parameters = CaseParameters(0, views=(ViewPosition.CC,), sides=(ImageLaterality.LEFT,), pixel_mm=3.6)
    write_cohort(tmp_path / "phantoms", CohortSettings(parameters), (0, 8), workers=1)
    bundle = str(write_template(tmp_path / "template", **RECIPE))
    folders = ["--data", str(tmp_path / "phantoms"), "--output", str(tmp_path / "mine")]
    options = ["--bundle", bundle, "--initial-weights", bundle, "--set", "noise=0.25", "--steps", "1"]
    assert main(["train", "contrast", *folders, *options]) == 0
    assert "step 1, all steps are done" in capsys.readouterr().out
    training = load_bundle(tmp_path / "mine").metadata["mammosynth"]["training"]
    assert (training["recipe"]["noise"], training["recipe"]["steps"]) == (0.25, 1)
    assert training["initial_weights"]["bundle"] == "template"
