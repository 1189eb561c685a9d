"""Scatter against published ratios, and its geometry."""

import numpy as np
import pytest

from mammosynth.phantom.imaging.beams import Energy
from mammosynth.phantom.imaging.coarse import coarsen, refine
from mammosynth.phantom.imaging.scatter import GRID_SELECTIVITY, scatter


def breast(pixel_mm, thickness_mm=50.0, margin_mm=40.0, height_mm=230.0, width_mm=190.0):
    """Thickness of a slab with air around it but at the chest wall."""
    thickness = np.zeros((round(height_mm / pixel_mm), round(width_mm / pixel_mm)), np.float32)
    margin = round(margin_mm / pixel_mm)
    thickness[margin:-margin, :-margin] = thickness_mm
    return thickness


def ratio_in_the_middle(thickness_mm, energy, **settings):
    thickness = breast(2.0, thickness_mm)
    primary = np.exp(-0.06 * thickness)
    scattered = scatter(primary, thickness, energy=energy, pixel_mm=2.0, **settings)
    return scattered[57, 30] / primary[57, 30]


def test_scatter_to_primary_without_grid_is_in_the_published_range():
    """Low energy, 3 to 7 cm: .25 to .6; Chen et al. (2009) .33, others .36 to .42."""
    low = [ratio_in_the_middle(t, Energy.LOW, grid=False) for t in (30, 50, 70)]
    assert 0.24 < low[0] < low[1] < low[2] < 0.60
    assert 0.33 < low[1] < 0.42


@pytest.mark.parametrize("thickness_mm", [30, 50, 70])
def test_high_energy_scatters_less_by_the_published_factor(thickness_mm):
    high, low = (ratio_in_the_middle(thickness_mm, e, grid=False) for e in (Energy.HIGH, Energy.LOW))
    assert 0.72 < high / low < 0.82


def test_grid_keeps_its_share():
    with_grid, without = (ratio_in_the_middle(50, Energy.LOW, grid=g) for g in (True, False))
    assert with_grid == pytest.approx(GRID_SELECTIVITY * without, rel=1e-6)


def test_body_behind_the_chest_wall_scatters_as_the_breast_does():
    """Mirrored: the field does not fall off towards column 0, as it does towards the skin."""
    thickness = breast(1.6)
    scattered = scatter(np.exp(-0.06 * thickness), thickness, energy=Energy.LOW, pixel_mm=1.6)
    row = scattered[len(scattered) // 2]
    skin = round(150 / 1.6)
    assert row[0] == pytest.approx(row[20], rel=0.01)
    assert row[skin - 3] < 0.7 * row[0]


def test_scatter_falls_monotonically_into_the_air():
    thickness = breast(1.0)
    row = scatter(np.exp(-0.06 * thickness), thickness, energy=Energy.LOW, pixel_mm=1.0)[115, 150:]
    assert np.all(np.diff(row) < 0)
    assert row[-1] > 0


@pytest.mark.parametrize("pixel_mm", [0.4, 0.5, 0.7])
def test_fine_pixels_see_the_scatter_of_coarse_ones_without_ribs(pixel_mm):
    """Compared at the same places with cells of another size; a misaligned grid would leave a wave of some percent."""
    maps = []
    for spacing in (pixel_mm, 1.0):
        rows, columns = (np.arange(round(n / spacing)) * spacing + spacing / 2 for n in (140, 112))
        distance = 80 - np.hypot(rows[:, None] - 70, columns[None])
        thickness = (50 * np.clip(distance / 25, 0, 1)).astype(np.float32)
        scattered = scatter(np.exp(-0.06 * thickness), thickness, energy=Energy.LOW, pixel_mm=spacing)
        maps.append((rows, columns, scattered))
    (rows, columns, fine), (other_rows, other_columns, coarse) = maps
    inner = (columns > 2) & (columns < 108)
    line = np.interp(columns[inner], other_columns, coarse[len(other_rows) // 2])
    found = fine[len(rows) // 2, inner]
    assert found == pytest.approx(line, rel=0.01)
    assert np.abs(np.diff(found, 2)).max() < 3e-3 * found.max()  # steps of whole cells would bend it tenfold


@pytest.mark.parametrize("cell", [1, 3, 4])
def test_refining_restores_a_smooth_map_in_place(cell):
    rows, columns = np.mgrid[:50, :37] + 0.5
    smooth = 1 + 0.01 * rows + 0.02 * columns + 1e-4 * rows * columns
    inner = slice(0, 50 // cell * cell), slice(0, 37 // cell * cell)
    assert refine(coarsen(smooth[inner], cell), cell, smooth[inner].shape) == pytest.approx(smooth[inner], rel=1e-6)
