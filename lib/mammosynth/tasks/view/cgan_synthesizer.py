"""`CganViewSynthesizer`: the published way: craniocaudal view, lesion and its radiomic features through one network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from mammosynth.errors import UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.parameters import Parameters
from mammosynth.preprocessing.breast import segment_breast
from mammosynth.preprocessing.look import Look
from mammosynth.radiomics import extract_radiomics
from mammosynth.synthesis.synthesizer import Progress
from mammosynth.task import IMAGE, Output, Rendering
from mammosynth.tasks.view.frame import SIDE, Framed, ResultMatrix, ViewFrame, resized
from mammosynth.tasks.view.radiomics_network import RadiomicGenerator
from mammosynth.tasks.view.roles import LESIONS, SOURCE, VIEW
from mammosynth.terms import ViewPosition

AIR = 4 / 255
"""Grey below which a generated image is air."""


class NoParameters(Parameters):
    """Nothing can be chosen."""


@dataclass(frozen=True)
class SquarePreprocessing:
    """The whole image in a square.

    Attributes:
        side: Of it, in pixels.
        CHANNELS: Names of the network's channels, in order.
    """

    side: int

    CHANNELS = ("craniocaudal_view", "lesion")

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Rows and columns of the network's input."""
        return self.side, self.side


class CganViewSynthesizer:
    """See `mammosynth.synthesis.synthesizer.Synthesizer`.

    Args:
        network: The generator.
    """

    task = VIEW
    parameters = NoParameters

    def __init__(self, network: nn.Module) -> None:
        assert isinstance(network, RadiomicGenerator)
        self.network = network
        self.preprocessing = SquarePreprocessing(network.side)

    def outputs(self, parameters: NoParameters) -> tuple[str, ...]:
        """The image."""
        return (IMAGE,)

    def __call__(
        self,
        inputs: Mapping[str, Any],
        parameters: NoParameters,
        *,
        rendering: Rendering,
        seed: int,
        progress: Progress | None = None,
    ) -> tuple[Output, ...]:
        """The view.

        Args:
            inputs: `source`, and `lesions` drawn on it.
            parameters: None.
            rendering: Expected is all there is.
            seed: Has no effect on this model.
            progress: Told a fraction in [0, 1] and what happens.

        Returns:
            As many rows as the source has, of its spacing, chest wall on its side.

        Raises:
            UnsupportedImageError: If no breast is found.
        """
        source: Mammogram = inputs[SOURCE]
        report = progress or (lambda fraction, message: None)
        report(0.0, "measuring the lesion")
        framed = Framed.of(source, Look.FILM)
        lesion, features = self._lesion(source, inputs.get(LESIONS), framed.frame)
        given = np.stack([resized(framed.pixels, self.network.side), resized(lesion, self.network.side)])[None]
        report(0.4, "running the network")
        where = next(self.network.parameters()).device
        with torch.inference_mode():
            made = self.network(torch.from_numpy(given).to(where), torch.from_numpy(features)[None].to(where))
        whole = resized(made[0, 0].float().cpu().numpy(), SIDE)
        whole = whole * (whole > AIR)
        breast = segment_breast(whole, background=0.0)
        matrix = ResultMatrix.of(framed.frame, framed.breast, breast, ViewPosition.MLO)
        report(0.8, "returning to the source's matrix")
        pixels = np.clip(matrix.restore(whole), 0, 1).astype(np.float32)
        image = Mammogram(
            pixels, source.source_name, ViewPosition.MLO, source.image_laterality, source.pixel_spacing_mm
        )
        report(1.0, "done")
        return (Output(IMAGE, image),)

    def _lesion(self, source: Mammogram, drawn: LabelMap | None, frame: ViewFrame) -> tuple[np.ndarray, np.ndarray]:
        """The lesion in the frame, and its features; a lesion without texture has none."""
        if drawn is None:
            return np.zeros((SIDE, SIDE), np.float32), self.network.scaled(None)
        mask = drawn.labels > 0
        try:
            features = np.array(list(extract_radiomics(source.pixels, mask, source.pixel_spacing_mm).values()))
        except UnsupportedImageError:
            return frame.apply(mask.astype(np.float32)), self.network.scaled(None)
        return frame.apply(mask.astype(np.float32)), self.network.scaled(np.nan_to_num(features))
