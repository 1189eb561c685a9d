"""`Mammogram`: the one value that every room speaks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from mammosynth.terms import ImageLaterality, PresentationIntentType, ViewPosition

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Mammogram:
    """One mammographic view as display values, with what is needed to write a result back beside it.

    Attributes:
        pixels: (H, W) float32 in [0, 1], MONOCHROME2 sense (dense tissue bright), modality and VOI LUT applied,
            in the orientation in which the source stores it.
        source_name: How messages name this image: a file name or a SOP Instance UID, never a path or a patient.
        view_position: CC or MLO; None if neither the source nor the caller says.
        image_laterality: L or R; None if neither the source nor the caller says.
        pixel_spacing_mm: (row, column) spacing at the detector plane; None if the source has none.
        presentation_intent_type: None for sources without a DICOM header.
        valid: (H, W) bool, False where the source marks padding; None if every pixel is valid.
        header: The source's DICOM attributes without pixel data; None for other formats.
        warnings: What the reader had to assume, in sentences.
    """

    pixels: np.ndarray
    source_name: str
    view_position: ViewPosition | None = None
    image_laterality: ImageLaterality | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    presentation_intent_type: PresentationIntentType | None = None
    valid: np.ndarray | None = None
    header: Dataset | None = None
    warnings: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse values that would break every later room."""
        if self.pixels.ndim != 2 or self.pixels.dtype != np.float32:
            raise ValueError(f"pixels must be (H, W) float32, found {self.pixels.shape} {self.pixels.dtype}")
        if self.valid is not None and self.valid.shape != self.pixels.shape:
            raise ValueError(f"valid has shape {self.valid.shape}, pixels have {self.pixels.shape}")

    def with_pixels(self, pixels: np.ndarray) -> Mammogram:
        """The same view with other (H, W) float32 pixels.

        Raises:
            ValueError: If they have another shape.
        """
        if pixels.shape != self.pixels.shape:
            raise ValueError(f"pixels have shape {pixels.shape}, expected {self.pixels.shape}")
        return replace(self, pixels=pixels)
