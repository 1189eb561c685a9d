"""A run: tiny pairs in, a bundle that serves out; stopped and resumed without a trace."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mammosynth.bundle import load_bundle
from mammosynth.errors import DataError, InvalidParameterError, OutputError, UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.contrast import ContrastPreprocessing
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.terms import ViewPosition
from mammosynth.training.data import FramedPair, augment, frame_pairs
from mammosynth.training.losses import contrast_loss, enhancement_correlation, masked_ssim
from mammosynth.training.recipe import TrainingRecipe
from mammosynth.training.train import train_contrast
from tests.preprocessing.test_breast import half_ellipse

RECIPE = TrainingRecipe(steps=3, batch_size=2, warmup_steps=0, validate_every=2, threads=1)


def phantom_pair(seed: int, *, empty: bool = False) -> ContrastPair:
    breast = half_ellipse(64, 64) & (not empty)
    texture = np.random.default_rng(seed).uniform(0.2, 0.6, breast.shape)
    lesion = np.zeros(breast.shape, bool)
    lesion[28:36, 14:22] = True
    source = Mammogram((breast * texture).astype(np.float32), f"{seed}.png", view_position=ViewPosition.CC)
    return ContrastPair(source, (breast * (0.2 + 0.5 * lesion)).astype(np.float32), f"P{seed}", lesion=lesion)


@pytest.fixture(scope="module")
def pairs() -> list[ContrastPair]:
    return [phantom_pair(seed) for seed in range(3)]


def weights(bundle: Path) -> dict[str, torch.Tensor]:
    return load_file(bundle / "models" / "model.safetensors")


def test_run_writes_a_bundle_that_synthesizes(pairs: list[ContrastPair], tmp_path: Path) -> None:
    told: list[float] = []
    result = train_contrast(
        pairs[:2], pairs[2:], output=tmp_path / "mine", recipe=RECIPE, progress=lambda f, _, __: told.append(f)
    )
    assert result.completed
    assert told == pytest.approx([1 / 3, 2 / 3, 1])
    bundle = load_bundle(tmp_path / "mine")
    assert (bundle.name, bundle.is_default) == ("mine", False)
    image = bundle.synthesize(pairs[2].low_energy).image.pixels
    assert image.shape == (64, 64)
    assert image.any()
    recorded = bundle.metadata["mammosynth"]
    assert recorded["training"]["recipe"] == RECIPE.as_json()
    assert recorded["training"]["counts"]["train"] == {"pairs": 2, "patients": 2}
    assert recorded["scores"]["val_in_frame"]["val_psnr"] == result.val["val_psnr"]
    with (tmp_path / "mine" / "run" / "results.csv").open() as stream:
        assert [row["step"] for row in csv.DictReader(stream)] == ["2", "3"]
    assert json.loads((tmp_path / "mine" / "configs" / "train.json").read_text()) == {"recipe": RECIPE.as_json()}


def test_stopped_and_resumed_run_gives_the_weights_of_an_uninterrupted_one(
    pairs: list[ContrastPair], tmp_path: Path
) -> None:
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    train_contrast(pairs[:2], pairs[2:], output=whole, recipe=RECIPE)
    asked = iter([False, False, True])
    stopped = train_contrast(pairs[:2], pairs[2:], output=parted, recipe=RECIPE, should_stop=lambda: next(asked))
    assert (stopped.completed, stopped.step, stopped.bundle) == (False, 2, None)
    assert not (parted / "configs" / "metadata.json").exists()
    assert train_contrast(pairs[:2], pairs[2:], output=parted, recipe=RECIPE).completed
    expected, found = weights(whole), weights(parted)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_checkpoint_of_another_run_is_refused_unless_started_over(pairs: list[ContrastPair], tmp_path: Path) -> None:
    one_step = TrainingRecipe(steps=1, batch_size=1, threads=1)
    other = TrainingRecipe(steps=1, batch_size=1, threads=1, seed=1)
    train_contrast(pairs[:1], [], output=tmp_path, recipe=one_step)
    with pytest.raises(OutputError, match=r"checkpoint of another run \(recipe differ\)"):
        train_contrast(pairs[:1], [], output=tmp_path, recipe=other)
    assert train_contrast(pairs[:1], [], output=tmp_path, recipe=other, resume=False).completed


def test_patients_in_both_splits_are_refused(pairs: list[ContrastPair], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 patients have images in both"):
        train_contrast(pairs, pairs[:1], output=tmp_path, recipe=RECIPE)
    with pytest.raises(DataError, match="no training pairs"):
        train_contrast([], [], output=tmp_path, recipe=RECIPE)


def test_every_unusable_pair_is_named_before_the_first_step(tmp_path: Path) -> None:
    bad = [phantom_pair(7, empty=True), phantom_pair(8, empty=True), phantom_pair(9)]
    with pytest.raises(DataError, match=r"(?s)2 of 3 pairs cannot be used.*7\.png.*8\.png"):
        train_contrast(bad, [], output=tmp_path / "run", recipe=RECIPE)
    assert not (tmp_path / "run").exists()
    with pytest.raises(UnsupportedImageError):
        ContrastPreprocessing((64, 48)).prepare(bad[0].low_energy)


def test_recipe_names_every_bad_value() -> None:
    with pytest.raises(InvalidParameterError, match=r"steps is 0, .*ema_decay is 2"):
        TrainingRecipe(steps=0, ema_decay=2)
    with pytest.raises(InvalidParameterError, match="batch_size is 1.5, expected an integer"):
        TrainingRecipe(batch_size=1.5)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="unknown stepps; known are steps"):
        TrainingRecipe.from_values({"stepps": 3})


def framed(view_position: ViewPosition) -> FramedPair:
    image = np.random.default_rng(0).uniform(0.2, 0.8, (64, 48)).astype(np.float32)
    return FramedPair(
        image, image, np.ones(image.shape, bool), np.ones_like(image), np.zeros_like(image), view_position
    )


def test_augmentation_moves_all_maps_together() -> None:
    still = TrainingRecipe(gamma=0, gain=0, noise=0)
    moved = augment(framed(ViewPosition.CC), still, np.random.default_rng(3))
    np.testing.assert_allclose(moved.low_energy, moved.recombined * moved.breast_mask, atol=1e-6)
    assert not np.array_equal(moved.recombined, framed(ViewPosition.CC).recombined)


def test_only_craniocaudal_views_are_turned_upside_down() -> None:
    nothing = TrainingRecipe(rotation_deg=0, scaling=0, translation=0, gamma=0, gain=0, noise=0)
    for view, turned in ((ViewPosition.CC, True), (ViewPosition.MLO, False)):
        pair = framed(view)
        seen = [augment(pair, nothing, np.random.default_rng(seed)).recombined for seed in range(8)]
        assert any(np.allclose(image, pair.recombined[::-1]) for image in seen) is turned
        assert any(np.allclose(image, pair.recombined) for image in seen)


def test_loss_is_zero_for_the_real_image_and_ignores_what_is_not_scored() -> None:
    torch.manual_seed(0)
    real, scored, none = torch.rand(2, 1, 32, 32), torch.zeros(2, 1, 32, 32), torch.zeros(2, 1, 32, 32)
    scored[..., 8:24, 8:24] = 1
    recipe = TrainingRecipe()
    wrong_outside = torch.where(scored > 0, real, 1 - real)
    assert contrast_loss(wrong_outside, real, scored, none, recipe).item() == pytest.approx(0, abs=2e-3)
    assert contrast_loss(1 - real, real, scored, none, recipe).item() > 0.3


def test_lesion_weight_counts_lesion_pixels_more() -> None:
    real, ones = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    generated, lesion = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    generated[..., 0, 0], lesion[..., 0, 0] = 1, 1
    recipe = TrainingRecipe(ssim_weight=0, correlation_weight=0, lesion_weight=3)
    # One of 64 pixels is wrong by 1 and weighs 4: 4 / (63 + 4).
    assert contrast_loss(generated, real, ones, lesion, recipe).item() == pytest.approx(4 / 67)


def test_correlation_is_free_of_the_window_and_knows_inversion() -> None:
    torch.manual_seed(0)
    real, scored = torch.rand(1, 1, 64, 64), torch.ones(1, 1, 64, 64)
    assert enhancement_correlation(0.2 + 0.3 * real, real, scored).item() == pytest.approx(1, abs=1e-2)
    assert enhancement_correlation(-real, real, scored).item() == pytest.approx(-1, abs=1e-2)


def test_ssim_of_flat_images_is_the_luminance_term() -> None:
    a, b = torch.full((1, 1, 16, 16), 0.2), torch.full((1, 1, 16, 16), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert masked_ssim(a, b, torch.ones_like(a)).item() == pytest.approx(expected, rel=1e-4)


def test_registered_support_limits_what_is_scored() -> None:
    pair = phantom_pair(0)
    half = np.zeros((64, 64), bool)
    half[:32] = True
    limited = ContrastPair(pair.low_energy, pair.recombined, pair.patient_id, recombined_breast=half)
    preprocessing = ContrastPreprocessing((64, 48))
    whole_area, half_area = (p.scored.sum() for p in frame_pairs([pair, limited], preprocessing))
    assert 0.3 < half_area / whole_area < 0.6
