"""Geometry of NRRD and NIfTI files, and of the volumes that are written in the place of other formats."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset

from mammosynth.dicom.attributes import numbers_of
from mammosynth.errors import UnreadableImageError, UnsupportedImageError
from mammosynth.files.formats import FileFormat, format_of_file
from mammosynth.mammogram import Mammogram

_IMAGE_IO = {FileFormat.NRRD: "NrrdImageIO", FileFormat.NIFTI: "NiftiImageIO"}
_NRRD_HEADER_BYTES = 65536
_NIFTI_HEADER_BYTES = 348
_MAX_AXES = 5


@dataclass(frozen=True)
class Geometry:
    """Where pixels are, as ITK has it: axes in the order of the file, x first.

    Attributes:
        size: Pixels along each axis.
        spacing: Millimetres along each axis.
        origin: Position of the first pixel, LPS, mm.
        direction: Direction cosines, row-major.
        components: Values per pixel.
        texts: Free texts in the header.
        image_io: ITK's name of the format's reader.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    components: int = 1
    texts: tuple[str, ...] = ()
    image_io: str = ""


def read_geometry(path: Path) -> Geometry:
    """The geometry of an NRRD or NIfTI file; pixels are not read.

    Raises:
        UnreadableImageError: If the header is damaged.
        UnsupportedImageError: If the header points to another file for its pixels, or has more axes than an image.
    """
    file_format = format_of_file(path)
    if file_format is FileFormat.NRRD:
        _refuse_dangerous_header(path)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(_IMAGE_IO[FileFormat(str(file_format))])
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise UnreadableImageError(
            f"{path.name}: the header cannot be read; the file is truncated or damaged, fetch it again."
        ) from error
    return Geometry(
        size=reader.GetSize(),
        spacing=reader.GetSpacing(),
        origin=reader.GetOrigin(),
        direction=reader.GetDirection(),
        components=reader.GetNumberOfComponents(),
        texts=tuple(reader.GetMetaData(key) for key in reader.GetMetaDataKeys()),
        image_io=reader.GetImageIO(),
    )


def refuse_truncated_nifti(path: Path, geometry: Geometry) -> None:
    """Refuse a NIfTI file that ends before its last pixel: ITK 5.4 fills what is missing with zeros and says nothing.

    Raises:
        UnreadableImageError: If the file is too short.
    """
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            header = file.read(_NIFTI_HEADER_BYTES)
            order = "<" if header[:4] == _NIFTI_HEADER_BYTES.to_bytes(4, "little") else ">"
            (bits,), (offset,) = (
                struct.unpack_from(f"{order}h", header, 72),
                struct.unpack_from(f"{order}f", header, 108),
            )
            last = int(offset) + math.prod(geometry.size) * bits // 8 - 1
            file.seek(last)
            is_whole = len(file.read(1)) == 1
    except (OSError, EOFError, zlib.error, struct.error, ValueError, OverflowError):
        is_whole = False
    if not is_whole:
        raise UnreadableImageError(f"{path.name}: ends before its last pixel; the file is truncated, fetch it again.")


def geometry_beside(like: Mammogram, source_path: Path | None) -> Geometry:
    """The geometry that a result must have to lie on its source.

    Args:
        like: The source.
        source_path: Its file; NRRD and NIfTI files give their own geometry.

    Returns:
        The file's geometry, or a slice (W, H, 1) as ITK and Slicer load it from the DICOM: spacing, Image Position
        (Patient) and Image Orientation (Patient), which mammograms usually lack: then origin 0 and identity.
    """
    if source_path is not None and format_of_file(source_path) in _IMAGE_IO:
        return read_geometry(source_path)
    height, width = like.pixels.shape
    row_spacing, column_spacing = like.pixel_spacing_mm or (1.0, 1.0)
    origin = (0.0, 0.0, 0.0)
    if like.header is not None:
        position = numbers_of(like.header, "ImagePositionPatient")
        if len(position) == 3:
            origin = (position[0], position[1], position[2])
    return Geometry(
        size=(width, height, 1),
        spacing=(column_spacing, row_spacing, 1.0),
        origin=origin,
        direction=tuple(float(cosine) for cosine in direction_of(like.header).ravel()),
    )


def direction_of(header: Dataset | None) -> np.ndarray:
    """(3, 3) direction cosines, a column per axis, of an image as ITK loads it; identity where it has none."""
    orientation = numbers_of(header, "ImageOrientationPatient") if header is not None else []
    if len(orientation) == 6:
        along_row, along_column = np.array(orientation[:3]), np.array(orientation[3:])
        normal = np.cross(along_row, along_column)
        if abs(np.linalg.norm(normal) - 1) < 1e-3:  # else no orientation at all
            return np.stack([along_row, along_column, normal], axis=1)
    return np.eye(3)


def to_volume(stored_values: np.ndarray, geometry: Geometry) -> sitk.Image:
    """An ITK image of (H, W) values with a geometry."""
    volume = sitk.GetImageFromArray(np.ascontiguousarray(stored_values).reshape(geometry.size[::-1]))
    volume.SetSpacing(geometry.spacing)
    volume.SetOrigin(geometry.origin)
    volume.SetDirection(geometry.direction)
    return volume


def _refuse_dangerous_header(path: Path) -> None:
    """Refuse an NRRD header that names any file of this machine as its pixels, or has more axes than ITK survives.

    ITK 5.4 ends in a segmentation fault at 11 to 16 axes.
    """
    with path.open("rb") as file:
        content = file.read(_NRRD_HEADER_BYTES)
    header, end, _ = content.replace(b"\r\n", b"\n").partition(b"\n\n")
    if re.search(rb"^data ?file\s*:", header, re.IGNORECASE | re.MULTILINE):
        raise UnsupportedImageError(
            f"{path.name}: the pixels are in another file, expected them in this one; save it as a single .nrrd file."
        )
    axes = re.search(rb"^dimension\s*:\s*(\d+)", header, re.IGNORECASE | re.MULTILINE)
    if axes and int(axes[1]) > _MAX_AXES:
        raise UnsupportedImageError(
            f"{path.name}: {int(axes[1])} axes, expected at most {_MAX_AXES}; choose a 2-D image."
        )
    if not end and len(content) == _NRRD_HEADER_BYTES:
        raise UnsupportedImageError(
            f"{path.name}: the header does not end within {_NRRD_HEADER_BYTES} bytes; save it as a single .nrrd file."
        )
