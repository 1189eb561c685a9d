"""The window in which results open."""

import numpy as np

from mammosynth.dicom.window import breast_window, uncertainty_window


def test_the_window_is_that_of_the_breast_whatever_the_background() -> None:
    breast = np.arange(7000, 37000, dtype=np.uint16)
    center, width = breast_window(breast)
    assert abs(center - width / 2 - np.percentile(breast, 1)) < 1
    assert abs(center + width / 2 - np.percentile(breast, 99.5)) < 2
    assert breast_window(np.concatenate([np.zeros(100_000, np.uint16), breast])) == (center, width)


def test_one_bright_marker_does_not_darken_the_breast() -> None:
    breast = np.random.default_rng(0).integers(7000, 20000, 10_000).astype(np.uint16)
    with_marker = np.concatenate([breast, np.full(20, 65535, np.uint16)])
    assert abs(breast_window(with_marker)[1] - breast_window(breast)[1]) < 200


def test_an_image_of_one_grey_or_of_none_has_a_window_all_the_same() -> None:
    assert breast_window(np.full(10, 500, np.uint16))[1] >= 1
    assert breast_window(np.zeros(10, np.uint16)) == (32768, 65536)


def test_uncertainties_have_one_window_to_be_compared() -> None:
    center, width = uncertainty_window()
    assert (center, width) == (8192, 16385)
