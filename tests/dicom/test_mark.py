"""The words in the pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammosynth.dicom.mark import burn_in_mark, has_burned_in_mark
from mammosynth.dicom.read import read_mammogram
from mammosynth.mammogram import Mammogram
from tests.support.breasts import breast_image
from tests.support.instances import breast_values, build_instance


def test_the_burned_in_mark_is_in_the_emptiest_corner_and_nowhere_else() -> None:
    source = read_mammogram(build_instance(breast_values(480, 400)))
    result = np.full(source.pixels.shape, 0.5, np.float32)
    changed = burn_in_mark(result, source) != result
    rows, columns = np.nonzero(changed)
    assert source.pixels[changed].max() == 0  # air
    assert rows.min() > 400
    assert columns.min() > 200
    assert 0.3 * 400 < np.ptp(columns) < 0.5 * 400


@given(st.integers(2, 60), st.integers(2, 60))
def test_the_burned_in_mark_fits_any_image(rows: int, columns: int) -> None:
    pixels = np.zeros((rows, columns), np.float32)
    marked = burn_in_mark(pixels, Mammogram(pixels, "IM1"))
    assert marked.shape == pixels.shape
    assert marked.max() == 1
    assert pixels.max() == 0


@pytest.mark.parametrize("shape", [(480, 400), (300, 512), (1200, 900)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_burned_in_mark_is_found_also_in_another_window_and_under_noise(
    shape: tuple[int, int], mirrored: bool
) -> None:
    pixels = breast_image(*shape, mirrored=mirrored)
    marked = burn_in_mark(pixels, Mammogram(pixels, "IM1"))
    noisy = marked + 0.05 * np.random.default_rng(1).standard_normal(shape)
    assert has_burned_in_mark(marked)
    assert has_burned_in_mark(np.clip(2 * noisy - 0.5, 0, 1))
    assert not has_burned_in_mark(pixels)
    assert not has_burned_in_mark(np.clip(pixels + noisy - marked, 0, 1))
