"""The network's promises: shape, start value, and that the whole image reaches every pixel."""

import pytest
import torch

from mammosynth.networks.shuffle_unet import ShuffleUNet


@pytest.mark.parametrize("shape", [(64, 48), (32, 32)])
def test_output_has_the_size_of_the_input_and_one_channel(shape: tuple[int, int]) -> None:
    network = ShuffleUNet(3, (4, 8, 8, 8)).eval()
    assert network(torch.zeros(2, 3, *shape)).shape == (2, 1, *shape)


def test_untrained_network_gives_its_start_value_everywhere() -> None:
    generated = ShuffleUNet(2, (4, 8), bias=0.25).eval()(torch.rand(1, 2, 16, 16))
    assert torch.equal(generated, torch.full((1, 1, 16, 16), 0.25))


def test_every_parameter_learns_once_the_head_has_moved() -> None:
    torch.manual_seed(0)
    network = ShuffleUNet(2, (4, 8, 8))
    torch.nn.init.normal_(network.head[-1].weight)
    network(torch.rand(2, 2, 32, 32)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters() if parameter.ndim > 1)


def test_a_far_corner_changes_the_opposite_corner_through_the_global_mean() -> None:
    torch.manual_seed(0)
    network = ShuffleUNet(1, (4, 8)).eval()
    torch.nn.init.normal_(network.head[-1].weight)
    image = torch.rand(1, 1, 128, 128)
    other = image.clone()
    other[..., :8, :8] += 1
    assert not torch.equal(network(image)[..., -1, -1], network(other)[..., -1, -1])
