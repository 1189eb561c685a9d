"""A provenance that is complete and says nothing in particular."""

import datetime
from typing import Any

from mammosynth.provenance import Provenance, Source

CREATED = datetime.datetime(2026, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)


def provenance(**changes: Any) -> Provenance:
    values: dict[str, Any] = {
        "task": "contrast",
        "bundle": "breast_contrast",
        "bundle_version": "1.2.0",
        "weights_sha256": "ab" * 32,
        "software_version": "0.1.0",
        "rendering": "expected",
        "seed": 7,
        "parameters": {"strength": 0.5},
        "created": CREATED,
        "sources": (Source("source", "IM1"),),
    }
    return Provenance(**{**values, **changes})
