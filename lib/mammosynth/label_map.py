"""`LabelMap`: what somebody has drawn, as numbers per pixel; the second value that every room speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mammosynth.terms import ImageLaterality, ViewPosition

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A drawing: lesions on an image, or the parts of a breast.

    Attributes:
        labels: (H, W) uint8, 0 where nothing is drawn; in the matrix and orientation of the image it is drawn on.
        source_name: How messages and provenance name it: a file name or a SOP Instance UID, never a path or a patient.
        classes: What the numbers mean; those that are not named are known by their number alone.
        pixel_spacing_mm: (row, column) spacing; None if unknown.
        view_position: Of the breast that is drawn; None if it is not said.
        image_laterality: Likewise.
        header: Of the DICOM Segmentation that it was read from, without pixel data; None for other origins.
    """

    labels: np.ndarray
    source_name: str
    classes: Mapping[int, str] = field(default_factory=dict)
    pixel_spacing_mm: tuple[float, float] | None = None
    view_position: ViewPosition | None = None
    image_laterality: ImageLaterality | None = None
    header: Dataset | None = None

    def __post_init__(self) -> None:
        """Refuse what is no label map."""
        if self.labels.ndim != 2 or self.labels.dtype != np.uint8:
            raise ValueError(f"labels must be (H, W) uint8, found {self.labels.shape} {self.labels.dtype}")
