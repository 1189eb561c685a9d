"""Radiomic features of a lesion: a fixed, versioned set, as pyradiomics computes it.

102 features of first order, shape, GLCM, GLRLM, GLSZM, GLDM and NGTDM (van Griethuysen et al. 2017,
doi:10.1158/0008-5472.CAN-17-0339), named as there, which follow the Image Biomarker Standardisation Initiative
(Zwanenburg et al. 2020, doi:10.1148/radiol.2020191145) in all but small things. What a feature is depends on pixel size
and bins, so both are fixed: images are resampled to pixels of 0.5 mm, or to 512 rows where no spacing is known; unit
grey is 255, in bins of 8.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mammosynth.counts import count_of
from mammosynth.errors import MammoSynthError, UnsupportedImageError

VERSION = "1"
"""Changes whenever the same pixels give other numbers."""
FAMILIES = ("firstorder", "shape2D", "glcm", "glrlm", "glszm", "gldm", "ngtdm")
COUNT = 102
PIXEL_MM, ROWS = 0.5, 512
"""Pixels to which images of known spacing are resampled, and the height of the others."""
GREY_LEVELS, BIN_WIDTH = 255.0, 8.0
LEAST_PIXELS = 16
"""Of a lesion that has a texture."""
SETTINGS = {
    "version": VERSION,
    "pixel_mm": PIXEL_MM,
    "rows_without_spacing": ROWS,
    "grey_levels": GREY_LEVELS,
    "bin_width": BIN_WIDTH,
    "families": list(FAMILIES),
}

Table = dict[str, dict[str, float]]
_TABLE: ContextVar[Table | None] = ContextVar("radiomics", default=None)


def check_pyradiomics() -> None:
    """Find out whether features can be measured, before anything long begins.

    Raises:
        MammoSynthError: If pyradiomics is not installed.
    """
    if importlib.util.find_spec("radiomics") is None:
        raise MammoSynthError(
            "pyradiomics is not installed, which measures lesions; install it: "
            "python -m pip install --no-build-isolation --no-deps pyradiomics==3.0.1"
        )


def extract_radiomics(
    pixels: np.ndarray, lesion: np.ndarray, pixel_spacing_mm: tuple[float, float] | None = None
) -> dict[str, float]:
    """The features of one lesion by name, for example `glcm_Contrast`.

    Args:
        pixels: (H, W) float32 in [0, 1].
        lesion: (H, W) bool; all that is drawn is one region.
        pixel_spacing_mm: (row, column); None if it is unknown.

    Raises:
        UnsupportedImageError: If shapes differ, or the lesion has fewer than 16 pixels after resampling.
        MammoSynthError: If pyradiomics is not installed.
    """
    if pixels.shape != lesion.shape:
        raise UnsupportedImageError(
            f"the lesion mask has {lesion.shape[0]} x {lesion.shape[1]} pixels, the image {pixels.shape[0]} x "
            f"{pixels.shape[1]}; draw on the image itself"
        )
    shape = _shape_resampled(pixels.shape, pixel_spacing_mm)
    image, region = _resampled(pixels, shape), _resampled(lesion.astype(np.float32), shape) > 0.5
    if region.sum() < LEAST_PIXELS:
        raise UnsupportedImageError(
            f"the lesion has {count_of(int(region.sum()), 'pixel')} of {PIXEL_MM} mm, expected {LEAST_PIXELS} and "
            "more; draw more"
        )
    table = _TABLE.get()
    if table is None:
        return _features(image, region)
    key = hashlib.sha256(f"{VERSION} {image.shape} ".encode() + image.tobytes() + region.tobytes()).hexdigest()
    if key not in table:
        table[key] = _features(image, region)
    return dict(table[key])


@contextmanager
def remembering(table: Table) -> Iterator[None]:
    """Within, features are taken from a table, and those that it lacks are added to it.

    A table that was filled elsewhere does for a machine without pyradiomics.

    Args:
        table: By SHA-256 of a lesion's pixels and shape.
    """
    before = _TABLE.set(table)
    try:
        yield
    finally:
        _TABLE.reset(before)


def _features(image: np.ndarray, region: np.ndarray) -> dict[str, float]:
    """A true two-dimensional image keeps both directions only with force2D off."""
    check_pyradiomics()
    import SimpleITK as sitk
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    logging.getLogger("radiomics").setLevel(logging.ERROR)
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    box = slice(max(rows[0] - 2, 0), rows[-1] + 3), slice(max(columns[0] - 2, 0), columns[-1] + 3)
    extractor = RadiomicsFeatureExtractor(binWidth=BIN_WIDTH, force2D=False, correctMask=False)
    extractor.disableAllFeatures()
    for family in FAMILIES:
        extractor.enableFeatureClassByName(family)
    grey = sitk.GetImageFromArray((image[box] * GREY_LEVELS).astype(np.float64))
    told = extractor.execute(grey, sitk.GetImageFromArray(region[box].astype(np.uint8)))
    prefix = "original_"
    return {name.removeprefix(prefix): float(value) for name, value in told.items() if name.startswith(prefix)}


def _shape_resampled(shape: tuple[int, ...], spacing: tuple[float, float] | None) -> tuple[int, int]:
    if spacing is None:
        scale = ROWS / shape[0]
        return ROWS, max(1, round(shape[1] * scale))
    return max(1, round(shape[0] * spacing[0] / PIXEL_MM)), max(1, round(shape[1] * spacing[1] / PIXEL_MM))


def _resampled(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Means of pixels where it becomes smaller, linear where it becomes larger."""
    if pixels.shape == shape:
        return pixels
    how = Image.Resampling.BOX if shape[0] <= pixels.shape[0] else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels, np.float32)).resize((shape[1], shape[0]), how))


@dataclass(frozen=True, eq=False)
class RadiomicScaling:
    """How features become what a network sees: compressed (arsinh), then by the training lesions' mean and deviation.

    Attributes:
        mean: (102,) float64 of the compressed features.
        deviation: (102,) float64, likewise.
    """

    mean: np.ndarray
    deviation: np.ndarray

    LIMIT = 4.0
    """Scaled features are cut here: some have long tails."""

    @classmethod
    def fit(cls, lesions: np.ndarray) -> RadiomicScaling:
        """Of training lesions, (N, 102)."""
        rows = np.arcsinh(lesions)
        return cls(rows.mean(axis=0), rows.std(axis=0) + 1e-9)

    def __call__(self, features: np.ndarray | None) -> np.ndarray:
        """(103,) float32: the scaled features and 1; all zero without a lesion."""
        if features is None:
            return np.zeros(COUNT + 1, np.float32)
        scaled = (np.arcsinh(features) - self.mean) / self.deviation
        return np.append(np.clip(scaled, -self.LIMIT, self.LIMIT), 1.0).astype(np.float32)
