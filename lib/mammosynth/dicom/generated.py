"""Which images are generated and so never sources; the one exception is the exposure of a phantom.

A phantom's images are generated, too, and say so. But its exposures, and what its simulated device recombined from
them, stand for what a device acquires: demonstration, tests and pre-training start from them. They are known by two
marks that nothing made by a model has: a UID under the root of phantoms and PRIMARY in Image Type.

What a model has made has UIDs under a root of their own. It is known by them even where somebody has removed all else
that says so, and a study of a fictitious patient can never be taken for one of a phantom.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from pydicom.dataset import Dataset

from mammosynth.dicom.attributes import SYNTHETIC_DATA, label_of, text_of, texts_of

PHANTOM_UID_ROOT = "2.25.207868622605944502100430434446828380484"  # PS3.5 B.2; drawn once; must never change
"""Every UID of a phantom lies under it."""
SYNTHESIZED_UID_ROOT = "2.25.945320380157217466402715170168784265"  # drawn like the other; must never change
"""Every UID of what a model has made lies under it: instances, series, and studies of fictitious patients."""
MANUFACTURER = "MammoSynth"
"""Manufacturer of everything that this software writes."""
GENERATED_DESCRIPTION = "SYNTHETIC"
"""First word of the Series Description of everything generated."""
_UID_LENGTH = 64  # PS3.5 section 9.1


def phantom_uid(*words: object) -> str:
    """The UID under the root of phantoms that stands for these words, always the same one."""
    return _uid_under(PHANTOM_UID_ROOT, words, digits=18)  # one fewer than fit: archives hold such UIDs


def is_phantom_uid(uid: str) -> bool:
    """Whether a UID lies under the root of phantoms."""
    return uid.startswith(f"{PHANTOM_UID_ROOT}.")


def synthesized_uid(*words: object) -> str:
    """The UID under the root of what models make that stands for these words, always the same one."""
    return _uid_under(SYNTHESIZED_UID_ROOT, words, digits=_UID_LENGTH - len(SYNTHESIZED_UID_ROOT) - 1)


def is_synthesized_uid(uid: str) -> bool:
    """Whether a UID lies under the root of what models make."""
    return uid.startswith(f"{SYNTHESIZED_UID_ROOT}.")


def _uid_under(root: str, words: Sequence[object], *, digits: int) -> str:
    digest = hashlib.sha256(json.dumps([str(word) for word in words]).encode()).digest()
    return f"{root}.{int.from_bytes(digest, 'big') % 10**digits}"


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
    if is_synthesized_uid(sop_instance_uid):
        return f"{label_of('SOPInstanceUID')} is one that {MANUFACTURER} gives to what it has synthesized"
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
