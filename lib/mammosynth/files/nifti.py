"""The header of a NIfTI-1 file in one piece, plain or compressed."""

from __future__ import annotations

import math
import struct
import zlib
from typing import BinaryIO

import numpy as np

from mammosynth.dicom.bounded import inflate
from mammosynth.errors import UnreadableImageError, UnsupportedImageError
from mammosynth.files.volume_header import VolumeHeader, check_sizes, detached

_HEADER_BYTES = 348  # nifti1.h, https://nifti.nimh.nih.gov/nifti-1/; so are offsets and codes below
_FIRST_VALUE = 352  # where values begin without extensions
_LARGEST_OFFSET = 1 << 20
_DTYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_DIM, _DATATYPE, _PIXDIM, _VOX_OFFSET, _SCALING = 40, 70, 76, 108, 112
_QFORM_CODE, _SFORM_CODE, _QUATERNION, _AFFINE, _MAGIC = 252, 254, 256, 280, 344
_TEXTS = (slice(148, 228), slice(228, 252), slice(328, 344))  # descrip, aux_file, intent_name


def read_nifti_header(file: BinaryIO, name: str) -> VolumeHeader:
    """What a NIfTI file says of its pixels.

    Args:
        file: At its start.
        name: How messages name it.

    Raises:
        UnreadableImageError: If the header is truncated or damaged.
        UnsupportedImageError: If its pixels are in another file, or it is of something that no image is.
    """
    header, gzip = _header(file, name)
    order = "<" if header[:4] == _HEADER_BYTES.to_bytes(4, "little") else ">"
    if struct.unpack_from(order + "i", header)[0] != _HEADER_BYTES or header[_MAGIC:] not in (b"n+1\0", b"ni1\0"):
        raise UnreadableImageError(f"{name}: no NIfTI-1 header; the file is damaged, or save it as .nii or .nii.gz.")
    if header[_MAGIC:] == b"ni1\0":
        raise detached(name, ".nii")
    sizes = _sizes(header, order, name)
    slope, intercept = _scaling(header, order, name)
    offset = _offset(header, order, name)
    return VolumeHeader(
        sizes=sizes,
        dtype=_dtype(header, order, name),
        start=0 if gzip else offset,
        gzip=gzip,
        skip=offset if gzip else 0,
        texts=tuple(header[text].decode("latin-1") for text in _TEXTS),
        for_itk=_for_itk(header, order, sizes, name),
        image_io="NiftiImageIO",
        slope=slope,
        intercept=intercept,
    )


def _header(file: BinaryIO, name: str) -> tuple[bytes, bool]:
    """The header, and whether the file is compressed."""
    header = file.read(_HEADER_BYTES)
    if gzip := header.startswith(b"\x1f\x8b"):
        file.seek(0)
        try:
            header, _ = inflate(file, _HEADER_BYTES - 1, wbits=16 + zlib.MAX_WBITS)
        except zlib.error as error:
            raise UnreadableImageError(
                f"{name}: cannot be decoded ({error}); the file is truncated or damaged, fetch it again."
            ) from error
    if len(header) < _HEADER_BYTES:
        raise UnreadableImageError(f"{name}: the header does not end; the file is truncated, fetch it again.")
    return header, gzip


def _sizes(header: bytes, order: str, name: str) -> tuple[int, ...]:
    """Of each axis; beyond the third, those with one value are left out at the end."""
    axes, *sizes = struct.unpack_from(order + "8h", header, _DIM)
    if not 1 <= axes <= 7:
        raise UnreadableImageError(f"{name}: {axes} axes, expected 1 to 7; the header is damaged.")
    while axes > 3 and sizes[axes - 1] == 1:
        axes -= 1
    check_sizes(tuple(sizes[:axes]), name)
    return tuple(sizes[:axes])


def _dtype(header: bytes, order: str, name: str) -> np.dtype:
    code, bits = struct.unpack_from(order + "2h", header, _DATATYPE)
    if code not in _DTYPES:
        raise UnsupportedImageError(f"{name}: datatype is {code}, expected one number a pixel; save it in grey.")
    dtype = np.dtype(order + _DTYPES[code])
    if bits != 8 * dtype.itemsize:
        raise UnreadableImageError(f"{name}: datatype {code} with {bits} bits; the header is damaged.")
    return dtype


def _offset(header: bytes, order: str, name: str) -> int:
    (offset,) = struct.unpack_from(order + "f", header, _VOX_OFFSET)
    if not 0 <= offset <= _LARGEST_OFFSET:
        raise UnreadableImageError(
            f"{name}: vox_offset is {offset:g}, expected {_FIRST_VALUE} to {_LARGEST_OFFSET}; the header is damaged."
        )
    return max(int(offset), _HEADER_BYTES)  # as the format's own library


def _scaling(header: bytes, order: str, name: str) -> tuple[float, float]:
    """Slope and intercept."""
    slope, intercept = struct.unpack_from(order + "2f", header, _SCALING)
    if not math.isfinite(slope) or not math.isfinite(intercept):
        raise UnreadableImageError(
            f"{name}: scl_slope is {slope:g}, scl_inter is {intercept:g}, expected numbers; the header is damaged."
        )
    return (slope, intercept) if slope else (1.0, 0.0)


def _for_itk(header: bytes, order: str, sizes: tuple[int, ...], name: str) -> bytes:
    """The header with its pixels at once after it."""
    used = list(struct.unpack_from(order + "8f", header, _PIXDIM))
    if struct.unpack_from(order + "h", header, _QFORM_CODE)[0]:
        used += struct.unpack_from(order + "6f", header, _QUATERNION)
    if struct.unpack_from(order + "h", header, _SFORM_CODE)[0]:
        used += struct.unpack_from(order + "12f", header, _AFFINE)
    if not all(math.isfinite(number) for number in used):
        raise UnreadableImageError(f"{name}: spacing or position are no numbers; the header is damaged.")
    written = bytearray(header)
    struct.pack_into(order + "8h", written, _DIM, len(sizes), *sizes, *[1] * (7 - len(sizes)))
    struct.pack_into(order + "f", written, _VOX_OFFSET, _FIRST_VALUE)
    struct.pack_into(order + "2f", written, _SCALING, 1, 0)
    return bytes(written) + bytes(_FIRST_VALUE - _HEADER_BYTES)
