import torch
from torch import nn

from mammosynth.networks.residual_upsampler import ResidualUpsampler


def test_enlarges_by_the_doublings_and_starts_from_bilinear():
    network = ResidualUpsampler(features=8, blocks=1, doublings=3)
    nn.init.zeros_(network.last.weight)
    nn.init.zeros_(network.last.bias)
    x = torch.rand(1, 1, 6, 5)
    large = network(x)
    assert network.scale == 8
    assert large.shape == (1, 1, 48, 40)
    assert torch.equal(large, nn.functional.interpolate(x, scale_factor=8, mode="bilinear", align_corners=False))


def test_inside_of_an_image_does_not_depend_on_how_much_is_enlarged():
    torch.manual_seed(0)
    network = ResidualUpsampler(features=8, blocks=1, doublings=1).eval()
    x = torch.rand(1, 1, 40, 40)
    assert torch.allclose(network(x)[..., 20:60, 20:60], network(x[..., 5:35, 5:35])[..., 10:50, 10:50], atol=1e-6)
