"""A run: tiny pairs in, a bundle that serves out; stopped, resumed and shared without a trace."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from mammosynth.bundle import hash_file, load_bundle
from mammosynth.errors import BundleError, DataError, InvalidParameterError, OutputError
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.tasks.contrast.objectives.residual_recipe import ResidualRecipe
from mammosynth.tasks.contrast.specification import SPECIFICATION as CONTRAST
from mammosynth.training.checkpoint import CHECKPOINT, read_checkpoint
from mammosynth.training.objective import GENERATOR
from mammosynth.training.processes import Processes
from mammosynth.training.recipe import PlainRecipe, TrainingRecipe
from mammosynth.training.run import TrainingRun
from mammosynth.training.template import Template
from mammosynth.training.train import TrainingResult, train_model
from tests.support.templates import FRAME, NETWORK, tiny_pair, write_template

RECIPE = {
    "steps": 3,
    "batch_size": 2,
    "warmup_steps": 0,
    "learning_rate": 0.02,  # after three steps of less, random weights still say nothing but black
    "validate_every": 2,
    "sample_every": 0,
    "threads": 1,
    "elastic": 0.01,
}
DROPOUT_UNET = {
    "_target_": "mammosynth.networks.residual_unet.ResidualUNet",
    "in_channels": 8,
    "features": [2, 4],
    "dropout": 0.5,
}


@pytest.fixture(scope="module")
def pairs() -> list[ContrastPair]:
    return [tiny_pair(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template.find(CONTRAST, write_template(tmp_path_factory.mktemp("zoo") / "plain", **RECIPE))


def train(pairs: list[ContrastPair], output: Path, template: Template, **options: Any) -> TrainingResult:
    changes = {key: options.pop(key) for key in list(options) if key in ResidualRecipe().as_json()}
    recipe = template.recipe({"threads": 1, **changes})
    return train_model(pairs[:2], pairs[2:], output=output, recipe=recipe, template=template, **options)


def weights(bundle: Path) -> dict[str, torch.Tensor]:
    return load_file(bundle / "models" / "model.safetensors")


def results(output: Path) -> list[dict[str, str]]:
    with (output / "run" / "results.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_run_writes_a_bundle_that_synthesizes(pairs: list[ContrastPair], template: Template, tmp_path: Path) -> None:
    told: list[tuple[float, dict[str, float]]] = []
    output = tmp_path / "mine"
    result = train(pairs, output, template, progress=lambda fraction, _, values: told.append((fraction, values)))
    assert (result.completed, result.reason, result.step) == (True, "all steps are done", 3)
    assert [fraction for fraction, _ in told if fraction] == pytest.approx([1 / 3, 2 / 3, 1])
    assert told[-1][1].keys() >= {"loss", "val_score", "val_psnr"}
    bundle = load_bundle(output)
    assert (bundle.name, bundle.is_default) == ("mine", False)
    image = bundle.synthesize({"source": pairs[2].low_energy}).image.pixels
    assert image.shape == (64, 64)
    assert image.any()
    recorded = bundle.metadata["mammosynth"]
    recipe = template.recipe({"threads": 1}).as_json()
    assert recorded["training"]["recipe"] == recipe
    assert recorded["training"]["counts"]["train"] == {"cases": 2, "patients": 2}
    assert recorded["training"]["ended"] == "all steps are done"
    assert recorded["training"]["val_in_frame"]["val_psnr"] == result.val["val_psnr"]
    assert [row["step"] for row in results(output)] == ["2", "3"]
    trained = json.loads((output / "configs" / "train.json").read_text())
    assert trained == {"objective": "residual", "recipe": recipe}
    assert Template.find(CONTRAST, output).recipe({"threads": 1}).as_json() == recipe


@pytest.mark.slow
@pytest.mark.parametrize("network", [NETWORK, DROPOUT_UNET], ids=["plain", "dropout"])
def test_stopped_and_resumed_run_gives_the_weights_of_an_uninterrupted_one(
    pairs: list[ContrastPair], tmp_path: Path, network: dict[str, Any]
) -> None:
    template = Template.find(CONTRAST, write_template(tmp_path / "template", network=network, **RECIPE))
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    train(pairs, whole, template)
    asked = iter([False, False, True])
    stopped = train(pairs, parted, template, should_stop=lambda: next(asked))
    assert (stopped.completed, stopped.step, stopped.bundle) == (False, 2, None)
    assert "stopped" in stopped.reason
    assert not (parted / "configs" / "metadata.json").exists()
    torch.rand(7)  # whatever else was drawn in between
    assert train(pairs, parted, template).completed
    expected, found = weights(whole), weights(parted)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert [row["step"] for row in results(parted)] == [row["step"] for row in results(whole)] == ["2", "3"]
    for name in ("loss", "val_score"):
        assert [row[name] for row in results(parted)] == [row[name] for row in results(whole)]


def test_the_seed_decides_the_weights(pairs: list[ContrastPair], template: Template, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(pairs, tmp_path / name, template, seed=seed)
    a, b, c = (weights(tmp_path / name)["weight"] for name in "abc")
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_run_ends_early_when_the_score_no_longer_improves(
    pairs: list[ContrastPair], template: Template, tmp_path: Path
) -> None:
    # So small steps cannot be told in the scores' digits; the moving average stands still.
    options = {"steps": 50, "learning_rate": 1e-7, "validate_every": 1, "patience": 2, "ema_decay": 0.0}
    result = train(pairs, tmp_path, template, warmup_steps=10000, **options)
    assert result.completed
    assert result.step < 50
    assert result.reason == "val_score has not improved in 2 validations"
    assert load_bundle(tmp_path).metadata["mammosynth"]["training"]["ended"] == result.reason
    assert train(pairs, tmp_path, template, warmup_steps=10000, **options).step == result.step


def test_without_validation_the_last_weights_are_kept(
    pairs: list[ContrastPair], template: Template, tmp_path: Path
) -> None:
    recipe = template.recipe({"patience": 1, "validate_every": 1, "threads": 1})
    result = train_model(pairs, [], output=tmp_path, recipe=recipe, template=template)
    assert (result.step, result.val) == (3, {"best_step": 3.0})


def test_checkpoint_of_another_run_is_refused_unless_started_over(
    pairs: list[ContrastPair], template: Template, tmp_path: Path
) -> None:
    train(pairs, tmp_path, template, steps=1)
    with pytest.raises(OutputError, match=r"checkpoint of another run \(recipe differ\)"):
        train(pairs, tmp_path, template, steps=1, seed=1)
    assert train(pairs, tmp_path, template, steps=1, checkpoint_every_s=7.0).completed
    assert train(pairs, tmp_path, template, steps=1, seed=1, resume=False).completed


def test_with_a_constant_rate_a_run_goes_on_for_more_steps_than_it_was_begun_for(
    pairs: list[ContrastPair], template: Template, tmp_path: Path
) -> None:
    options = {"schedule": "constant", "validate_every": 1}
    train(pairs, tmp_path / "more", template, steps=1, **options)
    assert train(pairs, tmp_path / "more", template, steps=3, **options).step == 3
    train(pairs, tmp_path / "whole", template, steps=3, **options)
    torch.testing.assert_close(weights(tmp_path / "more"), weights(tmp_path / "whole"), atol=0, rtol=0)
    with pytest.raises(OutputError, match=r"checkpoint of another run \(recipe differ\)"):
        train(pairs, tmp_path / "more", template, steps=2, **options)


def test_a_stopped_run_may_leave_a_bundle_and_still_goes_on_alike(
    pairs: list[ContrastPair], template: Template, tmp_path: Path
) -> None:
    asked = iter([False, True])
    stopped = train(pairs, tmp_path / "parted", template, should_stop=lambda: next(asked), keep_unfinished=True)
    assert (stopped.completed, stopped.step, stopped.bundle) == (False, 1, tmp_path / "parted")
    assert stopped.val.keys() >= {"val_score"}, "it is validated for that"
    training = load_bundle(tmp_path / "parted").metadata["mammosynth"]["training"]
    assert (training["completed"], training["ended"]) == (False, "stopped after 1 of 3 steps")
    assert train(pairs, tmp_path / "parted", template, keep_unfinished=True).completed
    train(pairs, tmp_path / "whole", template)
    torch.testing.assert_close(weights(tmp_path / "parted"), weights(tmp_path / "whole"), atol=0, rtol=0)


def test_bad_data_stops_the_run_before_anything_is_written(template: Template, tmp_path: Path) -> None:
    bad = [tiny_pair(7, empty=True), tiny_pair(8, empty=True), tiny_pair(9)]
    with pytest.raises(DataError, match=r"(?s)2 problems.*7\.png.*8\.png"):
        train(bad, tmp_path / "run", template)
    assert not (tmp_path / "run").exists()


def test_recipe_must_fit_template_and_machine(pairs: list[ContrastPair], template: Template, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="recipe is a TrainingRecipe, expected a ResidualRecipe for plain"):
        train_model(pairs, [], output=tmp_path, recipe=TrainingRecipe(), template=template)
    with pytest.raises(InvalidParameterError, match="precision is float16 on device cpu"):
        train(pairs, tmp_path, template, precision="float16")


def test_diverged_run_is_told_and_writes_no_checkpoint(
    pairs: list[ContrastPair], template: Template, tmp_path: Path
) -> None:
    with pytest.raises(InvalidParameterError, match="the run has diverged; choose a smaller learning_rate"):
        train(pairs, tmp_path / "run", template, initial_weights=_infinite_bundle(tmp_path), checkpoint_every_s=0.0)
    assert not (tmp_path / "run" / "run" / "checkpoint.pt").exists()


def test_a_template_whose_network_and_preprocessing_do_not_fit_is_told(
    pairs: list[ContrastPair], tmp_path: Path
) -> None:
    write_template(tmp_path / "narrow", network={**NETWORK, "in_channels": 3})
    narrow = Template.find(CONTRAST, tmp_path / "narrow")
    with pytest.raises(BundleError, match=r"does not take .* expected input.* to have 3 channels, but got 8 channels"):
        train(pairs, tmp_path / "run", narrow)


def test_a_batch_that_no_gpu_holds_is_told() -> None:
    class Large(Squared):
        def draw(self, step: int, rank: int, world_size: int) -> torch.Tensor:
            raise torch.OutOfMemoryError("tried to allocate 20.00 GiB")

    run = TrainingRun(Large(nn.Conv2d(1, 1, 1), torch.zeros(1)), PlainRecipe(batch_size=64), {}, Processes(0, 1, "cpu"))  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="a batch of 64 does not fit .* choose a smaller batch_size"):
        run.advance()


def _infinite_bundle(folder: Path) -> Path:
    (folder / "infinite" / "models").mkdir(parents=True)
    state = {"weight": torch.full((2, 8, 3, 3), torch.inf), "bias": torch.zeros(2)}
    save_file(state, folder / "infinite" / "models" / "model.safetensors")
    return folder / "infinite"


def test_half_precision_trains_nearly_as_single_precision(
    pairs: list[ContrastPair], template: Template, tmp_path: Path
) -> None:
    single, half = (train(pairs, tmp_path / name, template, precision=name) for name in ("float32", "bfloat16"))
    assert half.val["val_score"] == pytest.approx(single.val["val_score"], abs=0.03)
    first, second = (weights(tmp_path / name)["weight"] for name in ("float32", "bfloat16"))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_the_loss_falls_alike_in_half_precision_with_several_updates_a_step(precision: str) -> None:
    single, half = _losses_of_run("float32"), _losses_of_run(precision)
    assert single[-1] < 0.5 * single[0]
    assert half == pytest.approx(single, rel=0.05, abs=0.01)
    assert half != single


def _losses_of_run(precision: str, steps: int = 20) -> list[float]:
    """Of an objective that updates its network twice in every step, as critics are."""

    class Twice:
        def __init__(self) -> None:
            torch.manual_seed(0)
            self.networks = nn.ModuleDict({GENERATOR: nn.Conv2d(1, 1, 3, padding=1)})

        def optimizers(self) -> dict[str, torch.optim.Optimizer]:
            return {GENERATOR: torch.optim.Adam(self.networks.parameters(), lr=0.02)}

        def draw(self, step: int, rank: int, world_size: int) -> torch.Tensor:
            return torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(step))

        def losses(self, batch: torch.Tensor) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
            for _ in range(2):
                yield GENERATOR, (self.networks[GENERATOR](batch).float() - batch).square().mean(), {}

    recipe = PlainRecipe(steps=steps, precision=precision)
    run = TrainingRun(Twice(), recipe, {}, Processes(0, 1, "cpu"))  # type: ignore[arg-type]
    return [run.advance()["loss"] for _ in range(steps)]


def test_one_image_has_the_gradient_of_its_double_where_instances_are_normalised() -> None:
    weights = []
    for count in (1, 2):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.InstanceNorm2d(4), nn.Conv2d(4, 1, 3))
        image = torch.rand(1, 2, 16, 16, generator=torch.Generator().manual_seed(1)).repeat(count, 1, 1, 1)
        run = TrainingRun(Squared(network, image), PlainRecipe(steps=1), {}, Processes(0, 1, "cpu"))  # type: ignore[arg-type]
        run.advance()
        weights.append(network[0].weight.detach().clone(memory_format=torch.contiguous_format))
    torch.testing.assert_close(*weights, atol=1e-5, rtol=0)


class Squared:
    """The objective of making an image's square small, by plain gradient descent."""

    def __init__(self, network: nn.Module, image: torch.Tensor) -> None:
        self.networks, self._image = nn.ModuleDict({GENERATOR: network}), image

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {GENERATOR: torch.optim.SGD(self.networks.parameters(), lr=0.5)}

    def draw(self, step: int, rank: int, world_size: int) -> torch.Tensor:
        return self._image

    def losses(self, batch: torch.Tensor) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        yield GENERATOR, (self.networks[GENERATOR](batch) - 1).square().mean(), {}


def test_gradients_are_clipped(pairs: list[ContrastPair], template: Template, tmp_path: Path) -> None:
    # AdamW does not mind the size of gradients unless it is below its epsilon of 1e-8.
    options = {"steps": 1, "weight_decay": 0.0, "ema_decay": 0.0}
    train(pairs, tmp_path / "free", template, gradient_clip=0.0, **options)
    train(pairs, tmp_path / "clipped", template, gradient_clip=1e-12, **options)
    torch.manual_seed(0)
    start = template.build(0).network.state_dict()["bias"]
    moved = {name: (weights(tmp_path / name)["bias"] - start).abs().max() for name in ("free", "clipped")}
    assert moved["free"] > 1e-3
    assert moved["clipped"] < 1e-5


def test_run_starts_from_the_weights_of_another_bundle_and_says_so(
    pairs: list[ContrastPair], template: Template, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    train(pairs, first, template, steps=1)
    still = {"learning_rate": 1e-7, "weight_decay": 0.0, "seed": 5, "warmup_steps": 10000}
    train(pairs, second, template, initial_weights=first, steps=1, **still)
    torch.testing.assert_close(weights(second), weights(first), atol=1e-3, rtol=0)
    recorded = load_bundle(second).metadata["mammosynth"]["training"]["initial_weights"]
    assert recorded == {"bundle": "first", "sha256": hash_file(first / "models" / "model.safetensors", "first")}
    with pytest.raises(OutputError, match="initial_weights differ"):
        train(pairs, second, template, steps=1, **still)
    other = Template.find(CONTRAST, write_template(tmp_path / "other", network={**NETWORK, "kernel_size": 1}, **RECIPE))
    with pytest.raises(BundleError, match="does not fit the network that is trained"):
        train(pairs, tmp_path / "third", other, initial_weights=first)


def test_of_an_ensemble_one_member_is_trained(pairs: list[ContrastPair], tmp_path: Path) -> None:
    ensemble = {"_target_": "mammosynth.networks.ensemble.Ensemble", "members": [NETWORK, NETWORK]}
    template = Template.find(CONTRAST, write_template(tmp_path / "template", network=ensemble, **RECIPE))
    train(pairs, tmp_path / "mine", template)
    assert set(weights(tmp_path / "mine")) == {"members.0.weight", "members.0.bias"}
    assert load_bundle(tmp_path / "mine").synthesize({"source": pairs[2].low_energy}).image.pixels.any()


def test_template_is_found_by_folder_name_or_task(tmp_path: Path) -> None:
    folder = write_template(tmp_path / "zoo" / "only", steps=7, device="cuda")
    for name in (None, "only", folder, str(folder)):
        found = Template.find(CONTRAST, name, tmp_path / "zoo")
        assert (found.folder.name, found.objective, found.values) == ("only", "residual", {"steps": 7})
    with pytest.raises(BundleError, match="no bundle 'none', expected one of only, or a folder"):
        Template.find(CONTRAST, "none", tmp_path / "zoo")
    with pytest.raises(BundleError, match=r"train.json: objective is 'magic'.* expected residual or cyclegan"):
        Template.find(CONTRAST, write_template(tmp_path / "odd", objective="magic"))


def test_curves_and_sample_grids_are_written_once_each(
    pairs: list[ContrastPair], template: Template, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    asked = iter([False, False, True])
    train(pairs, tmp_path, template, sample_every=1, should_stop=lambda: next(asked))
    train(pairs, tmp_path, template, sample_every=1)
    samples = sorted((tmp_path / "run" / "samples").iterdir())
    assert [path.name for path in samples] == ["step-000001.png", "step-000002.png", "step-000003.png"]
    with Image.open(samples[-1]) as image:
        assert (image.size, image.mode) == ((3 * FRAME[1], FRAME[0]), "L")
        assert np.asarray(image).any()
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3]
    assert events.Scalars("val_score")[-1].value == pytest.approx(float(results(tmp_path)[-1]["val_score"]), rel=1e-5)
    assert [event.step for event in events.Images("samples")] == [1, 2, 3]


def test_without_tensorboard_a_run_says_so_and_goes_on(
    pairs: list[ContrastPair],
    template: Template,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with caplog.at_level("INFO"):
        assert train(pairs, tmp_path, template, steps=1).completed
    assert "tensorboard is not installed: no curves for it; results.csv has the numbers" in caplog.text
    assert not (tmp_path / "run" / "tensorboard").exists()


WORKER = """
import sys
from pathlib import Path
import torch
from mammosynth.tasks.contrast.specification import SPECIFICATION as CONTRAST
from mammosynth.training.template import Template
from mammosynth.training.train import train_model
from mammosynth.training.run import TrainingRun
from tests.support.templates import tiny_pair

torch.distributed.init_process_group("gloo")
folder = Path(sys.argv[1])
template = Template.find(CONTRAST, folder / "template")
pairs = [tiny_pair(seed) for seed in range(3)]
kept = []
build = TrainingRun.__init__
def remember(self, *arguments):
    build(self, *arguments)
    kept.append(self)
TrainingRun.__init__ = remember
def train(should_stop):
    return train_model(
        pairs[:2], pairs[2:], output=folder / "shared", recipe=template.recipe({"threads": 1}), template=template,
        should_stop=should_stop,
    )
# Only the second process is asked to stop.
asked = iter(range(100))
stopped = train(lambda: next(asked) == 2 and kept[0].processes.rank == 1)
result = train(None)
run = kept[1]
torch.save(
    {
        "networks": run.networks.state_dict(),
        "best": run.best,
        "steps": [stopped.step, result.step],
        "size": run.processes.size,
    },
    folder / f"rank{run.processes.rank}.pt",
)
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_of_torchrun_train_what_one_trains(pairs: list[ContrastPair], tmp_path: Path) -> None:
    template = Template.find(CONTRAST, write_template(tmp_path / "template", **RECIPE))
    train(pairs, tmp_path / "alone", template)
    (tmp_path / "worker.py").write_text(WORKER)

    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(tmp_path / "worker.py")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    # Stopped together where only one was asked to, then resumed.
    assert (first["size"], first["steps"], second["steps"]) == (2, [2, 3], [2, 3])
    for part in ("networks", "best"):
        assert all(torch.equal(first[part][key], second[part][key]) for key in first[part])
    # One convolution has no batch statistics: what is left is the order of sums.
    alone = read_checkpoint(tmp_path / "alone" / CHECKPOINT)
    for part in ("networks", "best"):
        torch.testing.assert_close(dict(first[part]), dict(alone[part]), atol=1e-5, rtol=0)
    assert load_bundle(tmp_path / "shared").metadata["mammosynth"]["training"]["val_in_frame"]["best_step"]
