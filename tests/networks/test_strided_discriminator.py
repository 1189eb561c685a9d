"""The published discriminator: its layers by count, how far a score sees, and its range."""

import torch
from torch import nn

from mammosynth.networks.strided_discriminator import StridedDiscriminator
from tests.support.networks import without_normalisation


def test_parameter_count_is_that_of_the_layers() -> None:
    blocks = 4 * 4 * (1 * 64 + 64 * 128 + 128 * 256)
    last = 4 * 4 * 256 * 1 + 1  # only the last convolution has a bias
    counted = sum(parameter.numel() for parameter in StridedDiscriminator().parameters())
    assert counted == blocks + last == 660_481


def test_every_block_is_normalised_the_first_one_too() -> None:
    kinds = [[type(layer) for layer in block] for block in list(StridedDiscriminator(2).layers)[:3]]
    assert kinds == [[nn.Conv2d, nn.InstanceNorm2d, nn.LeakyReLU]] * 3


def test_a_patch_of_128_gives_15_by_15_scores_between_zero_and_one() -> None:
    torch.manual_seed(0)
    scores = StridedDiscriminator(4)(torch.rand(2, 1, 128, 128) * 2 - 1)
    assert scores.shape == (2, 1, 15, 15)
    assert 0 < scores.min() < scores.max() < 1


def test_a_sure_score_can_be_learned_from_in_half_precision() -> None:
    network = StridedDiscriminator(2)
    with torch.no_grad():
        network.layers[-1].bias.fill_(8.0)  # a score of .9997, which bfloat16 rounds to 1
    with torch.autocast("cpu", torch.bfloat16):
        scores = network(torch.zeros(1, 1, 24, 24))
    assert scores.dtype == torch.float32
    assert 0.999 < scores.detach().max() < 1


def test_one_score_sees_46_pixels() -> None:
    # From the last layer back: 4; (4 - 1) * 2 + 4 = 10; (10 - 1) * 2 + 4 = 22; (22 - 1) * 2 + 4 = 46.
    network = without_normalisation(StridedDiscriminator(2))
    image = torch.ones(1, 1, 128, 128, dtype=torch.float64, requires_grad=True)
    network(image)[0, 0, 7, 7].backward()
    assert image.grad is not None
    seen = image.grad[0, 0].abs().sum(dim=1).nonzero()[:, 0]
    assert int(seen[-1] - seen[0]) + 1 == len(seen) == 46
