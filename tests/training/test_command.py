"""`mammosynth train`: what it asks for, prints, and hands to the loop."""

import contextlib
import io
import re
import sys
from pathlib import Path

import pytest

from mammosynth.bundle import load_bundle
from mammosynth.cli import main
from mammosynth.parallel.local import LocalEngine
from mammosynth.phantom.clinic.cohort import write_cohort
from mammosynth.phantom.clinic.manifest import CohortSettings
from mammosynth.phantom.parameters import CaseParameters
from mammosynth.tasks.contrast.objectives.residual_recipe import ResidualRecipe
from mammosynth.terms import ImageLaterality, ViewPosition
from mammosynth.training.log import ProgressLines
from tests.support.full_disk import full_disk
from tests.support.templates import write_template

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
    told = capsys.readouterr().err
    assert "'steps' is '0', expected greater than or equal to 1; parameter 'noise' is 'much', expected number" in told


@pytest.mark.slow
def test_phantoms_train_a_bundle_from_the_weights_of_another(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    parameters = CaseParameters(0, views=(ViewPosition.CC,), sides=(ImageLaterality.LEFT,), pixel_mm=3.6)
    write_cohort(tmp_path / "phantoms", CohortSettings(parameters), (0, 8), engine=LocalEngine(1))
    bundle = str(write_template(tmp_path / "template", **RECIPE))
    folders = ["--data", str(tmp_path / "phantoms"), "--output", str(tmp_path / "mine")]
    options = ["--bundle", bundle, "--initial-weights", bundle, "--set", "noise=0.25", "--steps", "1"]
    assert main(["train", "contrast", *folders, *options]) == 0
    printed = capsys.readouterr()
    assert "step 1, all steps are done" in printed.out
    lines = printed.err.splitlines()  # as a log file gets it: no bar that redraws itself
    assert "\r" not in printed.err
    assert lines[0] == "0:00:00 checking the data"
    assert re.fullmatch(r"0:0\d:\d\d step 1 of 1, loss \d\.\d{4}, val_score -?\d+\.\d{4}", lines[-1])
    training = load_bundle(tmp_path / "mine").metadata["mammosynth"]["training"]
    assert (training["recipe"]["noise"], training["recipe"]["steps"]) == (0.25, 1)
    assert training["initial_weights"]["bundle"] == "template"


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 3000])
def test_a_full_disk_ends_training_in_a_sentence_and_it_goes_on_with_space(
    after: int, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    parameters = CaseParameters(0, views=(ViewPosition.CC,), sides=(ImageLaterality.LEFT,), pixel_mm=3.6)
    write_cohort(tmp_path / "phantoms", CohortSettings(parameters), (0, 8), engine=LocalEngine(1))
    bundle, output = str(write_template(tmp_path / "template", **RECIPE)), tmp_path / "mine"
    command = ["train", "contrast", "--data", str(tmp_path / "phantoms"), "--output", str(output), "--bundle", bundle]
    with full_disk(after), capsys.disabled():
        told = _error_of(command)
    assert re.fullmatch(r"error: [^\n]*File too large[^\n]*(space|make room)[^\n]*\n", told), told
    assert not (output / "configs" / "metadata.json").exists(), "no bundle yet"
    assert main(command) == 0
    assert load_bundle(output)


def _error_of(command: list[str]) -> str:
    """What a command that fails says at the end; in memory, since files cannot grow."""
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        assert main(command) == 1
    return said.getvalue().splitlines(keepends=True)[-1]


def test_a_log_gets_a_line_per_validation_however_many_steps_there_are() -> None:
    lines: list[str] = []
    tell = ProgressLines(ResidualRecipe(steps=1050, validate_every=500), lines.append)
    tell(0.0, "checking the data", {})
    tell(0.0, "warning: odd", {})
    for step in range(1, 1051):
        tell(step / 1050, f"step {step} of 1050", {"loss": 1 / step, "val_psnr": 20.0, "val_score": 0.5})
    assert lines == [
        "0:00:00 checking the data",
        "0:00:00 warning: odd",
        "0:00:00 step 500 of 1050, loss 0.0020, val_score 0.5000",
        "0:00:00 step 1000 of 1050, loss 0.0010, val_score 0.5000",
        "0:00:00 step 1050 of 1050, loss 0.0010, val_score 0.5000",
    ]


@pytest.mark.slow
def test_a_terminal_gets_a_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    parameters = CaseParameters(0, views=(ViewPosition.CC,), sides=(ImageLaterality.LEFT,), pixel_mm=3.6)
    write_cohort(tmp_path / "phantoms", CohortSettings(parameters), (0, 8), engine=LocalEngine(1))
    folders = ["--data", str(tmp_path / "phantoms"), "--output", str(tmp_path / "mine")]
    bundle = str(write_template(tmp_path / "template", **RECIPE))
    assert main(["train", "contrast", *folders, "--bundle", bundle]) == 0
    assert re.search(r"\rtrain: +100%\|.*step 2 of 2, loss", capsys.readouterr().err)
