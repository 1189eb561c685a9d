import pytest
import torch

from mammosynth.networks.efficientnet_lite import are_weights_installed, load_pretrained
from mammosynth.networks.hypercolumn_head import TAPS, HypercolumnHead
from mammosynth.networks.residual_unet import GAIN, OFFSET


@pytest.fixture
def head() -> HypercolumnHead:
    torch.manual_seed(0)
    return HypercolumnHead(8, width=6, depth=1).eval()


def trained(head: HypercolumnHead) -> HypercolumnHead:
    torch.nn.init.normal_(head.fields.weight)
    return head


def test_untrained_head_is_the_base_everywhere(head: HypercolumnHead) -> None:
    fields = head(torch.rand(2, 8, 32, 48))
    torch.testing.assert_close(fields[:, 0], torch.full((2, 32, 48), OFFSET))
    torch.testing.assert_close(fields[:, 1], torch.full((2, 32, 48), GAIN))


def test_an_image_does_not_depend_on_its_neighbours_in_the_batch(head: HypercolumnHead) -> None:
    images = torch.rand(3, 8, 32, 48)
    together = trained(head)(images)
    torch.testing.assert_close(together[1:2], head(images[1:2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("seen", "other"), [(0, 1), (1, 0)])
def test_the_trunk_sees_the_grey_channel_that_it_is_told(seen: int, other: int) -> None:
    head = HypercolumnHead(8, width=6, seen=seen).eval()
    image = torch.rand(1, 8, 32, 48)
    shown: list[torch.Tensor] = []
    head.trunk._conv_stem.register_forward_pre_hook(lambda module, inputs: shown.append(inputs[0]))
    head(image)
    image[:, other] = 0.5
    head(image)
    torch.testing.assert_close(shown[0], shown[1])
    image[:, seen] = 0.5
    head(image)
    assert not torch.equal(shown[0], shown[2])


def test_training_changes_the_head_and_never_the_trunk(head: HypercolumnHead) -> None:
    before = {key: value.clone() for key, value in head.state_dict().items()}
    head.train()
    optimizer = torch.optim.SGD(head.parameters(), lr=1.0)
    trained(head)(torch.rand(2, 8, 32, 48)).square().mean().backward()
    optimizer.step()
    changed = {key for key, value in head.state_dict().items() if not torch.equal(value, before[key])}
    assert not any(key.startswith("trunk.") for key in changed)
    assert "stem.conv.weight" in changed


def test_without_taps_there_is_no_trunk() -> None:
    head = HypercolumnHead(8, width=6, depth=1, taps=())
    assert not any(key.startswith("trunk.") for key in head.state_dict())
    assert head.eval()(torch.rand(1, 8, 32, 48)).shape == (1, 2, 32, 48)
    head.load_trunk()  # nothing to load


@pytest.mark.skipif(not are_weights_installed(), reason="needs the extra 'features'")
def test_a_loaded_trunk_sees_what_the_published_network_sees(head: HypercolumnHead) -> None:
    head.load_trunk()
    image = torch.rand(1, 3, 32, 48)
    with torch.inference_mode():
        ours = list(head.trunk.block_outputs(image, max(TAPS) + 1))
        published = list(load_pretrained().block_outputs(image, max(TAPS) + 1))
    assert [ours[tap].shape[1] for tap in TAPS] == list(TAPS.values())
    for tap in TAPS:
        torch.testing.assert_close(ours[tap], published[tap], rtol=1e-3, atol=1e-4)
