"""`StyleModels`: the distribution of styles, of digital images and of images on film apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.stats import norm
from torch import nn

from mammosynth.preprocessing.look import Look
from mammosynth.tasks.mask.bands import SIGMAS
from mammosynth.tasks.mask.quantiles import from_quantiles
from mammosynth.tasks.mask.style import IS_FILM, KNOWN, LENGTH, Style, look_of

_KNOTS = 33
_RIDGE, _SHRINK = 4.0, 0.05
LESION_SPREAD = 0.6
"""Of real ones: how much the contrast of lesions differs about the same mean. Real lesions of little contrast would
not show where they are drawn."""
BANDS_ASKED = {
    Look.DIGITAL: (1.33, 1.36, 1.24, 1.07, 0.98, 0.92),
    Look.FILM: (1.3, 1.37, 1.22, 0.9, 0.76, 0.7),
}
"""How strong bands must be drawn for what is measured to be as strong as in real images: 8-bit JPEG takes from weak
detail, and frames and labels of films add to what is measured at the edges. Of power spectra of training images;
the last tenths by `val`."""


class StyleModels(nn.Module):
    """A model for each look."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = nn.ModuleDict({str(look): StyleModel() for look in Look})

    def fit(self, styles: np.ndarray, known: np.ndarray) -> None:
        """Learn each look from its own images; a look that has none keeps what it knows, or learns from all.

        Args:
            styles: (N, 23), NaN where a number could not be measured.
            known: (N, 10), see `style.about`.
        """
        for look in Look:
            model, own = self._of(look), (known[:, IS_FILM] > 0) == (look is Look.FILM)
            if own.any():
                model.fit(styles[own], known[own])
            elif not model.images:
                model.fit(styles, known)

    def draw(self, known: np.ndarray, random: np.random.Generator | None) -> Style:
        """A style of the look that `known` tells, as it is to be drawn; see `StyleModel.draw`."""
        look = look_of(known)
        style = self._of(look).draw(known, random)
        bands = (tuple(np.add(own, np.log(BANDS_ASKED[look]))) for own in (style.adipose_bands, style.dense_bands))
        return replace(style, adipose_bands=next(bands), dense_bands=next(bands))

    def _of(self, look: Look) -> StyleModel:
        model = self.looks[look]
        assert isinstance(model, StyleModel)
        return model


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
    images: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("knots", torch.linspace(-2, 2, _KNOTS).repeat(LENGTH, 1))
        self.register_buffer("weights", torch.zeros(len(KNOWN), LENGTH))
        self.register_buffer("root", torch.eye(LENGTH))
        self.register_buffer("darkest", torch.zeros(1))
        self.register_buffer("images", torch.zeros(1))

    def fit(self, styles: np.ndarray, known: np.ndarray) -> None:
        """Learn the distribution from real images.

        Args:
            styles: (N, 23), NaN where a number could not be measured.
            known: (N, 10), see `style.about`.
        """
        self.images.fill_(len(styles))
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
            known: (10,), see `style.about`.
            random: None for the expected one.

        """
        normal = known @ self.weights.cpu().numpy()
        if random is not None:
            normal = normal + self.root.cpu().numpy() @ random.normal(size=LENGTH)
        numbers = from_quantiles(self.knots.cpu().numpy(), normal)
        if random is not None:
            numbers[_LESION] = LESION_SPREAD * numbers[_LESION] + (1 - LESION_SPREAD) * self._mean_lesion(known)
        return Style.of(_as_greys(numbers, known, float(self.darkest)))

    def _mean_lesion(self, known: np.ndarray) -> float:
        """The mean over what could be drawn."""
        middle = float(known @ self.weights[:, _LESION].cpu().numpy())
        spread = float(self.root[_LESION].norm())
        ranks = middle + spread * norm.ppf((np.arange(_KNOTS) + 0.5) / _KNOTS)
        knots = self.knots[_LESION].cpu().numpy()
        return float(from_quantiles(np.tile(knots, (_KNOTS, 1)), ranks).mean())


_ADIPOSE, _DENSE, _LESION = 0, 1 + len(SIGMAS), -1


def _as_level_and_contrast(styles: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(N, 23) with the greys of the tissues replaced by their mean, by area, and their difference."""
    share = known[:, 1] + known[:, 2]
    told = styles.copy()
    told[:, _ADIPOSE] = styles[:, _ADIPOSE] * (1 - share) + styles[:, _DENSE] * share
    told[:, _DENSE] = styles[:, _DENSE] - styles[:, _ADIPOSE]
    return told


def _as_greys(told: np.ndarray, known: np.ndarray, darkest: float) -> np.ndarray:
    """(23,): the way back; no adipose tissue is darker than any that was seen."""
    numbers = told.copy()
    numbers[_ADIPOSE] = max(told[_ADIPOSE] - told[_DENSE] * (known[1] + known[2]), darkest)
    numbers[_DENSE] = numbers[_ADIPOSE] + told[_DENSE]
    return numbers


def _to_normal(column: np.ndarray, knots: np.ndarray) -> np.ndarray:
    ranks = np.interp(column, knots, np.linspace(0, 1, _KNOTS))
    return np.nan_to_num(norm.ppf(np.clip(ranks, 0.5 / len(column), 1 - 0.5 / len(column))))
