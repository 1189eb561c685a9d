"""The header of an NRRD file: the fields that an image needs, and those that only describe it; others are refused."""

from __future__ import annotations

import re
from typing import BinaryIO

import numpy as np

from mammosynth.counts import count_of
from mammosynth.errors import UnreadableImageError, UnsupportedImageError
from mammosynth.files.volume_header import VolumeHeader, check_sizes, detached

_HEADER_BYTES = 65536
_FIELD_CHARACTERS = 1000
_TYPES = {  # http://teem.sourceforge.net/nrrd/format.html
    "int8": ("signed char", "int8", "int8_t"),
    "uint8": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "int16": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "uint16": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "int32": ("int", "signed int", "int32", "int32_t"),
    "uint32": ("uint", "unsigned int", "uint32", "uint32_t"),
    "int64": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "uint64": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "float32": ("float",),
    "float64": ("double",),
}
_DTYPE_OF = {written: dtype for dtype, names in _TYPES.items() for written in names}
_ENCODINGS = {"raw": False, "gzip": True, "gz": True}
_GEOMETRY = {  # how ITK gets them: names without blanks, and as they are written
    "space": "space",
    "spacedimension": "space dimension",
    "spacedirections": "space directions",
    "spaceorigin": "space origin",
    "spacings": "spacings",
    "axismins": "axis mins",
    "axismaxs": "axis maxs",
    "centers": "centers",
    "centerings": "centers",
    "kinds": "kinds",
}
_DESCRIPTIONS = frozenset(
    ("content", "number", "blocksize", "min", "max", "oldmin", "oldmax", "labels", "units", "spaceunits")
    + ("sampleunits", "thicknesses", "measurementframe")
)
_ELSEWHERE = "datafile"
_SKIPS = ("lineskip", "byteskip")
_KNOWN = {*_GEOMETRY, *_DESCRIPTIONS, *_SKIPS, _ELSEWHERE, "type", "dimension", "sizes", "encoding", "endian"}
_PLAIN = re.compile(r"[-+\w.(), ]*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def read_nrrd_header(file: BinaryIO, name: str) -> VolumeHeader:
    """What an NRRD file says of its pixels.

    Args:
        file: At its start.
        name: How messages name it.

    Raises:
        UnreadableImageError: If the header is truncated or damaged.
        UnsupportedImageError: If it points to another file for its pixels, is too long, has a field that is not known,
            or is of something that no image is.
    """
    lines, start = _lines(file.read(_HEADER_BYTES + 1), name)
    fields, texts = _fields(lines, name)
    if start is None:
        raise UnreadableImageError(f"{name}: the header does not end; the file is truncated, fetch it again.")
    geometry = {key: fields.pop(key) for key in _GEOMETRY if key in fields}
    sizes, dtype = _sizes(fields, name), _dtype(fields, name)
    if (encoding := fields.get("encoding", "").lower()) not in _ENCODINGS:
        raise UnsupportedImageError(f"{name}: the encoding is '{encoding[:20]}', expected raw or gzip; save it as one.")
    return VolumeHeader(
        sizes=sizes,
        dtype=dtype,
        start=start,
        gzip=_ENCODINGS[encoding],
        skip=0,
        texts=texts,
        for_itk=_for_itk(sizes, dtype, geometry, name),
        image_io="NrrdImageIO",
    )


def _lines(content: bytes, name: str) -> tuple[list[str], int | None]:
    """The lines before the first empty one, and where that ends; None if there is none."""
    end = re.search(rb"\n\r?\n", content[:_HEADER_BYTES])
    if end is None and len(content) > _HEADER_BYTES:
        raise UnsupportedImageError(
            f"{name}: the header does not end within {_HEADER_BYTES} bytes; save it as a single .nrrd file."
        )
    lines = content[: end.start() if end else None].rstrip(b"\r\n").decode("latin-1").split("\n")
    lines = [line.removesuffix("\r").rstrip(" \t") for line in lines]
    if any(_CONTROL.search(line) for line in lines):
        raise UnsupportedImageError(
            f"{name}: the header has control characters in its lines; save it again as a single .nrrd file."
        )
    return lines[1:], end.end() if end else None


def _fields(lines: list[str], name: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Fields by their name in lower case without blanks, and all free texts."""
    fields: dict[str, str] = {}
    texts = []
    for line in lines:
        key, colon, value = line.partition(":")
        if line.startswith("#") or value.startswith("="):
            texts.append(line)
            continue
        field = key.lower().replace(" ", "").replace("\t", "")
        if not colon or field in fields:
            raise UnreadableImageError(
                f"{name}: the header line {line[:40]!r} is no field, or a second one; the file is damaged."
            )
        if field not in _KNOWN:
            raise UnsupportedImageError(
                f"{name}: the header has the field {key[:40]!r}, which is not known; save it again as .nrrd."
            )
        fields[field] = value.strip()
        if field == _ELSEWHERE:
            raise detached(name, ".nrrd")
        if field in _SKIPS and fields[field] != "0":
            raise UnsupportedImageError(
                f"{name}: {key} is '{fields[field][:20]}', expected the pixels at once after the header; save it again "
                "as a single .nrrd file."
            )
        if field in _DESCRIPTIONS:
            texts.append(value)
    return fields, tuple(texts)


def _sizes(fields: dict[str, str], name: str) -> tuple[int, ...]:
    dimension, sizes = fields.get("dimension", ""), fields.get("sizes", "").split()
    if not all(re.fullmatch(r"-?\d{1,9}", number, re.ASCII) for number in (dimension, *sizes)):
        raise UnreadableImageError(
            f"{name}: dimension is '{dimension[:20]}', sizes are '{' '.join(sizes)[:40]}', expected whole numbers; the "
            "header is damaged."
        )
    check_sizes(tuple(map(int, sizes)), name)
    if int(dimension) != len(sizes):
        raise UnreadableImageError(
            f"{name}: {dimension} axes with {count_of(len(sizes), 'size')}; the header is damaged."
        )
    return tuple(map(int, sizes))


def _dtype(fields: dict[str, str], name: str) -> np.dtype:
    kind, endian = fields.get("type", "").lower(), fields.get("endian", "").lower()
    if kind not in _DTYPE_OF:
        raise UnsupportedImageError(f"{name}: the type is '{kind[:40]}', expected a number; save it as uint16.")
    dtype = np.dtype(_DTYPE_OF[kind])
    if endian not in ("little", "big") and dtype.itemsize > 1:
        raise UnreadableImageError(f"{name}: endian is '{endian[:20]}', expected little or big; the header is damaged.")
    return dtype.newbyteorder(">" if endian == "big" else "<")


def _for_itk(sizes: tuple[int, ...], dtype: np.dtype, geometry: dict[str, str], name: str) -> bytes:
    for field, value in geometry.items():
        if len(value) > _FIELD_CHARACTERS or not _PLAIN.fullmatch(value):
            raise UnreadableImageError(f"{name}: {_GEOMETRY[field]} is {value[:40]!r}; the header is damaged.")
    fields = {
        "type": "double" if dtype.kind == "f" and dtype.itemsize == 8 else "float" if dtype.kind == "f" else dtype.name,
        "dimension": str(len(sizes)),
        **({"space": geometry["space"]} if "space" in geometry else {}),
        **({"space dimension": geometry["spacedimension"]} if "spacedimension" in geometry else {}),
        "sizes": " ".join(map(str, sizes)),
        "endian": "little",
        "encoding": "raw",
        **{_GEOMETRY[field]: value for field, value in geometry.items() if field not in ("space", "spacedimension")},
    }
    return ("NRRD0005\n" + "".join(f"{field}: {value}\n" for field, value in fields.items()) + "\n").encode("ascii")
