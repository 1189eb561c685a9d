import numpy as np
import pytest
import torch

from mammosynth.phantom.anatomy.outline import BreastShape, PectoralEdge, draw_shape
from mammosynth.phantom.parameters import DETECTOR_MM, Density
from mammosynth.terms import ViewPosition


def cohort(count: int = 300) -> list[BreastShape]:
    densities = np.random.default_rng(0).choice(list(Density), count, p=[0.12, 0.42, 0.36, 0.10])
    return [draw_shape(seed, Density(density)) for seed, density in enumerate(densities)]


@pytest.mark.slow
def test_thickness_is_distributed_as_in_women():
    # 59 +- 16 mm: Yaffe et al. 2009, PMC2787062.
    thickness = np.array([shape.thickness_mm for shape in cohort()])
    assert thickness.mean() == pytest.approx(59, abs=3)
    assert thickness.std() == pytest.approx(16, abs=2)
    assert thickness.min() >= 25
    assert thickness.max() <= 90


@pytest.mark.slow
def test_nearly_all_breasts_fit_the_detector_in_cc():
    outlines = [shape.craniocaudal for shape in cohort(600)]
    magnification = np.array([660 / (645 - outline.thickness_mm / 2) for outline in outlines])  # of the middle plane
    width = magnification * [outline.width_mm for outline in outlines]
    depth = magnification * [outline.depth_mm for outline in outlines]
    assert np.mean((width < DETECTOR_MM[0]) & (depth < DETECTOR_MM[1])) > 0.96


@pytest.mark.slow
def test_volume_spreads_widely_around_that_of_breast_ct():
    # Quintile classes of Hernandez et al. 2015: 276, 616 and 1174 cm3 in the lowest, middle and highest.
    low, middle, high = np.percentile([shape.volume_mm3 / 1e3 for shape in cohort()], [10, 50, 90])
    assert middle == pytest.approx(616, rel=0.1)
    assert low == pytest.approx(276, rel=0.3)
    assert high == pytest.approx(1174, rel=0.15)


@pytest.mark.slow
def test_both_views_are_of_one_breast():
    # The posterior nipple line is within a centimetre in well-positioned views.
    shapes = cohort()
    difference = [s.craniocaudal.depth_mm - s.mediolateral_oblique.depth_mm for s in shapes]
    assert np.mean(np.abs(difference) < 10) > 0.95


@pytest.mark.slow
def test_muscle_ends_above_the_nipple_in_three_of_four():
    # Spuur et al. 2008: 75.5 %.
    outlines = [shape.mediolateral_oblique for shape in cohort()]
    feet = [o.pectoral_edge.foot_x_mm > o.nipple_x_mm for o in outlines if o.pectoral_edge]
    assert np.mean(feet) == pytest.approx(0.755, abs=0.07)


def test_muscle_bulges_by_the_given_share_of_its_length():
    edge = PectoralEdge(foot_x_mm=0, top_x_mm=100, width_mm=30, bulge=0.02)
    assert edge.depth_mm(np.array([-10, 0, 50, 100])) == pytest.approx([0, 0, 15 + 2, 30])


@pytest.mark.slow
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
