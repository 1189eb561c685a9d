import numpy as np
import pytest
import torch

from mammosynth.phantom.outline import BreastShape, draw_shape
from mammosynth.phantom.parameters import DETECTOR_MM, Density
from mammosynth.terms import ViewPosition


def cohort(count: int = 300) -> list[BreastShape]:
    densities = np.random.default_rng(0).choice(list(Density), count, p=[0.12, 0.42, 0.36, 0.10])
    return [draw_shape(seed, Density(density)) for seed, density in enumerate(densities)]


def test_thickness_is_distributed_as_in_women():
    # 59 +- 16 mm: Yaffe et al. 2009, PMC2787062.
    thickness = np.array([shape.thickness_mm for shape in cohort()])
    assert thickness.mean() == pytest.approx(59, abs=3)
    assert thickness.std() == pytest.approx(16, abs=2)
    assert thickness.min() >= 25
    assert thickness.max() <= 90


def test_denser_breasts_are_thinner():
    means = [np.mean([draw_shape(seed, density).thickness_mm for seed in range(60)]) for density in Density]
    assert means == sorted(means, reverse=True)


def test_volume_of_the_superellipsoid_is_the_integral_of_its_interior():
    shape = draw_shape(1, Density.B)
    x, y, z = np.meshgrid(np.linspace(-1, 1, 101), np.linspace(-1, 1, 101), np.linspace(0, 1, 51), indexing="ij")
    points = np.stack((x * shape.half_width_mm, y * shape.half_height_mm, z * shape.depth_mm), axis=-1)
    box = 4 * shape.half_width_mm * shape.half_height_mm * shape.depth_mm
    assert np.mean(shape.radius(points) < 1) * box == pytest.approx(shape.volume_mm3, rel=0.05)


def test_radius_is_one_at_the_nipple_and_the_same_in_torch():
    shape = draw_shape(2, Density.C)
    points = np.array([[0, 0, shape.depth_mm], [shape.half_width_mm, 0, -5], [1, 2, 3]])
    assert shape.radius(points)[:2] == pytest.approx([1, 1])
    assert torch.allclose(shape.radius(torch.from_numpy(points)), torch.from_numpy(shape.radius(points)))


def test_outline_ends_at_the_chest_wall_and_runs_off_the_top_in_mlo():
    for shape in cohort(20):
        x, z = shape.craniocaudal.curve_mm
        assert z[0] == pytest.approx(0, abs=0.1)
        assert z[-1] == pytest.approx(0, abs=0.1)
        assert np.all(np.diff(x) >= 0)
        assert shape.mediolateral_oblique.front_mm(np.array([DETECTOR_MM[0] / 2]))[0] > 10


def test_the_same_seed_draws_the_same_breast():
    assert draw_shape(5, Density.A) == draw_shape(5, Density.A)
    assert draw_shape(5, Density.A) != draw_shape(6, Density.A)


def test_outlines_differ_between_breasts():
    depth_to_width = [shape.craniocaudal.depth_mm / shape.craniocaudal.width_mm for shape in cohort(60)]
    assert np.std(depth_to_width) > 0.04


def test_view_has_its_own_outline():
    shape = draw_shape(3, Density.B)
    assert shape.outline(ViewPosition.MLO) is shape.mediolateral_oblique
    assert shape.outline(ViewPosition.CC).pectoral_edge is None
