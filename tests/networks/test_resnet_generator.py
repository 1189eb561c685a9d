"""The published generator: its layers by count, how far it sees, and what comes out."""

import pytest
import torch
from torch import nn

from mammosynth.networks.resnet_generator import ResNetGenerator
from tests.support.networks import without_normalisation


def test_parameter_count_is_that_of_the_layers() -> None:
    first, last = 7 * 7 * 1 * 64, 7 * 7 * 64 * 1 + 1  # only the last convolution has a bias
    down = 3 * 3 * 64 * 128 + 3 * 3 * 128 * 256
    residual = 9 * 2 * (3 * 3 * 256 * 256)
    counted = sum(parameter.numel() for parameter in ResNetGenerator().parameters())
    assert counted == first + down + residual + down + last == 11_360_385


def test_output_stays_within_one_of_zero_whatever_comes_in() -> None:
    torch.manual_seed(0)
    network = ResNetGenerator(4, 2)
    generated = network(torch.randn(2, 1, 32, 32) * 1e4)
    assert generated.abs().max() <= 1
    nn.init.constant_(network.layers[-2].bias, 1e4)
    assert (network(torch.randn(1, 1, 32, 32)) == 1).all()


@pytest.mark.parametrize("shape", [(8, 8), (128, 128), (36, 52)])
def test_any_side_that_is_a_multiple_of_four_is_kept(shape: tuple[int, int]) -> None:
    assert ResNetGenerator(2, 1)(torch.zeros(1, 1, *shape)).shape == (1, 1, *shape)


def test_other_sides_are_refused() -> None:
    with pytest.raises(ValueError, match=r"image is \(30, 32\), expected sides that are multiples of 4"):
        ResNetGenerator(2, 1)(torch.zeros(1, 1, 30, 32))


@pytest.mark.parametrize(("row", "expected"), [(128, 165), (130, 169)])
def test_one_pixel_sees_as_far_as_the_layers_reach(row: int, expected: int) -> None:
    # Back from output row p, with q = p / 4 the row at a quarter of the resolution, for p = 128:
    # 7x7: p +- 3; two transposed convolutions: rows floor((p - 3) / 4) to ceil((p + 3) / 4), here q +- 1;
    # 9 residual units: q +- 19; two strided convolutions: 4 q +- (4 * 19 + 3); 7x7: 3 more on each side.
    # So 2 * (4 * 19 + 3 + 3) + 1 = 165; for p = 130 one more row at a quarter of the resolution: 169.
    network = without_normalisation(ResNetGenerator(2))
    image = torch.full((1, 1, 256, 16), 1e-6, dtype=torch.float64, requires_grad=True)
    network(image)[0, 0, row, 8].backward()
    assert image.grad is not None
    seen = image.grad[0, 0].abs().sum(dim=1).nonzero()[:, 0]
    assert int(seen[-1] - seen[0]) + 1 == len(seen) == expected


def test_start_weights_are_normal_with_deviation_two_hundredths() -> None:
    torch.manual_seed(0)
    weight = ResNetGenerator(16, 1).layers[3].layers[1].weight
    assert weight.mean().item() == pytest.approx(0, abs=5e-4)
    assert weight.std().item() == pytest.approx(0.02, rel=0.02)


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    network = ResNetGenerator(4, 2)
    network(torch.rand(2, 1, 32, 32)).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters())
