"""Geometry of NRRD and NIfTI files, and of the volumes that are written in the place of other formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset

from mammosynth.dicom.attributes import numbers_of
from mammosynth.dicom.bounded import open_regular
from mammosynth.errors import UnreadableImageError
from mammosynth.files.formats import FileFormat, format_of_file
from mammosynth.files.nifti import read_nifti_header
from mammosynth.files.nrrd import read_nrrd_header
from mammosynth.files.volume_header import VolumeHeader, told_by_itk
from mammosynth.mammogram import Mammogram

_FLAT = 1e-6  # determinant of direction cosines, 1 for axes at right angles
_READERS = {FileFormat.NRRD: read_nrrd_header, FileFormat.NIFTI: read_nifti_header}


@dataclass(frozen=True)
class Geometry:
    """Where pixels are, as ITK has it: axes in the order of the file, x first.

    Attributes:
        size: Pixels along each axis.
        spacing: Millimetres along each axis.
        origin: Position of the first pixel, LPS, mm.
        direction: Direction cosines, row-major.
        components: Values per pixel.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    components: int = 1


def read_header(path: Path) -> VolumeHeader:
    """What an NRRD or NIfTI file says of its pixels.

    Raises:
        UnreadableImageError: If the header is truncated or damaged.
        UnsupportedImageError: If it points to another file for its pixels, or is of something that no image is.
    """
    read = _READERS[FileFormat(str(format_of_file(path)))]
    with open_regular(path) as file:
        return read(file, path.name)


def read_geometry(path: Path, header: VolumeHeader | None = None) -> Geometry:
    """The geometry of an NRRD or NIfTI file; pixels are not read.

    Args:
        path: The file.
        header: Its header, if it is read already.

    Raises:
        UnreadableImageError: If the header is damaged.
        UnsupportedImageError: If the header points to another file for its pixels, or is of something that no image is.
    """
    reader = told_by_itk(header or read_header(path), path.name)
    geometry = Geometry(
        size=reader.GetSize(),
        spacing=reader.GetSpacing(),
        origin=reader.GetOrigin(),
        direction=reader.GetDirection(),
        components=reader.GetNumberOfComponents(),
    )
    _refuse_impossible(geometry, path.name)
    return geometry


def _refuse_impossible(geometry: Geometry, name: str) -> None:
    """Refuse axes that no image can have, which ITK says only when an image is made."""
    direction = np.array(geometry.direction).reshape(len(geometry.size), -1)
    numbers = (*geometry.spacing, *geometry.origin, *geometry.direction)
    if not np.isfinite(numbers).all() or min(geometry.spacing) <= 0 or abs(np.linalg.det(direction)) < _FLAT:
        raise UnreadableImageError(
            f"{name}: spacing {' x '.join(f'{length:g}' for length in geometry.spacing)} mm along axes "
            f"{np.array2string(direction, precision=3).replace(chr(10), '')}, expected positive lengths along "
            "different axes; the header is damaged."
        )


def geometry_beside(like: Mammogram, source_path: Path | None) -> Geometry:
    """The geometry that a result must have to lie on its source.

    Args:
        like: The source.
        source_path: Its file; NRRD and NIfTI files give their own geometry.

    Returns:
        The file's geometry, or a slice (W, H, 1) as ITK and Slicer load it from the DICOM: spacing, Image Position
        (Patient) and Image Orientation (Patient), which mammograms usually lack: then origin 0 and identity.
    """
    if source_path is not None and format_of_file(source_path) in _READERS:
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
