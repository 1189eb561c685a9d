"""Files that are damaged or hostile are refused quickly and in words; ordinary ones are parsed as pydicom does."""

from __future__ import annotations

import io
import os
import struct
import time
import warnings
import zlib
from contextlib import suppress
from pathlib import Path

import pydicom
import pytest
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from mammosynth.dicom import bounded
from mammosynth.dicom.bounded import MAX_DEPTH, MAX_ELEMENTS, check_pixels, open_regular, parse_instance
from mammosynth.errors import UnreadableImageError, UnsupportedImageError
from tests.support.bombs import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    beginning_of_file,
    nested_sequences,
    packed_zeros,
)
from tests.support.image_files import NAMES, image_file
from tests.support.instances import as_file, build_instance, coded
from tests.support.mutants import mutants


def parse(content: bytes, *, stop_before_pixels: bool = False) -> Dataset:
    return parse_instance(io.BytesIO(content), "a.dcm", stop_before_pixels=stop_before_pixels)


def in_syntax(syntax: str, **attributes: object) -> bytes:
    dataset = build_instance(**attributes)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.is_implicit_VR, dataset.is_little_endian = syntax == IMPLICIT, syntax != BIG
    return as_file(dataset).getvalue()


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
@pytest.mark.parametrize("stop", [True, False])
def test_an_ordinary_file_is_parsed_as_pydicom_does(syntax: str, stop: bool) -> None:
    content = in_syntax(syntax)
    found, expected = (
        parse(content, stop_before_pixels=stop),
        pydicom.dcmread(io.BytesIO(content), stop_before_pixels=stop),
    )
    assert found == expected
    assert found.file_meta == expected.file_meta
    assert ("PixelData" in found) is not stop
    assert (found.is_implicit_VR, found.is_little_endian, found.preamble) == (
        expected.is_implicit_VR,
        expected.is_little_endian,
        expected.preamble,
    )
    assert str(found.PatientName) == "Muster^Mária"


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize(
    ("tag", "vr"), [((0x0040, 0x0275), b"SQ"), ((0x0009, 0x1001), b"SQ"), ((0x0009, 0x1001), b"UN")]
)
def test_sequences_may_be_nested_but_not_without_end(
    syntax: str, defined: bool, tag: tuple[int, int], vr: bytes
) -> None:
    beginning = beginning_of_file(syntax)
    assert len(parse(beginning + nested_sequences(MAX_DEPTH, syntax, defined=defined, tag=tag, vr=vr))) == 1
    for levels in (MAX_DEPTH + 1, 300, 3000):
        with pytest.raises(UnreadableImageError, match=r"^a\.dcm: sequences nested more than 32 deep"):
            parse(beginning + nested_sequences(levels, syntax, defined=defined, tag=tag, vr=vr))


@pytest.mark.parametrize(
    ("keyword", "vr"), [("PatientBirthDate", "DA"), ("PatientID", "LO"), ("PatientName", "PN"), ("PatientAge", "AS")]
)
def test_a_malformed_value_of_a_patient_is_quoted_in_no_warning(keyword: str, vr: str) -> None:
    dataset = build_instance()
    dataset[keyword] = pydicom.DataElement(keyword, vr, "Muster of Musterstadt" * 4, validation_mode=config.IGNORE)
    content = as_file(dataset).getvalue()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "Musterstadt" in str(parse(content)[keyword].value)


def parts_of(dataset: Dataset) -> int:
    """Elements, and items of sequences."""
    sequences = [element.value for element in dataset if element.VR == "SQ"]
    return len(dataset) + sum(1 + parts_of(item) for sequence in sequences for item in sequence)


@pytest.mark.parametrize("name", ["implicit.dcm", "explicit.dcm", "big.dcm", "deflated.dcm", "rle.dcm"])
def test_what_is_counted_is_what_pydicom_finds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = image_file(name)
    dataset = pydicom.dcmread(io.BytesIO(content))
    count = parts_of(dataset) + (2 if name == "rle.dcm" else 0)  # fragments: an empty offset table, and the frame
    monkeypatch.setattr(bounded, "MAX_ELEMENTS", count)
    assert parse(content) == dataset
    monkeypatch.setattr(bounded, "MAX_ELEMENTS", count - 1)
    with pytest.raises(UnreadableImageError, match=f"more than {count - 1} elements"):
        parse(content)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".dcm")])
def test_a_damaged_file_is_parsed_or_refused_in_words(name: str) -> None:
    for content in mutants(image_file(name), 16, 40):
        start = time.process_time()
        with suppress(UnreadableImageError):
            assert isinstance(parse(content), Dataset)
        assert time.process_time() - start < 2


@pytest.mark.parametrize("end", [b"", b"\xfe\xff\xdd\xe0\0\0\0\0"])
def test_pixel_data_that_are_not_encapsulated_as_they_should_be_end_at_a_delimiter(end: bytes) -> None:
    header = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    after = struct.pack("<HH2sH", 0xFFFC, 0xFFFC, b"CS", 4) + b"LAST"
    found = parse(beginning_of_file(EXPLICIT) + header + b"no item" + bytes(70_001) + end + after)
    assert ("PixelData" in found) is bool(end)


def tiny_elements(syntax: str) -> bytes:
    order = ">" if syntax == BIG else "<"
    vr_and_length = bytes(4) if syntax == IMPLICIT else b"CS\0\0"
    return b"".join(
        struct.pack(order + "HH", 0x0009 + 2 * (n >> 16), n & 0xFFFF) + vr_and_length for n in range(500_000)
    )


def tiny_items(syntax: str) -> bytes:
    return struct.pack("<HH2sHL", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF) + 500_000 * b"\xfe\xff\x00\xe0\0\0\0\0"


def tiny_items_of_a_defined_sequence(syntax: str) -> bytes:
    return struct.pack("<HH2sHL", 0x0040, 0x0275, b"SQ", 0, 4_000_000) + 500_000 * b"\xfe\xff\x00\xe0\0\0\0\0"


def tiny_fragments(syntax: str) -> bytes:
    return struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + 500_000 * b"\xfe\xff\x00\xe0\0\0\0\0"


def tiny_values(syntax: str) -> bytes:
    return struct.pack("<HH2sHL", 0x0009, 0x1001, b"UC", 0, 4_000_000) + 2_000_000 * b"1\\"


def commands(syntax: str) -> bytes:
    return 500_000 * b"\0\0\0\1\0\0\0\0"


def meta_information(syntax: str) -> bytes:
    return 500_000 * b"\2\0\0\1CS\0\0"


@pytest.mark.parametrize(
    ("syntax", "bomb"),
    [
        (EXPLICIT, tiny_elements),
        (IMPLICIT, tiny_elements),
        (BIG, tiny_elements),
        (EXPLICIT, tiny_items),
        (EXPLICIT, tiny_items_of_a_defined_sequence),
        (RLELossless, tiny_fragments),
        (EXPLICIT, tiny_values),
        (EXPLICIT, commands),
        (EXPLICIT, meta_information),
    ],
)
def test_4_mb_of_tiny_parts_are_refused_at_once(syntax: str, bomb: object) -> None:
    content = beginning_of_file(syntax) + bomb(syntax)
    start = time.process_time()
    with pytest.raises(UnreadableImageError, match=r"^a\.dcm: (more than|file meta information of more than) \d+"):
        parse(content)
    assert time.process_time() - start < 1


@pytest.mark.slow
def test_as_many_elements_as_are_accepted_are_parsed() -> None:
    content = beginning_of_file(EXPLICIT) + tiny_elements(EXPLICIT)[: 8 * MAX_ELEMENTS]
    assert len(parse(content)) == MAX_ELEMENTS


@pytest.mark.slow  # to make the bomb
def test_a_deflated_file_is_inflated_to_a_limit() -> None:
    bomb = beginning_of_file(DEFLATED) + packed_zeros(1 << 30, -zlib.MAX_WBITS)
    assert len(bomb) < 1_200_000
    with pytest.raises(UnreadableImageError, match=r"a\.dcm: inflates to more than 128 MiB"):
        parse(bomb)


def test_a_deflated_file_that_ends_early_is_refused() -> None:
    with pytest.raises(UnreadableImageError, match="the deflated dataset ends early"):
        parse(in_syntax(DEFLATED)[:-40])


def test_what_a_deflated_file_holds_is_counted_as_well() -> None:
    deflate = zlib.compressobj(wbits=-15)
    with pytest.raises(UnreadableImageError, match="nested more than 32 deep"):
        parse(
            beginning_of_file(DEFLATED)
            + deflate.compress(nested_sequences(300, EXPLICIT, defined=True))
            + deflate.flush()
        )


def test_a_value_beyond_the_end_of_the_file_is_never_allocated() -> None:
    content = beginning_of_file(EXPLICIT) + struct.pack("<HH2sHL", 0x0009, 0x1001, b"OB", 0, 0xFFFFFFF0) + bytes(20)
    with pytest.raises(UnreadableImageError, match=r"\(0009,1001\) has 4294967280 bytes, 20 are there"):
        parse(content)


def test_a_dicomdir_is_refused() -> None:
    dataset = build_instance(SOPClassUID="1.2.840.10008.1.3.10")
    with pytest.raises(UnreadableImageError, match="a DICOMDIR, which refers to other files"):
        parse(as_file(dataset).getvalue())


@pytest.mark.parametrize(
    ("attributes", "kind", "message"),
    [
        ({"Rows": 60000, "Columns": 60000}, UnsupportedImageError, "60000 x 60000, at most 60 megapixels"),
        ({"Rows": 0}, UnreadableImageError, "0 x 40, expected positive"),
        ({"Rows": 6000, "Columns": 6000, "SamplesPerPixel": 3}, UnsupportedImageError, "at most 60 megapixels"),
        ({"NumberOfFrames": 20_000_000}, UnsupportedImageError, "Frames is 20000000, .* 1000 megapixels are accepted"),
        ({"NumberOfFrames": 2}, UnreadableImageError, "3840 bytes, expected 7680 for 2 16-bit frame.s."),
        ({"NumberOfFrames": -1}, UnreadableImageError, "Number of Frames is '-1', expected a positive number"),
        ({"SamplesPerPixel": 60000}, UnsupportedImageError, "at most 60 megapixels"),
        ({"BitsAllocated": 32}, UnreadableImageError, "3840 bytes, expected 7680 for 1 32-bit frame.s."),
    ],
)
def test_images_beyond_the_limits_or_their_bytes_are_refused(
    attributes: dict[str, int], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        check_pixels(build_instance(**attributes), "a.dcm")


def test_a_number_of_frames_that_is_no_number_is_refused() -> None:
    dataset = build_instance()
    dataset.add_new("NumberOfFrames", "LO", "many")
    with pytest.raises(UnreadableImageError, match="Number of Frames is 'many'"):
        check_pixels(dataset, "a.dcm")


def test_more_compressed_frames_than_there_are_items_are_refused() -> None:
    dataset = build_instance(NumberOfFrames=1000)
    dataset.file_meta.TransferSyntaxUID = RLELossless
    dataset.PixelData = pydicom.encaps.encapsulate([b"abcd"])
    with pytest.raises(UnreadableImageError, match="expected 8000 for 1000 compressed frame"):
        check_pixels(dataset, "a.dcm")


@pytest.mark.parametrize("attributes", [{}, {"NumberOfFrames": 1}, {"NumberOfFrames": None}, {"SamplesPerPixel": None}])
def test_ordinary_images_pass(attributes: dict[str, object]) -> None:
    dataset = build_instance(**attributes)
    check_pixels(dataset, "a.dcm")
    del dataset.PixelData
    check_pixels(dataset, "a.dcm")


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.dcm")
    for path in (tmp_path / "pipe.dcm", Path("/dev/zero"), tmp_path, tmp_path / "gone.dcm"):
        with pytest.raises(OSError, match=r"no regular file|it is a folder|No such file"):
            open_regular(path)


def test_a_sequence_of_codes_is_no_depth_of_its_own() -> None:
    dataset = build_instance(AnatomicRegionSequence=[coded("1", "SCT", "Breast")] * 500)
    assert len(parse(as_file(dataset).getvalue()).AnatomicRegionSequence) == 500
