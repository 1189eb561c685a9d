"""The frame keeps what it shows, on either side, and its results go back to the source's rows."""

import numpy as np
import pytest
from scipy import ndimage

from mammosynth.preprocessing.look import Look
from mammosynth.tasks.view.frame import SIDE, ResultMatrix, ViewFrame, without_neighbours
from mammosynth.terms import ViewPosition
from tests.support.breasts import breast_image


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_whole_image_is_padded_above_and_below_with_the_chest_wall_left(mirrored):
    image = breast_image(512, 300)
    frame = ViewFrame.of(image[:, ::-1].copy() if mirrored else image, Look.FILM)

    framed = frame.apply(image[:, ::-1] if mirrored else image)

    assert frame.mirrored is mirrored
    np.testing.assert_array_equal(framed[:, :300], image)
    assert not framed[:, 300:].any()


def test_a_wide_image_has_half_of_its_padding_above():
    image = np.zeros((300, 512), np.float32)
    image[:, :200] = breast_image(300, 200)

    framed = ViewFrame.of(image, Look.FILM).apply(image)

    np.testing.assert_array_equal(framed[106:406], image)


def test_a_digital_image_with_much_air_is_cropped_to_its_breast_and_film_is_not():
    image = np.zeros((1000, 800), np.float32)
    image[300:700, :260] = breast_image(400, 260)

    cropped, whole = (ViewFrame.of(image, look) for look in (Look.DIGITAL, Look.FILM))

    rows = np.flatnonzero((cropped.apply(image) > 0.05).any(axis=1))
    assert len(rows) > 0.9 * SIDE
    assert whole.is_whole
    assert not cropped.is_whole


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_result_of_a_whole_source_lies_where_the_source_did(mirrored):
    image = breast_image(512, 300)
    image = image[:, ::-1].copy() if mirrored else image
    frame = ViewFrame.of(image, Look.FILM)
    framed = frame.apply(image)
    breast = framed > 0.05

    restored = ResultMatrix.of(frame, breast, breast, ViewPosition.MLO).restore(framed)

    assert restored.shape[0] == 512
    columns = slice(-300, None) if mirrored else slice(0, 300)
    np.testing.assert_allclose(restored[:, columns], image, atol=1e-6)


def test_a_view_of_a_cropped_source_is_as_deep_as_the_source_and_lies_at_its_chest_wall():
    image = np.zeros((1000, 800), np.float32)
    image[300:700, :260] = breast_image(400, 260)
    frame = ViewFrame.of(image, Look.DIGITAL)
    cc_breast = frame.apply(image) > 0.05
    other = np.zeros((SIDE, SIDE), bool)
    other[:, 100:350] = True

    matrix = ResultMatrix.of(frame, cc_breast, other, ViewPosition.MLO)
    shown = matrix.restore(other.astype(np.float32), order=0) > 0

    depth = (image > 0.05).any(axis=0).sum()
    assert matrix.shape == (1000, 800)
    assert abs(int(shown.any(axis=0).sum()) - int(depth)) <= 3
    assert shown[:, 0].any()


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_cc_of_an_acquired_mlo_lies_at_the_border_in_the_middle_and_is_as_deep(mirrored):
    """As tall as its image and beginning at its border, where images that models learn from have air."""
    mlo = np.zeros((1000, 800), np.float32)
    mlo[:, :300] = 0.5
    mlo = mlo[:, ::-1].copy() if mirrored else mlo
    frame = ViewFrame.of(mlo, Look.DIGITAL)
    framed = frame.apply(mlo) > 0.05
    cc = np.zeros((SIDE, SIDE), bool)
    cc[10:500, 100:400] = True

    matrix = ResultMatrix.of(frame, framed, cc, ViewPosition.CC)
    shown = matrix.restore(cc.astype(np.float32), order=0) > 0

    rows, columns = (np.flatnonzero(shown.any(axis=axis)) for axis in (1, 0))
    assert abs(len(columns) - 300) <= 3
    assert columns[-1 if mirrored else 0] == (799 if mirrored else 0)
    assert abs(rows[0] - (999 - rows[-1])) <= 2
    assert np.flatnonzero(framed.any(axis=0))[0] > 0.08 * SIDE


def test_beyond_the_frame_a_result_is_black():
    image = np.zeros((1000, 800), np.float32)
    image[300:700, :260] = breast_image(400, 260)
    frame = ViewFrame.of(image, Look.DIGITAL)
    cc_breast = frame.apply(image) > 0.05
    other = np.ones((SIDE, SIDE), np.float32)  # bright to the frame's border

    matrix = ResultMatrix.of(frame, cc_breast, cc_breast, ViewPosition.MLO)
    restored = matrix.restore(other)

    assert restored[:300, :200].all()
    assert not restored[-200:].any()


@pytest.mark.parametrize("scale", [0.45, 0.93, 1.07, 2.4])
def test_grain_of_a_result_is_as_strong_between_the_pixels_of_the_frame_as_on_them(scale):
    grain = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(SIDE, SIDE)), 0.6).astype(np.float32)
    side = int(SIDE * scale)
    matrix = ResultMatrix((side, side), mirrored=False, scale=scale, top=0.0, left=0.0)

    rows = matrix.restore(grain, order=3)[4:-4].var(axis=1)

    between = np.abs(((np.arange(side) + 0.5) / scale - 0.5 + 0.5) % 1 - 0.5)[4:-4] > 0.25
    assert 0.92 < rows[between].mean() / rows[~between].mean() < 1.08
    linear = matrix.restore(grain)[4:-4].var(axis=1)
    assert linear[between].mean() / linear[~between].mean() < 0.87


def test_a_fold_or_another_breast_beside_the_breast_is_no_part_of_it():
    alone = breast_image(512, 400) > 0
    row, column = np.ogrid[:512, :400]
    both = alone | (np.hypot(row - 560, column) < 90)

    kept = without_neighbours(both)

    np.testing.assert_array_equal(without_neighbours(alone), alone)
    assert not kept[500:].any()
    assert (kept & alone).sum() > 0.98 * alone.sum()
