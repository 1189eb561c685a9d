"""One pass, and windows that leave no seam."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from mammosynth.networks.resnet_generator import ResNetGenerator
from mammosynth.synthesis.engine import run_whole, run_windows


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return ResNetGenerator(features=4, residual_units=1).eval().requires_grad_(False)


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (1, 1, height, width)).astype(np.float32)


def average_of_windows(network: nn.Module, pixels: np.ndarray, side: int, stride: int) -> np.ndarray:
    """Windows as in the paper, by hand."""

    def starts(length: int) -> list[int]:
        inner = list(range(0, length - side, stride))
        return [*inner, length - side]

    total, count = np.zeros_like(pixels), np.zeros_like(pixels)
    for top in starts(pixels.shape[2]):
        for left in starts(pixels.shape[3]):
            where = (slice(None), slice(None), slice(top, top + side), slice(left, left + side))
            total[where] += network(torch.from_numpy(pixels[where])).numpy()
            count[where] += 1
    return total / count


@pytest.mark.parametrize("shape", [(64, 48), (70, 53), (32, 61)])
def test_windows_are_those_of_a_loop_by_hand(shape: tuple[int, int]) -> None:
    network, pixels = small_network(), image(*shape)
    averaged = run_windows(network, pixels, (32, 32), (4, 4))
    np.testing.assert_allclose(averaged, average_of_windows(network, pixels, 32, 4), atol=1e-5)


def test_every_window_sees_the_published_stride() -> None:
    seen: list[int] = []

    class Counting(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(len(x))
            return x

    run_windows(Counting(), image(256, 192), (128, 128), (16, 16))
    assert sum(seen) == 9 * 5


@pytest.mark.parametrize("hann", [False, True])
@pytest.mark.parametrize("shape", [(64, 48), (75, 50)])
def test_blending_leaves_constant_and_ramp_as_they_are(shape: tuple[int, int], hann: bool) -> None:
    constant = np.full((1, 1, *shape), 0.3, np.float32)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    ramp = (0.01 * rows - 0.02 * columns).astype(np.float32)[None, None]
    for pixels in (constant, ramp):
        before = pixels.copy()
        blended = run_windows(nn.Identity(), pixels, (32, 32), (16, 16), hann=hann)
        np.testing.assert_allclose(blended, pixels, atol=2e-6)
        np.testing.assert_array_equal(pixels, before)


def test_tiles_that_disagree_blend_into_each_other_without_a_step() -> None:
    class TileNumber(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            numbers = torch.arange(self.seen, self.seen + len(x)) % 2
            self.seen += len(x)
            return numbers[:, None, None, None].expand(x.shape).float()

    channels = np.zeros((1, 1, 64, 160), np.float32)
    hard, soft = (
        run_windows(TileNumber(), channels, (64, 64), (64, 32), hann=hann)[0, 0, 32] for hann in (False, True)
    )
    assert np.abs(np.diff(hard)).max() >= 0.5
    # A Hann window of 64 pixels changes by pi / 64 a pixel at most.
    assert np.abs(np.diff(soft)).max() < 1.02 * np.pi / 64


def test_a_network_may_be_run_from_several_threads() -> None:
    network, pixels = small_network(), image(64, 48)
    results: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: results.append(run_whole(network, pixels))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result, results[0])


def test_output_is_float32_and_free_of_gradients_and_the_input_is_kept() -> None:
    pixels = image(16, 16)
    before = pixels.copy()
    result = run_whole(ResNetGenerator(features=4, residual_units=1).eval(), pixels)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_half_precision_on_a_gpu_gives_the_image_of_the_cpu() -> None:
    network, pixels = small_network(), image(256, 192)
    on_cpu = run_whole(network, pixels)
    np.testing.assert_allclose(run_whole(network.to("cuda"), pixels), on_cpu, atol=0.02)
