"""Which images are generated and so never sources; the one exception is the exposure of a phantom.

A phantom's images are generated, too, and say so. But its exposures, and what its simulated device recombined from
them, stand for what a device acquires: demonstration, tests and pre-training start from them. They are known by two
marks that nothing made by a model has: a UID under the root of phantoms and PRIMARY in Image Type.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from pydicom.dataset import Dataset

from mammosynth.dicom.attributes import SYNTHETIC_DATA, label_of, text_of, texts_of

PHANTOM_UID_ROOT = "2.25.207868622605944502100430434446828380484"  # PS3.5 B.2; drawn once; must never change
"""Every UID of a phantom lies under it."""
MANUFACTURER = "MammoSynth"
"""Manufacturer of everything that this software writes."""
GENERATED_DESCRIPTION = "SYNTHETIC"
"""First word of the Series Description of everything generated."""
_UID_DIGITS = 18  # with the root 63 of the 64 characters that a UID may have


def phantom_uid(*words: object) -> str:
    """The UID under the root of phantoms that stands for these words, always the same one."""
    digest = hashlib.sha256(json.dumps([str(word) for word in words]).encode()).digest()
    return f"{PHANTOM_UID_ROOT}.{int.from_bytes(digest, 'big') % 10**_UID_DIGITS}"


def is_phantom_uid(uid: str) -> bool:
    """Whether a UID lies under the root of phantoms."""
    return uid.startswith(f"{PHANTOM_UID_ROOT}.")


def generated_mark(
    *,
    synthetic_data: str = "",
    image_type: Sequence[str | None] = (),
    series_description: str = "",
    sop_instance_uid: str = "",
) -> str:
    """The mark that keeps an image from being a source, as messages name it; "" if it may be one.

    Args:
        synthetic_data: Synthetic Data (0008,001C).
        image_type: All values of Image Type (0008,0008).
        series_description: Series Description (0008,103E).
        sop_instance_uid: SOP Instance UID (0008,0018).
    """
    types = [str(value or "").upper() for value in image_type]  # DICOM JSON has null for empty values
    if is_phantom_uid(sop_instance_uid) and types[1:2] == ["PRIMARY"]:
        return ""
    if synthetic_data.upper() == "YES":
        return "(0008,001C) Synthetic Data is 'YES'"
    if GENERATED_DESCRIPTION in types:
        return f"{label_of('ImageType')} has the value '{GENERATED_DESCRIPTION}'"
    if series_description.upper().startswith(GENERATED_DESCRIPTION):
        return f"{label_of('SeriesDescription')} starts with '{GENERATED_DESCRIPTION}'"
    return ""


def generated_mark_of(header: Dataset) -> str:
    """The same of a header."""
    return generated_mark(
        synthetic_data=text_of(header, SYNTHETIC_DATA),
        image_type=texts_of(header, "ImageType"),
        series_description=text_of(header, "SeriesDescription"),
        sop_instance_uid=text_of(header, "SOPInstanceUID"),
    )


def is_generated_series(series_description: str, series_instance_uid: str) -> bool:
    """Whether a series holds generated images, by what an archive tells of a series; phantoms' series do not count."""
    described = series_description.upper().startswith(GENERATED_DESCRIPTION)
    return described and not is_phantom_uid(series_instance_uid)
