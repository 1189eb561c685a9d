"""`split_of`: where a patient belongs, in sets whose authors have not said it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

TRAIN, VAL, TEST = "train", "val", "test"


def split_of(patient: str, percent: Mapping[str, int]) -> str:
    """The same for a patient whoever else is there, by the SHA-256 of the name.

    Args:
        patient: Within the set.
        percent: Split to its share; they add up to 100.

    Raises:
        ValueError: If they do not.
    """
    place, reached = int(hashlib.sha256(patient.encode()).hexdigest(), 16) % 100, 0
    for split, share in percent.items():
        reached += share
        if place < reached:
            return split
    raise ValueError(f"shares are {dict(percent)}, expected such that add up to 100")
