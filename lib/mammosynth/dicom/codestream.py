"""Compressed frames: measured before they are decoded, because decoders allocate what the stream says of itself."""

from __future__ import annotations

import libjpeg
import numpy as np
import openjpeg
from pydicom.dataset import Dataset
from pydicom.uid import UID, JPEG2000TransferSyntaxes, RLETransferSyntaxes

from mammosynth.counts import count_of
from mammosynth.dicom.bounded import UNCOMPRESSED
from mammosynth.errors import UnreadableImageError, UnsupportedImageError

_MAX_BITS = 16


def check_codestream(stream: bytes, image: Dataset, name: str) -> int:
    """Bits that a decoder gives each value of a compressed frame.

    Args:
        stream: The frame.
        image: Its header, with file meta information.
        name: How messages name the image.

    Raises:
        UnreadableImageError: If the stream is damaged, or has another size than the header.
        UnsupportedImageError: If it has more than 16 bits a value.
    """
    syntax = UID(image.file_meta.TransferSyntaxUID)
    if syntax in RLETransferSyntaxes:  # has no size of its own
        return int(image.BitsAllocated)
    try:
        found = (openjpeg if syntax in JPEG2000TransferSyntaxes else libjpeg).get_parameters(stream)
        size = int(found["rows"]), int(found["columns"])
        planes = int(found.get("nr_components", found.get("samples_per_pixel", 1)))
        precision = int(found["precision"])
    except Exception as error:  # the codecs raise whatever they meet in a damaged stream
        raise undecodable(name, error) from error
    if (size, planes) != ((image.Rows, image.Columns), image.SamplesPerPixel):
        raise undecodable(
            name,
            f"the {syntax.name} stream has {size[0]} x {size[1]} pixels in {count_of(planes, 'plane')}, the "
            f"header {image.Rows} x {image.Columns} in {image.SamplesPerPixel}",
        )
    if precision > _MAX_BITS:
        raise UnsupportedImageError(
            f"{name}: the {syntax.name} stream has {precision} bits a value, expected at most {_MAX_BITS}; choose "
            "another image."
        )
    return 8 if precision <= 8 else 16  # the stream's own depth; Bits Allocated may be larger


def decode(image: Dataset, name: str) -> np.ndarray:
    """The pixels as the codec delivers them; one codec, since others would try again what it refuses.

    Args:
        image: With Pixel Data, file meta information, and what codecs need of the header. Is changed.
        name: How messages name the image.

    Raises:
        UnreadableImageError: If they cannot be decoded.
    """
    try:
        image.convert_pixel_data("numpy" if image.file_meta.TransferSyntaxUID in UNCOMPRESSED else "pylibjpeg")
        return np.asarray(image.pixel_array)
    except BaseException as error:  # whatever a codec meets in a damaged stream
        # pylibjpeg-rle 2.0.0 panics at one that is too long; PyO3's exception for that is no Exception, on purpose.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise undecodable(name, error) from error
        raise


def undecodable(name: str, reason: object) -> UnreadableImageError:
    """The error that names a reason why pixels cannot be decoded."""
    return UnreadableImageError(
        f"{name}: (7FE0,0010) Pixel Data cannot be decoded ({str(reason).strip() or type(reason).__name__}); the image "
        "is truncated or damaged, fetch it again."
    )
