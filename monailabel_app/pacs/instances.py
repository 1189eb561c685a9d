"""`StoredInstance`: what the store knows of one DICOM file, and how it is read from the file."""

from __future__ import annotations

import io
import json
import math
import os
import re
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import FileDataset
from pydicom.filereader import data_element_generator
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from mammosynth.dicom.attributes import integer_of, text_of
from mammosynth.dicom.bounded import check_pixels, open_regular, parse_instance
from mammosynth.errors import UnreadableImageError, UnsupportedImageError
from monailabel_app.dicom_json import UID_MAX_LENGTH, UID_PATTERN, is_generated, is_removable, value_of

Attributes = dict[str, dict[str, Any]]  # DICOM JSON model, PS3.18 annex F
Stamp = tuple[int, int]  # modification time in ns, size in bytes

_LARGEST_INLINE_TEXT = 400_000  # characters of base64: a 16-bit VOI LUT of 65536 entries fits, private pictures do not
_BULKY = 20_000  # characters of JSON above which the index leaves an element in its file: a LUT of 4096 entries fits
_LONGEST_LISTED = 1024  # characters of a value that queries show; PS3.5 allows 64, of a name 5 times as many
_MOST_LISTED = 16  # values of one attribute that queries show
_MOST_TRAILING = 1000  # elements after the pixel data: padding, signatures, private ones
_PREAMBLE = 128
_JSON = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_DAMAGED = (  # what pydicom was seen to raise for values that are not what their VR says
    ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, struct.error,
)  # fmt: skip


class UnservableFileError(ValueError):
    """The file is no DICOM instance, is incomplete, or has no usable identifiers."""


def tags_of(*keywords: str) -> tuple[str, ...]:
    """Keywords as eight hexadecimal digits."""
    return tuple(f"{tag_for_keyword(keyword):08X}" for keyword in keywords)


# PS3.18 tables 10.6.3-3 to 10.6.3-5, and Study and Series Description, which every viewer lists
STUDY_TAGS = tags_of(
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "TimezoneOffsetFromUTC", "StudyDescription",
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID",
)  # fmt: skip
SERIES_TAGS = tags_of(
    "Modality", "SeriesDate", "SeriesTime", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "Laterality",
    "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime",
)  # fmt: skip
INSTANCE_TAGS = tags_of(
    "SOPClassUID", "SOPInstanceUID", "InstanceNumber", "Rows", "Columns", "BitsAllocated", "NumberOfFrames",
)  # fmt: skip
LISTED_TAGS = frozenset((*STUDY_TAGS, *SERIES_TAGS, *INSTANCE_TAGS))
_LISTED_VRS = {tag: dictionary_VR(int(tag, 16)) for tag in LISTED_TAGS}
_STUDY_UID, _SERIES_UID, _SOP_UID, _CLASS_UID = _IDENTIFIERS = tags_of(
    "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"
)
_STUDY_DATE, _STUDY_TIME, _SERIES_NUMBER, _INSTANCE_NUMBER, _NUMBER_OF_FRAMES = tags_of(
    "StudyDate", "StudyTime", "SeriesNumber", "InstanceNumber", "NumberOfFrames"
)


@dataclass(frozen=True, slots=True)
class NativePixels:
    """Where uncompressed frames lie in the file.

    Attributes:
        offset: Of the first frame, in bytes.
        frame_bytes: Of one frame.
        frames: How many there are.
    """

    offset: int
    frame_bytes: int
    frames: int


@dataclass(frozen=True, slots=True)
class Header:
    """The data set without pixel data and without binary values above 400,000 base64 characters, as JSON texts.

    Attributes:
        light: An object of the elements up to 20,000 characters.
        bulky: An object of the others.
    """

    light: str
    bulky: str = "{}"

    @property
    def is_light(self) -> bool:
        """Whether there are no bulky elements."""
        return self.bulky == "{}"

    def text(self) -> str:
        """All of it, in the order of the tags."""
        if self.is_light:
            return self.light
        return json_text(dict(sorted((json.loads(self.light) | json.loads(self.bulky)).items())))


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One instance. Whatever the file holds, the values here have the types and VRs of PS3.6 and fit into JSON.

    Attributes:
        path: The file, served as it is.
        stamp: When the file was read, so that nobody uses `pixels` of another one.
        transfer_syntax_uid: How the file encodes its pixels.
        study_instance_uid: Study Instance UID (0020,000D).
        series_instance_uid: Series Instance UID (0020,000E).
        sop_instance_uid: SOP Instance UID (0008,0018).
        sop_class_uid: SOP Class UID (0008,0016).
        study_order: Study date and time, by which studies are listed.
        order: Series and instance number, by which a study's instances are listed.
        listed: What queries show, by tag, as JSON texts; equal texts are one object.
        is_removable: True if this software has made the instance: only such ones may be removed.
        is_replaceable: True if this software has synthesized it; not a vendor's generated view, not what was drawn.
        pixels: Where its frames are; None if they must be decoded.
        header: Everything else; None in the index, which reads it when asked for.
    """

    path: Path
    stamp: Stamp
    transfer_syntax_uid: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    study_order: tuple[str, str]
    order: tuple[int, int]
    listed: Mapping[str, str]
    is_removable: bool
    is_replaceable: bool
    pixels: NativePixels | None
    header: Header | None = None


def stamp_of(status: os.stat_result) -> Stamp:
    """What changes whenever a file does."""
    return status.st_mtime_ns, status.st_size


def read_instance(path: Path, content: bytes | None = None) -> StoredInstance:
    """Read the header of a DICOM file and check that the file is complete.

    An attribute that cannot be read is left out, and a value that has no sense where queries show it (a Series Number
    that is no number) is left empty: one careless writer must not hide what others have stored.

    Args:
        path: The file, or where `content` is going to be stored.
        content: The whole file, if it is not yet at `path`.

    Raises:
        UnservableFileError: With a sentence that says what is wrong.
        OSError: If the file cannot be opened, or is no regular file.
    """
    with io.BytesIO(content) if content is not None else open_regular(path) as file:
        stamp = (0, len(content)) if content is not None else stamp_of(os.fstat(file.fileno()))
        if not _has_dicom_prefix(file):
            raise UnservableFileError("'DICM' does not follow its first 128 bytes, so it is no DICOM file")
        try:
            header = parse_instance(file, "its header", stop_before_pixels=True)
            syntax = _transfer_syntax(header)
            elements = _elements(header)
            listed = _listed(elements)
            place = _check_complete(header, syntax, value_of(listed, _CLASS_UID), file)
            pixels = _native_pixels(header, listed, place)
        except UnservableFileError:
            raise
        except UnreadableImageError as error:
            raise UnservableFileError(str(error).rstrip(".")) from error
        except Exception as error:  # pydicom walks over damaged pixel data by exceptions of any kind
            raise UnservableFileError(f"it is damaged after its header ({error or type(error).__name__})") from error
    return _instance(path, stamp, syntax, elements, listed, pixels)


def is_uid(text: str) -> bool:
    """True for what PS3.5 section 9 accepts (leading zeros tolerated); such a text is also safe as a file name."""
    return len(text) <= UID_MAX_LENGTH and re.fullmatch(UID_PATTERN, text) is not None


def json_text(value: Any) -> str:
    """JSON as short as possible, and always valid: what is no number in JSON becomes null."""
    try:
        return _JSON.encode(value)
    except (TypeError, ValueError):
        return _JSON.encode(_without_foreign(value))


def _without_foreign(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_foreign(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_foreign(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int) else None


def _has_dicom_prefix(file: BinaryIO) -> bool:
    start = file.read(_PREAMBLE + 4)
    file.seek(0)
    return start[_PREAMBLE:] == b"DICM"


def _transfer_syntax(header: FileDataset) -> str:
    if "TransferSyntaxUID" not in header.file_meta:
        raise UnservableFileError("(0002,0010) Transfer Syntax UID is missing")
    found = str(header.file_meta.TransferSyntaxUID)
    if not is_uid(found):
        raise UnservableFileError(f"(0002,0010) Transfer Syntax UID is {found[:80]!r}, expected digits and dots")
    return found


def _elements(header: FileDataset) -> Attributes:
    """The DICOM JSON of every element that can be read.

    `Dataset.to_json_dict` does the same for valid data sets; for others it switches the validation of the whole
    process, which other threads notice.
    """
    elements = {}
    for tag in header.keys():  # noqa: SIM118 - a data set gives elements, and so converts the damaged ones, too
        try:
            element = header[tag].to_json_dict(None, 0)
        except _DAMAGED:  # pydicom converts the value now
            continue
        if len(element.get("InlineBinary", "")) <= _LARGEST_INLINE_TEXT:
            elements[f"{tag:08X}"] = element
    return elements


def _listed(elements: Attributes) -> Attributes:
    """What queries show, with the VRs of PS3.6 and only values that these can have.

    Raises:
        UnservableFileError: If an identifier is none.
    """
    listed = {tag: _normalized(vr, elements[tag]) for tag, vr in _LISTED_VRS.items() if tag in elements}
    for tag in _IDENTIFIERS:
        found = listed.get(tag, {}).get("Value", [])
        if len(found) != 1 or not is_uid(found[0]):
            raise UnservableFileError(_identifier_sentence(tag, elements.get(tag, {})))
    return listed


def _identifier_sentence(tag: str, element: Mapping[str, Any]) -> str:
    name = f"({tag[:4]},{tag[4:]}) {dict(zip(_IDENTIFIERS, _IDENTIFIER_NAMES, strict=True))[tag]}"
    values = element.get("Value") or []
    if not values:
        return f"{name} is missing, expected digits and dots, at most 64 characters"
    found = str(values[0] if len(values) == 1 else values)[:80]
    return f"{name} is {found!r} (VR {element.get('vr')}), expected one UID: digits and dots, at most 64 characters"


_IDENTIFIER_NAMES = ("Study Instance UID", "Series Instance UID", "SOP Instance UID", "SOP Class UID")


def _normalized(vr: str, element: Mapping[str, Any]) -> dict[str, Any]:
    values = element.get("Value")
    if not isinstance(values, list):
        return {"vr": vr}
    usable = [_value(vr, value) for value in values[:_MOST_LISTED]]
    return {"vr": vr} if all(value is None for value in usable) else {"vr": vr, "Value": usable}


def _value(vr: str, value: Any) -> Any:
    """The value as this VR has it; None if it has no such value."""
    if vr == "PN":
        parts = value if isinstance(value, Mapping) else {"Alphabetic": value}
        name = {str(key): part for key, part in parts.items() if _is_listed_text(part)}
        return name or None
    if vr in ("IS", "US"):
        try:
            return int(value) if not isinstance(value, Mapping) and len(str(value)) <= UID_MAX_LENGTH else None
        except (TypeError, ValueError, OverflowError):
            return None
    return value if _is_listed_text(value) and (vr != "UI" or is_uid(value)) else None


def _is_listed_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_LISTED


def _check_complete(header: FileDataset, syntax: str, sop_class_uid: str, file: BinaryIO) -> tuple[int, int] | None:
    """Walk over pixel data and what follows without loading it; a file still being copied ends too early.

    Returns:
        Offset and length of uncompressed pixel data.
    """
    if syntax == DeflatedExplicitVRLittleEndian:
        return None  # inflating has already read the file to its end
    start = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(start)
    has_pixels, place = False, None
    elements = data_element_generator(file, header.is_implicit_VR, header.is_little_endian, defer_size=0)
    for number, element in enumerate(elements):
        if number > _MOST_TRAILING:
            raise UnservableFileError(f"it has more than {_MOST_TRAILING} elements after the pixel data")
        has_pixels |= element.tag.group == 0x7FE0
        if element.tag == 0x7FE00010 and element.length != 0xFFFFFFFF:
            place = element.value_tell, element.length
    if file.tell() > size:
        raise UnservableFileError(f"its pixel data end at byte {file.tell()}, the file at {size}, so it is truncated")
    if not has_pixels and "Image Storage" in UID(sop_class_uid).name:
        raise UnservableFileError("it is an image without pixel data, so it is truncated or damaged")
    return place if header.is_little_endian and not UID(syntax).is_compressed else None


def _native_pixels(header: FileDataset, listed: Attributes, place: tuple[int, int] | None) -> NativePixels | None:
    """Where the frames of a usable uncompressed image are; None for all others, which are explained when asked for."""
    if place is None:
        return None
    try:
        check_pixels(header, "the instance")
    except (UnreadableImageError, UnsupportedImageError):
        return None
    bits = integer_of(header, "BitsAllocated") or 0
    for keyword in ("Rows", "Columns", "SamplesPerPixel"):
        bits *= integer_of(header, keyword) or 1
    if text_of(header, "PhotometricInterpretation") == "YBR_FULL_422":  # PS3.3 C.7.6.3.1.2: colour by pairs
        bits = bits * 2 // 3
    frames = value_of(listed, _NUMBER_OF_FRAMES) or 1
    if frames < 1 or bits < 8 or bits % 8 or bits // 8 * frames > place[1]:
        return None
    return NativePixels(place[0], bits // 8, frames)


def _instance(
    path: Path, stamp: Stamp, syntax: str, elements: Attributes, listed: Attributes, pixels: NativePixels | None
) -> StoredInstance:
    removable = is_removable(elements | listed)
    texts = {tag: json_text(element) for tag, element in (elements | listed).items()}
    bulky = {tag for tag, text in texts.items() if len(text) > _BULKY}
    return StoredInstance(
        path=path,
        stamp=stamp,
        transfer_syntax_uid=syntax,
        study_instance_uid=value_of(listed, _STUDY_UID),
        series_instance_uid=value_of(listed, _SERIES_UID),
        sop_instance_uid=value_of(listed, _SOP_UID),
        sop_class_uid=value_of(listed, _CLASS_UID),
        study_order=(value_of(listed, _STUDY_DATE) or "", value_of(listed, _STUDY_TIME) or ""),
        order=(value_of(listed, _SERIES_NUMBER) or 0, value_of(listed, _INSTANCE_NUMBER) or 0),
        listed=shared({tag: texts[tag] for tag in listed}),
        is_removable=removable,
        is_replaceable=removable and is_generated(elements | listed),
        pixels=pixels,
        header=Header(
            joined({tag: text for tag, text in texts.items() if tag not in bulky}),
            joined({tag: texts[tag] for tag in bulky}),
        ),
    )


def joined(texts: Mapping[str, str]) -> str:
    """A JSON object of values that are JSON texts already, in the order of the keys."""
    return "{" + ",".join([f'"{key}":{texts[key]}' for key in sorted(texts)]) + "}"


def shared(texts: Mapping[str, str]) -> dict[str, str]:
    """The same, of which equal texts are in memory once: four images of a study differ in a few of thirty."""
    return {sys.intern(key): sys.intern(text) for key, text in texts.items()}
