import pytest
import torch

from mammosynth.networks.ensemble import Ensemble
from mammosynth.networks.residual_unet import GAIN, OFFSET, ResidualUNet


@pytest.fixture
def network() -> ResidualUNet:
    torch.manual_seed(0)
    return ResidualUNet(8, [4, 6, 8]).eval()


def trained(network: ResidualUNet) -> ResidualUNet:
    torch.nn.init.normal_(network.fields.weight)
    return network


def test_untrained_network_is_the_base_everywhere(network: ResidualUNet) -> None:
    fields = network(torch.rand(2, 8, 32, 48))
    assert fields.shape == (2, 2, 32, 48)
    torch.testing.assert_close(fields[:, 0], torch.full((2, 32, 48), OFFSET))
    torch.testing.assert_close(fields[:, 1], torch.full((2, 32, 48), GAIN))


def test_parameters_are_counted_by_hand(network: ResidualUNet) -> None:
    def convolution(i: int, o: int) -> int:
        return 9 * i * o + 2 * o  # batch norm: scale and shift

    stem = convolution(2 * 16 + 6, 4)
    encoder = [(4, 4), (4, 4), (4, 6), (6, 6), (6, 8), (8, 8)]
    decoder = [(6 + 8, 6), (6, 6), (4 + 6, 4), (4, 4)]
    context, fields, base = 8 * 8 + 8, 9 * 4 * 8 + 8, 2
    expected = stem + sum(convolution(*pair) for pair in encoder + decoder) + context + fields + base
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


def test_fields_hold_no_detail_finer_than_half_the_frame(network: ResidualUNet) -> None:
    columns = trained(network)(torch.rand(1, 8, 32, 48)).unbind(-1)
    assert columns[10].std() > 0
    for k in range(1, 23):
        # Both pairs of columns around a point of the coarse grid must point at the same value there.
        from_right = 1.5 * columns[2 * k + 1] - 0.5 * columns[2 * k + 2]
        from_left = 1.5 * columns[2 * k] - 0.5 * columns[2 * k - 1]
        torch.testing.assert_close(from_left, from_right, rtol=1e-4, atol=1e-4)


def test_gain_stays_one_number_where_it_is_not_learned() -> None:
    network = trained(ResidualUNet(8, [4, 6, 8], learn_gain=False)).eval()
    fields = network(torch.rand(1, 8, 32, 48))
    assert fields[:, 1].std() == 0
    assert fields[:, 0].std() > 0


def test_ignored_channels_make_no_difference() -> None:
    network = trained(ResidualUNet(8, [4, 6, 8], ignored=[1, 4])).eval()
    image = torch.rand(1, 8, 32, 48)
    changed = image.clone()
    changed[:, [1, 4]] = 0.5
    assert torch.equal(network(image), network(changed))
    changed[:, 2] = 0.5
    assert not torch.equal(network(image), network(changed))


def test_dropout_acts_in_training_only() -> None:
    network = trained(ResidualUNet(8, [4, 6, 8], dropout=0.5))
    image = torch.rand(2, 8, 32, 48)
    network.eval()
    assert torch.equal(network(image), network(image))
    network.train()
    assert not torch.equal(network(image), network(image))


def test_members_of_an_ensemble_answer_side_by_side(network: ResidualUNet) -> None:
    other = trained(ResidualUNet(8, [4, 6, 8])).eval()
    image = torch.rand(1, 8, 32, 48)
    both = Ensemble([network, other]).eval()(image)
    assert both.shape == (2, 1, 2, 32, 48)
    assert torch.equal(both[1], other(image))
