"""DICOM files parsed within bounds: what somebody sends may be damaged or hostile, and costs little either way.

By itself pydicom inflates 3 MB to 6.7 GB, recurses into every nested sequence and builds an object for every element of
8 bytes. So a file is inflated with a limit, and its element headers are counted where they lie, by the rules by which
pydicom finds them, before pydicom sees it.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom import config
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset

# pydicom has no public function that reads the meta information of an open file.
from pydicom.filereader import _read_file_meta_info, dcmread, read_dataset, read_preamble
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32
from pydicom.values import converters

from mammosynth.dicom.attributes import integer_of, label_of, text_of, value_of
from mammosynth.errors import UnreadableImageError, UnsupportedImageError

# What pydicom warns of while it reads quotes values of patients, and would go into the log.
config.settings.reading_validation_mode = config.IGNORE

UNCOMPRESSED = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
MAX_PIXELS = 60_000_000  # twice the largest detector on sale (about 4800 x 6000), and a film at 43.5 um has 38 million
MAX_PIXELS_OF_ALL_FRAMES = 1_000_000_000  # twice a tomosynthesis of 100 slices
MAX_ELEMENTS = 20_000  # items and fragments included; a tomosynthesis of 100 frames has about 3,000, pydicom takes 1 s
MAX_VALUES = 200_000  # of texts with many values; pydicom takes 1 s
MAX_DEPTH = 32  # of sequences in sequences; reports of mammography CAD reach 12
MAX_INFLATED_BYTES = 1 << 27  # MAX_PIXELS of 16 bits and a header
_MAX_META_BYTES = 1 << 16
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_COMMANDS = 0x0000  # group
_LONG = frozenset(vr.value.encode("ascii") for vr in EXPLICIT_VR_LENGTH_32)
_MANY_VALUED = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UC", "UI"))
_FEW_BYTES = 2000  # whatever they hold is parsed at once
_DIRECTORY = "1.2.840.10008.1.3.10"  # Media Storage Directory Storage: a DICOMDIR


def open_regular(path: Path) -> BinaryIO:
    """The file, opened for reading; a pipe or a device is never opened, because that alone may wait or do something.

    Raises:
        OSError: If it is missing, may not be read, or is no regular file.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise OSError(0, "it is a folder, perhaps one that is closed to this account")
    if not stat.S_ISREG(mode):
        raise OSError(0, "no regular file")
    return path.open("rb")


def inflate(file: BinaryIO, limit: int, *, wbits: int) -> tuple[bytes, bool]:
    """What follows in a file, inflated, in steps that never go beyond a limit.

    Args:
        file: At the first compressed byte.
        limit: One byte more than this is inflated at most, which says that there is more.
        wbits: As `zlib.decompressobj` takes it: negative for a bare stream, 16 more for gzip with its checksum.

    Returns:
        The bytes, and whether the stream ends with them.

    Raises:
        zlib.error: If the stream is damaged.
    """
    inflater, content = zlib.decompressobj(wbits), BytesIO()
    while not inflater.eof and content.tell() <= limit and (piece := file.read(1 << 16)):
        content.write(inflater.decompress(piece, limit + 1 - content.tell()))
    return content.getvalue(), inflater.eof


def parse_instance(file: BinaryIO, name: str, *, stop_before_pixels: bool) -> FileDataset:
    """The dataset of a whole file, from its start on, with or without a preamble.

    Values are converted when they are asked for, as pydicom does: a malformed one may still raise then.

    Args:
        file: Seekable.
        name: How messages name it.
        stop_before_pixels: Whether Pixel Data and what follows are left out.

    Raises:
        UnreadableImageError: If the file is damaged, is a DICOMDIR, nests deeper than `MAX_DEPTH`, has more than
            `MAX_ELEMENTS` elements, or inflates to more than `MAX_INFLATED_BYTES`.
    """
    try:
        return _parse(file, name, stop_before_pixels=stop_before_pixels)
    except UnreadableImageError:
        raise
    except Exception as error:  # pydicom's parsers raise whatever they meet in a damaged file
        reason = str(error) or type(error).__name__
        raise UnreadableImageError(
            f"{name}: the DICOM header cannot be read ({reason}); the file is truncated or damaged, fetch it again."
        ) from error


def parse_file(content: bytes, name: str) -> FileDataset:
    """The dataset of a whole DICOM file (PS3.10) that somebody has sent; see `parse_instance`.

    Raises:
        UnreadableImageError: If it has no preamble, too.
    """
    if (found := content[128:132]) != b"DICM":
        raise UnreadableImageError(
            f"{name}: bytes 128 to 131 are {found!r}, expected b'DICM' as in a DICOM file (PS3.10); it is damaged or "
            "something else, export it again."
        )
    dataset = parse_instance(BytesIO(content), name, stop_before_pixels=False)
    dataset.filename = None  # the buffer, of which pydicom warns whenever a dataset is copied
    return dataset


def check_pixels(dataset: Dataset, name: str) -> None:
    """Refuse an image that is too large, or larger than the Pixel Data that are there; nothing is decoded.

    Args:
        dataset: With or without Pixel Data.
        name: How messages name the image.

    Raises:
        UnreadableImageError: If a size is no positive number, or Pixel Data are too short for it.
        UnsupportedImageError: If a frame has more than `MAX_PIXELS` values, or all have more than
            `MAX_PIXELS_OF_ALL_FRAMES`.
    """
    rows, columns = (integer_of(dataset, keyword) or 0 for keyword in ("Rows", "Columns"))
    if rows < 1 or columns < 1:
        raise UnreadableImageError(
            f"{name}: {label_of('Rows')} x {label_of('Columns')} are {rows} x {columns}, expected positive numbers; "
            "the header is damaged, fetch the image again."
        )
    samples, frames = _count(dataset, "SamplesPerPixel", name), _count(dataset, "NumberOfFrames", name)
    values = rows * columns * samples
    if values > MAX_PIXELS:
        raise UnsupportedImageError(
            f"{name}: {label_of('Rows')} x {label_of('Columns')} are {rows} x {columns}, at most "
            f"{MAX_PIXELS // 1_000_000} megapixels are accepted; the header is damaged or this is not a mammogram."
        )
    if frames * values > MAX_PIXELS_OF_ALL_FRAMES:
        raise UnsupportedImageError(
            f"{name}: {label_of('NumberOfFrames')} is {frames}, of {rows} x {columns} pixels, at most "
            f"{MAX_PIXELS_OF_ALL_FRAMES // 1_000_000} megapixels are accepted in all; the header is damaged or this is "
            "no mammogram."
        )
    _check_length(dataset, frames, values, name)


def _count(dataset: Dataset, keyword: str, name: str) -> int:
    """A number of frames or samples; 1 if nobody says."""
    value = value_of(dataset, keyword)
    count = 1 if value is None else integer_of(dataset, keyword)
    if count is None or count < 0:
        raise UnreadableImageError(
            f"{name}: {label_of(keyword)} is {str(value)[:20]!r}, expected a positive number; the header is damaged, "
            "fetch the image again."
        )
    return count or 1  # some write 0 for the one that there is


def _check_length(dataset: Dataset, frames: int, values: int, name: str) -> None:
    """Refuse more frames than the Pixel Data, if they are there, can hold."""
    pixels = value_of(dataset, "PixelData")
    if not isinstance(pixels, bytes):
        return
    syntax = value_of(getattr(dataset, "file_meta", None) or Dataset(), "TransferSyntaxUID")
    if syntax is not None and syntax not in UNCOMPRESSED:
        expected, of = 8 * frames, "compressed"  # each in an item, at least
    else:
        bits = values * (integer_of(dataset, "BitsAllocated") or 0)
        if text_of(dataset, "PhotometricInterpretation") == "YBR_FULL_422":  # PS3.3 C.7.6.3.1.2: colour by pairs
            bits = bits * 2 // 3
        expected, of = (frames * bits + 7) // 8, f"{integer_of(dataset, 'BitsAllocated') or 0}-bit"
    if len(pixels) < expected:
        rows, columns = integer_of(dataset, "Rows"), integer_of(dataset, "Columns")
        raise UnreadableImageError(
            f"{name}: (7FE0,0010) Pixel Data have {len(pixels)} bytes, expected {expected} for {frames} {of} frame(s) "
            f"of {rows} x {columns} pixels; the file is truncated, fetch it again."
        )


def _parse(file: BinaryIO, name: str, *, stop_before_pixels: bool) -> FileDataset:
    file.seek(0)
    head = BytesIO(file.read(132 + _MAX_META_BYTES))
    preamble, meta = read_preamble(head, force=True), _read_file_meta_info(head)
    start, syntax = head.tell(), meta.get("TransferSyntaxUID")
    if start >= 132 + _MAX_META_BYTES:
        raise UnreadableImageError(
            f"{name}: file meta information of more than {_MAX_META_BYTES} bytes; the file is damaged, fetch it again."
        )
    if value_of(meta, "MediaStorageSOPClassUID") == _DIRECTORY:
        raise UnreadableImageError(f"{name}: a DICOMDIR, which refers to other files; choose an image of them.")
    stop = _PIXELS if stop_before_pixels else frozenset()
    if syntax == DeflatedExplicitVRLittleEndian:
        file.seek(start)
        return _parse_inflated(_inflated(file, name), preamble, meta, name, stop)
    _Headers(file, name).check(start, syntax, stop)
    file.seek(0)
    return dcmread(file, stop_before_pixels=stop_before_pixels, force=True)


def _parse_inflated(
    content: BinaryIO, preamble: bytes | None, meta: FileMetaDataset, name: str, stop: frozenset[int]
) -> FileDataset:
    """What `dcmread` does after it has inflated a file, which has no limit there."""
    _Headers(content, name).check(0, meta.TransferSyntaxUID, stop)
    content.seek(0)
    dataset = read_dataset(content, False, True, stop_when=lambda tag, vr, length: tag in stop)
    instance = FileDataset("", dataset, preamble, meta, False, True)
    instance.set_original_encoding(False, True, dataset.read_encoding)
    return instance


def _inflated(file: BinaryIO, name: str) -> BinaryIO:
    """What follows in a deflated file, inflated."""
    content, ended = inflate(file, MAX_INFLATED_BYTES, wbits=-zlib.MAX_WBITS)
    if len(content) > MAX_INFLATED_BYTES:
        raise UnreadableImageError(
            f"{name}: inflates to more than {MAX_INFLATED_BYTES >> 20} MiB; no image of an accepted size does, "
            "fetch it again."
        )
    if not ended:
        raise UnreadableImageError(f"{name}: the deflated dataset ends early; the file is truncated, fetch it again.")
    return BytesIO(content)


class _Headers:
    """The element headers of a file, followed as pydicom 2.4 follows them, but counted instead of kept."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self._size = file.seek(0, os.SEEK_END)
        self._elements = self._values = 0
        self._order = "<"

    def check(self, start: int, syntax: str | None, stop: frozenset[int]) -> None:
        """Refuse what is too much.

        Args:
            start: Where the dataset begins, after the file meta information.
            syntax: Its transfer syntax; None if nobody says.
            stop: Tags before which reading ends.

        Raises:
            UnreadableImageError: If elements, values or depth are beyond the limits, or a value beyond the file.
        """
        start = self._dataset(start, self._size, self._size, 0, True, group=_COMMANDS)
        first = self._read(start, 6)
        implicit, big = syntax in (None, ImplicitVRLittleEndian), syntax == ExplicitVRBigEndian
        if syntax is None and first[4:6].decode("latin-1") in converters:  # nobody says: the first element shows it
            implicit, big = False, int.from_bytes(first[:2], "little") >= 1024
        self._order = ">" if big else "<"
        self._dataset(start, self._size, self._size, 0, implicit, stop=stop)

    def _dataset(
        self,
        at: int,
        end: int,
        limit: int,
        depth: int,
        implicit: bool,
        *,
        stop: frozenset[int] = frozenset(),
        group: int | None = None,
    ) -> int:
        """Follow the elements of a dataset or an item.

        Args:
            at: Where it begins.
            end: Where it ends by its length.
            limit: Where the bytes end that its parser has; what goes beyond is cut off.
            depth: Of the sequence.
            implicit: Whether VRs are left out.
            stop: Tags before which it ends.
            group: The only group that belongs to it.

        Returns:
            Where the next one begins.
        """
        vr = self._read(at + 4, 2)
        if len(vr) == 2 and not (depth and implicit):  # writers err; pydicom believes the first element
            implicit = not (0x40 < vr[0] < 0x5B and 0x40 < vr[1] < 0x5B)
        while at < end:
            header = self._read(at, 12)
            if len(header) < 8 or at + 8 > limit:
                return limit
            tag, vr_found, length, value_at = self._unpack(header, at, implicit)
            if tag in stop or (group is not None and tag >> 16 != group):
                return at
            self._count(1)
            at = self._value(tag, vr_found, length, value_at, limit, depth, implicit)
            if tag == _ITEM_END:
                return at
        return at

    def _unpack(self, header: bytes, at: int, implicit: bool) -> tuple[int, bytes | None, int, int]:
        """Tag, VR, length and place of a value."""
        group, element, length = struct.unpack_from(self._order + "HHL", header)
        vr = None if implicit else header[4:6]
        if vr is None or not b"AA" <= vr <= b"ZZ":
            return group << 16 | element, None, length, at + 8
        if vr in _LONG and len(header) == 12:
            return group << 16 | element, vr, struct.unpack_from(self._order + "L", header, 8)[0], at + 12
        return group << 16 | element, vr, struct.unpack_from(self._order + "H", header, 6)[0], at + 8

    def _value(self, tag: int, vr: bytes | None, length: int, at: int, limit: int, depth: int, implicit: bool) -> int:
        """Follow a value; returns where the next element begins."""
        if length == _UNDEFINED:
            if self._is_sequence(tag, vr, at) or vr == b"UN":
                return self._sequence(at, limit, limit, depth + 1, implicit)
            return self._fragments(at, limit)
        end = at + length
        if end > limit + 1:  # a pad byte is sometimes forgotten
            if limit < self._size:
                return limit  # within a value that pydicom parses when it is asked for
            raise UnreadableImageError(
                f"{self._name}: ({tag >> 16:04X},{tag & 0xFFFF:04X}) has {length} bytes, {max(limit - at, 0)} are "
                "there; the file is truncated or damaged, fetch it again."
            )
        if length and self._is_sequence(tag, vr, at):
            self._sequence(at, end, min(end, limit), depth + 1, implicit)
        elif length > _FEW_BYTES:
            self._count_values(tag, vr, at, length)
        return end

    def _is_sequence(self, tag: int, vr: bytes | None, at: int) -> bool:
        """Whether pydicom may take a value for a sequence, now or when it is asked for."""
        if vr not in (None, b"UN"):
            return vr == b"SQ"
        known = DicomDictionary.get(tag)
        if known is not None:
            return known[0] == "SQ"
        start = self._read(at, 4)
        return len(start) == 4 and self._tag(start) == _ITEM

    def _sequence(self, at: int, end: int, limit: int, depth: int, implicit: bool) -> int:
        """Follow the items of a sequence; returns where the next element begins."""
        if depth > MAX_DEPTH:
            raise UnreadableImageError(
                f"{self._name}: sequences nested more than {MAX_DEPTH} deep; the file is damaged, fetch it again."
            )
        while at < end:
            header = self._read(at, 8)
            if len(header) < 8 or at + 8 > limit:
                return limit
            group, element, length = struct.unpack(self._order + "HHL", header)
            at += 8
            if group << 16 | element == _SEQUENCE_END:
                return at
            self._count(1)
            at = self._dataset(at, limit if length == _UNDEFINED else at + length, limit, depth, implicit)
        return at

    def _fragments(self, at: int, limit: int) -> int:
        """Follow encapsulated Pixel Data; what is none ends at the next delimiter, for which pydicom searches."""
        start = at
        while len(header := self._read(at, 8)) == 8 and at + 8 <= limit:
            tag, length = self._tag(header), struct.unpack_from(self._order + "L", header, 4)[0]
            at += 8
            if tag == _SEQUENCE_END:
                return at
            if tag != _ITEM:
                break
            self._count(1)
            at += length
        return self._after_delimiter(start, limit)

    def _after_delimiter(self, at: int, limit: int) -> int:
        delimiter = struct.pack(self._order + "HH", _SEQUENCE_END >> 16, _SEQUENCE_END & 0xFFFF)
        while at < limit and (piece := self._read(at, 1 << 16)):
            if (found := piece.find(delimiter)) >= 0:
                return at + found + 8
            at += max(len(piece) - 3, 1) if len(piece) == 1 << 16 else len(piece)
        return limit

    def _count_values(self, tag: int, vr: bytes | None, at: int, length: int) -> None:
        """Count the values of a long text."""
        known = vr.decode("ascii") if vr is not None else DicomDictionary.get(tag, ("UN",))[0]
        if known == "AT":
            self._values += length // 4
        elif known in _MANY_VALUED:
            self._values += self._read(at, length).count(b"\\")
        if self._values > MAX_VALUES:
            raise UnreadableImageError(
                f"{self._name}: more than {MAX_VALUES} values in texts; the file is damaged, fetch it again."
            )

    def _count(self, elements: int) -> None:
        self._elements += elements
        if self._elements > MAX_ELEMENTS:
            raise UnreadableImageError(
                f"{self._name}: more than {MAX_ELEMENTS} elements, items and fragments; the file is damaged or no "
                "mammogram, choose another."
            )

    def _tag(self, start: bytes) -> int:
        group, element = struct.unpack_from(self._order + "HH", start)
        return int(group) << 16 | int(element)

    def _read(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        return self._file.read(count)
