"""`VolumeHeader`: what an NRRD or NIfTI file says of its pixels, checked; and its pixels, read within these bounds.

ITK 5.4 ends in a segmentation fault at some headers, and opens any file that a header names. So ITK never sees what was
sent: headers are read here, field by field, values are read by zlib and numpy, and ITK gets a header that was written
anew from what was accepted, to tell the geometry. This needs no second process, and starts none.
"""

from __future__ import annotations

import math
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mammosynth.dicom.bounded import MAX_PIXELS, inflate, open_regular
from mammosynth.errors import UnreadableImageError, UnsupportedImageError

MAX_AXES = 5
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True)
class VolumeHeader:
    """What a file says of its pixels.

    Attributes:
        sizes: Values along each axis of the file, fastest first.
        dtype: Of the values as stored.
        start: Where values, or what is compressed, begin in the file.
        gzip: Whether they are compressed from there on.
        skip: Bytes before the values in what is compressed.
        texts: Free texts.
        for_itk: A header written anew from what was accepted, as the content of a file.
        image_io: ITK's name of the format's reader.
        slope: What values are multiplied with; 1 if they stand for themselves.
        intercept: What is added then.
    """

    sizes: tuple[int, ...]
    dtype: np.dtype
    start: int
    gzip: bool
    skip: int
    texts: tuple[str, ...]
    for_itk: bytes
    image_io: str
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def value_bytes(self) -> int:
        """How many bytes the values have."""
        return math.prod(self.sizes) * self.dtype.itemsize


def check_sizes(sizes: tuple[int, ...], name: str) -> None:
    """Refuse a number of axes or values that no image has.

    Raises:
        UnsupportedImageError: If there are more than `MAX_AXES` axes, or more than `MAX_PIXELS` values.
        UnreadableImageError: If an axis has no positive length.
    """
    shown = " x ".join(map(str, sizes[:MAX_AXES]))
    if not 1 <= len(sizes) <= MAX_AXES:
        raise UnsupportedImageError(f"{name}: {len(sizes)} axes, expected at most {MAX_AXES}; choose a 2-D image.")
    if min(sizes) < 1:
        raise UnreadableImageError(f"{name}: size {shown}, expected positive numbers; the header is damaged.")
    if math.prod(sizes) > MAX_PIXELS:
        raise UnsupportedImageError(
            f"{name}: size {shown}, expected at most {MAX_PIXELS // 1_000_000} megapixels; choose another image."
        )


def detached(name: str, ending: str) -> UnsupportedImageError:
    """The error for a header whose pixels are in another file; whether that is there is not looked at."""
    return UnsupportedImageError(
        f"{name}: the pixels are in another file, expected them in this one; save it as a single {ending} file."
    )


def read_values(path: Path, header: VolumeHeader) -> np.ndarray:
    """The values of a file, last axis of the file first, in the byte order of this machine.

    Raises:
        UnreadableImageError: If they are truncated or damaged.
    """
    count, size = header.value_bytes, path.stat().st_size
    try:
        with open_regular(path) as file:
            file.seek(header.start)
            if not header.gzip:
                content = file.read(count) if size >= header.start + count else b""
            elif header.skip + count > 1100 * size + 1100:  # deflate packs 1032 bytes into one
                content = b""
            else:
                content, ended = inflate(file, header.skip + count, wbits=_GZIP)
                content = content if ended or len(content) > header.skip + count else b""
    except (OSError, zlib.error) as error:
        raise UnreadableImageError(
            f"{path.name}: cannot be decoded ({error}); the file is truncated or damaged, fetch it again."
        ) from error
    if len(content) < header.skip + count:
        raise UnreadableImageError(f"{path.name}: ends before its last pixel; the file is truncated, fetch it again.")
    values = np.frombuffer(content, header.dtype, math.prod(header.sizes), header.skip).reshape(header.sizes[::-1])
    values = values.astype(header.dtype.newbyteorder("="), copy=False)
    return values if (header.slope, header.intercept) == (1, 0) else values * header.slope + header.intercept


def told_by_itk(header: VolumeHeader, name: str) -> sitk.ImageFileReader:
    """ITK's reader of the geometry that a header tells.

    Raises:
        UnreadableImageError: If ITK takes it for no geometry.
    """
    reader = sitk.ImageFileReader()
    reader.SetImageIO(header.image_io)
    with tempfile.TemporaryDirectory() as folder:  # ITK reads files only
        path = Path(folder) / ("header.nrrd" if header.image_io == "NrrdImageIO" else "header.nii")
        path.write_bytes(header.for_itk)
        reader.SetFileName(str(path))
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            raise UnreadableImageError(
                f"{name}: the header cannot be read; the file is truncated or damaged, fetch it again."
            ) from error
    return reader
