"""Training over processes: what one process learns, two learn, on one machine or on two, and whoever goes on."""

import copy
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from mammosynth.bundle import load_bundle
from mammosynth.parallel.local import LocalEngine
from mammosynth.phantom.clinic.cohort import write_cohort
from mammosynth.phantom.clinic.manifest import CohortSettings
from mammosynth.phantom.parameters import CaseParameters
from mammosynth.terms import ImageLaterality, ViewPosition
from mammosynth.training.batch_norm import SynchronisedBatchNorm2d, synchronise_batch_norm
from mammosynth.training.checkpoint import CHECKPOINT, read_checkpoint
from mammosynth.training.log import RESULTS
from mammosynth.training.processes import Processes
from tests.support.shared import made_once
from tests.support.shared_steps import OBJECTIVES, steps_of
from tests.support.templates import write_template
from tests.support.torchrun import ROOT, ended, process_of_rank, torchrun

pytestmark = pytest.mark.slow

NETWORK = {  # as that of the released models: batches are normalised, nothing is left to chance
    "_target_": "mammosynth.networks.residual_unet.ResidualUNet",
    "in_channels": 8,
    "features": [2, 4],
    "dropout": 0.0,
}
RECIPE = {"steps": 4, "batch_size": 4, "validate_every": 1, "sample_every": 0, "schedule": "constant"}
OF_SUMS = {"rel": 1e-3, "abs": 1e-5}
"""Sums in another order are rounded in another way, which a few steps of AdamW make larger."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms of five women to learn from, of whom a batch takes four, and of one to validate by."""

    def make(folder: Path) -> None:
        view = CaseParameters(0, views=(ViewPosition.CC,), sides=(ImageLaterality.LEFT,), pixel_mm=3.6)
        write_cohort(folder / "phantoms", CohortSettings(view), (*range(5), 8), engine=LocalEngine(1))
        write_template(folder / "template", network=NETWORK, **RECIPE)

    return made_once(tmp_path_factory, "torchrun", make)


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The curve of one process."""
    folder = tmp_path_factory.mktemp("alone")
    train_alone(data, folder)
    return curve(folder)


def command(data: Path, *options: str, output: str = "mine") -> list[str]:
    folders = ["--data", str(data / "phantoms"), "--bundle", str(data / "template"), "--output", output]
    return ["-m", "mammosynth", "train", "contrast", *folders, "--threads", "1", *options]


def train_alone(data: Path, folder: Path, *options: str) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}"}
    subprocess.run(
        [sys.executable, *command(data, *options)], cwd=folder, env=environment, check=True, capture_output=True
    )


def train_together(data: Path, folder: Path, *options: str, nodes: int = 1) -> list[tuple[int, str, str]]:
    with torchrun(folder, command(data, *options), per_node=2 // nodes, nodes=nodes) as started:
        return ended(started)


def curve(folder: Path) -> list[dict[str, str]]:
    with (folder / "mine" / RESULTS).open() as stream:
        return list(csv.DictReader(stream))


def assert_alike(found: list[dict[str, str]], expected: list[dict[str, str]], **tolerance: float) -> None:
    assert [row["step"] for row in found] == [row["step"] for row in expected]
    for name in ("loss", "val_score"):
        values = [[float(row[name]) for row in rows] for rows in (found, expected)]
        assert values[0] == pytest.approx(values[1], **(tolerance or OF_SUMS)), name


def test_two_processes_learn_what_one_learns_and_one_of_them_speaks_and_writes(
    data: Path, alone: list[dict[str, str]], tmp_path: Path
) -> None:
    [(status, out, err)] = train_together(data, tmp_path)
    assert status == 0, err
    assert_alike(curve(tmp_path), alone)
    assert out.count("Reading and checking the data") == out.count("Wrote mine: step 4") == 1
    assert err.count("step 4 of 4") == 1
    assert len(list((tmp_path / "mine" / "run" / "tensorboard").iterdir())) == 1
    assert load_bundle(tmp_path / "mine").metadata["mammosynth"]["training"]["completed"]


def test_two_machines_learn_what_one_learns_and_the_second_needs_no_folder(
    data: Path, alone: list[dict[str, str]], tmp_path: Path
) -> None:
    for status, _, err in train_together(data, tmp_path, "--steps", "2", nodes=2):
        assert status == 0, err
    for status, _, err in train_together(data, tmp_path, nodes=2):  # goes on from what the first machine has
        assert status == 0, err
    assert_alike(curve(tmp_path), alone)
    written = [place.relative_to(tmp_path).as_posix() for place in tmp_path.glob("**/mine")]
    assert len(written) == 1, "by one machine"


def test_a_run_goes_on_with_more_processes(data: Path, alone: list[dict[str, str]], tmp_path: Path) -> None:
    train_alone(data, tmp_path, "--steps", "2")
    [(status, _, err)] = train_together(data, tmp_path)
    assert status == 0, err
    assert_alike(curve(tmp_path), alone)


def test_bfloat16_is_shared_alike(data: Path, alone: list[dict[str, str]], tmp_path: Path) -> None:
    [(status, _, err)] = train_together(data, tmp_path, "--precision", "bfloat16")
    assert status == 0, err
    assert_alike(curve(tmp_path), alone, rel=0.03, abs=0.01)
    assert curve(tmp_path)[-1]["loss"] != alone[-1]["loss"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_process_that_is_interrupted_stops_all_and_fewer_go_on(
    data: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with torchrun(tmp_path, command(data, "--steps", "100000")) as started:
        wait_until(lambda: rows_in(tmp_path) >= 2, started)
        process_of_rank(started[0], 1).send_signal(number)
        [(status, out, err)] = ended(started)
    assert status != 0
    assert out.count("Stopped; give the same command again to go on.") == 1
    assert "lib/mammosynth" not in err, "no traceback of ours"
    step = read_checkpoint(tmp_path / "mine" / CHECKPOINT)["step"]
    assert step >= 2
    steps = ["--steps", str(step + 2)]
    train_alone(data, tmp_path, *steps)
    (tmp_path / "whole").mkdir()
    train_alone(data, tmp_path / "whole", *steps)
    assert_alike(curve(tmp_path), curve(tmp_path / "whole"), rel=0.02, abs=0.01)


def test_a_process_that_is_killed_ends_all_with_a_sentence_and_torchrun_goes_on_by_itself(
    data: Path, tmp_path: Path
) -> None:
    options = ["--steps", "30", "--checkpoint-every-s", "0"]
    with torchrun(tmp_path, command(data, *options), restarts=1) as started:
        wait_until(lambda: rows_in(tmp_path) >= 2, started)
        process_of_rank(started[0], 1).kill()
        [(status, out, err)] = ended(started)
    assert status == 0, err
    assert "error: process 0 has lost another process of this run" in err
    assert out.count("Wrote mine: step 30") == 1
    assert err.count("step 30 of 30") == 1
    (tmp_path / "whole").mkdir()
    train_alone(data, tmp_path / "whole", *options)
    assert_alike(curve(tmp_path), curve(tmp_path / "whole"), rel=0.02, abs=0.01)


def test_a_machine_with_other_data_is_refused(data: Path, tmp_path: Path) -> None:
    view = CaseParameters(0, views=(ViewPosition.CC,), sides=(ImageLaterality.LEFT,), pixel_mm=3.6)
    for place, seeds in ((tmp_path, (0, 1, 8)), (tmp_path / "node-1", (0, 2, 8))):
        write_cohort(place / "phantoms", CohortSettings(view), seeds, engine=LocalEngine(1))
    given = ["--data", "phantoms", "--bundle", str(data / "template"), "--output", "mine"]
    with torchrun(tmp_path, ["-m", "mammosynth", "train", "contrast", *given], per_node=1, nodes=2) as started:
        results = ended(started)
    assert all(status != 0 for status, _, _ in results)
    assert any("train_sha256 differ from those of process 0" in err for _, _, err in results)
    assert not (tmp_path / "mine").exists()


def test_what_is_fitted_in_closed_form_is_refused(data: Path, tmp_path: Path) -> None:
    options = ["--data", str(data / "phantoms"), "--output", "mine", "--objective", "sampled"]
    with torchrun(tmp_path, ["-m", "mammosynth", "train", "contrast", *options]) as started:
        [(status, _, err)] = ended(started)
    assert status != 0
    assert "objective sampled is fitted in closed form, by one process, and 2 were started" in err


def rows_in(folder: Path) -> int:
    return len(curve(folder)) if (folder / "mine" / RESULTS).is_file() else 0


def wait_until(reached: Callable[[], bool], started: list[subprocess.Popen[str]], patience_s: float = 90) -> None:
    until = time.monotonic() + patience_s
    while not reached():
        assert started[0].poll() is None, started[0].communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


def test_losses_of_a_whole_batch_are_those_of_its_parts_for_every_objective(tmp_path: Path) -> None:
    with torchrun(tmp_path, ["-m", "tests.support.shared_steps", "losses.json"]) as started:
        [(status, _, err)] = ended(started)
    assert status == 0, err
    together = json.loads((tmp_path / "losses.json").read_text())
    for name in OBJECTIVES:
        for found, expected in zip(together[name], steps_of(name, Processes(0, 1, "cpu")), strict=True):
            assert found == pytest.approx(expected, rel=1e-4, abs=1e-5), name


def test_nothing_of_a_group_is_left_at_its_end(tmp_path: Path) -> None:
    """Threads of a group that Python's end meets abort the process, now and then."""
    (tmp_path / "program.py").write_text(
        """
from pathlib import Path
from mammosynth.training.processes import join_processes

def threads():
    return [each.read_text().strip() for each in Path("/proc/self/task").glob("*/comm")]

with join_processes("cpu") as processes:
    import torch
    torch.optim.SGD([torch.ones(1, requires_grad=True)]).zero_grad()
    assert any("gloo" in each for each in threads())
assert not any("gloo" in each for each in threads()), threads()
"""
    )
    with torchrun(tmp_path, ["program.py"]) as started:
        [(status, _, err)] = ended(started)
    assert status == 0, err


def test_normalisation_of_one_process_is_that_of_torch() -> None:
    images = torch.randn(3, 2, 5, 7, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    plain = nn.BatchNorm2d(2)
    with torch.no_grad():
        plain.weight.copy_(torch.tensor([0.5, 2.0]))
    ours = nn.Sequential(copy.deepcopy(plain))
    synchronise_batch_norm(ours)
    assert type(ours[0]) is SynchronisedBatchNorm2d
    outputs = [layer(images) for layer in (plain, ours)]
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*(torch.autograd.grad(each.square().mean() + each[0].sum(), images) for each in outputs))
    torch.testing.assert_close(dict(ours[0].state_dict()), dict(plain.state_dict()))
    torch.testing.assert_close(plain.eval()(images), ours.eval()(images))
