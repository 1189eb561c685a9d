"""What comes out of a view: the other view of the same breast, its lesion nearly as deep."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from mammosynth.errors import UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.look import Look
from mammosynth.task import IMAGE, UNCERTAINTY, Rendering
from mammosynth.tasks.view.roles import BAND, LESIONS, MASK, SOURCE
from mammosynth.tasks.view.specification import CLASSES
from mammosynth.tasks.view.synthesizer import ViewParameters
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.view_pairs import view_case

pytestmark = pytest.mark.slow


def made(synthesizer, case, rendering=Rendering.SAMPLED, seed=0, *, lesions=True, **parameters):
    inputs = {SOURCE: case.source}
    if lesions:
        inputs[LESIONS] = LabelMap(case.source_lesion.astype(np.uint8), "mask", CLASSES)
    parameters = ViewParameters(**{"look": Look.FILM, **parameters})
    return {each.role: each.value for each in synthesizer(inputs, parameters, rendering=rendering, seed=seed)}


@pytest.mark.parametrize("rendering", list(Rendering))
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("to", list(ViewPosition))
def test_the_other_view_is_of_the_same_side_with_the_chest_wall_where_it_was(synthesizer, rendering, mirrored, to):
    case = replace(view_case(30, mirrored=mirrored), to=to)
    view = made(synthesizer, case, rendering, lesions=False)[IMAGE]
    assert (view.view_position, view.image_laterality) == (to, case.source.image_laterality)
    assert view.pixels.shape == (512, 512)
    assert view.image_laterality is (ImageLaterality.RIGHT if mirrored else ImageLaterality.LEFT)
    columns = np.flatnonzero((view.pixels > 0.05).mean(axis=0) > 0.2)
    assert bool(columns.mean() > 256) is mirrored
    shown, wanted = (pixels > 0.05 for pixels in (view.pixels, case.target.pixels))
    assert (shown & wanted).sum() / (shown | wanted).sum() > 0.8


def test_a_right_breast_gets_the_mirror_image_of_a_left_one(synthesizer):
    left, right = (made(synthesizer, view_case(31, mirrored=mirrored)) for mirrored in (False, True))
    for role in (IMAGE, MASK):
        a, b = (each[role].pixels if role == IMAGE else each[role].labels for each in (left, right))
        np.testing.assert_allclose(a, b[:, ::-1], atol=1e-5)


def test_a_seed_gives_the_same_sample_and_another_seed_another(synthesizer):
    case = view_case(32)
    first, again, other = (made(synthesizer, case, seed=seed)[IMAGE].pixels for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.005


def brighter(case):
    """The same breast, one grey value of 255 brighter."""
    pixels = case.views.cc.pixels
    changed = np.where(pixels > 0, pixels + np.float32(1 / 255), 0).astype(np.float32)
    return replace(case, views=replace(case.views, cc=case.views.cc.with_pixels(changed)))


@pytest.mark.parametrize("role", [IMAGE, UNCERTAINTY])
def test_views_of_one_seed_are_drawn_independently_of_each_other(synthesizer, role, monkeypatch):
    monkeypatch.setattr("mammosynth.tasks.view.synthesizer.SAMPLES", 2)
    case, asked = view_case(39), {"lesions": False, "uncertainty": role == UNCERTAINTY}
    one, another = (
        made(synthesizer, each, seed=1, **asked)[role].pixels - made(synthesizer, each, seed=2, **asked)[role].pixels
        for each in (case, brighter(case))
    )
    inside = (np.abs(one) > 0) & (np.abs(another) > 0)
    assert inside.mean() > 0.2
    assert abs(np.corrcoef(one[inside], another[inside])[0, 1]) < 0.5


@pytest.mark.parametrize("shift", [None, 30])
def test_a_lesion_that_is_moved_or_taken_away_leaves_the_breast_of_a_seed_as_it_is(synthesizer, shift):
    case = view_case(34)
    moved = replace(case, views=replace(case.views, cc_lesion=np.roll(case.views.cc_lesion, shift or 0, axis=0)))
    first, second = made(synthesizer, case, seed=3), made(synthesizer, moved, seed=3, lesions=shift is not None)
    masks = [each[MASK].labels > 0 for each in (first, second) if MASK in each]
    beside = ~ndimage.binary_dilation(np.logical_or.reduce(masks), iterations=40)
    one, another = (each[IMAGE].pixels - ndimage.gaussian_filter(each[IMAGE].pixels, 1) for each in (first, second))
    inside = beside & ndimage.binary_erosion(first[IMAGE].pixels > 0.05, iterations=12)
    assert np.corrcoef(one[inside], another[inside])[0, 1] > 0.8


def test_an_expected_view_is_smooth_and_knows_no_seed_a_sampled_one_is_as_fine_as_a_real_one(synthesizer):
    case = view_case(33)
    expected, again, sampled = (
        made(synthesizer, case, rendering, seed=seed, lesions=False)[IMAGE].pixels
        for rendering, seed in ((Rendering.EXPECTED, 1), (Rendering.EXPECTED, 2), (Rendering.SAMPLED, 1))
    )
    np.testing.assert_array_equal(expected, again)
    views = (expected, sampled, case.views.mlo.pixels)
    inside = ndimage.binary_erosion(np.minimum.reduce(views) > 0.05, iterations=12)
    fine = [(each - ndimage.gaussian_filter(each, 3))[inside].std() for each in views]
    assert fine[0] < 0.5 * fine[2]
    assert fine[1] == pytest.approx(fine[2], rel=0.25)


def depth_of(mask, pixels):
    return np.flatnonzero((pixels > 0.05).mean(axis=0) > 0.01)[-1] - ndimage.center_of_mass(mask)[1]


@pytest.mark.parametrize("rendering", list(Rendering))
@pytest.mark.parametrize("to", list(ViewPosition))
def test_a_lesion_is_nearly_as_deep_brighter_than_its_ring_and_in_its_band(synthesizer, rendering, to):
    case = replace(view_case(34), to=to)
    found = made(synthesizer, case, rendering)
    mask, band, pixels = found[MASK].labels == 1, found[BAND].labels > 0, found[IMAGE].pixels
    assert abs(depth_of(mask, pixels) - depth_of(case.source_lesion, case.source.pixels)) < 45
    ring = ndimage.binary_dilation(mask, iterations=20) & ~ndimage.binary_dilation(mask, iterations=5)
    assert pixels[mask].mean() > pixels[ring].mean() + 0.02
    assert found[MASK].classes == CLASSES
    assert 0 < band.sum() < (pixels > 0.05).sum()
    if rendering is Rendering.EXPECTED:
        assert band[mask].mean() > 0.9


def test_another_lesion_in_the_source_is_another_one_in_the_view(synthesizer):
    case = view_case(35)
    near = replace(case, views=replace(case.views, cc_lesion=np.roll(case.views.cc_lesion, 60, axis=1)))
    far, close = (made(synthesizer, each, Rendering.EXPECTED) for each in (case, near))
    depths = [depth_of(each[MASK].labels > 0, each[IMAGE].pixels) for each in (far, close)]
    assert depths[0] - depths[1] > 20


def test_uncertainty_is_asked_for_and_is_greatest_where_the_outline_may_lie(synthesizer):
    case = view_case(36)
    found = made(synthesizer, case, Rendering.EXPECTED, lesions=False, uncertainty=True)
    spread, pixels = found[UNCERTAINTY].pixels, found[IMAGE].pixels
    breast = pixels > 0.05
    rim = ndimage.binary_dilation(breast, iterations=5) ^ ndimage.binary_erosion(breast, iterations=5)
    assert spread[:, 300:].max() < 0.4
    assert spread[rim].mean() > spread[~ndimage.binary_dilation(breast, iterations=30)].mean()
    assert UNCERTAINTY not in made(synthesizer, case, lesions=False)


def test_a_larger_matrix_keeps_its_rows_and_its_spacing(synthesizer):
    case = view_case(37)
    large = Mammogram(
        np.kron(case.views.cc.pixels, np.ones((2, 2), np.float32)), "a", ViewPosition.CC, pixel_spacing_mm=(0.1, 0.1)
    )
    outputs = synthesizer({SOURCE: large}, ViewParameters(look=Look.FILM), rendering=Rendering.SAMPLED, seed=0)
    view = outputs[0].value
    assert view.pixels.shape[0] == 1024
    assert view.pixel_spacing_mm == (0.1, 0.1)


def test_air_and_a_lesion_in_the_air_are_refused(synthesizer):
    case = view_case(38)
    with pytest.raises(UnsupportedImageError, match="no breast is found"):
        made(
            synthesizer,
            replace(case, views=replace(case.views, cc=case.views.cc.with_pixels(np.zeros((512, 512), np.float32)))),
        )
    outside = replace(case, views=replace(case.views, cc_lesion=np.roll(case.views.cc_lesion, 380, axis=1)))
    with pytest.raises(UnsupportedImageError, match="draw one inside"):
        made(synthesizer, outside)
