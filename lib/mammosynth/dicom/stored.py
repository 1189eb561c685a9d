"""Stored values: the Pixel Data of one grey-scale frame as integers, checked before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_pixel_data_frame
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessP14,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from mammosynth.dicom.attributes import integer_of, label_of, value_of
from mammosynth.dicom.bounded import UNCOMPRESSED, check_pixels
from mammosynth.dicom.codestream import check_codestream, decode, undecodable
from mammosynth.errors import UnreadableImageError, UnsupportedImageError

_JPEG = (
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessP14,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)
_JPEG_2000 = (JPEG2000Lossless, JPEG2000)
_END_OF_IMAGE = b"\xff\xd9"  # EOI of JPEG and JPEG-LS (ITU-T T.81, T.87), EOC of JPEG 2000 (T.800)
_TRAILER_BYTES = 64  # some encoders pad after the end marker
_BAND_ROWS = 128


@dataclass(frozen=True, eq=False)
class StoredValues:
    """One frame as the source stores it.

    Attributes:
        values: (H, W) integers, sign-extended if the source is signed.
        bits: How many bits the values use; at least Bits Stored.
        signed: Whether Pixel Representation (0028,0103) says two's complement.
        warnings: What had to be assumed.
    """

    values: np.ndarray
    bits: int
    signed: bool
    warnings: tuple[str, ...] = ()

    @property
    def lowest(self) -> int:
        """The lowest value that `bits` can hold."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def range(self) -> np.ndarray:
        """Every value that `bits` can hold, ascending, float64."""
        return np.arange(1 << self.bits, dtype=np.float64) + self.lowest


def bands(height: int) -> Iterator[slice]:
    """The rows of an image by the hundred: what is made of so many on the way stays in the processor's cache."""
    return (slice(top, top + _BAND_ROWS) for top in range(0, height, _BAND_ROWS))


def read_stored_values(dataset: Dataset, name: str) -> StoredValues:
    """The stored values of a single-frame grey-scale image.

    Args:
        dataset: The whole instance, with Pixel Data and file meta information. Not changed.
        name: How messages name the image.

    Raises:
        UnsupportedImageError: If there is no Pixel Data, or size, depth or transfer syntax is not supported.
        UnreadableImageError: If the Pixel Data are truncated or damaged.
    """
    frame = _frame(dataset, name)
    syntax = _transfer_syntax(dataset, name)
    image = _image_of(dataset, frame)
    if syntax not in UNCOMPRESSED:
        image.BitsAllocated = _check_codestream(image, syntax, name)
    pixels = decode(image, name)
    if pixels.shape != (frame.rows, frame.columns):
        raise undecodable(name, f"decoded to {pixels.shape}, expected {(frame.rows, frame.columns)}")
    values = pixels.astype(np.int32)
    if syntax in UNCOMPRESSED or syntax == RLELossless:  # JPEG decoders deliver values that are already right-aligned
        values = values >> (frame.high_bit + 1 - frame.bits_stored)
    return _within_bits(values, frame, embedded_overlay=_has_embedded_overlay(dataset), name=name)


@dataclass(frozen=True)
class _Frame:
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool


def _frame(dataset: Dataset, name: str) -> _Frame:
    """The image pixel module, checked."""
    if not isinstance(value_of(dataset, "PixelData"), bytes):
        raise UnsupportedImageError(
            f"{name}: (7FE0,0010) Pixel Data are empty, expected an image; choose one, or fetch this again if it "
            "is cut off."
        )
    allocated = integer_of(dataset, "BitsAllocated") or 0
    stored = integer_of(dataset, "BitsStored") or allocated
    high = integer_of(dataset, "HighBit")
    high = stored - 1 if high is None else high
    if allocated not in (8, 16) or not 8 <= stored <= allocated or not stored <= high + 1 <= allocated:
        raise UnsupportedImageError(
            f"{name}: {label_of('BitsAllocated')}, Bits Stored and High Bit are {allocated}, {stored} and {high}, "
            "expected 8 or 16 bits allocated with 8 to 16 of them stored; choose another image."
        )
    check_pixels(dataset, name)
    rows, columns = integer_of(dataset, "Rows") or 0, integer_of(dataset, "Columns") or 0
    return _Frame(rows, columns, allocated, stored, high, signed=integer_of(dataset, "PixelRepresentation") == 1)


def _transfer_syntax(dataset: Dataset, name: str) -> UID:
    syntax = UID(getattr(dataset.file_meta, "TransferSyntaxUID", ""))
    if syntax not in (*UNCOMPRESSED, *_JPEG, *_JPEG_2000, RLELossless):
        raise UnsupportedImageError(
            f"{name}: (0002,0010) Transfer Syntax UID is {syntax.name or 'empty'}, expected uncompressed, RLE, JPEG, "
            "JPEG Lossless, JPEG-LS or JPEG 2000; convert the file, for example with gdcmconv --raw."
        )
    return syntax


def _image_of(dataset: Dataset, frame: _Frame) -> Dataset:
    """Only what codecs need, so that a vendor's odd values elsewhere cannot stop them."""
    image = Dataset()
    image.file_meta, image.is_little_endian = dataset.file_meta, dataset.is_little_endian
    image.is_implicit_VR = dataset.is_implicit_VR
    image.Rows, image.Columns, image.SamplesPerPixel = frame.rows, frame.columns, 1
    image.BitsAllocated, image.BitsStored, image.HighBit = frame.bits_allocated, frame.bits_stored, frame.high_bit
    image.PixelRepresentation, image.PhotometricInterpretation = int(frame.signed), "MONOCHROME2"
    image["PixelData"] = dataset["PixelData"]
    return image


def _check_codestream(image: Dataset, syntax: UID, name: str) -> int:
    """Bits that a decoder gives each value; refuses a frame that is cut off or of another size than its header."""
    try:
        streams = list(generate_pixel_data_frame(image.PixelData, 1))
    except Exception as error:  # a damaged encapsulation fails in many ways
        raise undecodable(name, error) from error
    if len(streams) != 1 or not streams[0]:
        raise undecodable(name, f"{len(streams)} frames, expected 1")
    if syntax != RLELossless and _END_OF_IMAGE not in streams[0][-_TRAILER_BYTES:]:
        raise UnreadableImageError(
            f"{name}: (7FE0,0010) Pixel Data end without the end marker of {syntax.name}; the image is truncated, "
            "fetch it again."
        )
    return check_codestream(streams[0], image, name)


def _within_bits(values: np.ndarray, frame: _Frame, *, embedded_overlay: bool, name: str) -> StoredValues:
    """Values without overlay bits and sign-extended; where Bits Stored lies, the values win."""
    bits, signed = frame.bits_stored, frame.signed
    mask, sign = (1 << bits) - 1, 1 << (bits - 1)
    low, high = int(values.min()), int(values.max())
    if (-sign <= low and high < sign) if signed else high <= mask:
        return StoredValues(values, bits, signed)
    if embedded_overlay or (signed and low >= 0 and high <= mask):  # PS3.5 8.1.1: bits above High Bit are no value
        masked = values & mask
        return StoredValues((masked ^ sign) - sign if signed else masked, bits, signed)
    needed = max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + int(signed)
    warning = f"{name}: {label_of('BitsStored')} is {bits}, but values go from {low} to {high}; {needed} bits are used."
    return StoredValues(values, needed, signed, (warning,))


def _has_embedded_overlay(dataset: Dataset) -> bool:
    """Whether a (retired) overlay lives in unused bits of Pixel Data: Overlay Bit Position without Overlay Data."""
    return any(
        (group, 0x0102) in dataset and (group, 0x3000) not in dataset and (group, 0x0010) in dataset
        for group in range(0x6000, 0x6020, 2)
    )
