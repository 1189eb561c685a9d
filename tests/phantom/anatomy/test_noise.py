import pytest
import torch

from mammosynth.phantom.anatomy.noise import draw_tiles


def grid_points(n: int, mm: float) -> torch.Tensor:
    axis = torch.arange(n) * mm
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)


def test_the_same_seed_gives_the_same_bits():
    assert torch.equal(draw_tiles(3, (3.0,), (2.0,), size=32).values, draw_tiles(3, (3.0,), (2.0,), size=32).values)


def test_a_field_repeats_after_128_voxels():
    tiles = draw_tiles(3, (3.0,), (2.0,), size=32)
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) * 40
    assert torch.allclose(tiles(points, 0.5), tiles(points + torch.tensor([64.0, -64.0, 128.0]), 0.5), atol=1e-3)


def test_the_full_tile_has_deviation_one_and_mean_zero():
    values = draw_tiles(5, (3.2, 2.6), (1.5, 3.0)).values[:, :, :-1, :-1, :-1]
    assert values.std((0, 2, 3, 4)).tolist() == pytest.approx([1, 1], abs=0.1)
    assert values.mean((0, 2, 3, 4)).abs().max() < 1e-4


def test_a_small_tile_is_the_large_one_without_its_detail():
    small, large = (draw_tiles(5, (3.6,), (2.0,), size=size)(grid_points(16, 4.0), 1.0)[0] for size in (32, 128))
    assert torch.corrcoef(torch.stack((small, large)))[0, 1] > 0.9


@pytest.mark.parametrize("slope", [2.6, 3.6])
def test_the_power_spectrum_falls_as_asked_for(slope):
    field = draw_tiles(7, (slope,), (1.5,)).values[0, 0, :-1, :-1, :-1]
    power = torch.fft.fftn(field).abs().square()
    axis = torch.fft.fftfreq(128) * 128
    cycles = torch.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    low, high = ((cycles > at * 0.9) & (cycles < at * 1.1) for at in (6, 40))
    measured = -torch.log(power[high].mean() / power[low].mean()) / torch.log(cycles[high].mean() / cycles[low].mean())
    assert float(measured) == pytest.approx(slope, abs=0.25)
