"""`Case`, `Dataset`: what the loop needs to know of a task's training data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mammosynth.errors import DataError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.problems import Problems

Cases = Sequence["Case"]


class Case(Protocol):
    """One example with its answer.

    Attributes:
        name: How messages name it.
        patient_id: Groups the cases of one patient, who is in one split only.
    """

    @property
    def name(self) -> str:
        """See the class."""

    @property
    def patient_id(self) -> str:
        """See the class."""

    def digest(self) -> str:
        """SHA-256 of everything that a network learns from, hexadecimal."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Cases that can be trained on.

    Attributes:
        train: As the objective takes them, on the CPU.
        val: Likewise.
        warnings: Of what is odd but may be meant.
    """

    train: list[Any]
    val: list[Any]
    warnings: tuple[str, ...] = ()


class Dataset(Protocol):
    """Where a task's cases come from, and what becomes of them before the first step."""

    def read(self, place: Path, split: str) -> Cases:
        """The cases of one split of a folder.

        Raises:
            DataError: If the layout or the split is unknown, or any file is bad; every bad file is listed.
        """

    def splits(self, place: Path) -> list[str]:
        """Names of the splits of a folder.

        Raises:
            DataError: If the layout is unknown; the accepted ones are named.
        """

    def collect(self, images: Iterable[Mammogram], label_maps: Sequence[LabelMap]) -> Cases:
        """The cases among the acquired images of an archive.

        Args:
            images: With their headers; read one by one.
            label_maps: Drawn on them, with the headers of their segmentations.

        Raises:
            DataError: If there are none; what was looked for is said.
        """

    def prepare(self, train: Cases, val: Cases, preprocessing: Any) -> Prepared:
        """All cases in the form that objectives take, if nothing is wrong with any.

        Args:
            train: At least one.
            val: Of other patients; may be empty.
            preprocessing: Of the model that is trained.

        Raises:
            DataError: With everything that is wrong, one line each.
        """


def read_splits(dataset: Dataset, place: Path) -> tuple[Cases, Cases]:
    """The cases of the splits "train" and "val" of a folder.

    Raises:
        DataError: With what is wrong in both.
    """
    found: list[Cases] = []
    problems = Problems()  # what is wrong with the folder is wrong with both splits, and told once
    for split in ("train", "val"):
        with problems.catching(DataError):
            found.append(dataset.read(place, split))
    problems.raise_if_any()
    return found[0], found[1]


def hash_cases(cases: Cases) -> str:
    """SHA-256 over all cases, independent of order."""
    return hashlib.sha256("".join(sorted(case.digest() for case in cases)).encode()).hexdigest()


def count_cases(cases: Cases) -> dict[str, int]:
    """How many cases and patients."""
    return {"cases": len(cases), "patients": len({case.patient_id for case in cases})}


def pseudonym_of(view: Mammogram, study: str) -> str:
    """What groups the images of a patient of an archive, without telling who it is.

    Args:
        view: One of them.
        study: Its Study Instance UID, for images that name no patient.
    """
    patient = str(view.header.get("PatientID", "")) if view.header is not None else ""
    return hashlib.sha256((patient or study).encode()).hexdigest()[:16]
