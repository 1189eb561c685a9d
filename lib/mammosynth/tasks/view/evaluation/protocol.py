"""What is measured of a view, in the padded frame and in the box of its breast.

No pixel of a generated view lies on one of the real view, so likeness is judged in the padded frame and in the box of
the breast, both at 256 pixels; by outline; by the profile from chest wall to nipple; and by whether the image is nearer
to this breast than to those of others. Texture is judged in the frame of 512 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from mammosynth.evaluation.similarity import ssim_map
from mammosynth.evaluation.texture import features, interior, through_codec
from mammosynth.preprocessing.breast import segment_breast
from mammosynth.preprocessing.look import JPEG_QUALITY, Look
from mammosynth.tasks.view.frame import ViewFrame, resized
from mammosynth.tasks.view.lesions import Box, lesion_contrast

JUDGED, THUMBNAIL = 256, 32
PROFILE = 64
LEAST_INTERIOR = 5000
"""Pixels that texture is measured of."""
_FEATURES = 34


@dataclass(frozen=True, eq=False)
class Shown:
    """A view as it is judged.

    Attributes:
        pixels: (512, 512) float32 in [0, 1], chest wall on the left.
        lesion: (512, 512) bool; None if nothing is drawn.
    """

    pixels: np.ndarray
    lesion: np.ndarray | None = None

    @classmethod
    def of(cls, pixels: np.ndarray, lesion: np.ndarray | None = None, *, mirrored: bool | None = None) -> Shown:
        """An image in the padded frame.

        Args:
            pixels: (H, W) float32 in [0, 1].
            lesion: (H, W) bool.
            mirrored: Whether its chest wall is on the right; None leaves it to its outline.
        """
        frame = ViewFrame.of(pixels, Look.FILM)
        if mirrored is not None:
            frame = ViewFrame(frame.shape, mirrored, frame.top, frame.left, frame.side)
        drawn = None if lesion is None else frame.apply(lesion.astype(np.float32)) > 0.5
        return cls(np.clip(frame.apply(pixels), 0, 1), drawn)

    @cached_property
    def breast(self) -> np.ndarray:
        """(512, 512) bool."""
        return segment_breast(self.pixels, background=0.0)

    @cached_property
    def padded(self) -> np.ndarray:
        """(256, 256) float32."""
        return resized(self.pixels, JUDGED)

    @cached_property
    def tight(self) -> np.ndarray:
        """(256, 256) float32: the box of the breast, stretched; all zero without a breast."""
        if not self.breast.any():
            return np.zeros((JUDGED, JUDGED), np.float32)
        rows, columns = (np.flatnonzero(self.breast.any(axis=axis)) for axis in (1, 0))
        box = self.pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        zoom = (JUDGED / box.shape[0], JUDGED / box.shape[1])
        return ndimage.zoom(box, zoom, order=1, grid_mode=True, mode="nearest")[:JUDGED, :JUDGED]

    @cached_property
    def thumbnail(self) -> np.ndarray:
        """(1024,) float32: the box of the breast at 32 pixels."""
        return resized(self.tight, THUMBNAIL).ravel()

    @cached_property
    def profile(self) -> np.ndarray:
        """(64,) share of grey from the chest wall to the nipple."""
        columns = np.flatnonzero(self.breast.any(axis=0))
        if not columns.size:
            return np.full(PROFILE, 1 / PROFILE)
        sums = (self.pixels * self.breast)[:, columns[0] : columns[-1] + 1].sum(axis=0)
        sums = np.interp(np.linspace(0, 1, PROFILE), np.linspace(0, 1, len(sums)), sums)
        return sums / sums.sum()

    @cached_property
    def depth(self) -> float:
        """Pixels of the frame from the nipple to the lesion, towards the chest wall; NaN without one."""
        if self.lesion is None or not self.lesion.any() or not self.breast.any():
            return float("nan")
        return Box.of(self.breast).right - ndimage.center_of_mass(self.lesion)[1]

    @cached_property
    def contrast(self) -> float:
        """Mean grey of the lesion minus that of its ring; NaN without one."""
        return float("nan") if self.lesion is None else lesion_contrast(self.pixels, self.lesion, self.breast)

    def texture(self, look: Look, *, generated: bool) -> np.ndarray:
        """(34,) float64, see `evaluation.texture`; NaN where there is too little breast.

        Args:
            look: Of the real images, through whose codec a generated one has still to go.
            generated: Whether it is one.
        """
        pixels = through_codec(self.pixels, JPEG_QUALITY[look]) if generated else self.pixels
        inside = interior(pixels)
        return features(pixels, inside) if inside.sum() > LEAST_INTERIOR else np.full(_FEATURES, np.nan)


def pair_scores(made: Shown, real: Shown) -> dict[str, float]:
    """Scores of one image: SSIM, PSNR and mean absolute error in both frames, error in the breast, outline, profile."""
    scores = {}
    for name in ("padded", "tight"):
        own, wanted = getattr(made, name), getattr(real, name)
        scores[f"{name}_ssim"] = float(ssim_map(own, wanted).mean())
        scores[f"{name}_psnr"] = float(-10 * np.log10(max(float(((own - wanted) ** 2).mean()), 1e-10)))
        scores[f"{name}_mae"] = float(np.abs(own - wanted).mean())
    within = resized(real.breast.astype(np.float32), JUDGED) > 0.5
    scores["breast_mae"] = float(np.abs(made.padded - real.padded)[within].mean())
    scores["iou"] = float((made.breast & real.breast).sum() / max((made.breast | real.breast).sum(), 1))
    scores["emd"] = profile_distance(made, real)
    return scores


def profile_distance(made: Shown, real: Shown) -> float:
    """Earth mover's distance of two profiles, as a share of the breast's depth."""
    return float(np.abs(np.cumsum(made.profile - real.profile)).mean())


def rank(made: Shown, own: int, pool: np.ndarray) -> float:
    """Share of the pool that is nearer to an image than the breast that it was made for.

    Args:
        made: The image.
        own: Place of that breast in the pool.
        pool: (M, 1024), see `Shown.thumbnail`, of real views.
    """
    distances = ((pool - made.thumbnail) ** 2).sum(axis=1)
    return float((distances < distances[own]).mean())


def concordance(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Concordance correlation coefficient of two series of (N,) values: Lin (1989), doi:10.2307/2532051."""
    x, y = np.asarray(a, float), np.asarray(b, float)
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    return float(2 * covariance / max(x.var() + y.var() + (x.mean() - y.mean()) ** 2, 1e-12))
