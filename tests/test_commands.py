"""What a command is told before it does anything."""

import argparse
import errno
import shutil
from pathlib import Path

import pytest
import torch

from mammosynth import cli
from mammosynth.atomic import write_json
from mammosynth.bundle import METADATA, default_model_zoo, load_bundle, read_config
from mammosynth.commands.options import check_device, named_texts
from mammosynth.errors import InvalidParameterError
from tests.support.templates import write_template


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize(
    "command",
    [
        ["synthesize", "contrast", "none", "--output", "out"],
        ["evaluate", "contrast", "--data", "none", "--split", "val"],
        ["train", "contrast", "--data", "none", "--output", "out"],
        ["phantom", "--out", "out"],
    ],
    ids=lambda command: command[0],
)
def test_a_device_that_is_not_there_is_told_first(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([*command, "--device", "cuda"]) == 1
    assert capsys.readouterr().err == "error: --device cuda: this machine has cpu; choose one of these\n"
    assert list(tmp_path.iterdir()) == []


def test_the_cpu_is_always_there() -> None:
    check_device("cpu")
    check_device(None)


def test_settings_are_names_and_values() -> None:
    assert named_texts(["a=1", "b=x=y"], "--set") == {"a": "1", "b": "x=y"}
    for text in ("a", "=1"):
        with pytest.raises(InvalidParameterError, match=f"--set {text}: expected NAME=VALUE"):
            named_texts([text], "--set")


def test_a_full_disk_ends_in_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def run(_: argparse.Namespace) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", "out/report.json")

    def parser() -> argparse.ArgumentParser:
        only = argparse.ArgumentParser()
        only.set_defaults(run=run)
        return only

    monkeypatch.setattr(cli, "build_parser", parser)
    assert cli.main([]) == 1
    assert capsys.readouterr().err == "error: out/report.json: No space left on device; make room, or write elsewhere\n"


def test_a_bundle_without_weights_is_told_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "R_CC.png").touch()
    command = ["synthesize", "mask", str(tmp_path / "R_CC.png"), "--output", str(tmp_path / "out")]
    assert cli.main([*command, "--bundle", "breast_mg_mask_dcgan_128"]) == 1
    assert "breast_mg_mask_dcgan_128 has no weights" in capsys.readouterr().err


def test_a_model_is_installed_once_and_replaced_on_request(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    model = write_template(tmp_path / "mine")
    (model / "run").mkdir()
    (model / "run" / "checkpoint.pt").touch()
    install = ["bundle", "install", str(model), "--data-dir", str(tmp_path / "data")]
    assert cli.main(install) == 0
    installed = tmp_path / "data" / "model_zoo" / "mine"
    assert (installed / "models" / "model.safetensors").is_file()
    assert not (installed / "run").exists()
    assert cli.main(install) == 1
    assert "mine is installed already; give another --name, or --replace" in capsys.readouterr().err
    assert cli.main([*install, "--replace"]) == 0
    assert cli.main([*install, "--name", "../evil"]) == 1
    assert "--name is '../evil', expected letters" in capsys.readouterr().err
    assert cli.main(["bundle", "list", "--data-dir", str(tmp_path / "data")]) == 0
    assert "mine  contrast  0.1.0  default, installed" in capsys.readouterr().out


def test_weights_are_drawn_once(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    model = write_template(tmp_path / "mine")
    assert cli.main(["bundle", "initialize", str(model)]) == 1
    assert "is there already; remove it first" in capsys.readouterr().err
    (model / "models" / "model.safetensors").unlink()
    assert cli.main(["bundle", "initialize", str(model), "--seed", "3"]) == 0
    assert (model / "models" / "model.safetensors").is_file()


def test_a_copy_with_new_weights_does_not_show_the_scores_of_its_original(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(default_model_zoo() / "breast_cem_residual", copy, ignore=shutil.ignore_patterns("models"))
    assert read_config(copy, METADATA)["mammosynth"]["scores"]["measures"]
    assert cli.main(["bundle", "initialize", str(copy)]) == 0
    assert read_config(copy, METADATA)["mammosynth"].keys() == {"task", "renderings", "default"}
    load_bundle(copy)  # whose hash is not that of the original either


def test_a_task_that_is_not_installed_is_told_without_all_that_metadata_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    copy = Path(shutil.copytree(default_model_zoo() / "breast_cem_residual", tmp_path / "copy"))
    metadata = read_config(copy, METADATA)
    metadata["mammosynth"]["task"] = "contrasts"
    write_json(copy / METADATA, metadata)
    assert cli.main(["bundle", "install", str(copy), "--data-dir", str(tmp_path)]) == 1
    assert "found version '0.5.0' and task 'contrasts'; repair it, or install" in capsys.readouterr().err


def test_the_zoo_that_comes_with_us_is_listed(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    assert cli.main(["bundle", "list", "--data-dir", str(tmp_path)]) == 0
    listed = capsys.readouterr().out
    assert "breast_cem_residual  contrast  0.5.0  default" in listed
    assert len(listed.splitlines()) == len([p for p in default_model_zoo().iterdir() if (p / "configs").is_dir()])
