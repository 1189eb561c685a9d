"""Into the network's frame and exactly back."""

import numpy as np
import pytest

from mammosynth.errors import MissingAttributeError, UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.frame import BreastFrame, extend_smoothly, fill_outside
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing
from mammosynth.terms import ViewPosition
from tests.support.breasts import breast_image


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shape", [(64, 40), (200, 333), (512, 512)])
def test_restoring_a_framed_image_gives_it_back_in_its_matrix_and_orientation(
    shape: tuple[int, int], mirrored: bool
) -> None:
    pixels = breast_image(*shape, mirrored=mirrored)
    frame = BreastFrame.around(pixels > 0, (256, 192), "a.png")
    restored = frame.restore(frame.apply(pixels))
    inside = pixels > 0
    assert restored.shape == pixels.shape
    assert np.abs(restored - pixels)[inside].mean() < 0.01
    assert frame.mirrored is mirrored


def test_box_of_the_frame_size_goes_there_and_back_without_any_change() -> None:
    pixels = np.random.default_rng(0).uniform(0.1, 1, (64, 48)).astype(np.float32)
    mask = np.ones(pixels.shape, bool)
    frame = BreastFrame.around(mask, (64, 48), "a.png")
    np.testing.assert_array_equal(frame.restore(frame.apply(pixels)), pixels)


def test_mirrored_images_look_the_same_in_the_frame() -> None:
    left, right = breast_image(200, 150), breast_image(200, 150, mirrored=True)
    framed = [BreastFrame.around(image > 0, (64, 48), "a.png").apply(image) for image in (left, right)]
    np.testing.assert_array_equal(*framed)
    assert framed[0][:, 0].any()


def test_matrix_size_does_not_matter_in_the_frame() -> None:
    small, large = breast_image(256, 192), breast_image(1024, 768)
    framed = [BreastFrame.around(image > 0, (64, 48), "a.png").apply(image) for image in (small, large)]
    assert np.abs(framed[0] - framed[1]).mean() < 0.02


def test_image_without_breast_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedImageError, match=r"IM1\.dcm: no breast was found"):
        BreastFrame.around(np.zeros((8, 8), bool), (64, 48), "IM1.dcm")


def mammogram(view_position: ViewPosition | None = ViewPosition.CC) -> Mammogram:
    return Mammogram(breast_image(128, 96, mirrored=True), "IM1.dcm", view_position=view_position)


def test_missing_view_position_is_refused_with_what_to_do() -> None:
    with pytest.raises(MissingAttributeError, match="View Position is absent, expected CC or MLO; set view_position"):
        BreastFramePreprocessing((64, 48)).prepare(mammogram(None))


def test_channels_are_those_that_are_named() -> None:
    preprocessing = BreastFramePreprocessing((64, 48))
    prepared = preprocessing.prepare(mammogram(ViewPosition.MLO))
    channels = preprocessing.channels(prepared.low_energy, prepared.breast_mask, prepared.view_position)
    named = dict(zip(preprocessing.CHANNELS, channels, strict=True))
    assert channels.shape == (8, 64, 48)
    assert channels.dtype == np.float32
    np.testing.assert_array_equal(named["low_energy"], prepared.low_energy)
    np.testing.assert_array_equal(named["breast_mask"], prepared.breast_mask)
    assert (named["is_mlo"] == 1).all()
    assert named["relative_depth"].max() == pytest.approx(1)
    assert named["row"][0, 0] == -1
    assert named["row"][-1, 0] == 1


def test_normalised_grey_does_not_depend_on_gain() -> None:
    preprocessing = BreastFramePreprocessing((64, 48))
    prepared = preprocessing.prepare(mammogram())
    both = [
        preprocessing.channels(gain * prepared.low_energy, prepared.breast_mask, ViewPosition.CC)[1]
        for gain in (0.5, 1.0)
    ]
    np.testing.assert_allclose(*both, atol=1e-4)


def test_restored_field_has_no_rim_whatever_the_network_says_about_air() -> None:
    preprocessing = BreastFramePreprocessing((64, 48))
    source = mammogram()
    prepared = preprocessing.prepare(source)
    field = np.where(prepared.breast_mask, 0.7, -5).astype(np.float32)
    restored = preprocessing.restore(prepared, field)
    assert restored.shape == source.pixels.shape
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored[prepared.source_breast_mask], 0.7, atol=1e-6)


def test_pixels_outside_the_mask_take_the_nearest_value_inside() -> None:
    pixels = np.array([[9, 1, 2, 9], [9, 3, 4, 9]], np.float32)
    np.testing.assert_array_equal(fill_outside(pixels, pixels < 9), [[1, 1, 2, 2], [3, 3, 4, 4]])
    np.testing.assert_array_equal(fill_outside(pixels, pixels < 0), pixels)


def test_streaks_of_a_rim_die_out_where_it_is_extended_and_what_is_inside_stays() -> None:
    pixels = np.where(np.arange(40)[:, None] % 2, 0.6, 0.4) * np.ones((40, 30), np.float32)
    mask = np.zeros(pixels.shape, bool)
    mask[:, :10] = True
    extended = extend_smoothly(pixels, mask)
    np.testing.assert_array_equal(extended[mask], pixels[mask])
    assert fill_outside(pixels, mask)[5:-5, 13].std() > 0.09
    assert extended[5:-5, 13].std() < 0.01
    np.testing.assert_array_equal(extend_smoothly(pixels, pixels < 0), pixels)


def test_enlarging_leaves_no_lines_between_the_pixels_of_the_frame() -> None:
    rows, columns = np.mgrid[:64, :48]
    framed = np.sin(rows / 5 + columns / 7).astype(np.float32)
    frame = BreastFrame.around(np.ones((640, 480), bool), (64, 48), "a.png")
    y, x = (np.mgrid[:640, :480] + 0.5) / 10 - 0.5
    inner = (slice(40, -40), slice(40, -40))
    error = np.abs(frame.restore(framed) - np.sin(y / 5 + x / 7))[inner]
    assert error.max() < 1.5e-3  # with straight lines between them it is 0.0075
