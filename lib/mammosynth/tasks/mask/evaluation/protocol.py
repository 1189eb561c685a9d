"""What is measured of one mammogram and its label map, in a frame of 512 rows with the chest wall on the left.

Every width is in pixels of that frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from mammosynth.evaluation.pretrained_features import pretrained_features
from mammosynth.evaluation.texture import features, interior, moments, through_codec
from mammosynth.preprocessing.breast import chest_wall_on_left, segment_breast
from mammosynth.preprocessing.look import JPEG_QUALITY, Look
from mammosynth.tasks.mask.classes import BreastClass, is_lesion
from mammosynth.tasks.mask.style import lesion_contrast

ROWS = 512
LEAST_TISSUE = 500
"""Fewer pixels than these have no contrast worth a number."""
THUMBNAIL = (64, 40)
"""Grid on which images are compared as wholes."""


@dataclass(frozen=True, eq=False)
class Shown:
    """An image as it is judged, and the label map it is judged by.

    Attributes:
        pixels: (512, W) float32 in [0, 1].
        labels: (512, W) uint8.
    """

    pixels: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, pixels: np.ndarray, labels: np.ndarray, look: Look, *, generated: bool) -> Shown:
        """Turned, in the frame, and through the codec that real images of this look went through.

        Args:
            pixels: (H, W) float32 in [0, 1].
            labels: (H, W) uint8, on the same matrix.
            look: Of the real images.
            generated: Whether the image has still to go through the codec.
        """
        if not chest_wall_on_left(labels > 0):
            pixels, labels = pixels[:, ::-1], labels[:, ::-1]
        pixels, labels = in_frame(pixels, Image.Resampling.BOX), in_frame(labels, Image.Resampling.NEAREST)
        return cls(through_codec(pixels, JPEG_QUALITY[look]) if generated else pixels, labels)

    @cached_property
    def interior(self) -> np.ndarray:
        """The breast without its rim."""
        return interior(self.pixels)

    @cached_property
    def features(self) -> np.ndarray:
        """(34,) float64; see `texture.features`."""
        return features(self.pixels, self.interior)

    @cached_property
    def pretrained_features(self) -> np.ndarray:
        """(112,) float64; see `pretrained_features`."""
        return pretrained_features(self.pixels, self.interior)

    @cached_property
    def moments(self) -> np.ndarray:
        """(5,) float64."""
        return moments(self.pixels[self.interior])

    @cached_property
    def outline_overlap(self) -> float:
        """Intersection over union of the breast that is seen with the breast that is drawn."""
        seen, drawn = segment_breast(self.pixels, background=0.0), self.labels > BreastClass.BACKGROUND
        return float((seen & drawn).sum() / max((seen | drawn).sum(), 1))

    @cached_property
    def lesion_contrast(self) -> float:
        """D: mean grey of the lesions minus that of the ring around them; NaN without enough of either."""
        return lesion_contrast(self.pixels, is_lesion(self.labels))

    @cached_property
    def gland_contrast(self) -> float:
        """Mean grey of fibroglandular minus that of adipose tissue; NaN without enough of either."""
        gland, adipose = self.labels == BreastClass.FIBROGLANDULAR, self.labels == BreastClass.ADIPOSE
        if min(gland.sum(), adipose.sum()) <= LEAST_TISSUE:
            return float("nan")
        return float(self.pixels[gland].mean() - self.pixels[adipose].mean())

    @cached_property
    def thumbnail(self) -> np.ndarray:
        """(64, 40) float32, the breast's box: two images are near if these are."""
        rows, columns = np.flatnonzero(self.labels.any(axis=1)), np.flatnonzero(self.labels.any(axis=0))
        box = self.pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return np.asarray(Image.fromarray(box).resize(THUMBNAIL[::-1], Image.Resampling.BOX))


def in_frame(pixels: np.ndarray, resampling: Image.Resampling) -> np.ndarray:
    """Resized to 512 rows, with the same aspect."""
    if pixels.shape[0] == ROWS:
        return np.ascontiguousarray(pixels)
    columns = max(1, round(pixels.shape[1] * ROWS / pixels.shape[0]))
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((columns, ROWS), resampling))
