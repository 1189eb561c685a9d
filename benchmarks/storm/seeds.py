"""Files that mutants are made of, and files made by hand that have brought something down: (name, content)."""

from __future__ import annotations

import copy
import gzip
import io
import struct
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from mammosynth.dicom.compress import compress_instance
from tests.support.instances import as_file, breast_values, build_instance
from tests.support.mutants import mutants

Named = tuple[str, bytes]


def instances() -> list[Named]:
    """Small valid mammograms in every way that their bytes can lie."""
    explicit = _instance()
    return [
        ("explicit", _bytes(explicit)),
        ("implicit", _bytes(_encoded(_instance(), ImplicitVRLittleEndian))),
        ("big endian", _bytes(_big_endian(_instance()))),
        ("deflated", _bytes(_encoded(_instance(), DeflatedExplicitVRLittleEndian))),
        ("RLE", _bytes(_run_length(_instance()))),
        ("JPEG-LS", _bytes(compress_instance(_instance(bits=16)))),
    ]


def hostile_instances() -> Iterator[Named]:
    """By hand: values that contradict their VR, nesting, bombs, and absurd sizes."""
    for tag, vr, value in (
        (0x00200011, b"LO", b"three "),
        (0x00200013, b"LO", b"1\\two "),
        (0x0020000D, b"IS", b"12"),
        (0x0020000E, b"FD", struct.pack("<d", 1.5)),
        (0x00080018, b"PN", b"A^B "),
        (0x00280010, b"LO", b"many"),
        (0x00189306, b"FD", struct.pack("<d", float("nan"))),
        (0x00181114, b"DS", b"1e999 "),
        (0x00280008, b"IS", b"20000000"),
        (0x00080020, b"UL", b"\x01\0\0\0"),
    ):
        yield f"{tag:08X} as {vr.decode()}", with_element(_bytes(_instance()), tag, vr, value)
    yield "sequences 300 deep", _nested(_bytes(_instance()), 300)
    yield "deflated to 1 GiB", _deflate_bomb(1 << 30)
    yield "250,000 tiny elements", _tiny_elements(250_000)
    yield "20000 x 20000 in RLE", _bytes(_run_length_bomb())
    yield "cut in the preamble", _bytes(_instance())[:100]
    yield "nothing", b""


def pictures() -> list[Named]:
    """Small valid files of each format that is no DICOM; the name's ending tells which."""
    values = breast_values()
    found = []
    for ending in (".png", ".tif", ".jpg"):
        stream = io.BytesIO()
        image = Image.fromarray((values >> 4).astype(np.uint8) if ending == ".jpg" else values)
        image.save(stream, {".png": "PNG", ".tif": "TIFF", ".jpg": "JPEG"}[ending])
        found.append((f"picture{ending}", stream.getvalue()))
    with tempfile.TemporaryDirectory() as folder:
        for ending in (".nrrd", ".nii", ".nii.gz"):
            path = Path(folder) / f"volume{ending}"
            sitk.WriteImage(sitk.GetImageFromArray(values[None]), str(path), useCompression=ending == ".nii.gz")
            found.append((path.name, path.read_bytes()))
    return found


def hostile_pictures(secret: Path) -> Iterator[Named]:
    """By hand: volumes that name another file, absurd dimensions, and bombs.

    Args:
        secret: A file beside the upload that nobody may read through it.
    """
    for dimension in (11, 16):
        sizes = " ".join(["4", "4", *["1"] * (dimension - 2)])
        head = f"NRRD0004\ntype: uint16\ndimension: {dimension}\nsizes: {sizes}\nendian: little\nencoding: raw\n\n"
        yield f"dimension-{dimension}.nrrd", head.encode() + bytes(32)
    head = f"NRRD0004\ntype: uint8\ndimension: 2\nsizes: 4 4\nencoding: raw\ndata file: {secret}\n"
    yield "detached.nrrd", head.encode()
    yield "detached-cr.nrrd", head.replace("\n", "\r").encode()
    yield "detached-late.nrrd", head.replace("data file", "#" + "x" * 70_000 + "\ndata file").encode()
    yield "detached-datafile.nrrd", head.replace("data file", "DataFile").encode()
    header = bytearray(352)
    struct.pack_into("<i8h", header, 0, 348, *[0] * 8)
    struct.pack_into("<8h", header, 40, 2, 32767, 32767, 1, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 4, 16)
    header[344:348] = b"n+1\0"
    yield "huge.nii", bytes(header)
    yield "pair.nii", bytes(header[:344]) + b"ni1\0" + bytes(4)
    yield "bomb.nii.gz", gzip.compress(bytes(header) + bytes(1 << 28))
    stream = io.BytesIO()
    Image.new("L", (20_000, 20_000)).save(stream, "PNG")
    yield "bomb.png", stream.getvalue()


def with_element(content: bytes, tag: int, vr: bytes, value: bytes) -> bytes:
    """An explicit little endian file with one element of short length put in its place, whatever its VR should be."""
    new = struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value
    start, end = _place_of(content, tag)
    return content[:start] + new + content[end:]


def _place_of(content: bytes, tag: int) -> tuple[int, int]:
    """Where an element begins and ends; of one that is not there, where it would be put."""
    position = content.index(b"DICM") + 4
    while position < len(content):
        group, element = struct.unpack_from("<HH", content, position)
        if group << 16 | element >= tag:
            return position, _end_of_element(content, position) if group << 16 | element == tag else position
        position = _end_of_element(content, position)
    return position, position


def _end_of_element(content: bytes, position: int) -> int:
    if content[position + 4 : position + 6] in (b"OB", b"OW", b"SQ", b"UN", b"UT", b"OF", b"OD", b"OL", b"UC", b"UR"):
        length = struct.unpack_from("<I", content, position + 8)[0]
        if length == 0xFFFFFFFF:
            raise ValueError("an element of undefined length is in the way; write the seed with defined lengths")
        return position + 12 + length
    return position + 8 + struct.unpack_from("<H", content, position + 6)[0]


def _instance(bits: int = 12) -> Dataset:
    """A valid instance with UIDs of its own."""
    uids = {name: generate_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")}
    return build_instance(bits=bits, PatientID="MUTANT", PatientName="MUTANT", **uids)


def _bytes(dataset: Dataset) -> bytes:
    return as_file(dataset).getvalue()


def _encoded(dataset: Dataset, syntax: str) -> Dataset:
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.is_implicit_VR = syntax == ImplicitVRLittleEndian
    return dataset


def _big_endian(dataset: Dataset) -> Dataset:
    dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dataset.is_little_endian = False
    return dataset


def _run_length(dataset: Dataset) -> Dataset:
    copied = copy.deepcopy(dataset)
    copied.compress(RLELossless, encoding_plugin="pydicom")
    return copied


def _run_length_bomb() -> Dataset:
    """A frame of 20000 x 20000 x 16 bits in 6 MB."""
    dataset = _run_length(_instance())
    row = b"\x81\0" * (20_000 * 20_000 // 128)
    segment = row + b"\0" * (len(row) % 2)
    frame = struct.pack("<16I", 2, 64, 64 + len(segment), *[0] * 13) + segment + segment
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0) + struct.pack("<HHI", 0xFFFE, 0xE000, len(frame)) + frame
    dataset.Rows = dataset.Columns = 20_000
    dataset.PixelData = item
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    return dataset


def _nested(content: bytes, depth: int) -> bytes:
    """Referenced Series Sequence (0008,1115) in itself, of undefined lengths; pydicom cannot write that deep."""
    begin = struct.pack("<HH2sHI", 0x0008, 0x1115, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    end = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    position, _ = _place_of(content, 0x00081115)
    return content[:position] + begin * depth + end * depth + content[position:]


def _deflate_bomb(size: int) -> bytes:
    """An instance that inflates to zeros in its pixel data."""
    dataset = _instance()
    del dataset.PixelData
    content = _bytes(_encoded(dataset, DeflatedExplicitVRLittleEndian))
    meta_end = content.index(b"DICM") + 4 + 12 + struct.unpack_from("<I", content, content.index(b"DICM") + 12)[0]
    plain = zlib.decompress(content[meta_end:], -zlib.MAX_WBITS)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    parts = [content[:meta_end], packer.compress(plain + struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, size))]
    block = bytes(1 << 20)
    parts += [packer.compress(block) for _ in range(size >> 20)]
    return b"".join([*parts, packer.flush()])


def _tiny_elements(count: int) -> bytes:
    """Private elements of no length between the header and the pixels."""
    dataset = _instance()
    del dataset.PixelData
    return _bytes(dataset) + b"".join(
        struct.pack("<HH2sH", 0x0029 + 2 * (number >> 16), number & 0xFFFF, b"LO", 0) for number in range(count)
    )


def mutants_of(seeds: Sequence[Named], count: int) -> Iterator[Named]:
    """Mutants of all seeds, `count` together; the same ones every time."""
    share, more = divmod(count, len(seeds))
    for number, (name, content) in enumerate(seeds):
        for mutant in mutants(content, number, share + (number < more)):
            yield name, mutant
