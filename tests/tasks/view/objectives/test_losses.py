"""Every term of the published loss against a value computed by hand."""

import math

import pytest
import torch

from mammosynth.networks.efficientnet_lite import EfficientNetLite0
from mammosynth.networks.perceptual_distance import SHOWN, PerceptualDistance
from mammosynth.tasks.view.objectives.cgan_losses import (
    patch_discriminator_loss,
    patch_loss,
    view_discriminator_loss,
    view_loss,
)
from mammosynth.tasks.view.objectives.losses import lesion_radiomics, lesion_radiomics_error, ssim


def test_the_patch_term_is_the_squared_distance_from_one():
    assert float(patch_loss(torch.tensor([[[[1.0, 0.5], [0.0, 0.5]]]]))) == pytest.approx((0 + 0.25 + 1 + 0.25) / 4)


def test_the_view_term_is_the_cross_entropy_of_a_pair():
    assert float(view_loss(torch.tensor([0.0, 2.0]))) == pytest.approx((math.log(2) + math.log(1 + math.exp(-2))) / 2)


def test_the_patch_discriminator_wants_real_at_one_and_generated_at_zero():
    real, generated = torch.full((1, 1, 2, 2), 0.8), torch.full((1, 1, 2, 2), 0.4)
    assert float(patch_discriminator_loss(real, generated)) == pytest.approx((0.04 + 0.16) / 2)


def test_the_view_discriminator_tells_own_pairs_from_those_of_two_women_and_from_generated_ones():
    own, another, generated = torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([-1.0])
    expected = math.log(1 + math.exp(-1)) + (math.log(2) + math.log(1 + math.exp(-1))) / 2
    assert float(view_discriminator_loss(own, another, generated)) == pytest.approx(expected)


def test_ssim_of_two_even_images_is_that_of_their_means():
    a, b = torch.full((1, 1, 32, 32), 0.2), torch.full((1, 1, 32, 32), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.04 + 0.36 + 1e-4)
    assert float(ssim(a, b)) == pytest.approx(expected, abs=1e-4)


def test_radiomics_of_stripes_in_a_lesion_are_those_of_the_formulas():
    """Rows of .2 and .4: mean .3, deviation .1, scaled values ±1; neighbours down differ by 2, across by 0."""
    image = torch.full((1, 1, 20, 20), 0.2)
    image[:, :, ::2] = 0.4
    lesion = torch.zeros(1, 1, 20, 20)
    lesion[:, :, 4:16, 4:16] = 1

    mean, deviation, third, fourth, contrast, dissimilarity, homogeneity, correlation = lesion_radiomics(image, lesion)[
        0
    ]

    assert float(mean) == pytest.approx(4 * 0.3)
    assert float(deviation) == pytest.approx(10 * 0.1, rel=1e-2)
    assert float(third) == pytest.approx(0, abs=1e-5)
    assert float(fourth) == pytest.approx(math.tanh((1 - 3) / 4), abs=1e-2)
    assert float(contrast) == pytest.approx((0 + 4) / 2, rel=1e-2)
    assert float(dissimilarity) == pytest.approx((0 + 2) / 2, rel=1e-2)
    assert float(homogeneity) == pytest.approx((1 + 1 / 5) / 2, rel=1e-2)
    assert float(correlation) == pytest.approx((1 - 1) / 2, abs=1e-2)


def test_the_radiomic_term_counts_images_with_a_lesion_only():
    image, other = torch.full((2, 1, 16, 16), 0.2), torch.full((2, 1, 16, 16), 0.3)
    lesion = torch.zeros(2, 1, 16, 16)
    lesion[0, :, 4:12, 4:12] = 1
    # Of eight features only the mean differs, by 4 * .1.
    assert float(lesion_radiomics_error(image, other, lesion)) == pytest.approx(0.4 / 8, abs=1e-6)
    assert float(lesion_radiomics_error(image, other, lesion * 0)) == 0


def test_the_perceptual_term_is_the_mean_squared_distance_of_unit_features():
    network = EfficientNetLite0().eval().requires_grad_(False)
    distance = PerceptualDistance(network)
    random = torch.Generator().manual_seed(1)
    one, two = (torch.rand(1, 1, 64, 64, generator=random) for _ in range(2))

    by_hand = []
    outputs = [list(network.block_outputs(image.expand(-1, 3, -1, -1), 8)) for image in (one, two)]
    for number in SHOWN:
        a, b = outputs[0][number], outputs[1][number]
        a, b = (each / each.square().sum(dim=1, keepdim=True).sqrt().clamp(min=1e-3) for each in (a, b))
        by_hand.append(float(((a - b) ** 2).sum(dim=1).mean()))

    assert float(distance(one, two)) == pytest.approx(sum(by_hand) / len(by_hand), rel=1e-4)
    assert float(distance(one, one)) == 0
    assert min(by_hand) > 0
