"""The queue that trains every model: from the start to a resumed end, on a machine that has little installed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from experiments.packed_bundles import MOST_BYTES, pack_bundles, unpack_bundles
from experiments.train_all import JOBS, Job, Places, Queue, main
from experiments.uninstalled import write_metadata
from mammosynth.bundle import (
    INFERENCE,
    METADATA,
    TRAIN,
    WEIGHTS,
    default_model_zoo,
    find_bundles,
    hash_file,
    load_bundle,
)
from mammosynth.errors import BundleError
from mammosynth.task import Rendering
from mammosynth.training.export import RUN
from tests.support.data_sets import write_data_sets
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
BLOCKED = (
    "pydicom,SimpleITK,radiomics,highdicom,monailabel,fastapi,sqlalchemy,jinja2,jsonschema,matplotlib,pandas,tqdm,"
)
BLOCKED += "einops,sklearn,tensorboard,torchvision"
PROGRAM = """
import sys
from importlib.metadata import MetadataPathFinder

find = MetadataPathFinder.find_distributions
def is_of_others(found):
    return found.name != "mammosynth" or "site-packages" not in str(found.locate_file(""))
def of_others(*context):
    return filter(is_of_others, find(*context))
MetadataPathFinder.find_distributions = of_others
blocked, sys.argv[1:] = sys.argv[1].split(","), sys.argv[2:]
sys.modules.update(dict.fromkeys(blocked))
from experiments.train_all import main
main()
"""
SMALL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "breast_cem_cyclegan": ({"features": 4, "residual_units": 1}, {"steps": 12, "batch_size": 1, "validate_every": 2}),
    "breast_cem_residual": ({}, {"steps": 1, "batch_size": 1}),
    "breast_mg_view_cgan": ({"features": [8] * 5}, {"steps": 1, "batch_size": 1, "perceptual_weight": 0.0}),
    "breast_mg_view": ({}, {}),
    "breast_mg_mask_pix2pix": ({}, {"steps": 1}),
    "breast_mg_mask_dcgan": ({}, {"steps": 1, "batch_size": 2, "critic_updates": 1}),
    "breast_mg_mask_dcgan_128": ({}, {"steps": 1, "batch_size": 2, "critic_updates": 1}),
    "breast_mg_mask": ({"features": [4] * 6}, {"steps": 1, "batch_size": 1}),
}
"""Of each model, other arguments of its network and other values of its recipe."""


def write_small_zoo(folder: Path) -> Path:
    """The released bundles, but smaller and sooner done."""
    for name, (network, recipe) in SMALL.items():
        for path in (INFERENCE, METADATA, TRAIN):
            config = json.loads((default_model_zoo() / name / path).read_text())
            if path == INFERENCE:
                config["network"].update(network)
            if path == TRAIN:
                config["recipe"].update(recipe)
            (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / path).write_text(json.dumps(config))
    return folder


def test_every_released_model_that_can_be_trained_is_in_the_queue() -> None:
    left_out = {"breast_cem_cyclegan_narrow", "breast_cem_residual_heads"}  # stands in; is no better
    assert {job.bundle for job in JOBS} | left_out == set(find_bundles())


def test_a_checkout_tells_what_an_installation_would(tmp_path: Path) -> None:
    write_metadata(ROOT / "pyproject.toml", tmp_path)
    (found,) = distributions(path=[str(tmp_path)])
    assert (found.name, found.version) == ("mammosynth", version("mammosynth"))
    named = {point.name for point in found.entry_points if point.group == "mammosynth.tasks"}
    assert named == {"contrast", "mask", "view"}


@pytest.mark.slow
def test_bundles_come_out_of_few_small_files_as_they_went_in(tmp_path: Path) -> None:
    bundles = []
    for number, length in enumerate((MOST_BYTES // 4, MOST_BYTES // 8, 10)):
        bundles.append(tmp_path / f"bundle_{number}")
        (bundles[-1] / "models").mkdir(parents=True)
        (bundles[-1] / "configs").mkdir()
        save_file({"a": torch.rand(length), "b": torch.rand(3).half()}, bundles[-1] / WEIGHTS)
        digest = hash_file(bundles[-1] / WEIGHTS, "")
        (bundles[-1] / METADATA).write_text(json.dumps({"mammosynth": {"weights_sha256": digest}}))
    files = pack_bundles(bundles, tmp_path / "packed")
    assert len(files) == 2
    assert all(path.stat().st_size < 16 * 2**20 for path in files)
    for bundle in unpack_bundles(tmp_path / "packed", tmp_path / "again"):
        assert (bundle / WEIGHTS).read_bytes() == (tmp_path / bundle.name / WEIGHTS).read_bytes()
    files[1].unlink()
    with pytest.raises(BundleError, match="bundle_0: weights are missing from the files"):
        unpack_bundles(tmp_path / "packed", tmp_path / "again")
    assert pack_bundles(bundles[2:], tmp_path / "packed") == files[:1]


@pytest.mark.slow
def test_what_cannot_be_trained_is_told_and_nothing_is_begun_without_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    places = Places(tmp_path / "data", tmp_path / "out", tmp_path / "work", default_model_zoo())
    names = [job.bundle for job in JOBS]
    assert Queue(JOBS, places, "cpu", time.monotonic() - 1, lambda: False).run() == names
    assert not caplog.text
    queue = Queue(JOBS, places, "cpu", time.monotonic() + 60, lambda: False)
    assert queue.run() == queue.failed == names
    for name in names:
        assert f"{name}: DataError: " in caplog.text


def test_a_folder_of_data_that_is_none_is_refused_before_the_time_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["--data", str(tmp_path / "typo"), "--output", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["train_all", *places])
    with pytest.raises(SystemExit):
        main()
    assert "typo: is no folder, expected one that holds cdd-cesm and cbis-ddsm" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_queue_of_which_a_model_cannot_be_trained_ends_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    places = ["--data", str(tmp_path / "data"), "--output", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["train_all", *places, "--device", "cpu", "--only", "breast_mg_mask_dcgan"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "error: not trained, for what the log says: breast_mg_mask_dcgan" in capsys.readouterr().err


class _Gone(Queue):
    """On a machine that is taken away while the style is fitted."""

    def _fit(self, job: Job, joined: Path) -> None:
        raise KeyboardInterrupt


@pytest.mark.slow
def test_an_ensemble_is_packed_before_its_style_is_fitted(tmp_path: Path) -> None:
    (job,) = (job for job in JOBS if job.fitted)
    places = Places(tmp_path / "data", tmp_path / "out", tmp_path / "work", default_model_zoo())
    for seed in job.seeds:
        member = places.work / "members" / f"{job.bundle}-seed{seed}"
        shutil.copytree(default_model_zoo() / job.bundle, member)
        (member / RUN).parent.mkdir()
        (member / RUN).write_text('{"completed": true}')
    with pytest.raises(KeyboardInterrupt):
        _Gone([job], places, "cpu", time.monotonic() + 60, lambda: False).run()
    (kept,) = unpack_bundles(places.output, tmp_path / "bundles")
    assert load_bundle(kept).name == job.bundle


@pytest.mark.slow
def test_all_models_are_trained_from_start_to_resumed_end_where_little_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, zoo = write_data_sets(tmp_path / "data"), write_small_zoo(tmp_path / "zoo")
    output, features = tmp_path / "out", tmp_path / "radiomics.json"
    monkeypatch.setattr(sys, "argv", ["train_all", "--data", str(data), "--radiomics", str(features), "--measure"])
    main()
    places = ["--data", str(data), "--zoo", str(zoo), "--output", str(output), "--radiomics", str(features)]
    command = [sys.executable, "-c", PROGRAM, BLOCKED, *places, "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "lib"))), "OMP_NUM_THREADS": "1"}

    begun = subprocess.Popen([*command, "--minutes", "30"], env=environment)
    log = output / "log.txt"
    until(lambda: log.is_file() and " step 2 of 12" in log.read_text(), 300)
    begun.send_signal(signal.SIGTERM)
    assert begun.wait(300) == 0
    assert "stopped; run it again to go on" in log.read_text()
    assert "not done: " + ", ".join(SMALL) in log.read_text()
    assert [path.name for path in sorted(output.iterdir())] == ["bundles-1.safetensors", "log.txt"]
    (early,) = unpack_bundles(output, tmp_path / "early")
    assert load_bundle(early).metadata["mammosynth"]["training"]["ended"].startswith("stopped after ")

    subprocess.run([*command, "--minutes", "30"], env=environment, check=True)
    assert log.read_text().splitlines()[-1].endswith("all is done"), log.read_text()
    assert len(list(output.iterdir())) <= 8
    bundles = {path.name: load_bundle(path) for path in unpack_bundles(output, tmp_path / "bundles")}
    assert set(bundles) == set(SMALL)
    steps = (tmp_path / "out.work" / "breast_cem_cyclegan" / "run" / "results.csv").read_text().splitlines()
    assert [row.partition(",")[0] for row in steps[1:]] == [str(step) for step in range(2, 13, 2)]
    weights = load_file(tmp_path / "bundles" / "breast_cem_residual" / WEIGHTS)
    members = {key.split(".")[1] for key in weights if key.startswith("members.")}
    assert members == {"0", "1", "2"}
    assert bundles["breast_cem_residual"].renderings == (Rendering.EXPECTED, Rendering.SAMPLED)
    assert weights["style.looks.weights"].any(), "fitted to what the members make"
