"""Geometry of a view: cross-checks 5, 8, 9 and 18 of the phantom's design, and what twins need."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from mammosynth.phantom.anatomy.breast import Anatomy, build_anatomy
from mammosynth.phantom.anatomy.compression import ColumnMap, compress
from mammosynth.phantom.imaging.paths import PathLengths
from mammosynth.phantom.imaging.projection import SOURCE_TO_DETECTOR_MM, place_detector, project
from mammosynth.phantom.parameters import DETECTOR_MM, BreastParameters, Density, LesionKind
from mammosynth.terms import ViewPosition

PIXEL_MM = 1.0


@cache
def anatomy() -> Anatomy:
    return build_anatomy(BreastParameters(3, Density.B, (LesionKind.CIRCUMSCRIBED,)), voxel_mm=2.5)


@cache
def column_map(view: ViewPosition) -> ColumnMap:
    return compress(anatomy().shape, view)


def paths(view: ViewPosition = ViewPosition.CC, pixel_mm: float = PIXEL_MM) -> PathLengths:
    return _paths(view, pixel_mm)  # a cache takes a default and the same value given for two


@cache
def _paths(view: ViewPosition, pixel_mm: float) -> PathLengths:
    return project(anatomy(), column_map(view), pixel_mm=pixel_mm)


@pytest.mark.slow
def test_path_lengths_sum_to_the_thickness():
    """Cross-check 5: to 1e-4 mm, whatever the ray; between paddles that are parallel everywhere."""
    flat = column_map(ViewPosition.CC)
    thickness = np.full_like(flat.thickness_mm, 50.0)
    flat = replace(flat, thickness_mm=thickness, inner_thickness_mm=thickness - 3)
    geometry = place_detector(flat, PIXEL_MM)
    x, z = geometry.detector_mm()
    oblique = np.sqrt(1 + (x[:, None] ** 2 + z[None] ** 2) / SOURCE_TO_DETECTOR_MM**2)
    seen = project(anatomy(), flat, pixel_mm=PIXEL_MM)
    inside = (np.abs(x[:, None]) < 60) & (z[None] < 40)
    vertical = [(image / oblique)[inside] for image in (seen.thickness_mm, seen.skin_mm)]
    assert np.abs(vertical[0] - 50).max() < 1e-4
    assert np.abs(vertical[1] - 3).max() < 1e-4


@pytest.mark.slow
def test_every_map_is_non_negative_and_zero_in_air():
    view = paths()
    for name in ("adipose_mm", "gland_mm", "skin_mm", "muscle_mm", "calcium_mm", "parenchyma_cm", "vessel_cm"):
        values = getattr(view, name)
        assert values.min() >= 0, name
        assert values[view.thickness_mm == 0].sum() == 0, name


@pytest.mark.slow
@pytest.mark.parametrize("view", list(ViewPosition))
def test_a_lesion_appears_where_its_centre_is_mapped_and_magnified(view):
    """Cross-check 8: within a pixel, or a tenth of its diameter for a lobulated one."""
    lesion = paths(view).lesions[0]
    weights = lesion.length_mm / lesion.length_mm.sum()
    centroid = [(weights * axis).sum() for axis in np.indices(weights.shape)]
    placed = column_map(view).to_compressed(np.array(lesion.centre_mm)[None])
    expected, magnification = place_detector(column_map(view), PIXEL_MM).to_pixels(placed)
    assert lesion.position_px == pytest.approx(tuple(expected[0]))
    assert 1.02 < magnification[0] < 1.15
    assert np.hypot(*(np.array(centroid) - expected[0])) < 1.0


@pytest.mark.slow
def test_both_views_show_a_lesion_of_about_the_same_area():
    cc, mlo = (paths(view).lesions[0].mask.sum() for view in ViewPosition)
    assert 0.5 < cc / mlo < 2


@pytest.mark.slow
def test_muscle_is_in_the_mlo_view_only_and_narrows_downwards():
    """Cross-check 18."""
    assert paths(ViewPosition.CC).muscle_mm.max() == 0
    width = (paths(ViewPosition.MLO).muscle_mm > 2).sum(1)
    assert width[0] > 15
    smooth = np.convolve(width, np.ones(9) / 9, "valid")
    foot = np.flatnonzero(smooth < 1)[0]
    assert (np.diff(smooth[:foot]) <= 0.5).all()
    assert foot < paths(ViewPosition.MLO).nipple_px[0] + 40


def test_the_nipple_is_on_the_skin_in_both_views():
    for view in ViewPosition:
        row, column = (round(v) for v in paths(view).nipple_px)
        tissue = paths(view).breast_mask[row]
        assert tissue[: column - 3].all()
        assert not tissue[column + 15 :].any()


def test_the_oblique_view_runs_off_the_upper_edge():
    assert paths(ViewPosition.MLO).breast_mask[0].any()
    assert not paths(ViewPosition.CC).breast_mask[0, 20:].any()


@pytest.mark.slow
@pytest.mark.parametrize("pixel_mm", [0.8, 2.0])
def test_the_same_breast_is_seen_at_every_pixel_size(pixel_mm):
    coarse, fine = (paths(pixel_mm=size).gland_mm for size in (4.0, pixel_mm))
    assert coarse.shape == tuple(round(size / 4.0) for size in DETECTOR_MM)
    assert fine.sum() * pixel_mm**2 == pytest.approx(coarse.sum() * 16, rel=0.05)


def test_bits_do_not_depend_on_the_number_of_threads():
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = project(anatomy(), column_map(ViewPosition.CC), pixel_mm=2.0)
        torch.set_num_threads(2)
        two = project(anatomy(), column_map(ViewPosition.CC), pixel_mm=2.0)
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(one.gland_mm, two.gland_mm)
    assert np.array_equal(one.lesions[0].length_mm, two.lesions[0].length_mm)


def test_mirroring_twice_restores_a_view():
    once = paths().mirrored()
    assert np.array_equal(once.gland_mm[:, ::-1], paths().gland_mm)
    assert once.nipple_px[1] == pytest.approx(paths().gland_mm.shape[1] - 1 - paths().nipple_px[1])
    twice = once.mirrored()
    assert np.array_equal(twice.lesions[0].length_mm, paths().lesions[0].length_mm)
    assert twice.lesions[0].position_px == pytest.approx(paths().lesions[0].position_px)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(LesionKind))
def test_every_kind_of_lesion_leaves_its_trace(kind):
    built = build_anatomy(BreastParameters(5, Density.C, (kind,)), voxel_mm=2.5)
    view = project(built, compress(built.shape, ViewPosition.CC), pixel_mm=1.0)
    lesion = view.lesions[0]
    assert lesion.kind is kind
    assert lesion.mask.sum() > 15
    with_it, without = (view.material_lengths(with_lesions=shown) for shown in (True, False))
    assert np.allclose(with_it[:4].sum(0), without[:4].sum(0), atol=1e-4)
    assert (np.abs(with_it - without).max() > 0.002) == (kind is not LesionKind.NON_MASS)
    assert (lesion.calcium_mm.max() > 0) == (kind is LesionKind.CALCIFICATIONS)
