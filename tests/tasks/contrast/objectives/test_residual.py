"""Paired regression: what is drawn, how it is augmented, what is optimised."""

import dataclasses

import numpy as np
import pytest
import torch

from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.tasks.contrast.framed import FramedPair, augment, draw_pairs, frame_pair
from mammosynth.tasks.contrast.objectives.losses import (
    contrast_loss,
    enhancement_correlation,
    lesion_contrast_error,
    masked_ssim,
)
from mammosynth.tasks.contrast.objectives.residual import ResidualObjective, compose
from mammosynth.tasks.contrast.objectives.residual_recipe import ResidualRecipe
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing
from mammosynth.terms import ViewPosition
from mammosynth.training.objective import GENERATOR
from tests.support.templates import FRAME, framed, tiny_pair

PREPROCESSING = BreastFramePreprocessing(FRAME)
STILL = {"rotation_deg": 0.0, "scaling": 0.0, "translation": 0.0, "elastic": 0.0}
SAME_GREY = {"gamma": 0.0, "gain": 0.0, "noise": 0.0}
LOW_ENERGY, NORMALISED, ROW, MASK = (
    BreastFramePreprocessing.CHANNELS.index(name)
    for name in ("low_energy", "low_energy_normalised", "row", "breast_mask")
)


def one_framed(view_position: ViewPosition = ViewPosition.CC) -> FramedPair:
    (pair,) = framed([tiny_pair(0)])
    return dataclasses.replace(pair, view_position=view_position)


def randoms(*seeds: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in seeds]


def test_framed_pair_holds_what_the_network_is_served_with() -> None:
    pair = tiny_pair(0)
    prepared = PREPROCESSING.prepare(pair.low_energy)
    channels = PREPROCESSING.channels(prepared.low_energy, prepared.breast_mask, prepared.view_position)
    maps = one_framed().maps
    assert maps.dtype == torch.float16
    np.testing.assert_allclose(maps[:-3].numpy(), channels, atol=2e-3)
    np.testing.assert_allclose(maps[-3].numpy(), prepared.frame.apply(pair.recombined), atol=1e-3)


def test_without_augmentation_the_maps_are_as_they_were() -> None:
    batch = augment([one_framed(ViewPosition.MLO)], ResidualRecipe(**STILL, **SAME_GREY), randoms(0))
    maps = torch.cat([batch.channels, batch.recombined, batch.scored, batch.lesion], dim=1)[0]
    for index, (found, expected) in enumerate(zip(maps, one_framed().maps.float(), strict=True)):
        # The percentiles of the normalised image are those of a seventh of the pixels.
        tolerance = 0.15 if index == NORMALISED else 1e-3
        np.testing.assert_allclose(found, expected, atol=tolerance, err_msg=str(index))


def test_augmentation_moves_all_maps_together() -> None:
    pair = one_framed()
    twin = pair.maps.clone()
    twin[-3] = twin[LOW_ENERGY]  # the recombined image is the source
    batch = augment([dataclasses.replace(pair, maps=twin)], ResidualRecipe(**SAME_GREY, elastic=0.02), randoms(3))
    mask = batch.channels[:, MASK : MASK + 1]
    np.testing.assert_allclose(batch.channels[:, :1], batch.recombined * mask, atol=1e-5)
    assert (batch.recombined - twin[-3].float()).abs().max() > 0.05
    assert set(batch.scored.unique().tolist()) == {0.0, 1.0}


def test_only_craniocaudal_views_are_turned_upside_down_and_the_frame_keeps_its_up_and_down() -> None:
    recipe = ResidualRecipe(**STILL, **SAME_GREY)
    for view, turned in ((ViewPosition.CC, True), (ViewPosition.MLO, False)):
        pair = one_framed(view)
        batch = augment([pair] * 8, recipe, randoms(*range(8)))
        upside_down = pair.maps[-3].flip(0).float()
        seen = [torch.allclose(image[0], upside_down, atol=1e-3) for image in batch.recombined]
        assert any(seen) is turned
        assert not all(seen)
        for channels in batch.channels:
            torch.testing.assert_close(channels[ROW], pair.maps[ROW].float(), atol=1e-3, rtol=0)


def test_augmentation_of_a_pair_does_not_depend_on_its_neighbours() -> None:
    pair, recipe = one_framed(), ResidualRecipe(elastic=0.02)
    both = augment([pair, pair], recipe, randoms(1, 2))
    alone = augment([pair], recipe, randoms(2))
    torch.testing.assert_close(both.channels[1:], alone.channels, atol=1e-6, rtol=0)


def test_processes_share_a_batch_and_every_pair_is_drawn_before_any_again() -> None:
    recipe = ResidualRecipe(batch_size=4)
    whole = [index for step in range(3) for _, index in draw_pairs(6, step, recipe, 0, 1)]
    assert sorted(whole[:6]) == sorted(whole[6:]) == list(range(6))
    shares = [draw_pairs(6, 1, recipe, rank, 2) for rank in (0, 1)]
    assert sorted(shares[0] + shares[1]) == draw_pairs(6, 1, recipe, 0, 1)


def test_registered_support_limits_what_is_scored() -> None:
    pair = tiny_pair(0)
    half = np.zeros((64, 64), bool)
    half[:32] = True
    preprocessing = BreastFramePreprocessing((64, 48))
    prepared = preprocessing.prepare(pair.low_energy)
    whole_area, half_area = (
        frame_pair(pair, prepared, support, preprocessing).maps[-2].float().sum()
        for support in (prepared.source_breast_mask, half)
    )
    assert 0.3 < half_area / whole_area < 0.6


def test_image_is_offset_plus_gain_times_low_energy() -> None:
    channels = torch.tensor([0.5, 9.0]).reshape(1, 2, 1, 1)
    fields = torch.tensor([0.1, 0.4]).reshape(1, 2, 1, 1)
    assert compose(fields, channels).item() == pytest.approx(0.1 + 0.4 * 0.5)


class Fields(torch.nn.Module):
    """The same two fields whatever is seen."""

    def __init__(self, offset: float, gain: float) -> None:
        super().__init__()
        self.fields = torch.nn.Parameter(torch.tensor([offset, gain]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fields[None, :, None, None].expand(len(x), 2, *x.shape[2:])


def objective(network: torch.nn.Module) -> ResidualObjective:
    pairs = framed([tiny_pair(seed) for seed in range(3)])
    recipe = ResidualRecipe(batch_size=2, ssim_weight=0, correlation_weight=0, learning_rate=0.02)
    return ResidualObjective(pairs[:2], pairs[2:], network, recipe)


def test_scores_are_those_of_the_composed_image() -> None:
    residual = objective(Fields(0.2, 0.0))
    with torch.inference_mode():
        scores = residual.validate(residual.networks[GENERATOR])
    recombined, scored, _ = framed([tiny_pair(2)])[0].maps[-3:].double().numpy()
    mean_square = np.mean((recombined - 0.2)[scored > 0] ** 2)
    assert scores["val_psnr"] == pytest.approx(-10 * np.log10(mean_square), abs=1e-3)
    assert scores["val_score"] == pytest.approx(
        scores["val_psnr"] / 20 + scores["val_ssim"] + scores["val_correlation"]
    )


def test_losses_lead_to_fields_whose_image_is_nearer_to_the_real_one() -> None:
    residual = objective(Fields(0.0, 1.0))
    generator, optimizer = residual.networks[GENERATOR], residual.optimizers()[GENERATOR]
    with torch.inference_mode():
        before = residual.validate(generator)
    for step in range(40):
        for _, loss, _ in residual.losses(residual.draw(step, 0, 1)):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.inference_mode():
        after = residual.validate(generator)
    assert after["val_psnr"] > before["val_psnr"] + 5


def test_sample_grid_shows_source_generated_and_real_image_side_by_side() -> None:
    residual = objective(Fields(0.2, 0.0))
    with torch.inference_mode():
        grid = residual.sample_grid(residual.networks[GENERATOR])
    assert grid.shape == (FRAME[0], 3 * FRAME[1])
    breast = framed([tiny_pair(2)])[0].maps[MASK].float()
    np.testing.assert_allclose(grid[:, FRAME[1] : 2 * FRAME[1]], 0.2 * breast, atol=1e-6)


def test_loss_is_zero_for_the_real_image_and_ignores_what_is_not_scored() -> None:
    torch.manual_seed(0)
    real, scored, none = torch.rand(2, 1, 32, 32), torch.zeros(2, 1, 32, 32), torch.zeros(2, 1, 32, 32)
    scored[..., 8:24, 8:24] = 1
    recipe = ResidualRecipe()
    wrong_outside = torch.where(scored > 0, real, 1 - real)
    assert contrast_loss(wrong_outside, real, scored, none, recipe).item() == pytest.approx(0, abs=2e-3)
    assert contrast_loss(1 - real, real, scored, none, recipe).item() > 0.3


def test_loss_of_a_batch_is_the_mean_of_the_losses_of_its_images() -> None:
    torch.manual_seed(0)
    generated, real, scored, lesion = torch.rand(4, 3, 1, 32, 32).unbind()
    scored = (scored > torch.tensor([0.1, 0.5, 0.9]).reshape(3, 1, 1, 1)).float()
    recipe = ResidualRecipe(ssim_weight=0.3, correlation_weight=0.2)
    whole = contrast_loss(generated, real, scored, lesion, recipe)
    parts = [contrast_loss(*(m[i : i + 1] for m in (generated, real, scored, lesion)), recipe) for i in range(3)]
    assert whole.item() == pytest.approx(torch.stack(parts).mean().item(), rel=1e-5)


def test_lesion_weight_counts_lesion_pixels_more() -> None:
    real, ones = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    generated, lesion = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    generated[..., 0, 0], lesion[..., 0, 0] = 1, 1
    recipe = ResidualRecipe(ssim_weight=0, correlation_weight=0, lesion_weight=3)
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


def test_lesion_contrast_is_lesion_minus_ring() -> None:
    lesion, scored = torch.zeros(2, 1, 64, 64), torch.ones(2, 1, 64, 64)
    lesion[0, :, 24:40, 24:40] = 1
    recombined = 0.3 + 0.4 * lesion
    # A quarter of the real contrast: .1 instead of .4 grey values; brightness of the whole does not matter.
    generated = 0.5 + 0.1 * lesion
    error = lesion_contrast_error(generated, recombined, scored, lesion)
    torch.testing.assert_close(error, torch.tensor([0.3, 0.0]), rtol=1e-4, atol=1e-5)
    recipe = ResidualRecipe(ssim_weight=0, correlation_weight=0, lesion_weight=0, contrast_weight=2)
    without = recipe.changed(contrast_weight=0)
    gained = contrast_loss(generated, recombined, scored, lesion, recipe) - contrast_loss(
        generated, recombined, scored, lesion, without
    )
    assert float(gained) == pytest.approx(2 * 0.3 / 2, rel=1e-4)


def test_a_run_may_see_a_share_of_the_patients_drawn_by_its_seed() -> None:
    pairs = [tiny_pair(seed) for seed in range(4)]
    assert len(seen(pairs)) == 4
    half = seen(pairs, patients=0.5)
    assert len(half) == 2
    assert seen(pairs, patients=0.01) < half < seen(pairs)
    assert len({frozenset(seen(pairs, patients=0.5, seed=seed)) for seed in range(8)}) > 1


def seen(pairs: list[ContrastPair], **settings: float) -> set[float]:
    """The images of an epoch, told apart by their mean grey."""
    recipe = ResidualRecipe(batch_size=4, **STILL, **SAME_GREY, **settings)
    drawn = ResidualObjective(framed(pairs), [], torch.nn.Identity(), recipe).draw(0, 0, 1)
    return {round(float(mean), 4) for mean in drawn.channels[:, LOW_ENERGY].mean(dim=(1, 2))}
