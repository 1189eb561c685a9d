"""Known values of PS3.3 C.11.1 and C.11.2, worked out by hand from the formulas."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from mammosynth.dicom.display import linear_exact_window, linear_window, sigmoid_window
from mammosynth.dicom.read import read_mammogram
from tests.support.instances import breast_values, build_instance, build_raw_instance, lut_item

RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16)


def display_of(values: np.ndarray, **attributes: object) -> np.ndarray:
    return read_mammogram(build_instance(values, **attributes)).pixels


@pytest.mark.parametrize(
    ("value", "expected"),
    # c = 100, w = 51: 0 up to 100 - 0.5 - 25 = 74.5; 1 above 124.5; between ((x - 99.5) / 50 + 0.5)
    [(0, 0.0), (74, 0.0), (75, 0.01), (99, 0.49), (100, 0.51), (124, 0.99), (125, 1.0), (255, 1.0)],
)
def test_linear_window_follows_the_formula(value: int, expected: float) -> None:
    assert linear_window(np.array([float(value)]), 100, 51)[0] == pytest.approx(expected, abs=1e-9)


def test_linear_exact_window_follows_the_formula() -> None:
    # c = 100, w = 50: 0 at 75, 1 at 125, (x - 100) / 50 + 0.5 between
    np.testing.assert_allclose(linear_exact_window(np.array([75.0, 90.0, 100.0, 125.0]), 100, 50), [0, 0.3, 0.5, 1])


def test_sigmoid_window_follows_the_formula() -> None:
    # 1 / (1 + exp(-4 (x - c) / w)); at x = c +- w / 4 that is 1 / (1 + e^-+1)
    values = np.array([100.0, 112.5, 87.5])
    expected = [0.5, 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))]
    np.testing.assert_allclose(sigmoid_window(values, 100, 50), expected)


@given(
    st.floats(-5000, 5000), st.floats(1, 9000), st.sampled_from([linear_window, linear_exact_window, sigmoid_window])
)
def test_windows_never_leave_the_unit_range_and_never_fall(center: float, width: float, window: object) -> None:
    shown = window(np.linspace(-70000, 70000, 501), center, width)  # type: ignore[operator]
    assert shown.min() >= 0
    assert shown.max() <= 1
    assert (np.diff(shown) >= 0).all()


def test_a_window_of_width_one_is_a_threshold() -> None:
    shown = display_of(RAMP, WindowCenter="100", WindowWidth="1")
    assert shown.ravel()[99] == 0
    assert shown.ravel()[100] == 1


def test_the_first_of_several_windows_is_used() -> None:
    several = display_of(RAMP, WindowCenter=["100", "20"], WindowWidth=["51", "5"])
    np.testing.assert_array_equal(several, display_of(RAMP, WindowCenter="100", WindowWidth="51"))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_the_voi_lut_function_is_obeyed(function: str) -> None:
    formula = {"LINEAR": linear_window, "LINEAR_EXACT": linear_exact_window, "SIGMOID": sigmoid_window}[function]
    shown = display_of(RAMP, WindowCenter="120", WindowWidth="60", VOILUTFunction=function)
    np.testing.assert_allclose(shown, formula(RAMP.astype(float), 120, 60), atol=1e-6)


def test_an_unknown_voi_lut_function_is_linear_with_a_warning() -> None:
    mammogram = read_mammogram(build_instance(RAMP, VOILUTFunction="MAGIC"))
    np.testing.assert_array_equal(mammogram.pixels, display_of(RAMP))
    assert any("'MAGIC'" in warning for warning in mammogram.warnings)


def test_rescale_comes_before_the_window() -> None:
    shown = display_of(RAMP, RescaleSlope="2", RescaleIntercept="-10", WindowCenter="100", WindowWidth="51")
    np.testing.assert_allclose(shown, linear_window(2.0 * RAMP - 10, 100, 51), atol=1e-6)


def test_a_modality_lut_comes_before_the_window() -> None:
    table = list(range(1000, 1256))
    shown = display_of(
        RAMP,
        ModalityLUTSequence=[lut_item(256, 0, 16, table)],
        RescaleSlope=None,
        RescaleIntercept=None,
        WindowCenter="1100",
        WindowWidth="51",
    )
    np.testing.assert_allclose(shown, linear_window(RAMP + 1000.0, 1100, 51), atol=1e-6)


def test_a_voi_lut_goes_before_the_window_and_saturates_at_its_ends() -> None:
    item = lut_item(4, 100, 12, [0, 1365, 2730, 4095])  # thirds of 4095
    shown = display_of(RAMP, VOILUTSequence=[item]).ravel()
    np.testing.assert_allclose(shown[[0, 100, 101, 102, 103, 255]], [0, 0, 1 / 3, 2 / 3, 1, 1], atol=1e-6)


@pytest.mark.parametrize("packed", [b"\x00\x40\x80\xff", b"\x00\x00\x40\x00\x80\x00\xff\x00"])
def test_an_8_bit_voi_lut_is_read_packed_or_in_words(packed: bytes) -> None:
    shown = display_of(RAMP, VOILUTSequence=[lut_item(4, 10, 8, packed)]).ravel()
    np.testing.assert_allclose(shown[10:14], np.array([0, 0x40, 0x80, 0xFF]) / 255, atol=1e-6)


def test_a_voi_lut_whose_bits_cannot_be_meant_reaches_white_with_a_warning() -> None:
    mammogram = read_mammogram(build_instance(RAMP, VOILUTSequence=[lut_item(2, 0, 16, [0, 4095])]))
    assert mammogram.pixels.max() == 1
    assert any("16 bits but reaches 4095" in warning for warning in mammogram.warnings)


def test_a_voi_lut_maps_negative_modality_values() -> None:
    item = lut_item(3, 65536 - 1, 12, [0, 2048, 4095])  # first value mapped is -1, written as unsigned
    shown = display_of(RAMP, RescaleIntercept="-1", VOILUTSequence=[item]).ravel()
    np.testing.assert_allclose(shown[:3], [0, 2048 / 4095, 1], atol=1e-6)


@pytest.mark.parametrize(
    "window", [{}, {"WindowCenter": "0", "WindowWidth": "0"}, {"WindowCenter": "60000", "WindowWidth": "2"}]
)
def test_without_a_usable_window_the_values_fill_the_range_with_a_warning(window: dict[str, str]) -> None:
    mammogram = read_mammogram(build_instance(**{"WindowCenter": None, "WindowWidth": None, **window}))
    assert mammogram.pixels.min() == 0
    assert mammogram.pixels.max() == 1
    assert any("no usable VOI LUT or window" in warning for warning in mammogram.warnings)


def test_a_damaged_voi_lut_gives_way_to_the_window() -> None:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4, 0])
    mammogram = read_mammogram(build_instance(RAMP, VOILUTSequence=[item]))
    np.testing.assert_array_equal(mammogram.pixels, display_of(RAMP))
    assert any("LUT Descriptor" in warning for warning in mammogram.warnings)


def raw_values() -> tuple[np.ndarray, np.ndarray]:
    """Attenuation (0 in air) and what a detector with 12000 counts in air measures behind it."""
    attenuation = breast_values().astype(float) / 4095 * 3
    return attenuation, np.rint(12000 * np.exp(-attenuation))


@pytest.mark.parametrize("sign", [1, None])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_for_processing_shows_attenuation_with_dark_air(photometric: str, sign: int | None) -> None:
    attenuation, counts = raw_values()
    mammogram = read_mammogram(
        build_raw_instance(counts, PhotometricInterpretation=photometric, PixelIntensityRelationshipSign=sign)
    )
    inside = (attenuation > 0.3) & (attenuation < 2.5)  # the bright dot saturates
    assert mammogram.pixels[attenuation == 0].max() == 0
    assert np.corrcoef(mammogram.pixels[inside], attenuation[inside])[0, 1] > 0.99
    assert any("FOR PROCESSING" in warning for warning in mammogram.warnings)


def test_for_processing_in_logarithmic_values_needs_no_logarithm() -> None:
    attenuation, _ = raw_values()
    logarithmic = np.rint(attenuation * 4000)
    mammogram = read_mammogram(
        build_raw_instance(logarithmic, PixelIntensityRelationship="LOG", PixelIntensityRelationshipSign=-1)
    )
    inside = (attenuation > 0.3) & (attenuation < 2.5)  # the bright dot saturates
    assert mammogram.pixels[attenuation == 0].max() == 0
    assert np.corrcoef(mammogram.pixels[inside], attenuation[inside])[0, 1] > 0.99


def test_for_processing_is_not_stretched_by_dead_border_pixels() -> None:
    _, counts = raw_values()
    with_border = counts.copy()
    with_border[:, -2:] = 0
    clean = read_mammogram(build_raw_instance(counts)).pixels
    bordered = read_mammogram(build_raw_instance(with_border)).pixels
    np.testing.assert_allclose(bordered[:, :-2], clean[:, :-2], atol=0.02)
