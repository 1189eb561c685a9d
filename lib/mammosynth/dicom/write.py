"""What is the same for every instance that is written: UIDs, stored values, and a file that is whole or not there."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from mammosynth.atomic import atomic_path
from mammosynth.dicom.stored import bands

BITS_STORED = 16  # MG allows 8 to 16; all 16, so that NRRD for Slicer and DICOM for OHIF hold equal numbers
STORED_MAXIMUM = (1 << BITS_STORED) - 1
IMPLEMENTATION_CLASS_UID = "2.25.142162225694455317407587679010536471429"  # PS3.7 D.3.3.2; must never change


def write_instance(dataset: Dataset, path: Path) -> None:
    """Write an instance as a DICOM file, whole or not at all.

    Raises:
        OutputError: If the file cannot be written.
    """
    with atomic_path(path) as temporary:
        pydicom.dcmwrite(temporary, dataset, write_like_original=False)


def new_uid() -> str:
    """A random UID (PS3.5 B.2), for what a person makes; see `generated.synthesized_uid` for what a model makes."""
    return f"2.25.{uuid.uuid4().int}"


def to_stored_values(pixels: np.ndarray) -> np.ndarray:
    """[0, 1] as uint16 0..65535, rounded; what is outside [0, 1] saturates.

    Raises:
        ValueError: If a value is not finite.
    """
    if not np.isfinite(pixels).all():
        raise ValueError("pixels hold values that are not finite")
    stored = np.empty(pixels.shape, np.uint16)
    for rows in bands(len(pixels)):
        stored[rows] = np.rint(np.clip(pixels[rows].astype(np.float64), 0.0, 1.0) * STORED_MAXIMUM)
    return stored
