import numpy as np
import pytest
from scipy.integrate import trapezoid

from mammosynth.phantom.anatomy.compression import ColumnMap, compress
from mammosynth.phantom.anatomy.outline import BreastShape, draw_shape
from mammosynth.phantom.parameters import Density
from mammosynth.terms import ViewPosition

SEEDS = range(6)
VIEWS = pytest.mark.parametrize("view", list(ViewPosition))


def compressed(seed: int, view: ViewPosition, step_mm: float = 1.0) -> tuple[BreastShape, ColumnMap]:
    shape = draw_shape(seed, list(Density)[seed % 4])
    return shape, compress(shape, view, step_mm=step_mm)


def points_between_paddles(columns: ColumnMap, thicker_than_mm: float = 12) -> np.ndarray:
    rng = np.random.default_rng(0)
    i = rng.uniform(0, len(columns.x_mm) - 1, 4000)
    k = rng.uniform(0, len(columns.z_mm) - 1, 4000)
    near = columns.thickness_mm[np.floor(i).astype(int), np.floor(k).astype(int)]
    step = columns.z_mm[1]
    points = np.column_stack((columns.x_mm[0] + i * step, near * rng.uniform(-0.45, 0.45, 4000), k * step))
    return points[near > thicker_than_mm]


def integral(values: np.ndarray, columns: ColumnMap) -> float:
    return float(trapezoid(trapezoid(values, columns.z_mm), columns.x_mm))


def interior_points(shape: BreastShape, count: int = 300) -> np.ndarray:
    corner = np.array([shape.half_width_mm, shape.half_height_mm, shape.depth_mm])
    points = np.random.default_rng(1).uniform([-1, -1, 0], [1, 1, 1], (4 * count, 3)) * corner
    return points[shape.radius(points) < 0.9][:count]


@VIEWS
@pytest.mark.parametrize("step_mm", [1.0, 4.0])
def test_points_come_back_from_the_uncompressed_breast(view: ViewPosition, step_mm: float):
    for seed in SEEDS:
        _, columns = compressed(seed, view, step_mm)
        points = points_between_paddles(columns)
        assert np.abs(columns.to_compressed(columns.to_reference(points)) - points).max() < 1e-6


@VIEWS
def test_volume_is_kept_everywhere(view: ViewPosition):
    for seed in SEEDS:
        _, columns = compressed(seed, view)
        along_x = np.gradient(columns.reference_x, columns.x_mm, axis=0)
        along_z = np.gradient(columns.reference_z, columns.z_mm, axis=1)
        thickness = columns.thickness_mm
        inner = thickness > 12
        inner[:, 0] = inner[-1] = False  # one-sided differences
        determinant = (along_x * along_z * columns.reference_height_mm)[inner] / thickness[inner]
        assert np.mean((determinant > 0.98) & (determinant < 1.01)) > 0.9


def test_craniocaudal_volume_is_that_of_the_breast():
    for seed in SEEDS:
        shape, columns = compressed(seed, ViewPosition.CC)
        assert integral(columns.thickness_mm, columns) == pytest.approx(shape.volume_mm3, rel=1e-3)


def test_oblique_view_has_half_the_breast_below_the_nipple_and_axillary_tissue_above():
    for seed in SEEDS:
        shape, columns = compressed(seed, ViewPosition.MLO)
        in_front = np.where(columns.reference_z >= 0, columns.thickness_mm, 0)
        below = columns.x_mm <= columns.nipple[0]
        lower = float(trapezoid(trapezoid(in_front[below], columns.z_mm), columns.x_mm[below]))
        assert lower == pytest.approx(shape.volume_mm3 / 2, rel=0.02)  # the muscle's edge lies between nodes
        assert integral(columns.thickness_mm, columns) > 0.9 * shape.volume_mm3


@VIEWS
def test_nipple_is_the_tip_of_the_uncompressed_breast(view: ViewPosition):
    for seed in SEEDS:
        shape, columns = compressed(seed, view)
        x, _, z = columns.to_compressed(np.array([[0, 0, shape.depth_mm]]))[0]
        assert x == pytest.approx(columns.nipple[0], abs=1e-6)
        assert z == pytest.approx(columns.nipple[1], abs=1.5)


def test_both_views_show_a_point_at_a_similar_depth_behind_the_nipple():
    # Cross-check 9: within about a centimetre, the reading rule.
    differences = []
    for seed in SEEDS:
        shape = draw_shape(seed, Density.B)
        points = interior_points(shape)
        depths = [c.nipple[1] - c.to_compressed(points)[:, 2] for c in (compress(shape, v) for v in ViewPosition)]
        differences.append(np.abs(depths[0] - depths[1]).mean())
    assert np.mean(differences) < 10


@VIEWS
def test_skin_is_as_thick_as_said_on_both_sides_of_the_plateau(view: ViewPosition):
    shape, columns = compressed(1, view)
    plateau = columns.thickness_mm > 0.98 * columns.thickness_mm.max()
    skin = (columns.thickness_mm - columns.inner_thickness_mm)[plateau] / 2
    assert np.allclose(skin, shape.skin_mm, rtol=0.05)
    assert np.all(columns.inner_thickness_mm <= columns.thickness_mm)


def test_muscle_narrows_downwards_to_its_foot_and_is_absent_in_cc():
    for seed in SEEDS:
        shape, columns = compressed(seed, ViewPosition.MLO)
        muscle = shape.outline(ViewPosition.MLO).pectoral_edge
        assert np.all(np.diff(columns.muscle_edge_mm[columns.x_mm < 60]) >= 0)
        assert np.all(columns.muscle_edge_mm[columns.x_mm <= muscle.foot_x_mm] == 0)
        top = np.interp(muscle.top_x_mm, columns.x_mm, columns.muscle_edge_mm)
        assert 5 < np.degrees(np.arctan2(top, muscle.top_x_mm - muscle.foot_x_mm)) < 35
        assert top == pytest.approx(columns.muscle_edge_mm.max(), abs=2)
        assert not compressed(seed, ViewPosition.CC)[1].muscle_edge_mm.any()


def test_plane_of_the_chest_wall_becomes_the_front_of_the_muscle():
    shape, columns = compressed(1, ViewPosition.MLO)
    rows = columns.muscle_edge_mm > 3
    points = np.column_stack((columns.x_mm[rows], np.zeros(rows.sum()), columns.muscle_edge_mm[rows]))
    assert np.abs(columns.to_reference(points)[:, 2]).max() < 0.1


@VIEWS
def test_rows_are_stretched_little_and_evenly(view: ViewPosition):
    for seed in SEEDS:
        shape, columns = compressed(seed, view)
        tissue = columns.thickness_mm.max(axis=1) > 0.7 * shape.thickness_mm
        stretch = np.diff(columns.reference_x[tissue, 0]) / columns.z_mm[1]
        assert stretch.min() > 0.3
        assert stretch.max() < 2
        assert np.abs(np.diff(stretch)).max() < 0.2


@VIEWS
def test_surface_is_smooth_across_the_steps_of_coarse_nodes(view: ViewPosition):
    # The same thickness, whatever the nodes: voxel steps at the steep rim would show as ribs in the image.
    _, fine = compressed(2, view, 1.0)
    _, coarse = compressed(2, view, 4.0)
    assert integral(coarse.thickness_mm, coarse) == pytest.approx(integral(fine.thickness_mm, fine), rel=0.02)
    along_rim = np.array(
        [np.interp(-4.0, fine.z_mm - front, row) for front, row in zip(fine.front_mm, fine.thickness_mm, strict=True)]
    )
    middle = np.abs(fine.x_mm - fine.nipple[0]) < 40
    assert np.abs(np.diff(along_rim[middle], n=2)).max() < 1


@VIEWS
def test_compression_is_repeatable(view: ViewPosition):
    first, second = compressed(3, view)[1], compressed(3, view)[1]
    assert np.array_equal(first.thickness_mm, second.thickness_mm)
    assert np.array_equal(first.reference_z, second.reference_z)
