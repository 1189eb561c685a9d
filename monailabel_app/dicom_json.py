"""What archive and gateway both need of DICOMweb's JSON (PS3.18 annex F) and of identifiers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

from fastapi import Path
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from mammosynth.dicom.generated import MANUFACTURER, generated_mark, is_phantom_uid

UID_PATTERN = r"^[0-9]+(\.[0-9]+)*$"  # PS3.5 section 9; leading zeros, which real files have, do no harm
UID_MAX_LENGTH = 64  # PS3.5 section 9.1
Uid = Annotated[str, Path(max_length=UID_MAX_LENGTH, pattern=UID_PATTERN)]
"""Part of a route's path."""


def value_of(attributes: Mapping[str, Any], tag: str, default: Any = None) -> Any:
    """The first value of an element given by its eight hexadecimal digits; the default if absent, empty or no list."""
    return (values_of(attributes, tag) or [default])[0]


def values_of(attributes: Mapping[str, Any], tag: str) -> list[Any]:
    """All values of an element; none if whoever made the JSON did not keep to the standard."""
    element = attributes.get(tag)
    values = element.get("Value") if isinstance(element, Mapping) else None
    return values if isinstance(values, list) else []


def header_of(attributes: Mapping[str, Any]) -> Dataset:
    """The same attributes as a dataset; bulk data and what cannot be decoded are left out."""
    header = Dataset()
    for tag, element in attributes.items():
        if not isinstance(element, Mapping) or "BulkDataURI" in element:
            continue
        with suppress(ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
            header.update(Dataset.from_json({tag: element}, bulk_data_uri_handler=lambda *_: b""))
    return header


def is_generated(attributes: Mapping[str, Any]) -> bool:
    """Whether an instance carries the marks of a synthesized image."""
    found = generated_mark(
        synthetic_data=str(value_of(attributes, "0008001C") or ""),
        image_type=values_of(attributes, "00080008"),
        series_description=str(value_of(attributes, "0008103E") or ""),
        sop_instance_uid=str(value_of(attributes, "00080018") or ""),
    )
    return bool(found)


def is_removable(attributes: Mapping[str, Any]) -> bool:
    """Whether this software has made an instance: a synthesized image, or a segmentation that was drawn with it.

    Neither an acquired image nor what another vendor's device has generated (a view of a tomosynthesis may be called
    "SYNTHETIC", too) nor a phantom, which stands for an acquired image.
    """
    if value_of(attributes, "00080070") != MANUFACTURER or is_phantom_uid(str(value_of(attributes, "00080018") or "")):
        return False
    return is_generated(attributes) or value_of(attributes, "00080016") == SegmentationStorage
