"""The decoder: shapes, black air, a part as in the whole, noise that acts, scales that can be left out."""

import pytest
import torch

from mammosynth.networks.noise_decoder import NoiseDecoder

CHANNELS, STYLE = 5, 7


@pytest.fixture
def network() -> NoiseDecoder:
    torch.manual_seed(0)
    return NoiseDecoder(CHANNELS, STYLE, [6, 6, 4]).eval()


def drawing(height: int = 32, width: int = 48) -> torch.Tensor:
    given = torch.rand(2, CHANNELS, height, width, generator=torch.Generator().manual_seed(1))
    given[:, 0] = 0
    given[:, 0, 4:28, 4:40] = 1
    return given


def noise(network: NoiseDecoder, seed: int = 2) -> list[torch.Tensor]:
    return network.noise(2, (32, 48), torch.Generator().manual_seed(seed))


def test_air_is_black_and_the_breast_is_not(network: NoiseDecoder) -> None:
    image = network(drawing(), torch.zeros(2, STYLE), noise(network))
    assert image.shape == (2, 1, 32, 48)
    assert (image[..., :4, :] == 0).all()
    assert (image[..., 4:28, 4:40] != 0).all()


def test_noise_style_and_drawing_each_act(network: NoiseDecoder) -> None:
    given, style = drawing(), torch.zeros(2, STYLE)
    first = network(given, style, noise(network))
    assert torch.equal(first, network(given, style, noise(network)))
    other = given.clone()
    other[:, 1] = 1 - other[:, 1]
    changed = [
        network(given, style, noise(network, 3)),
        network(given, style + 1, noise(network)),
        network(other, style, noise(network)),
    ]
    assert all((each - first).abs().max() > 1e-4 for each in changed)


def test_coarse_scales_do_not_depend_on_finer_ones(network: NoiseDecoder) -> None:
    given, style, all_noise = drawing(), torch.zeros(2, STYLE), noise(network)
    coarse = network(given, style, all_noise, skipped=1)
    assert coarse.shape == (2, 1, 16, 24)
    torch.nn.init.normal_(network.blocks[2].first.weight)
    assert torch.equal(coarse, network(given, style, all_noise, skipped=1))


def test_a_part_is_generated_as_in_the_whole(network: NoiseDecoder) -> None:
    generator = torch.Generator().manual_seed(4)
    given = torch.rand(1, CHANNELS, 160, 160, generator=generator)
    all_noise, style = network.noise(1, (160, 160), generator), torch.zeros(1, STYLE)
    whole = network(given, style, all_noise)
    part = [each[..., : each.shape[2] // 2, :] for each in all_noise]
    upper = network(given[:, :, :80], style, part)
    assert torch.allclose(upper[..., :48, :], whole[..., :48, :], atol=1e-5)
    assert not torch.allclose(upper[..., 79:, :], whole[..., 79:80, :], atol=1e-5)


def test_the_noise_of_every_scale_has_its_size(network: NoiseDecoder) -> None:
    assert [tuple(each.shape) for each in noise(network)] == [(2, 2, 8, 12), (2, 2, 16, 24), (2, 2, 32, 48)]
