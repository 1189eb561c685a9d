"""Depths, signs and transfer syntaxes of Pixel Data, and everything that is wrong with them."""

import io
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from mammosynth.dicom.read import read_mammogram
from mammosynth.dicom.stored import read_stored_values
from mammosynth.errors import MammoSynthError, UnreadableImageError, UnsupportedImageError
from tests.support.bombs import too_long_rle_file
from tests.support.image_files import image_file, in_rle_or_jpeg_2000
from tests.support.instances import as_file, breast_values, build_instance

VALUES = breast_values()


def stored_values_of(dataset: Dataset) -> np.ndarray:
    return read_stored_values(dataset, "image").values


@pytest.mark.parametrize(("bits", "allocated"), [(8, 8), (8, 16), (10, 16), (12, 16), (13, 16), (14, 16), (16, 16)])
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEG2000Lossless])
def test_every_depth_is_read_exactly(bits: int, allocated: int, syntax: str | None) -> None:
    values = breast_values(bits=bits)
    dataset = build_instance(values, bits=bits, allocated=allocated)
    np.testing.assert_array_equal(stored_values_of(in_rle_or_jpeg_2000(dataset, syntax) if syntax else dataset), values)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_every_uncompressed_syntax_is_read_exactly(syntax: str) -> None:
    dataset = build_instance(VALUES)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.is_implicit_VR = syntax == ImplicitVRLittleEndian
    dataset.is_little_endian = syntax != ExplicitVRBigEndian
    if not dataset.is_little_endian:
        dataset.PixelData = VALUES.astype(">u2").tobytes()
    np.testing.assert_array_equal(stored_values_of(pydicom.dcmread(as_file(dataset))), VALUES)


@pytest.mark.parametrize(
    ("tool", "options"),
    [
        ("dcmcjpeg", ["+e1"]),  # JPEG Lossless, process 14, selection value 1
        ("dcmcjpeg", ["+el"]),  # JPEG Lossless, process 14
        ("dcmcjpls", []),  # JPEG-LS lossless
        ("dcmcrle", []),
    ],
)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_what_dcmtk_compresses_is_read_exactly(tool: str, options: list[str], bits: int, tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} of dcmtk is not installed: JPEG Lossless and JPEG-LS are not tested")
    values = breast_values(bits=bits)
    (tmp_path / "plain.dcm").write_bytes(as_file(build_instance(values, bits=bits)).getvalue())
    subprocess.run([tool, *options, tmp_path / "plain.dcm", tmp_path / "compressed.dcm"], check=True)
    dataset = pydicom.dcmread(tmp_path / "compressed.dcm")
    assert dataset.file_meta.TransferSyntaxUID.is_compressed
    np.testing.assert_array_equal(stored_values_of(dataset), values)


def test_a_left_aligned_high_bit_is_shifted_away() -> None:
    dataset = build_instance(VALUES, HighBit=15, PixelData=(VALUES << 4).astype("<u2").tobytes())
    np.testing.assert_array_equal(stored_values_of(dataset), VALUES)


@pytest.mark.parametrize("extended", [True, False])
def test_signed_values_are_read_with_or_without_sign_extension(extended: bool) -> None:
    signed = VALUES.astype(np.int16) - 2048
    words = signed if extended else signed & 0x0FFF
    dataset = build_instance(VALUES, signed=True, PixelData=words.astype("<i2").tobytes())
    np.testing.assert_array_equal(stored_values_of(dataset), signed)


def test_signed_pixels_are_shown_like_unsigned_ones() -> None:
    signed = build_instance(VALUES.astype(int) - 2048, signed=True, WindowCenter="0")
    np.testing.assert_array_equal(read_mammogram(signed).pixels, read_mammogram(build_instance(VALUES)).pixels)


def test_overlay_bits_above_the_high_bit_are_removed() -> None:
    dataset = build_instance(VALUES, PixelData=(VALUES | 0x8000).astype("<u2").tobytes())
    dataset.add_new(0x60000010, "US", VALUES.shape[0])
    dataset.add_new(0x60000102, "US", 15)
    np.testing.assert_array_equal(stored_values_of(dataset), VALUES)


def test_values_beyond_bits_stored_win_over_the_header() -> None:
    values = breast_values(bits=14)
    stored = read_stored_values(build_instance(values, bits=12), "image")
    np.testing.assert_array_equal(stored.values, values)
    assert stored.bits == 14
    assert "Bits Stored is 12" in stored.warnings[0]


@given(st.integers(8, 16), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_any_values_survive_any_depth(bits: int, signed: bool, seed: int) -> None:
    low = -(1 << (bits - 1)) if signed else 0
    values = np.random.default_rng(seed).integers(low, low + (1 << bits), (5, 7))
    np.testing.assert_array_equal(stored_values_of(build_instance(values, bits=bits, signed=signed)), values)


def test_truncated_pixel_data_are_refused_with_both_lengths() -> None:
    dataset = build_instance(VALUES)
    dataset.PixelData = dataset.PixelData[:-100]
    with pytest.raises(UnreadableImageError, match=r"3740 bytes, expected 3840 .* truncated"):
        read_mammogram(dataset)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_codestream_is_refused(syntax: str, kept: float) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (48, 40))
    dataset = in_rle_or_jpeg_2000(build_instance(values), syntax)
    stream = next(pydicom.encaps.generate_pixel_data_frame(dataset.PixelData, 1))
    dataset.PixelData = encapsulate([stream[: int(kept * len(stream))]])
    with pytest.raises(UnreadableImageError, match="truncated"):
        read_mammogram(dataset)


def test_a_panic_of_the_rle_decoder_is_an_error_in_words() -> None:
    with pytest.raises(UnreadableImageError, match="cannot be decoded"):
        read_mammogram(io.BytesIO(too_long_rle_file()))


def test_a_codestream_of_more_bits_than_a_mammogram_has_is_refused_before_it_is_decoded() -> None:
    content = bytearray(image_file("jpeg2000.dcm"))
    content[content.index(b"\xff\x51") + 40] = 19  # Ssiz of ISO/IEC 15444-1, A.5.1: bits less one
    with pytest.raises(UnsupportedImageError, match="stream has 20 bits a value, expected at most 16"):
        read_mammogram(io.BytesIO(content))


def test_a_codestream_of_another_size_than_the_header_is_refused_before_it_is_decoded() -> None:
    dataset = in_rle_or_jpeg_2000(build_instance(VALUES), JPEG2000Lossless)
    dataset.Rows = 47
    with pytest.raises(UnreadableImageError, match="stream has 48 x 40 pixels in 1 plane, the header 47 x 40 in 1"):
        read_mammogram(dataset)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"Rows": 60000, "Columns": 60000}, "60000 x 60000, at most 60 megapixels"),
        ({"BitsAllocated": 32}, "Bits Allocated, Bits Stored and High Bit are 32, 12 and 11"),
        ({"BitsStored": 17, "HighBit": 16}, "are 16, 17 and 16"),
        ({"BitsStored": 4, "HighBit": 3}, "are 16, 4 and 3"),
    ],
)
def test_hostile_headers_are_refused_before_anything_is_allocated(attributes: dict[str, int], message: str) -> None:
    with pytest.raises(UnsupportedImageError, match=message):
        read_mammogram(build_instance(VALUES, **attributes))


def test_an_image_without_rows_is_refused() -> None:
    with pytest.raises(UnreadableImageError, match="0 x 40, expected positive numbers"):
        read_mammogram(build_instance(VALUES, Rows=0))


def test_a_transfer_syntax_without_decoder_is_refused_by_name() -> None:
    dataset = build_instance(VALUES)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
    with pytest.raises(UnsupportedImageError, match="MPEG2.*expected uncompressed, RLE"):
        read_mammogram(dataset)


@pytest.mark.slow
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEG2000Lossless])
def test_a_file_cut_off_anywhere_gives_an_error_in_words(syntax: str | None, tmp_path: Path) -> None:
    dataset = build_instance(VALUES)
    content = as_file(in_rle_or_jpeg_2000(dataset, syntax) if syntax else dataset).getvalue()
    path = tmp_path / "cut.dcm"
    for length in [*range(0, len(content) - 2, 37), len(content) - 20, len(content) - 9]:
        path.write_bytes(content[:length])
        with pytest.raises(MammoSynthError, match=r"cut\.dcm"):
            read_mammogram(path)


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(132, 1500), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_damaged_header_gives_an_image_or_an_error_in_words(changes: list[tuple[int, int]]) -> None:
    content = bytearray(as_file(build_instance(VALUES)).getvalue())
    for position, value in changes:
        content[position] = value
    with suppress(MammoSynthError):
        mammogram = read_mammogram(io.BytesIO(content))
        assert mammogram.pixels.shape == (mammogram.header.Rows, mammogram.header.Columns)
