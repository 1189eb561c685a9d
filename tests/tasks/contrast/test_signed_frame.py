"""Grey values of the published cycle-GAN: into [-1, 1] and back to the source."""

import numpy as np
import pytest

from mammosynth.errors import UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.tasks.contrast.signed_frame import SignedFramePreprocessing
from mammosynth.terms import ViewPosition
from tests.support.breasts import breast_image


def mammogram(height: int = 256, width: int = 192, *, mirrored: bool = False) -> Mammogram:
    return Mammogram(breast_image(height, width, mirrored=mirrored), "IM1.dcm", view_position=ViewPosition.CC)


def test_display_values_become_signed_and_air_is_black() -> None:
    preprocessing = SignedFramePreprocessing((64, 48))
    low_energy = np.array([[0, 0.25, 1], [0.5, 0.75, 0.9]], np.float32)
    breast = np.array([[True, True, True], [True, True, False]])
    channels = preprocessing.channels(low_energy, breast, ViewPosition.MLO)
    assert channels.dtype == np.float32
    np.testing.assert_allclose(channels, [[[-1, -0.5, 1], [0, 0.5, -1]]])


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shape", [(256, 192), (400, 333)])
def test_a_network_that_changes_nothing_gives_the_source_back(shape: tuple[int, int], mirrored: bool) -> None:
    preprocessing = SignedFramePreprocessing((256, 192))
    source = mammogram(*shape, mirrored=mirrored)
    prepared = preprocessing.prepare(source)
    channels = preprocessing.channels(prepared.low_energy, prepared.breast_mask, prepared.view_position)
    restored = preprocessing.restore(prepared, channels[0])
    assert restored.dtype == np.float32
    inside = prepared.source_breast_mask & (source.pixels > 0)
    assert np.abs(restored - source.pixels)[inside].mean() < 0.01
    assert not restored[source.pixels == 0].any()


def test_output_of_one_is_white_inside_the_breast_alone() -> None:
    preprocessing = SignedFramePreprocessing((64, 48))
    source = mammogram()
    restored = preprocessing.restore(preprocessing.prepare(source), np.ones((64, 48), np.float32))
    np.testing.assert_array_equal(restored, (source.pixels > 0).astype(np.float32))


def test_window_of_the_display_is_kept_not_evened_out() -> None:
    preprocessing = SignedFramePreprocessing((64, 48))
    prepared = preprocessing.prepare(mammogram())
    full, half = (
        preprocessing.channels(gain * prepared.low_energy, prepared.breast_mask, ViewPosition.CC) for gain in (1.0, 0.5)
    )
    np.testing.assert_allclose(half + 1, (full + 1) / 2, atol=1e-6)


def test_image_without_breast_is_refused() -> None:
    empty = Mammogram(np.zeros((64, 48), np.float32), "IM2.dcm", view_position=ViewPosition.CC)
    with pytest.raises(UnsupportedImageError, match=r"IM2\.dcm: no breast was found"):
        SignedFramePreprocessing((64, 48)).prepare(empty)
