"""Writing results as PNG, TIFF, NRRD or NIfTI, 16 bits, in the matrix and the geometry of the source."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from PIL import Image, PngImagePlugin, TiffImagePlugin

from mammosynth.atomic import atomic_path, write_bytes
from mammosynth.dicom.mark import MARK
from mammosynth.dicom.write import to_stored_values
from mammosynth.errors import OutputError, UnreadableImageError
from mammosynth.files.formats import ENDINGS, FileFormat, ending_of
from mammosynth.files.volume_header import read_values
from mammosynth.files.volumes import geometry_beside, read_header, to_volume
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram

_TIFF_DESCRIPTION = 270
_TEXT_KEYS = {FileFormat.NRRD: "Description", FileFormat.NIFTI: "ITK_FileNotes"}  # ITK writes the second as `descrip`


def write_image(path: Path, result_pixels: np.ndarray, like: Mammogram, source_path: Path | None) -> None:
    """Write a result so that it lies on its source; the header says that it is generated where the format can.

    The ending of the name decides: .png, .tif, .tiff, .nrrd (uncompressed), .nii and .nii.gz.

    Args:
        path: Where to write; an existing file is replaced.
        result_pixels: (H, W) float32 in [0, 1].
        like: The source, whose matrix and spacing are kept.
        source_path: Its file: origin and direction of NRRD and NIfTI, and the resolution of pictures, come from there.

    Raises:
        OutputError: If the ending names no format that holds 16 bits, or the file cannot be written.
        ValueError: If the result's shape is not the source's.
    """
    if result_pixels.shape != like.pixels.shape:
        raise ValueError(f"result has shape {result_pixels.shape}, its source has {like.pixels.shape}")
    _write(path, to_stored_values(result_pixels), like, source_path)


def write_label_map(path: Path, drawn: LabelMap, like: Mammogram) -> None:
    """Write a label map, 8 bits, so that it lies on its image.

    Args:
        path: Where to write, see `write_image`.
        drawn: What is where.
        like: The image.

    Raises:
        OutputError: If the ending names no format that is written here, or the file cannot be written.
        ValueError: If the label map's shape is not the image's.
    """
    if drawn.labels.shape != like.pixels.shape:
        raise ValueError(f"label map has shape {drawn.labels.shape}, its image has {like.pixels.shape}")
    _write(path, drawn.labels, like, None)


def _write(path: Path, stored: np.ndarray, like: Mammogram, source_path: Path | None) -> None:
    file_format = ENDINGS.get(ending_of(path))
    if file_format in (FileFormat.PNG, FileFormat.TIFF):
        write_bytes(path, _picture(stored, file_format, source_path))
    elif file_format in (FileFormat.NRRD, FileFormat.NIFTI):
        with atomic_path(path) as temporary:
            _write_volume(temporary, _marked_volume(stored, like, source_path, file_format), path.name)
    else:
        raise OutputError(
            f"{path.name}: the ending is '{ending_of(path) or path.suffix}', expected .png, .tif, .tiff, .nrrd, .nii "
            "or .nii.gz, which hold 16 bits; DICOM is written by dicom.write."
        )


def to_nrrd_bytes(
    pixels: np.ndarray, like: Mammogram, source_path: Path | None = None, *, generated: bool = True
) -> bytes:
    """An image as the content of an uncompressed 16-bit NRRD file, a single slice for SimpleITK and Slicer.

    Args:
        pixels: (H, W) float32 in [0, 1].
        like: The source, whose geometry is kept.
        source_path: Its file, if it is NRRD or NIfTI.
        generated: Say in the header that it is generated; False for the source itself.
    """
    stored = to_stored_values(pixels)
    if generated:
        volume = _marked_volume(stored, like, source_path, FileFormat.NRRD)
    else:
        volume = to_volume(stored, geometry_beside(like, source_path))
    with tempfile.TemporaryDirectory() as folder:  # ITK writes to files only
        path = Path(folder) / "result.nrrd"
        _write_volume(path, volume, path.name)
        return path.read_bytes()


def _picture(stored: np.ndarray, file_format: FileFormat, source_path: Path | None) -> bytes:
    """The content of a file; Pillow 13 itself would write a TIFF that is cut off by a full disk, and tell nothing."""
    options: dict[str, Any] = {"dpi": dpi} if (dpi := _resolution(source_path)) else {}
    if file_format is FileFormat.PNG:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("Description", MARK)
    else:
        options["tiffinfo"] = TiffImagePlugin.ImageFileDirectory_v2()
        options["tiffinfo"][_TIFF_DESCRIPTION] = MARK
    with io.BytesIO() as content:
        Image.fromarray(stored).save(content, format=str(file_format), **options)
        return content.getvalue()


def _resolution(source_path: Path | None) -> tuple[float, float] | None:
    """Dots per inch of a PNG, JPEG or TIFF source."""
    if source_path is None or ENDINGS.get(ending_of(source_path)) not in (
        FileFormat.PNG,
        FileFormat.JPEG,
        FileFormat.TIFF,
    ):
        return None
    with Image.open(source_path) as image:
        return image.info.get("dpi")


def _marked_volume(
    stored: np.ndarray, like: Mammogram, source_path: Path | None, file_format: FileFormat
) -> sitk.Image:
    volume = to_volume(stored, geometry_beside(like, source_path))
    volume.SetMetaData(_TEXT_KEYS[file_format], MARK)
    return volume


def _write_volume(path: Path, volume: sitk.Image, name: str) -> None:
    try:
        sitk.WriteImage(volume, str(path), useCompression=path.name.endswith(".gz"))
        if ENDINGS.get(ending_of(path)) is FileFormat.NIFTI:  # of which ITK 5.4 tells no error when the disk is full
            read_values(path, read_header(path))
    except (RuntimeError, ValueError, UnreadableImageError) as error:
        raise OutputError(f"{name}: cannot be written; check the folder, its rights and free space.") from error
