"""`StoredInstance`: what the store knows of one DICOM file, and how it is read from the file."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import data_element_generator
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from monailabel_app.dicom_json import UID_MAX_LENGTH, UID_PATTERN, is_generated, is_removable, value_of

Attributes = dict[str, dict[str, Any]]  # DICOM JSON model, PS3.18 annex F

_LARGEST_INLINE_TEXT = 400_000  # characters of base64: a 16-bit VOI LUT of 65536 entries fits, private pictures do not
_PREAMBLE = 128


class UnservableFileError(ValueError):
    """The file is no DICOM instance, is incomplete, or has no usable identifiers."""


@dataclass(frozen=True)
class StoredInstance:
    """One instance of the index; attributes in the DICOM JSON model.

    Attributes:
        path: The file, served as it is.
        transfer_syntax_uid: How the file encodes its pixels.
        attributes: Data set without pixel data (and, in the index, without bulky elements).
    """

    path: Path
    transfer_syntax_uid: str
    attributes: Attributes

    @property
    def study_instance_uid(self) -> str:
        """Study Instance UID (0020,000D)."""
        return str(value_of(self.attributes, "0020000D"))

    @property
    def series_instance_uid(self) -> str:
        """Series Instance UID (0020,000E)."""
        return str(value_of(self.attributes, "0020000E"))

    @property
    def sop_instance_uid(self) -> str:
        """SOP Instance UID (0008,0018)."""
        return str(value_of(self.attributes, "00080018"))

    @property
    def sop_class_uid(self) -> str:
        """SOP Class UID (0008,0016)."""
        return str(value_of(self.attributes, "00080016"))

    @property
    def is_replaceable(self) -> bool:
        """True if this software has synthesized the instance; not a vendor's generated view, not what was drawn."""
        return is_generated(self.attributes) and is_removable(self.attributes)

    @property
    def is_removable(self) -> bool:
        """True if this software has made the instance: only such ones may be removed."""
        return is_removable(self.attributes)


def read_instance(path: Path, content: bytes | None = None) -> StoredInstance:
    """Read the header of a DICOM file and check that the file is complete.

    Args:
        path: The file, or where `content` is going to be stored.
        content: The whole file, if it is not yet at `path`.

    Returns:
        The instance with every attribute but pixel data and binary values above 400,000 base64 characters.

    Raises:
        UnservableFileError: With a sentence that says what is wrong.
        OSError: If the file cannot be opened.
    """
    with io.BytesIO(content) if content is not None else path.open("rb") as file:
        if not _has_dicom_prefix(file):
            raise UnservableFileError("not a DICOM file: no 'DICM' after the 128-byte preamble")
        try:
            header = dcmread(file, stop_before_pixels=True)
            _check_identifiers(header)
            _check_complete(header, file)
            attributes = header.to_json_dict(suppress_invalid_tags=True)
        except UnservableFileError:
            raise
        except (
            InvalidDicomError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            EOFError,
            NotImplementedError,
        ) as error:
            raise UnservableFileError(f"not readable as DICOM: {error}") from error
    return StoredInstance(
        path=path,
        transfer_syntax_uid=str(header.file_meta.TransferSyntaxUID),
        attributes={
            tag: element
            for tag, element in attributes.items()
            if len(element.get("InlineBinary", "")) <= _LARGEST_INLINE_TEXT
        },
    )


def is_uid(text: str) -> bool:
    """True for what PS3.5 section 9 accepts (leading zeros tolerated); such a text is also safe as a file name."""
    return len(text) <= UID_MAX_LENGTH and re.fullmatch(UID_PATTERN, text) is not None


def _has_dicom_prefix(file: BinaryIO) -> bool:
    start = file.read(_PREAMBLE + 4)
    file.seek(0)
    return start[_PREAMBLE:] == b"DICM"


def _check_identifiers(header: FileDataset) -> None:
    if "TransferSyntaxUID" not in header.file_meta:
        raise UnservableFileError("(0002,0010) Transfer Syntax UID is missing")
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"):
        found = str(header.get(keyword) or "")
        if not is_uid(found):
            raise UnservableFileError(f"{keyword} is {found[:80]!r}, expected digits and dots, at most 64 characters")


def _check_complete(header: FileDataset, file: BinaryIO) -> None:
    """Walk over pixel data and what follows without loading it; a file still being copied ends too early."""
    if header.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        return  # inflating has already read the file to its end
    start = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(start)
    has_pixels = False
    for element in data_element_generator(file, header.is_implicit_VR, header.is_little_endian, defer_size=0):
        has_pixels |= element.tag.group == 0x7FE0
    if file.tell() > size:
        raise UnservableFileError(f"truncated: pixel data end at byte {file.tell()}, the file at {size}")
    if not has_pixels and "Image Storage" in UID(header.SOPClassUID).name:
        raise UnservableFileError("truncated or damaged: an image without pixel data")
