"""Contrast: a low-energy mammogram to the recombined image of contrast-enhanced mammography."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.contrast import ContrastPreprocessing, PreparedMammogram
from mammosynth.terms import Task, ViewPosition

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class ContrastParameters:
    """The model is deterministic and has no setting that a reader's window would not replace."""


class ContrastSynthesizer:
    """A network and the preprocessing it was trained with.

    Args:
        preprocessing: Source to network input and back.
        network: (B, C, H, W) to (B, 1, H, W).
        average_flips: Average a CC view with its upside-down copy; an MLO view has an up and a down.
    """

    task = Task.CONTRAST
    parameters = ContrastParameters

    def __init__(self, preprocessing: ContrastPreprocessing, network: nn.Module, average_flips: bool = False) -> None:
        self.preprocessing = preprocessing
        self.network = network
        self.average_flips = average_flips

    def __call__(
        self,
        source: Mammogram,
        parameters: ContrastParameters,
        seed: int,
        progress: Progress | None = None,
    ) -> Mammogram:
        """The recombined image of the source.

        Args:
            source: Low-energy view with a view position.
            parameters: None has an effect on this model.
            seed: Has no effect on this model.
            progress: Told a fraction in [0, 1] and what happens.

        Raises:
            MissingAttributeError: If the source has no view position.
            UnsupportedImageError: If no breast is found.
        """
        report = progress or (lambda fraction, message: None)
        report(0.0, "finding the breast")
        prepared = self.preprocessing.prepare(source)
        report(0.3, "running the network")
        generated = self.generate(prepared)
        report(0.9, "returning to the source's matrix")
        image = source.with_pixels(self.preprocessing.restore(prepared, generated))
        report(1.0, "done")
        return image

    def generate(self, prepared: PreparedMammogram) -> np.ndarray:
        """(H, W) float32 in the frame, not clipped."""
        low_energy, mask = prepared.low_energy, prepared.breast_mask
        generated = self._run(low_energy, mask, prepared.view_position)
        if self.average_flips and prepared.view_position is ViewPosition.CC:
            flipped = self._run(low_energy[::-1], mask[::-1], prepared.view_position)
            generated = (generated + flipped[::-1]) / 2
        return generated

    def _run(self, low_energy: np.ndarray, mask: np.ndarray, view_position: ViewPosition) -> np.ndarray:
        channels = torch.from_numpy(self.preprocessing.channels(low_energy, mask, view_position))
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            return self.network(channels[None].to(device))[0, 0].float().cpu().numpy()
