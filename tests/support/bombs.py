"""Small files, or parts of them, that make a careless reader take all memory, all time or all of its stack."""

from __future__ import annotations

import io
import struct
import zlib

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from tests.support.instances import as_file, build_instance

EXPLICIT, IMPLICIT = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)
BIG, DEFLATED = str(ExplicitVRBigEndian), str(DeflatedExplicitVRLittleEndian)
KNOWN = (0x0040, 0x0275)  # Request Attributes Sequence


def beginning_of_file(syntax: str) -> bytes:
    """What stands before a dataset: preamble and file meta information."""
    dataset = Dataset()
    dataset.SOPClassUID = dataset.SOPInstanceUID = "1.2"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.is_implicit_VR, dataset.is_little_endian = syntax == IMPLICIT, syntax != BIG
    whole = as_file(dataset).getvalue()
    start = io.BytesIO(whole)
    pydicom.filereader.read_preamble(start, force=False)
    pydicom.filereader._read_file_meta_info(start)
    return whole[: start.tell()]


def nested_sequences(
    levels: int, syntax: str, *, defined: bool, tag: tuple[int, int] = KNOWN, vr: bytes = b"SQ"
) -> bytes:
    """Sequences in sequences."""
    order = ">" if syntax == BIG else "<"
    content = b""
    for _ in range(levels):
        length = len(content) if defined else 0xFFFFFFFF
        item = struct.pack(order + "HHL", 0xFFFE, 0xE000, length) + content
        item += b"" if defined else struct.pack(order + "HHL", 0xFFFE, 0xE00D, 0)
        header = struct.pack(order + "HH", *tag) + (b"" if syntax == IMPLICIT else vr + b"\0\0")
        content = header + struct.pack(order + "L", len(item) if defined else 0xFFFFFFFF) + item
        content += b"" if defined else struct.pack(order + "HHL", 0xFFFE, 0xE0DD, 0)
    return content


def packed_zeros(count: int, wbits: int) -> bytes:
    """A stream of zeros, a thousandth of their size: one packed block again and again."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, wbits)
    first = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    block = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return first + block * (count // (1 << 20) - 1) + deflate.flush()


def rle_file(rows: int, columns: int, segment: bytes) -> bytes:
    """A mammogram of 16 bits in RLE, both of its bytes coded by the same segment."""
    dataset = build_instance(Rows=rows, Columns=columns)
    dataset.file_meta.TransferSyntaxUID = RLELossless
    header = struct.pack("<16L", 2, 64, 64 + len(segment), *[0] * 13)
    dataset.PixelData = encapsulate([header + 2 * segment])
    dataset["PixelData"].is_undefined_length = True
    return as_file(dataset).getvalue()


def too_long_rle_file() -> bytes:
    """A mammogram in RLE with 2032 values instead of 1920, the last run across the end."""
    return rle_file(48, 40, b"\x82\0" * 16)  # each 127 zeros
