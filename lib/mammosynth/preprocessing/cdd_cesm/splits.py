"""Which split a patient belongs to: fixed for those whom this project knows, so that results stay comparable."""

from __future__ import annotations

import csv
import hashlib
from functools import cache
from importlib.resources import files

OTHER_SPLIT = "other"
SHARES = (("train", 0.7), ("val", 0.1), ("test", 0.2))  # chosen near the fixed split's 66, 12 and 22 % of pairs


def split_of(patient_id: str, seed: int | None) -> str:
    """The split of a patient, the same for all her images.

    Args:
        patient_id: P and the number that the data set gives her.
        seed: For patients outside the fixed split (`splits.csv`): one of train, val and test by a hash of seed and
            patient. None: they get `other`.
    """
    if patient_id in _fixed():
        return _fixed()[patient_id]
    if seed is None:
        return OTHER_SPLIT
    place = int.from_bytes(hashlib.sha256(f"{seed}:{patient_id}".encode()).digest()[:8]) / 2**64
    for name, share in SHARES[:-1]:
        if place < share:
            return name
        place -= share
    return SHARES[-1][0]


@cache
def _fixed() -> dict[str, str]:
    with files(__package__).joinpath("splits.csv").open(encoding="utf-8") as stream:
        return {row["patient"]: row["split"] for row in csv.DictReader(stream)}
