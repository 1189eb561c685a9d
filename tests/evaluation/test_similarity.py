"""SSIM against values worked out by hand."""

import numpy as np

from mammosynth.evaluation.similarity import ssim_map


def test_ssim_of_flat_images_is_the_luminance_term() -> None:
    a, b = np.full((16, 16), 0.2), np.full((16, 16), 0.6)
    np.testing.assert_allclose(ssim_map(a, b), (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4))
    np.testing.assert_allclose(ssim_map(a, a), 1)


def test_ssim_window_is_11_pixels_wide() -> None:
    image, other = np.zeros((31, 31)), np.zeros((31, 31))
    other[15, 15] = 1
    rows, columns = np.nonzero(ssim_map(image, other) < 1 - 1e-12)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 20, 10, 20)
