"""The critic: it sees grain beside grey, and smoothing is what it says."""

import pytest
import torch

from mammosynth.networks.patch_critic import PatchCritic, smooth


def test_verdicts_and_features_have_the_resolutions_of_the_layers() -> None:
    verdict, features = PatchCritic(3)(torch.rand(2, 1, 64, 48), torch.rand(2, 3, 64, 48))
    assert verdict.shape == (2, 1, 8, 6)
    assert [tuple(each.shape[1:]) for each in features] == [(24, 64, 48), (48, 32, 24), (96, 16, 12), (96, 8, 6)]


def test_a_hundredth_of_grain_moves_the_first_layer_as_much_as_a_tenth_of_grey() -> None:
    torch.manual_seed(0)
    critic, flat, drawn = PatchCritic(3), torch.full((1, 1, 64, 64), 0.3), torch.zeros(1, 3, 64, 64)
    plain, brighter, grainy = (
        critic(image, drawn)[1][0] for image in (flat, flat + 0.1, flat + 0.01 * torch.randn(1, 1, 64, 64))
    )
    assert (grainy - plain).std() > 0.5 * (brighter - plain).abs().mean()


@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_smoothing_has_its_width_and_keeps_the_mean(sigma: float) -> None:
    point = torch.zeros(1, 1, 65, 65)
    point[..., 32, 32] = 1
    spread = smooth(point, sigma)[0, 0]
    assert spread.sum() == pytest.approx(1.0, abs=1e-4)
    places = torch.arange(65.0) - 32
    assert ((spread.sum(0) * places**2).sum() ** 0.5).item() == pytest.approx(sigma, rel=0.03)
    assert torch.allclose(smooth(torch.full((1, 1, 9, 9), 0.4), sigma), torch.tensor(0.4))
