"""UIDs of results, from everything that decides their pixels: the same work has the same UIDs, other work others.

So a job that is done again stores the same instance, not a second one, and an archive that holds an instance holds what
was asked for. That an input was read in another way, or by another version of the software, is other work.

Example:
    >>> source = instance_identity("1.2.3")
    >>> work = {"bundle": "b", "bundle_version": "1", "weights_sha256": "ab", "software_version": "0.1.0"}
    >>> how = {"rendering": "expected", "seed": 0, "burned_in_mark": True, "parameters": {}}
    >>> digest = work_digest(**work, **how, inputs={"source": source})
    >>> derived_uid(digest, "instance", "image").startswith("2.25.")
    True
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mammosynth.dicom.generated import synthesized_uid

_EXACT = 2**53  # whole numbers below it are the same in JSON whether or not somebody writes ".0"


def work_digest(
    *,
    bundle: str,
    bundle_version: str,
    weights_sha256: str,
    software_version: str,
    rendering: str,
    seed: int,
    burned_in_mark: bool,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]],
) -> str:
    """One word for a piece of work.

    Args:
        bundle: Name of the model bundle.
        bundle_version: Version in its metadata.
        weights_sha256: Hash of its weights.
        software_version: Version of this package.
        rendering: "expected" or "sampled".
        seed: Of the synthesis.
        burned_in_mark: Whether the mark is in the pixels.
        parameters: The model's parameters, JSON values with all defaults filled in.
        inputs: By role, as `instance_identity`, `series_identity`, `value_identity` or `content_identity` give them.

    Returns:
        SHA-256, hexadecimal; the order of keys does not matter.

    Raises:
        TypeError: If something is no JSON value.
        ValueError: If a number is not finite.
    """
    return _sha256(
        {
            "bundle": bundle,
            "bundle_version": bundle_version,
            "weights_sha256": weights_sha256,
            "software_version": software_version,
            "rendering": rendering,
            "seed": seed,
            "burned_in_mark": burned_in_mark,
            "parameters": parameters,
            "inputs": inputs,
        }
    )


def derived_uid(digest: str, kind: str, role: str, *, view_index: int = 0) -> str:
    """The UID of one thing that a piece of work makes.

    A series that collects the results of several views has one UID if its digest is over `series_identity` of their
    common series, while each of its instances has a digest over `instance_identity` of its own source.

    Args:
        digest: From `work_digest`.
        kind: "instance", "series", "study" or "frame of reference".
        role: Of the output: "image", "uncertainty", "labels".
        view_index: Which of several outputs of one role, from 0.
    """
    return synthesized_uid(digest, kind, role, str(view_index))


def instance_identity(
    sop_instance_uid: str, *, view_position: str | None = None, image_laterality: str | None = None
) -> dict[str, Any]:
    """What stands for an image or a Segmentation of an archive.

    Args:
        sop_instance_uid: Its own.
        view_position: What it is read as, if the caller has said so; None if its header was believed.
        image_laterality: Likewise.
    """
    return {"sop_instance_uid": sop_instance_uid, **_read_as(view_position, image_laterality)}


def series_identity(
    series_instance_uid: str, *, view_position: str | None = None, image_laterality: str | None = None
) -> dict[str, Any]:
    """What stands for all images of a series, whichever of them are used; see `instance_identity`."""
    return {"series_instance_uid": series_instance_uid, **_read_as(view_position, image_laterality)}


def content_identity(content: bytes) -> dict[str, Any]:
    """What stands for a label map without UIDs: its bytes."""
    return {"content_sha256": hashlib.sha256(content).hexdigest()}


def value_identity(value: Any) -> dict[str, Any]:
    """What stands for JSON values.

    Raises:
        TypeError: If it holds something that is no JSON value.
        ValueError: If a number is not finite.
    """
    return {"json_sha256": _sha256(value)}


def _read_as(view_position: str | None, image_laterality: str | None) -> dict[str, Any]:
    said = {"view_position": view_position, "image_laterality": image_laterality}
    return {name: str(value) for name, value in said.items() if value is not None}


def _sha256(value: Any) -> str:
    text = json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _canonical(value: Any) -> Any:
    """The same JSON value, in the one way in which it is hashed."""
    if isinstance(value, Mapping):
        if other := [name for name in value if not isinstance(name, str)]:
            raise TypeError(f"{other[0]!r} is no name in JSON, expected a string")
        return {str(name): _canonical(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(each) for each in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} is no JSON value")
