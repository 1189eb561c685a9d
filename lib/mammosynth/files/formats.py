"""Which formats there are, how their files end, and how to tell them by their content."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from mammosynth.dicom.bounded import open_regular
from mammosynth.dicom.read import looks_like_dicom


class FileFormat(StrEnum):
    """A format that images are read from."""

    DICOM = "dicom"
    PNG = "png"
    JPEG = "jpeg"
    TIFF = "tiff"
    NRRD = "nrrd"
    NIFTI = "nifti"


ENDINGS: dict[str, FileFormat] = {
    ".dcm": FileFormat.DICOM,
    ".dicom": FileFormat.DICOM,
    ".png": FileFormat.PNG,
    ".jpg": FileFormat.JPEG,
    ".jpeg": FileFormat.JPEG,
    ".tif": FileFormat.TIFF,
    ".tiff": FileFormat.TIFF,
    ".nrrd": FileFormat.NRRD,
    ".nii": FileFormat.NIFTI,
    ".nii.gz": FileFormat.NIFTI,
}
ACCEPTED = "DICOM, PNG, JPEG, TIFF, NRRD or NIfTI"
_SNIFFED_BYTES = 512
_NIFTI_MAGIC_AT = 344
_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": FileFormat.PNG,
    b"\xff\xd8\xff": FileFormat.JPEG,
    b"II*\0": FileFormat.TIFF,
    b"MM\0*": FileFormat.TIFF,
    b"II+\0": FileFormat.TIFF,
    b"MM\0+": FileFormat.TIFF,
    b"NRRD000": FileFormat.NRRD,
}


def ending_of(path: Path) -> str:
    """The ending of a file name that names a format, in lower case: ".png", ".nii.gz"; "" if it names none.

    DICOM files are often named by UIDs, so what follows the last dot is not always an ending.
    """
    name = path.name.lower()
    return max((ending for ending in ENDINGS if name.endswith(ending)), key=len, default="")


def stem_of(path: Path) -> str:
    """The file name without the ending that names its format."""
    return path.name[: len(path.name) - len(ending_of(path))]


def format_of_file(path: Path) -> FileFormat | None:
    """The format of a file by its content; None if it is none that is read.

    Raises:
        OSError: If the file cannot be read, or is none: a pipe or a device is never opened.
    """
    with open_regular(path) as file:
        start = file.read(_SNIFFED_BYTES)
    if start[128:132] == b"DICM":  # before the others: a DICOM preamble may hold a TIFF header
        return FileFormat.DICOM
    for beginning, file_format in _BEGINNINGS.items():
        if start.startswith(beginning):
            return file_format
    is_gzip = start.startswith(b"\x1f\x8b") and ending_of(path) == ".nii.gz"  # opened as NIfTI; its reader looks inside
    if is_gzip or start[_NIFTI_MAGIC_AT : _NIFTI_MAGIC_AT + 4] in (b"n+1\0", b"ni1\0"):
        return FileFormat.NIFTI
    return FileFormat.DICOM if looks_like_dicom(start) else None
