"""`WindowedContrastSynthesizer`: contrast as published, a network applied window by window; and much faster at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field
from torch import nn

from mammosynth.mammogram import Mammogram
from mammosynth.networks.resnet_generator import MULTIPLE
from mammosynth.parameters import Parameters
from mammosynth.synthesis.engine import run_whole, run_windows
from mammosynth.synthesis.synthesizer import Progress
from mammosynth.task import IMAGE, Output, Rendering
from mammosynth.tasks.contrast.preprocessing import PreparedMammogram
from mammosynth.tasks.contrast.signed_frame import SignedFramePreprocessing
from mammosynth.tasks.contrast.specification import CONTRAST, SOURCE

FAST: Literal["fast"] = "fast"
REFERENCE: Literal["reference"] = "reference"
WINDOW, STRIDE = 128, 16
"""In pixels of the frame, as published: Zormpas-Petridis et al., Eur Radiol Exp 2026."""
TILE = 768
"""Longest side of a frame that is taken in one pass; chosen: about 0.7 GiB, as 287 MiB were measured at 512 x 512. Per
pixel, 992 x 992 took 1.4 times as long as 496 x 496 on a CPU: larger tiles outgrow its caches."""
OVERLAP = 64
"""Over which tiles fade into each other, in pixels; chosen."""


class WindowedContrastParameters(Parameters):
    """How the network is applied."""

    mode: Literal["fast", "reference"] = Field(default=FAST)
    """fast: one pass over the image. reference: overlapping windows, as published, and slow."""


class WindowedContrastSynthesizer:
    """A network that was trained on windows, and its preprocessing.

    Args:
        preprocessing: Source to network input and back.
        network: (B, 1, H, W) to (B, 1, H, W), both in [-1, 1]; sides are multiples of 4.
        window: (rows, columns) of a window of the reference mode.
        stride: From one window to the next.
        tile: Side of the tiles of the fast mode, a multiple of 4; a smaller frame is taken in one pass.
    """

    task = CONTRAST
    parameters = WindowedContrastParameters

    def __init__(
        self,
        preprocessing: SignedFramePreprocessing,
        network: nn.Module,
        window: Sequence[int] = (WINDOW, WINDOW),
        stride: int = STRIDE,
        tile: int = TILE,
    ) -> None:
        self.preprocessing = preprocessing
        self.network = network
        self.window = (int(window[0]), int(window[1]))
        self.stride = stride
        self.tile = tile

    def outputs(self, parameters: WindowedContrastParameters) -> tuple[str, ...]:
        """The image alone."""
        return (IMAGE,)

    def __call__(
        self,
        inputs: Mapping[str, Any],
        parameters: WindowedContrastParameters,
        *,
        rendering: Rendering = Rendering.EXPECTED,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> tuple[Output, ...]:
        """The recombined image of the source.

        Args:
            inputs: `source`, a low-energy view with a view position.
            parameters: Fast or reference mode.
            rendering: The network has one answer.
            seed: Has no effect on this model.
            progress: Told a fraction in [0, 1] and what happens.

        Raises:
            MissingAttributeError: If the source has no view position.
            UnsupportedImageError: If no breast is found.
        """
        source: Mammogram = inputs[SOURCE]
        report = progress or (lambda fraction, message: None)
        report(0.0, "finding the breast")
        prepared = self.preprocessing.prepare(source)
        report(0.1, f"running the network, {parameters.mode} mode")
        generated = self.generate(prepared, mode=parameters.mode)
        report(0.9, "returning to the source's matrix")
        image = source.with_pixels(self.preprocessing.restore(prepared, generated))
        report(1.0, "done")
        return (Output(IMAGE, image),)

    def generate(self, prepared: PreparedMammogram, mode: str = FAST) -> np.ndarray:
        """(H, W) float32 in [-1, 1], in the frame."""
        channels = self.preprocessing.channels(prepared.low_energy, prepared.breast_mask, prepared.view_position)
        run = self._reference if mode == REFERENCE else self._fast
        return run(channels[None])[0, 0]

    def _reference(self, channels: np.ndarray) -> np.ndarray:
        padded = _padded(channels, [max(sides) for sides in zip(channels.shape[2:], self.window, strict=True)])
        return _cropped(run_windows(self.network, padded, self.window, (self.stride, self.stride)), channels)

    def _fast(self, channels: np.ndarray) -> np.ndarray:
        height, width = (_up(side) for side in channels.shape[2:])
        padded = _padded(channels, (height, width))
        if max(height, width) <= self.tile:
            return _cropped(run_whole(self.network, padded), channels)
        overlap = min(OVERLAP, self.tile // 2)
        tile = (tile_side(height, self.tile, overlap), tile_side(width, self.tile, overlap))
        stride = (tile[0] - overlap, tile[1] - overlap)
        return _cropped(run_windows(self.network, padded, tile, stride, hann=True), channels)

    def transplant(self, source: Mammogram, other: Mammogram) -> Mammogram:
        """The image of another breast, laid into the source's breast and matrix; nothing of the source shows in it.

        Raises:
            MissingAttributeError: If one of them has no view position.
            UnsupportedImageError: If no breast is found in one of them.
        """
        generated = self.generate(self.preprocessing.prepare(other))
        return source.with_pixels(self.preprocessing.restore(self.preprocessing.prepare(source), generated))


def _up(side: int) -> int:
    return math.ceil(side / MULTIPLE) * MULTIPLE


def tile_side(side: int, longest: int, overlap: int) -> int:
    """Side of the smallest equal tiles that cover an image's side with as few tiles as possible."""
    count = max(1, math.ceil((side - overlap) / (longest - overlap)))
    return _up(math.ceil((side + (count - 1) * overlap) / count))


def _padded(channels: np.ndarray, sides: Sequence[int]) -> np.ndarray:
    missing = [side - present for side, present in zip(sides, channels.shape[2:], strict=True)]
    return np.pad(channels, ((0, 0), (0, 0), (0, missing[0]), (0, missing[1])), mode="edge")


def _cropped(generated: np.ndarray, channels: np.ndarray) -> np.ndarray:
    return generated[:, :, : channels.shape[2], : channels.shape[3]]
