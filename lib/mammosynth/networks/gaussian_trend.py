"""`GaussianTrend`: numbers that go with other numbers: a linear trend, and a Gaussian about it to draw from."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

_RIDGE, _SHRINK = 8.0, 0.1
_LIMIT = 2.5
"""Standard deviations at which drawn numbers are cut."""


class GaussianTrend(nn.Module):
    """Fitted in closed form; all zero before.

    Args:
        given: How many numbers are known.
        made: How many are told or drawn.
    """

    given_scale: torch.Tensor
    made_scale: torch.Tensor
    weights: torch.Tensor
    root: torch.Tensor

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        for name, shape in (
            ("given_scale", (2, given)),
            ("made_scale", (2, made)),
            ("weights", (given, made)),
            ("root", (made, made)),
        ):
            self.register_buffer(name, torch.zeros(shape))

    def fit(self, given: np.ndarray, made: np.ndarray) -> None:
        """Learn from N examples, (N, given) and (N, made)."""
        scales = [np.stack([each.mean(axis=0), each.std(axis=0) + 1e-3]) for each in (given, made)]
        x, y = ((each - scale[0]) / scale[1] for each, scale in zip((given, made), scales, strict=True))
        gram = x.T @ x + _RIDGE * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, x.T @ y)
        rest = y - x @ weights
        covariance = rest.T @ rest / max(len(rest) - x.shape[1], 1)
        covariance = (1 - _SHRINK) * covariance + _SHRINK * np.diag(np.diag(covariance)) + 1e-6 * np.eye(y.shape[1])
        root = np.linalg.cholesky(covariance)
        for name, value in (
            ("given_scale", scales[0]),
            ("made_scale", scales[1]),
            ("weights", weights),
            ("root", root),
        ):
            getattr(self, name).copy_(torch.from_numpy(np.asarray(value, np.float32)))

    def draw(self, given: np.ndarray, random: np.random.Generator, spread: float | np.ndarray) -> np.ndarray:
        """(made,) float64.

        Args:
            given: (given,).
            random: Draws it.
            spread: 1 as the examples vary, 0 for what is expected; one for all, or one each.
        """
        return self.expected_and_drawn(given, random, spread)[1]

    def expected_and_drawn(
        self, given: np.ndarray, random: np.random.Generator, spread: float | np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What is expected, and what `draw` gives, (made,) float64 each; same arguments."""
        scale, made_scale, weights, root = (
            getattr(self, name).cpu().double().numpy() for name in ("given_scale", "made_scale", "weights", "root")
        )
        scaled = np.clip((given - scale[0]) / scale[1], -3, 3)
        normal = np.clip(random.normal(size=root.shape[0]), -_LIMIT, _LIMIT)
        expected = made_scale[0] + made_scale[1] * (scaled @ weights)
        return expected, expected + made_scale[1] * (spread * (root @ normal))
