"""Provenance in a header: whole in private elements of ours, and what the standard's own elements say without them.

The text is JSON in which everything but plain printable characters is percent-encoded (RFC 3986). So it does not depend
on the header's character set, and has no backslash, at which Orthanc 1.10 splits unlimited text in DICOMweb's JSON;
binary elements would be left out of that JSON as bulk data.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import SegmentationStorage
from pydicom.valuerep import DT

from mammosynth.dicom.attributes import items_of, text_of, texts_of, value_of
from mammosynth.dicom.generated import MANUFACTURER
from mammosynth.provenance import Provenance, Source
from mammosynth.task import IMAGE, LABELS, UNCERTAINTY

CREATOR = "MAMMOSYNTH"
"""Private Creator of our elements."""
_GROUP, _PROVENANCE, _ROLE = 0x0099, 0x01, 0x02  # UT and LO
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in "%\\")
_WEIGHTS = re.compile(r"weights sha256 ([0-9a-f]{64})")


def write_provenance(dataset: Dataset, provenance: Provenance, role: str) -> None:
    """Add the private elements to a dataset.

    Args:
        dataset: Is changed.
        provenance: What made it.
        role: What it is of the result: "image", "uncertainty", "labels", or another word of the task's own.
    """
    block = dataset.private_block(_GROUP, CREATOR, create=True)
    block.add_new(_PROVENANCE, "UT", quote(json.dumps(provenance.as_json()), safe=_PLAIN))
    block.add_new(_ROLE, "LO", role)


def read_provenance(header: Dataset) -> dict[str, Any]:
    """What made an instance, as `Provenance.as_json` gives it.

    An archive may have dropped the private elements, and older images have none: then what the standard's own elements
    say, as far as they say it.

    Args:
        header: Of any instance, also as DICOMweb's JSON gives it.

    Returns:
        JSON values; empty if the header says nothing.
    """
    try:
        found = json.loads(unquote(_private_text(header, _PROVENANCE)))
    except ValueError:
        found = None
    return found if isinstance(found, dict) else _read_standard_elements(header)


def read_role(header: Dataset) -> str:
    """What a synthesized instance is of its result; "image" if nothing says otherwise."""
    if role := _private_text(header, _ROLE).strip():
        return role
    if text_of(header, "SOPClassUID") == SegmentationStorage:
        return LABELS
    return UNCERTAINTY if "UNCERTAINTY" in text_of(header, "SeriesDescription").split() else IMAGE


def _private_text(header: Dataset, element: int) -> str:
    """The text of one of our elements; "" if there is none."""
    try:
        tag = header.private_block(_GROUP, CREATOR).get_tag(element)
    except (KeyError, ValueError):
        return ""
    value = value_of(header, Tag(tag))
    # Whoever has stored the file in implicit VR has lost ours: then the value is bytes.
    return value.decode("ascii", "replace").rstrip("\0 ") if isinstance(value, bytes) else str(value or "")


def _read_standard_elements(header: Dataset) -> dict[str, Any]:
    described = Provenance.parse_description(str(value_of(header, "DerivationDescription") or ""))
    ours = [
        item
        for item in items_of(header, "ContributingEquipmentSequence")
        if text_of(item, "Manufacturer") == MANUFACTURER.upper()
    ]
    if not ours:
        return described
    equipment = ours[0]
    versions = value_of(equipment, "SoftwareVersions")
    versions = [versions] if isinstance(versions, str) else [str(version) for version in versions or ()]
    weights = _WEIGHTS.search(str(value_of(equipment, "ContributionDescription") or ""))
    said = {
        "bundle": value_of(equipment, "ManufacturerModelName"),
        "software_version": versions[0] if len(versions) == 2 else None,
        "bundle_version": versions[1] if len(versions) == 2 else None,
        "weights_sha256": weights[1] if weights else None,
        "created": _iso(value_of(equipment, "ContributionDateTime")),
        "sources": [_source(item) for item in items_of(header, "SourceImageSequence")],
    }
    return {name: value for name, value in said.items() if value is not None} | described


def _source(reference: Dataset) -> dict[str, Any]:
    uid = next(iter(texts_of(reference, "ReferencedSOPInstanceUID")), "")
    sop_class = next(iter(texts_of(reference, "ReferencedSOPClassUID")), None)
    return vars(Source("source", uid, sop_instance_uid=uid, sop_class_uid=sop_class))


def _iso(moment: Any) -> str | None:
    """A DICOM date and time in ISO 8601; None if there is none or it is malformed."""
    try:
        found = DT(str(moment)) if moment else None
    except ValueError:
        return None
    return found.isoformat() if isinstance(found, datetime) else None
