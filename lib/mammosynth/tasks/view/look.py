"""`LookModel`: was a mammogram taken on film or digitally? Told by its pixels, where nobody says."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.breast import erode, segment_breast
from mammosynth.preprocessing.look import Look

_DIGITAL_CLASSES = "1.2.840.10008.5.1.4.1.1.1.2"
"""Digital mammography; what is digitised from film goes by other SOP classes."""
_SIGMAS = (1, 3, 8)
_PERCENTILES = (5, 50, 95)
MEASURED = 1 + len(_SIGMAS) + len(_PERCENTILES) + 2
_RIDGE = 1.0
_LEAST_SCORE = 0.2
"""Of film: between the least of 58 film views (.39) and the greatest of 14 digital ones (.04), all for validation."""


class LookModel(nn.Module):
    """A linear rule, fitted in closed form to images of both looks."""

    mean: torch.Tensor
    deviation: torch.Tensor
    weights: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("mean", "deviation", "weights"):
            self.register_buffer(name, torch.zeros(MEASURED))

    def fit(self, measured: np.ndarray, is_film: np.ndarray) -> None:
        """Learn from (N, 9) and (N,) bool; film is never found if one of the looks is not there."""
        mean, deviation = measured.mean(axis=0), measured.std(axis=0) + 1e-6
        scaled = (measured - mean) / deviation
        sign = np.where(is_film, 1.0, -1.0)
        weight = np.where(is_film, 1 / max(is_film.mean(), 1e-6), 1 / max((~is_film).mean(), 1e-6))
        gram = (scaled * weight[:, None]).T @ scaled + _RIDGE * np.eye(MEASURED)
        weights = np.linalg.solve(gram, scaled.T @ (weight * sign)) if 0 < is_film.sum() < len(is_film) else mean * 0
        for name, value in (("mean", mean), ("deviation", deviation), ("weights", weights)):
            getattr(self, name).copy_(torch.from_numpy(np.asarray(value, np.float32)))

    def look_of(self, source: Mammogram, frame: np.ndarray) -> Look:
        """Digital where the header says so; else by the pixels.

        Args:
            source: The image.
            frame: (512, 512) float32: all of it.
        """
        if source.header is not None and str(source.header.get("SOPClassUID", "")).startswith(_DIGITAL_CLASSES):
            return Look.DIGITAL
        mean, deviation, weights = (part.cpu().numpy() for part in (self.mean, self.deviation, self.weights))
        score = float(((measure(frame) - mean) / deviation) @ weights)
        return Look.FILM if score > _LEAST_SCORE else Look.DIGITAL


def measure(frame: np.ndarray) -> np.ndarray:
    """(9,) float64 of a (512, 512) image: air, three bands, three percentiles, place and height."""
    breast = segment_breast(frame, background=0.0)
    inner = erode(breast, 3)
    inside = inner if inner.any() else np.ones_like(breast)
    finer, bands = frame, []
    for sigma in _SIGMAS:
        coarser = ndimage.gaussian_filter(frame, sigma)
        bands.append(float(np.log((finer - coarser)[inside].std() + 1e-4)))
        finer = coarser
    rows, columns = np.flatnonzero(breast.any(axis=1)), np.flatnonzero(breast.any(axis=0))
    place = [columns[0] / len(frame), (rows[-1] - rows[0]) / len(frame)] if rows.size else [0.0, 0.0]
    air = float(frame[~breast].mean()) if (~breast).any() else 0.0
    return np.array([air, *bands, *np.percentile(frame[inside], _PERCENTILES), *place])
