"""Reading what somebody has drawn: label maps in files, by themselves or as they lie on an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from mammosynth.dicom.attributes import integer_of
from mammosynth.dicom.drawn import open_segmentation, read_drawing
from mammosynth.errors import UnreadableImageError, UnsupportedImageError
from mammosynth.files.formats import FileFormat, format_of_file, stem_of
from mammosynth.files.names import view_from_name
from mammosynth.files.read import kind_of_file, read_picture, read_volume
from mammosynth.files.volumes import Geometry, direction_of, read_geometry
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram

_HALF, _WHITE = 128, 255
_ALIKE = 0.01  # direction cosines that differ by less are equal: formats keep them with few digits


def read_labels(path: Path, image: Dataset) -> np.ndarray:
    """The label map in a file, as numbers on the pixels of an image.

    Args:
        path: NRRD or NIfTI, one slice.
        image: Header of the image that it was drawn on.

    Returns:
        (H, W) uint8 in the stored matrix of the image, 0 where nothing is drawn.

    Raises:
        UnreadableImageError: If the file is of another format, truncated or damaged.
        UnsupportedImageError: If it has another matrix than the image, lies on it turned or mirrored, or holds values
            that are no whole numbers from 0 to 255.
    """
    name = path.name
    if not path.is_file() or format_of_file(path) not in (FileFormat.NRRD, FileFormat.NIFTI):
        raise UnreadableImageError(f"{name}: neither NRRD nor NIfTI; save the label map as .nrrd or .nii.gz.")
    geometry = read_geometry(path)
    rows, columns = integer_of(image, "Rows") or 0, integer_of(image, "Columns") or 0
    if geometry.components != 1 or [length for length in geometry.size if length != 1] != [columns, rows]:
        raise UnsupportedImageError(
            f"{name}: size {' x '.join(map(str, geometry.size))} with {geometry.components} value(s) a pixel, expected "
            f"{columns} x {rows} with one, as the image has; draw on the image itself, without overlaps."
        )
    if not _lies_on(geometry, direction_of(image)):
        raise UnsupportedImageError(
            f"{name}: its axes do not point where the image's do, so it would lie turned or mirrored; save it in the "
            "geometry of the image."
        )
    return _labels(read_volume(path, drawn=True)[0], name)


def read_label_map(path: Path, *, image: Mammogram | None = None, classes: Mapping[int, str] | None = None) -> LabelMap:
    """What is drawn in a file: DICOM Segmentation, or numbers from 0 to 255 as PNG, TIFF, NRRD or NIfTI.

    Args:
        path: The file.
        image: What it is drawn on; None if it stands for itself.
        classes: What the numbers mean; of a DICOM Segmentation, which numbers its segments get.

    Raises:
        UnreadableImageError: If the file is missing, of no accepted format, truncated or damaged.
        UnsupportedImageError: If it is no single slice of whole numbers from 0 to 255, or drawn on another image.
    """
    kind, spacing = kind_of_file(path), None
    if kind is FileFormat.DICOM:
        return read_drawing(open_segmentation(path), path.name, image, classes or {})
    if kind in (FileFormat.NRRD, FileFormat.NIFTI):
        values, spacing = read_volume(path, drawn=True)
    else:
        values = read_picture(path, drawn=True)
    view_position, image_laterality = view_from_name(stem_of(path))
    return LabelMap(
        labels=_labels(values, path.name),
        source_name=path.name,
        classes=classes or {},
        pixel_spacing_mm=spacing,
        view_position=view_position,
        image_laterality=image_laterality,
    )


def mask_as_first_class(drawn: LabelMap) -> LabelMap:
    """A mask in black and white as a drawing of the first class; numbers of classes stay as they are."""
    labels = drawn.labels
    if not drawn.classes or labels.max() < _WHITE or set(np.unique(labels).tolist()) & set(drawn.classes):
        return drawn
    return replace(drawn, labels=np.where(labels >= _HALF, np.uint8(min(drawn.classes)), np.uint8(0)))


def _labels(values: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(values).all():
        raise UnsupportedImageError(f"{name}: holds values that are no finite numbers; save it as a label map.")
    if not ((values >= 0) & (values <= 255) & (values == np.round(values))).all():
        raise UnsupportedImageError(
            f"{name}: values from {values.min():g} to {values.max():g}, expected whole numbers from 0 to 255; save it "
            "as a label map."
        )
    return np.ascontiguousarray(values.astype(np.uint8))


def _lies_on(geometry: Geometry, expected: np.ndarray) -> bool:
    """Whether the two axes of a slice point where those of the image do."""
    axes = len(geometry.size)
    direction = np.array(geometry.direction).reshape(axes, axes)
    if axes == 2:  # has no third coordinate
        return bool(np.abs(direction - expected[:2, :2]).max() < _ALIKE)
    used = [axis for axis, length in enumerate(geometry.size) if length != 1]
    return bool(np.abs(direction[:3, used] - expected[:, :2]).max() < _ALIKE)
