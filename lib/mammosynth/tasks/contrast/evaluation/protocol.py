"""Protocol A: which pixels of a low-energy/recombined pair count, in a frame of 512 pixels.

Every width below is in pixels of that frame. Regions are decided once per pair and are the same for every method.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import overload

import numpy as np
from PIL import Image
from scipy import ndimage

from mammosynth.errors import DataError
from mammosynth.preprocessing.breast import chest_wall_on_left, erode, segment_breast, skin_distance
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.terms import ViewPosition

FRAME = (512, 512)
RIM = 3
"""Eroded from both breast masks: they were cropped by hand, separately."""
SKIN = 30
"""Interior pixels lie deeper than this under the skin."""
NIPPLE = 50
"""Interior pixels lie farther than this from the nipple."""
LESION_MARGIN = 20
"""Normal tissue lies farther than this from every drawn lesion."""
RING = (5, 25)
"""Tissue around a lesion, by distance to it."""
BACKGROUND_SIGMA = 30.0
HOT_SIGMA = 2.0


def into_frame(pair: ContrastPair) -> ContrastPair:
    """The pair in the frame, as CDD-CESM was laid into it: in the middle of a black square, which is then resized.

    Args:
        pair: Of any size. One that is in the frame is returned as it is; of others, pixel spacing and header are lost.
    """
    source = pair.low_energy
    if source.pixels.shape == FRAME:
        return pair
    low_energy = replace(
        source, pixels=_squared(source.pixels), valid=_squared(source.valid), pixel_spacing_mm=None, header=None
    )
    masks = {name: _squared(getattr(pair, name)) for name in ("recombined_breast", "lesion", "low_energy_lesion")}
    published = pair.recombined if pair.published is None else pair.published
    return replace(
        pair, low_energy=low_energy, recombined=_squared(pair.recombined), published=_squared(published), **masks
    )


@dataclass(frozen=True, eq=False)
class Case:
    """A pair turned so that the chest wall is on the left.

    Attributes:
        name: The low-energy image's name.
        patient_id: Groups cases for the bootstrap.
        view_position: CC or MLO.
        mirrored: Whether the pair was mirrored to get here.
        low_energy: (512, 512) float32 in [0, 1].
        recombined: (512, 512) float32 in [0, 1], registered onto the low-energy image.
        breast: (512, 512) bool, of the low-energy image.
        recombined_breast: (512, 512) bool, of the registered recombined image.
        lesion: (512, 512) bool, drawn on the recombined image, inside the breast.
    """

    name: str
    patient_id: str
    view_position: ViewPosition
    mirrored: bool
    low_energy: np.ndarray
    recombined: np.ndarray
    breast: np.ndarray
    recombined_breast: np.ndarray
    lesion: np.ndarray

    @classmethod
    def from_pair(cls, pair: ContrastPair) -> Case:
        """The case of a pair.

        Raises:
            DataError: If the image is not 512 x 512, or shows no breast.
        """
        source = pair.low_energy
        if source.pixels.shape != FRAME:
            raise DataError(
                f"{source.source_name}: is {source.pixels.shape}, Protocol A needs {FRAME}; resize and pad it"
            )
        breast = segment_breast(source.pixels, source.valid, background=0.0)
        if not breast.any() or source.view_position is None:
            raise DataError(f"{source.source_name}: shows no breast or has no view position; leave it out")
        support = pair.recombined_breast
        if support is None:
            support = segment_breast(pair.recombined, background=0.0)
        lesion = np.zeros(FRAME, bool) if pair.lesion is None else pair.lesion & breast
        mirrored = not chest_wall_on_left(breast)
        images = [source.pixels, pair.recombined, breast, support, lesion]
        turned = [np.ascontiguousarray(image[:, ::-1]) if mirrored else image for image in images]
        return cls(source.source_name, pair.patient_id, source.view_position, mirrored, *turned)

    def turn(self, pixels: np.ndarray) -> np.ndarray:
        """An image in the source's orientation, turned as the case is."""
        return np.ascontiguousarray(pixels[:, ::-1]) if self.mirrored else pixels

    @cached_property
    def shared(self) -> np.ndarray:
        """Where both images show breast."""
        return self.breast & self.recombined_breast

    @cached_property
    def scored(self) -> np.ndarray:
        """M: where both images show breast, without its rim."""
        return erode(self.breast, RIM) & erode(self.recombined_breast, RIM)

    @cached_property
    def depth(self) -> np.ndarray:
        """Distance to the skin in pixels."""
        return skin_distance(self.breast)

    @cached_property
    def interior(self) -> np.ndarray:
        """S: the scored area without skin and nipple."""
        rows, columns = np.nonzero(self.breast)
        tip = columns.max()
        nipple_row = rows[columns >= tip - 1].mean()
        y, x = np.mgrid[: FRAME[0], : FRAME[1]]
        return self.scored & (self.depth >= SKIN) & ((y - nipple_row) ** 2 + (x - tip) ** 2 >= NIPPLE**2)

    @cached_property
    def lesion_distance(self) -> np.ndarray:
        """Distance to the nearest drawn lesion in pixels."""
        if not self.lesion.any():
            return np.full(FRAME, np.inf)
        return ndimage.distance_transform_edt(~self.lesion)

    @cached_property
    def interior_lesion(self) -> np.ndarray:
        """L: lesion pixels of the interior."""
        return self.lesion & self.interior

    @cached_property
    def normal(self) -> np.ndarray:
        """N: interior pixels far from any lesion."""
        return self.interior & (self.lesion_distance > LESION_MARGIN)

    @cached_property
    def ring(self) -> np.ndarray:
        """R: interior pixels around the lesions."""
        return self.interior & (self.lesion_distance > RING[0]) & (self.lesion_distance <= RING[1])

    @property
    def has_lesion(self) -> bool:
        """Whether lesion and normal tissue are large enough to be told apart."""
        return bool(self.interior_lesion.sum() >= 50 and self.normal.sum() >= 500)

    @property
    def has_ring(self) -> bool:
        """Whether lesion and ring are large enough for their contrast."""
        return bool(self.interior_lesion.sum() >= 50 and self.ring.sum() >= 200)

    def smooth(self, pixels: np.ndarray) -> np.ndarray:
        """The image smoothed within the scored area."""
        return smooth_within(pixels, self.scored, HOT_SIGMA)

    def background(self, pixels: np.ndarray) -> np.ndarray:
        """What varies slowly within the scored area, at half the resolution for speed."""

        def halve(image: np.ndarray) -> np.ndarray:
            return image.reshape(FRAME[0] // 2, 2, FRAME[1] // 2, 2).mean(axis=(1, 3))

        weight = self.scored.astype(np.float32)
        smooth = smooth_halves(halve(pixels * weight), halve(weight))
        return ndimage.zoom(smooth, 2, order=1, grid_mode=True, mode="nearest")

    @cached_property
    def real_smooth(self) -> np.ndarray:
        """The real image smoothed."""
        return self.smooth(self.recombined)

    @cached_property
    def real_hot(self) -> np.ndarray:
        """The brightest 5 % of the interior of the smoothed real image."""
        return hottest(self.real_smooth, self.interior)

    @cached_property
    def real_high_pass(self) -> np.ndarray:
        """The smoothed real image without its background."""
        return self.real_smooth - self.background(self.recombined)


def smooth_within(pixels: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing that takes values from inside the mask only."""
    weight = mask.astype(np.float32)
    total = ndimage.gaussian_filter(pixels * weight, sigma)
    return total / np.maximum(ndimage.gaussian_filter(weight, sigma), 1e-3)


def smooth_halves(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`smooth_within` with the background's width, of images at half the resolution."""
    sigma = BACKGROUND_SIGMA / 2
    return ndimage.gaussian_filter(total, sigma) / np.maximum(ndimage.gaussian_filter(weight, sigma), 1e-3)


def hottest(smooth: np.ndarray, interior: np.ndarray) -> np.ndarray:
    """The brightest 5 % of the interior."""
    if not interior.any():
        return np.zeros_like(interior)
    return interior & (smooth > np.percentile(smooth[interior], 95))


@overload
def _squared(pixels: np.ndarray) -> np.ndarray: ...
@overload
def _squared(pixels: None) -> None: ...
def _squared(pixels: np.ndarray | None) -> np.ndarray | None:
    """Grey values linearly, over as many pixels as become one; masks by the nearest."""
    if pixels is None:
        return None
    side = max(pixels.shape)
    square = np.zeros((side, side), np.float32)
    top, left = ((side - length) // 2 for length in pixels.shape)
    square[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    how = Image.Resampling.NEAREST if pixels.dtype == bool else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(square).resize(FRAME[::-1], how)).astype(pixels.dtype)
