import pytest
import torch

from mammosynth.networks.skip_generator import SkipGenerator


def small(depth=4):
    torch.manual_seed(0)
    return SkipGenerator(3, features=4, depth=depth).eval()


def test_gives_one_image_of_the_same_size_between_minus_one_and_one():
    made = small()(torch.randn(2, 3, 32, 48))
    assert made.shape == (2, 1, 32, 48)
    assert made.abs().max() <= 1


@pytest.mark.slow
def test_published_width_and_depth_have_the_published_number_of_weights():
    # Isola et al. 2017: 54.4 million for 256 px, 3 to 3 channels; 1 channel out is 2 * 2048 fewer, and biases beside
    # normalisation, which there are some, do not exist here.
    network = SkipGenerator(3, 64, 8)
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(54.4e6, rel=2e-3)


def test_what_drops_out_follows_from_the_generator_alone():
    network, x = small(), torch.randn(1, 3, 32, 32)
    once, again, other = (network(x, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert torch.equal(network(x), network(x))


def test_sides_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match="multiples of 16"):
        small()(torch.zeros(1, 3, 32, 40))
