import pytest
import torch

from mammosynth.networks.dcgan import DcganCritic, DcganGenerator


@pytest.mark.parametrize("size", [8, 32])
def test_noise_and_condition_become_an_image_that_the_critic_judges(size):
    torch.manual_seed(0)
    noise, condition = torch.randn(3, 5), torch.rand(3, 2, size, size)
    made = DcganGenerator(size, 2, 5, 4, 8)(noise, condition)
    assert made.shape == (3, 1, size, size)
    assert made.abs().max() <= 1
    assert DcganCritic(size, 3, 4, 8)(made, condition).shape == (3,)


def test_both_look_at_the_condition():
    torch.manual_seed(0)
    generator, critic = DcganGenerator(16, 1, 5, 4).eval(), DcganCritic(16, 2, 4)
    noise, image = torch.randn(1, 5), torch.zeros(1, 1, 16, 16)
    nothing, lesion = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    lesion[..., 4:8, 4:8] = 1
    assert not torch.equal(generator(noise, nothing), generator(noise, lesion))
    assert not torch.equal(critic(image, nothing), critic(image, lesion))


def test_critic_judges_each_image_by_itself():
    torch.manual_seed(0)
    critic, image, condition = DcganCritic(16, 2, 4), torch.randn(4, 1, 16, 16), torch.rand(4, 1, 16, 16)
    assert torch.allclose(critic(image, condition)[2:3], critic(image[2:3], condition[2:3]), atol=1e-7)


def test_layers_are_those_of_the_paper():
    generator = DcganGenerator(64, 2)
    assert [layer[0].out_channels for layer in generator.up] == [256, 128, 64]
    assert generator.first[0].out_channels == 512
    assert [layer.out_channels for layer in DcganCritic(64, 3).layers[::2]] == [64, 128, 256, 512, 1]


@pytest.mark.parametrize("size", [4, 48, 65])
def test_sizes_that_cannot_be_halved_down_to_four_are_refused(size):
    with pytest.raises(ValueError, match=f"size is {size}, expected a power of two from 8"):
        DcganCritic(size, 1)
