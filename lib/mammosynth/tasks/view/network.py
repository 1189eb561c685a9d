"""`ViewNetwork`: what one view model has learned, kept together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from mammosynth.networks.refinement_unet import RefinementUNet
from mammosynth.preprocessing.look import Look
from mammosynth.tasks.view.frame import resized
from mammosynth.tasks.view.lesions import LesionModel
from mammosynth.tasks.view.look import LookModel
from mammosynth.tasks.view.regression import MADE, ViewRegression
from mammosynth.tasks.view.style import StyleModel

CHANNELS = 5
"""Predicted grey and chance of breast, the craniocaudal view, the median of training views, and whether it is film."""


class ViewNetwork(nn.Module):
    """What is known of both looks, and the network that refines what their regressions predict.

    Args:
        features: Channels per level of the refinement, from 128 pixels down.
    """

    medians: torch.Tensor

    def __init__(self, features: Sequence[int]) -> None:
        super().__init__()
        self.refinement = RefinementUNet(CHANNELS, features)
        self.regressions = nn.ModuleDict({look.value: ViewRegression() for look in Look})
        self.styles = nn.ModuleDict({look.value: StyleModel() for look in Look})
        self.lesions = nn.ModuleDict({look.value: LesionModel() for look in Look})
        self.looks = LookModel()
        self.register_buffer("medians", torch.zeros(len(Look), MADE, MADE))

    def regression(self, look: Look) -> ViewRegression:
        """Of that look."""
        found = self.regressions[look.value]
        assert isinstance(found, ViewRegression)
        return found

    def style(self, look: Look) -> StyleModel:
        """Of that look."""
        found = self.styles[look.value]
        assert isinstance(found, StyleModel)
        return found

    def lesion(self, look: Look) -> LesionModel:
        """Of that look."""
        found = self.lesions[look.value]
        assert isinstance(found, LesionModel)
        return found

    def channels(self, cc: np.ndarray, predicted: np.ndarray, look: Look) -> np.ndarray:
        """(5, 128, 128) float32: what the refinement sees.

        Args:
            cc: (512, 512) or (128, 128) float32, in the frame.
            predicted: (2, 128, 128), see `ViewRegression.predict`.
            look: Of the images.
        """
        median = self.medians[list(Look).index(look)].cpu().numpy()
        film = np.full((MADE, MADE), float(look is Look.FILM))
        return np.stack([*predicted, resized(cc, MADE), median, film]).astype(np.float32)

    def forward(self, channels: torch.Tensor) -> torch.Tensor:
        """(B, 1, 128, 128) grey, not clipped, of (B, 5, 128, 128)."""
        return self.refinement(channels)
