"""How a mammogram looks as a whole, in 15 numbers: grey and detail of each tissue, skin, lesions against their rings.

A label map does not say them: they are the patient, the exposure and the window. Of a real image they are measured; for
a new one they are drawn from what real images have, given what the label map shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from scipy.stats import norm
from torch import nn

from mammosynth.preprocessing.look import DENSITIES, Density, Look
from mammosynth.tasks.mask.bands import SIGMAS, Bands
from mammosynth.tasks.mask.classes import BreastClass, is_lesion
from mammosynth.tasks.mask.drawing import Drawing
from mammosynth.tasks.mask.quantiles import from_quantiles
from mammosynth.terms import ViewPosition

RING, AIR = (5, 25), 0.02
LEAST_LESION, LEAST_RING = 50, 200
"""Lesions and rings of fewer pixels are not measured."""
RIM_PX, INNER_PX = (6.0, 12.0), 20.0
"""Depths between which, and beyond which, tissue is compared."""
LENGTH = 2 * (1 + len(SIGMAS)) + 3
KNOWN = (
    "one",
    "dense_share",
    "lesion_share",
    "breast_share",
    "is_mlo",
    "is_film",
    *(f"density_{density}" for density in DENSITIES),
)
"""Numbers that are known of a label map: see `about`."""
_KNOTS = 33
_RIDGE, _SHRINK = 4.0, 0.05


@dataclass(frozen=True)
class Style:
    """The numbers, by name.

    Attributes:
        adipose: Mean grey of adipose tissue.
        adipose_bands: Natural logarithm of the standard deviation of each band in it, from the finest.
        dense: Mean grey of fibroglandular tissue and lesions.
        dense_bands: As of adipose tissue.
        rim: Mean grey near the skin, as a share of that farther inside: how much of the thin edge was made up for.
        skin: Mean grey of the skin.
        lesion: Mean grey of the lesions minus that of their ring; NaN where there is none.
    """

    adipose: float
    adipose_bands: tuple[float, ...]
    dense: float
    dense_bands: tuple[float, ...]
    rim: float
    skin: float
    lesion: float

    @classmethod
    def of(cls, numbers: np.ndarray) -> Style:
        """From (15,), in the order of the attributes."""
        values = [float(number) for number in numbers]
        bands = len(SIGMAS)
        return cls(
            values[0], tuple(values[1 : 1 + bands]), values[1 + bands], tuple(values[2 + bands : -3]), *values[-3:]
        )

    def numbers(self) -> np.ndarray:
        """(15,) float32, in the order of the attributes."""
        return np.array(
            [self.adipose, *self.adipose_bands, self.dense, *self.dense_bands, self.rim, self.skin, self.lesion],
            np.float32,
        )


def measure_style(pixels: np.ndarray, drawing: Drawing) -> Style:
    """The style of a real image.

    Args:
        pixels: (512, W) float32 in [0, 1], in the drawing's frame.
        drawing: Of the same image.
    """
    bands, _ = Bands(torch.from_numpy(drawing.breast.astype(np.float32))).split(torch.from_numpy(pixels))
    means, strengths = [], []
    for dense in (False, True):
        within = drawing.measured(dense=dense)
        means.append(float(pixels[within].mean()))
        strengths.append(tuple(float(np.log(band.numpy()[within].std() + 1e-4)) for band in bands))
    skin = drawing.labels == BreastClass.SKIN
    skin_grey = float(pixels[skin if skin.any() else drawing.breast].mean())
    lesion = lesion_contrast(pixels, is_lesion(drawing.labels))
    return Style(means[0], strengths[0], means[1], strengths[1], rim_share(pixels, drawing), skin_grey, lesion)


def about(drawing: Drawing, view: ViewPosition | None, look: Look, density: Density | None) -> np.ndarray:
    """What is known before an image is made.

    Returns:
        (10,) float32: 1; shares of dense tissue and of lesions in the breast, breast in the frame; MLO; film; density
        a to d, zeros if it is not known.
    """
    breast = max(int(drawing.breast.sum()), 1)
    dense = (drawing.labels == BreastClass.FIBROGLANDULAR).sum() / breast
    lesion = is_lesion(drawing.labels).sum() / breast
    densities = [float(density == each) for each in DENSITIES]
    frame = breast / drawing.labels.shape[0] ** 2
    return np.array(
        [1.0, dense, lesion, frame, float(view is ViewPosition.MLO), float(look is Look.FILM), *densities], np.float32
    )


class StyleModel(nn.Module):
    """The distribution of styles, given what is known: a Gaussian copula about a linear trend.

    Every number is taken through its own ranks to a normal one, so its real distribution comes back whatever its form.
    The mean grey of the breast and the contrast of its tissues stand for the two tissues' own greys: windows are chosen
    for the whole image, so those two vary less and with less to do with each other.
    """

    knots: torch.Tensor
    weights: torch.Tensor
    root: torch.Tensor
    darkest: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("knots", torch.linspace(-2, 2, _KNOTS).repeat(LENGTH, 1))
        self.register_buffer("weights", torch.zeros(len(KNOWN), LENGTH))
        self.register_buffer("root", torch.eye(LENGTH))
        self.register_buffer("darkest", torch.zeros(1))

    def fit(self, styles: np.ndarray, known: np.ndarray) -> None:
        """Learn the distribution from real images.

        Args:
            styles: (N, 15), NaN where a number could not be measured.
            known: (N, 10), see `about`.
        """
        self.darkest.fill_(float(styles[:, _ADIPOSE].min()))
        styles = _as_level_and_contrast(styles, known)
        knots = np.nanquantile(styles, np.linspace(0, 1, _KNOTS), axis=0).T
        normal = np.stack([_to_normal(column, own) for column, own in zip(styles.T, knots, strict=True)], axis=1)
        gram = known.T @ known + np.diag([1e-3, *[_RIDGE] * (len(KNOWN) - 1)])
        weights = np.linalg.solve(gram, known.T @ normal)
        rest = normal - known @ weights
        covariance = rest.T @ rest / len(rest)
        covariance = (1 - _SHRINK) * covariance + _SHRINK * np.diag(np.diag(covariance) + 1e-4)
        fitted = (knots, weights, np.linalg.cholesky(covariance))
        for buffer, values in zip((self.knots, self.weights, self.root), fitted, strict=True):
            buffer.copy_(torch.from_numpy(np.asarray(values, np.float32)))

    def draw(self, known: np.ndarray, random: np.random.Generator | None) -> Style:
        """A style.

        Args:
            known: (10,), see `about`.
            random: None for the expected one.

        """
        normal = known @ self.weights.cpu().numpy()
        if random is not None:
            normal = normal + self.root.cpu().numpy() @ random.normal(size=LENGTH)
        numbers = from_quantiles(self.knots.cpu().numpy(), normal)
        return Style.of(_as_greys(numbers, known, float(self.darkest)))


_ADIPOSE, _DENSE = 0, 1 + len(SIGMAS)


def _as_level_and_contrast(styles: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(N, 15) with the greys of the tissues replaced by their mean, by area, and their difference."""
    share = known[:, 1] + known[:, 2]
    told = styles.copy()
    told[:, _ADIPOSE] = styles[:, _ADIPOSE] * (1 - share) + styles[:, _DENSE] * share
    told[:, _DENSE] = styles[:, _DENSE] - styles[:, _ADIPOSE]
    return told


def _as_greys(told: np.ndarray, known: np.ndarray, darkest: float) -> np.ndarray:
    """(15,): the way back; no adipose tissue is darker than any that was seen."""
    numbers = told.copy()
    numbers[_ADIPOSE] = max(told[_ADIPOSE] - told[_DENSE] * (known[1] + known[2]), darkest)
    numbers[_DENSE] = numbers[_ADIPOSE] + told[_DENSE]
    return numbers


def _to_normal(column: np.ndarray, knots: np.ndarray) -> np.ndarray:
    ranks = np.interp(column, knots, np.linspace(0, 1, _KNOTS))
    return np.nan_to_num(norm.ppf(np.clip(ranks, 0.5 / len(column), 1 - 0.5 / len(column))))


def rim_share(pixels: np.ndarray, drawing: Drawing) -> float:
    """Mean grey near the skin over that farther inside; 1 in a breast that is all rim.

    Args:
        pixels: (512, W) float32 in [0, 1].
        drawing: Of the same image.
    """
    rim, inner = (drawing.depth > RIM_PX[0]) & (drawing.depth <= RIM_PX[1]), drawing.depth > INNER_PX
    return float(pixels[rim].mean() / max(pixels[inner].mean(), 1e-3)) if rim.any() and inner.any() else 1.0


def lesion_contrast(pixels: np.ndarray, lesion: np.ndarray) -> float:
    """D: mean grey of the lesions minus that of the tissue around them; NaN without enough of either.

    Args:
        pixels: (512, W) float32 in [0, 1].
        lesion: (512, W) bool.
    """
    if lesion.sum() < LEAST_LESION:
        return float("nan")
    distance = ndimage.distance_transform_edt(~lesion)
    ring = (distance > RING[0]) & (distance <= RING[1]) & (pixels > AIR)
    return float(pixels[lesion].mean() - pixels[ring].mean()) if ring.sum() >= LEAST_RING else float("nan")
