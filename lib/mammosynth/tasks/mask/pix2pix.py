"""`Pix2pixSynthesizer`: the published way, a label map to a small mammogram to a large one.

Piras et al., IEEE J Biomed Health Inform 2025: pix2pix, then super-resolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import nn

from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.networks.residual_upsampler import ResidualUpsampler
from mammosynth.networks.skip_generator import SkipGenerator
from mammosynth.parameters import Parameters
from mammosynth.preprocessing.frame import BreastFrame
from mammosynth.synthesis.synthesizer import Progress
from mammosynth.task import IMAGE, LABELS, Output, Rendering
from mammosynth.tasks.mask.classes import CLASSES
from mammosynth.tasks.mask.labels.from_image import enlarged
from mammosynth.tasks.mask.parametric.slot import given_label_map
from mammosynth.tasks.mask.roles import MASK

LARGE = 2048
"""Least height of a large image, in pixels, as published."""
SHAPE = (LARGE, 1536)
"""In which a parametric breast is drawn."""


class Pix2pixNetwork(nn.Module):
    """Both networks of the published way.

    Args:
        image: One-hot classes, background included, to the small image in [-1, 1].
        upsampler: Small image to large image.
        frame_shape: (H, W) of the small image.
    """

    def __init__(self, image: SkipGenerator, upsampler: ResidualUpsampler, frame_shape: Sequence[int]) -> None:
        super().__init__()
        self.image, self.upsampler = image, upsampler
        self.frame_shape = (int(frame_shape[0]), int(frame_shape[1]))


class LabelFrame:
    """A label map as the network sees it: the breast's box, chest wall on the left, one channel for a class.

    Args:
        frame_shape: (H, W) of the small image.
    """

    CHANNELS = ("background", *CLASSES.values())

    def __init__(self, frame_shape: tuple[int, int]) -> None:
        self.frame_shape = frame_shape

    def frame(self, labels: LabelMap, scale: int = 1) -> BreastFrame:
        """How the label map maps to the frame, or to one that is larger by a factor.

        Raises:
            UnsupportedImageError: If no breast is drawn.
        """
        shape = (scale * self.frame_shape[0], scale * self.frame_shape[1])
        return BreastFrame.around(labels.labels > 0, shape, labels.source_name)

    def channels(self, labels: LabelMap) -> np.ndarray:
        """(9, H, W) float32 in [0, 1], how much of a pixel of the frame is of each class; they add up to 1."""
        frame = self.frame(labels)
        drawn = np.stack([frame.apply(labels.labels == number) for number in CLASSES])
        return np.concatenate([1 - drawn.sum(axis=0, keepdims=True), drawn]).astype(np.float32)


class Pix2pixParameters(Parameters):
    """What can be chosen."""

    large: bool = Field(default=False)
    """At least 2048 pixels high, whatever the label map; otherwise in its own matrix."""


class Pix2pixSynthesizer:
    """See `mammosynth.synthesis.synthesizer.Synthesizer`.

    Args:
        network: Both networks.
    """

    task = MASK
    parameters = Pix2pixParameters

    def __init__(self, network: Pix2pixNetwork) -> None:
        self.preprocessing = LabelFrame(network.frame_shape)
        self.network = network

    def outputs(self, parameters: Pix2pixParameters) -> tuple[str, ...]:
        """The image, and the label map in its matrix."""
        return (IMAGE, LABELS)

    def __call__(
        self,
        inputs: Mapping[str, Any],
        parameters: Pix2pixParameters,
        *,
        rendering: Rendering = Rendering.SAMPLED,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> tuple[Output, ...]:
        """The mammogram and its label map.

        Args:
            inputs: `label_map`, or a parametric `breast`, which is drawn with 2048 rows.
            parameters: How large.
            rendering: Sampled: with dropout, as published. Expected: without.
            seed: Of the dropout.
            progress: Told a fraction in [0, 1] and what happens.

        Raises:
            InvalidParameterError: If the parametric breast is impossible.
            MissingAttributeError: If there is neither label map nor breast.
            UnsupportedImageError: If no breast is drawn.
        """
        report = progress or (lambda fraction, message: None)
        report(0.0, "laying out the breast")
        drawn = given_label_map(inputs, SHAPE)
        height, width = drawn.labels.shape
        if parameters.large and height < LARGE:
            shape = (LARGE, round(width * LARGE / height))
            drawn = with_labels(drawn, enlarged(drawn.labels, shape))
        report(0.1, "running the networks")
        pixels = self.generate(drawn, seed if rendering is Rendering.SAMPLED else None)
        report(0.9, "returning to the label map's matrix")
        image = Mammogram(
            pixels,
            drawn.source_name,
            drawn.view_position,
            drawn.image_laterality,
            pixel_spacing_mm=drawn.pixel_spacing_mm,
        )
        report(1.0, "done")
        return (Output(IMAGE, image), Output(LABELS, drawn))

    def generate(self, drawn: LabelMap, seed: int | None) -> np.ndarray:
        """The image in the label map's matrix.

        Args:
            drawn: What is where.
            seed: Of the dropout; None drops out nothing.

        Returns:
            (H, W) float32 in [0, 1].
        """
        noise = None if seed is None else torch.Generator().manual_seed(seed)
        device = next(self.network.parameters()).device
        channels = torch.from_numpy(self.preprocessing.channels(drawn))[None].to(device)
        with torch.inference_mode():
            large = self.network.upsampler(self.network.image(channels, noise))[0, 0].float().cpu().numpy()
        frame = self.preprocessing.frame(drawn, self.network.upsampler.scale)
        return np.clip(frame.restore((np.clip(large, -1, 1) + 1) / 2), 0, 1)


def with_labels(drawn: LabelMap, labels: np.ndarray) -> LabelMap:
    """The same drawing in another matrix."""
    spacing = drawn.pixel_spacing_mm
    if spacing is not None:
        own, other = drawn.labels.shape, labels.shape
        spacing = (spacing[0] * own[0] / other[0], spacing[1] * own[1] / other[1])
    return LabelMap(labels, drawn.source_name, drawn.classes, spacing, drawn.view_position, drawn.image_laterality)
