"""What archive and gateway both need of DICOMweb's JSON (PS3.18 annex F) and of identifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UID_PATTERN = r"^[0-9]+(\.[0-9]+)*$"  # PS3.5 section 9; leading zeros, which real files have, do no harm
UID_MAX_LENGTH = 64  # PS3.5 section 9.1


def value_of(attributes: Mapping[str, Any], tag: str, default: Any = None) -> Any:
    """The first value of an element given by its eight hexadecimal digits; the default if absent or empty."""
    values = attributes.get(tag, {}).get("Value") or [default]
    return values[0]
