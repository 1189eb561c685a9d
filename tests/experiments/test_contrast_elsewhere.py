"""What is learned from images without a pair is learned, and is where a row starts from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from experiments import contrast_elsewhere
from experiments.contrast_elsewhere import (
    FillIn,
    FindLesions,
    Perceptual,
    PerceptualLarge,
    Start,
    frame_alone,
    learn_start,
    optimise,
    read_alone,
    train_row,
)
from experiments.shift_tolerant import are_weights_installed
from mammosynth.bundle import WEIGHTS
from mammosynth.networks.residual_unet import ResidualUNet
from mammosynth.tasks.contrast.objectives.residual import MASK, ResidualObjective
from mammosynth.tasks.contrast.objectives.residual_recipe import ResidualRecipe
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing
from mammosynth.training.objective import GENERATOR
from tests.support.data_sets import SPLITS, write_data_sets
from tests.support.templates import framed, tiny_pair

FRAME = (128, 96)


def objective(kind: type[ResidualObjective], steps: int = 2) -> ResidualObjective:
    torch.manual_seed(0)
    recipe = ResidualRecipe(batch_size=2, steps=steps, learning_rate=1e-2)
    pairs = framed([tiny_pair(0), tiny_pair(1)], BreastFramePreprocessing(FRAME))
    return kind(pairs, [], ResidualUNet(8, [4, 8]), recipe)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [FillIn, FindLesions])
def test_a_start_learns_and_leaves_the_fields_as_they_were(kind: type[Start]) -> None:
    start = objective(kind, steps=40)
    network = start.networks[GENERATOR]
    fields, stem = network.fields.weight.clone(), network.stem.conv.weight.clone()
    losses = optimise(start, "start")
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])
    assert torch.equal(network.fields.weight, fields)
    assert not torch.equal(network.stem.conv.weight, stem)


def test_what_is_to_be_filled_in_is_hidden() -> None:
    start, seen = objective(FillIn), []
    batch = start.draw(0, 0, 1)
    start.networks[GENERATOR].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    start.learned(batch)
    breast = batch.channels[:, MASK] > 0.5
    for channel in (0, 1):
        was, shown = batch.channels[:, channel][breast], seen[0][:, channel][breast]
        gone = (shown == 0) & (was != 0)
        assert 0.2 < gone.float().mean() < 0.6
        assert torch.equal(shown[~gone], was[~gone])
    assert torch.equal(seen[0][:, 2:], batch.channels[:, 2:])


@pytest.mark.skipif(not are_weights_installed(), reason="needs stlpips-pytorch")
def test_what_people_see_is_added_to_the_loss() -> None:
    plain, perceptual, large = (objective(kind) for kind in (ResidualObjective, Perceptual, PerceptualLarge))
    batch = plain.draw(0, 0, 1)
    flat = torch.full_like(batch.recombined, 0.2)
    assert float(perceptual.loss(flat, batch)) == pytest.approx(float(plain.loss(flat, batch)), rel=1e-6)
    assert float(large.loss(flat, batch)) > float(plain.loss(flat, batch)) + 0.01
    same = batch.recombined
    assert float(large.loss(same, batch)) == pytest.approx(float(plain.loss(same, batch)), abs=1e-6)


@pytest.mark.slow
def test_only_images_of_train_are_learned_from_and_only_where_readers_looked_if_lesions_are(tmp_path: Path) -> None:
    data = write_data_sets(tmp_path)
    images = list(read_alone(data / "cdd-cesm", data / "cbis-ddsm"))
    women = SPLITS.count("train")
    assert len(images) == women * (2 + 1 + 2)  # pairs, full resolution, film
    assert {patient for _, patient, _ in images} == {f"{p}{n}" for p in ("P", "P_") for n in range(women)}
    small = BreastFramePreprocessing(FRAME)
    assert len(frame_alone(iter(images), small, drawn=True)) == women * 4


@pytest.mark.slow
def test_a_row_starts_from_what_was_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, kept = write_data_sets(tmp_path / "data"), tmp_path / "kept"
    monkeypatch.setattr(contrast_elsewhere, "STEPS", 1)
    monkeypatch.setattr(contrast_elsewhere, "START_STEPS", 2)
    learn_start("start-find-lesions", data / "cdd-cesm", data / "cbis-ddsm", kept)
    name = "starts from finding lesions"
    train_row(name, data / "cdd-cesm", kept)
    bundle = contrast_elsewhere.folder_of(name, kept)
    start, trained = (load_file(folder / WEIGHTS) for folder in (kept / "start-find-lesions", bundle))
    key = "members.0.encoder.0.0.conv.weight"
    assert float((start[key] - trained[key].float()).abs().max()) < 0.01
