"""Tolerant access to DICOM attributes.

Real files carry empty, misspelt and malformed values; one of them must not stop a read.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from typing import Any

from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.tag import Tag

SYNTHETIC_DATA = Tag(0x0008, 0x001C)  # newer than the dictionary of pydicom 2.4, hence by tag

_MALFORMED = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    ArithmeticError,
    struct.error,
    OSError,  # what pydicom says of a sequence that is cut off
)
_SNOMED_RT_DESIGNATORS = ("SRT", "SNM3", "99SDM")  # PS3.16 section 8: three names of one coding scheme


def value_of(dataset: Dataset, keyword: str | Tag) -> Any:
    """The value of an attribute, or None if it is absent, empty or cannot be decoded."""
    try:
        element = dataset.get(Tag(tag_for_keyword(keyword) if isinstance(keyword, str) else keyword))
        value = None if element is None else element.value
        return None if value is None or (hasattr(value, "__len__") and len(value) == 0) else value
    except _MALFORMED:
        return None


def text_of(dataset: Dataset, keyword: str | Tag) -> str:
    """The (first) value of an attribute as upper-case text without padding; "" if there is none."""
    values = texts_of(dataset, keyword)
    return values[0] if values else ""


def texts_of(dataset: Dataset, keyword: str | Tag) -> tuple[str, ...]:
    """All values of an attribute as upper-case text without padding."""
    return tuple(str(value).strip(" \0").upper() for value in _as_values(value_of(dataset, keyword)))


def numbers_of(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """All values of an attribute as finite floats; empty if one of them is no number."""
    try:
        numbers = tuple(float(value) for value in _as_values(value_of(dataset, keyword)))
    except (ValueError, TypeError):
        return ()
    return numbers if all(math.isfinite(number) for number in numbers) else ()


def integer_of(dataset: Dataset, keyword: str) -> int | None:
    """The (first) value of an attribute as an integer, or None."""
    numbers = numbers_of(dataset, keyword)
    return int(numbers[0]) if numbers and numbers[0] == int(numbers[0]) else None


def items_of(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """The items of a sequence; empty if it is absent or is no sequence."""
    value = value_of(dataset, keyword)
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return ()
    return tuple(item for item in value if isinstance(item, Dataset))


def code_of(item: Dataset) -> Code:
    """The code in a code sequence item; older names of SNOMED-RT are unified, so that `==` sees SRT and SCT as one."""
    designator = text_of(item, "CodingSchemeDesignator")
    meaning = str(value_of(item, "CodeMeaning") or "").strip()
    return Code(text_of(item, "CodeValue"), "SRT" if designator in _SNOMED_RT_DESIGNATORS else designator, meaning)


def coded(code: Code) -> Dataset:
    """A code sequence item, the way back from `code_of`."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def label_of(keyword: str) -> str:
    """How messages name an attribute: "(0018,5101) View Position"."""
    tag = Tag(tag_for_keyword(keyword))
    return f"({tag.group:04X},{tag.element:04X}) {dictionary_description(tag)}"


def _as_values(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return (value.decode("ascii", "replace") if isinstance(value, bytes) else value,)
    return tuple(value)
