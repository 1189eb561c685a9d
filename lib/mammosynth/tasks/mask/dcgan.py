"""`DcganSynthesizer`: the published way from a lesion's mask, its class and noise to a small whole mammogram.

Tripathi et al., "Segmentation-driven mammogram GAN": a U-Net learns lesion masks from annotations; a conditional DCGAN
makes a mammogram of 64 x 64 pixels from a noise vector, a mask, and benign or malignant. Of a label map, it knows the
lesions alone: breast, glands and muscle are made up with the noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from monai.networks.nets import BasicUNet
from PIL import Image
from torch import nn

from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.networks.dcgan import DcganGenerator
from mammosynth.parameters import Parameters
from mammosynth.preprocessing.breast import chest_wall_on_left
from mammosynth.synthesis.synthesizer import Progress
from mammosynth.task import IMAGE, LABELS, Output, Rendering
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.parametric.slot import given_label_map
from mammosynth.tasks.mask.roles import MASK

SHAPE = (512, 384)
"""In which a parametric breast is drawn."""
MASSES = (BreastClass.BENIGN_LESION, BreastClass.MALIGNANT_LESION)
AVERAGED = 64
"""Noise vectors over which an expected image is the mean."""


class DcganNetwork(nn.Module):
    """Both networks of the published way.

    Args:
        image: Noise and condition to the small image in [-1, 1].
        segmenter_features: Six numbers of channels of the U-Net that finds lesions in small images: it judges them.
    """

    def __init__(self, image: DcganGenerator, segmenter_features: Sequence[int]) -> None:
        super().__init__()
        self.image = image
        self.segmenter = BasicUNet(2, 1, 1, tuple(segmenter_features), norm=("group", {"num_groups": 4}))


class LesionSquare:
    """A mammogram and its lesions as the networks see them: whole, chest wall left, padded to a square, reduced.

    Args:
        size: Side of the square, in pixels.
    """

    CHANNELS = ("lesion", "malignant")

    def __init__(self, size: int) -> None:
        self.frame_shape = (size, size)

    def condition(self, drawn: LabelMap) -> np.ndarray:
        """How much of each pixel is benign or malignant lesion, and, everywhere alike, whether any is malignant.

        Calcifications are no part of it: the published masks are of masses.

        Returns:
            (2, size, size) float32 in [0, 1].
        """
        lesion = self.reduce(np.isin(drawn.labels, MASSES), is_mirrored(drawn))
        is_malignant = (drawn.labels == BreastClass.MALIGNANT_LESION).any()
        return np.stack([lesion, np.full_like(lesion, is_malignant)])

    def reduce(self, pixels: np.ndarray, mirrored: bool) -> np.ndarray:
        """The image in the square, each pixel the mean of what it covers; zero beside the image.

        Args:
            pixels: (H, W), any real or boolean type.
            mirrored: Whether its chest wall is on the right.

        Returns:
            (size, size) float32; chest wall at column 0, centred between top and bottom.
        """
        square = np.zeros((max(pixels.shape),) * 2, np.float32)
        square[_window(pixels.shape)] = pixels[:, ::-1] if mirrored else pixels
        return _resized(square, self.frame_shape, Image.Resampling.BOX)

    def enlarge(self, small: np.ndarray, shape: tuple[int, int], mirrored: bool) -> np.ndarray:
        """The way back: an image of that shape, bilinear between the pixels of the square.

        Args:
            small: (size, size) float32.
            shape: (H, W) wanted.
            mirrored: Whether its chest wall is to be on the right.
        """
        square = _resized(small, (max(shape),) * 2, Image.Resampling.BILINEAR)
        pixels = square[_window(shape)]
        return np.ascontiguousarray(pixels[:, ::-1] if mirrored else pixels)


class DcganParameters(Parameters):
    """There is nothing to choose."""


class DcganSynthesizer:
    """See `mammosynth.synthesis.synthesizer.Synthesizer`.

    Args:
        network: Both networks.
    """

    task = MASK
    parameters = DcganParameters

    def __init__(self, network: DcganNetwork) -> None:
        self.preprocessing = LesionSquare(network.image.size)
        self.network = network

    def outputs(self, parameters: DcganParameters) -> tuple[str, ...]:
        """The image, and the lesions in its matrix."""
        return (IMAGE, LABELS)

    def __call__(
        self,
        inputs: Mapping[str, Any],
        parameters: DcganParameters,
        *,
        rendering: Rendering = Rendering.SAMPLED,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> tuple[Output, ...]:
        """The mammogram in the label map's matrix, and of the label map what the mammogram was made from: the lesions.

        Args:
            inputs: `label_map`, or a parametric `breast`, which is drawn with 512 rows.
            parameters: None.
            rendering: Sampled: from one noise vector, as published. Expected: the mean over 64 of them.
            seed: Of the noise vector.
            progress: Told a fraction in [0, 1] and what happens.

        Raises:
            InvalidParameterError: If the parametric breast is impossible.
            MissingAttributeError: If there is neither label map nor breast.
        """
        report = progress or (lambda fraction, message: None)
        report(0.0, "laying out the lesions")
        drawn = given_label_map(inputs, SHAPE)
        report(0.1, "running the network")
        small = self.generate(drawn, seed if rendering is Rendering.SAMPLED else None)
        report(0.9, "returning to the label map's matrix")
        height, width = drawn.labels.shape
        pixels = self.preprocessing.enlarge(small, (height, width), is_mirrored(drawn))
        about = (drawn.source_name, drawn.view_position, drawn.image_laterality)
        image = Mammogram(pixels, *about, pixel_spacing_mm=drawn.pixel_spacing_mm)
        lesions = np.where(np.isin(drawn.labels, MASSES), drawn.labels, np.uint8(0))
        labels = replace(drawn, labels=lesions, header=None)
        report(1.0, "done")
        return (Output(IMAGE, image), Output(LABELS, labels))

    def generate(self, drawn: LabelMap, seed: int | None) -> np.ndarray:
        """The small image.

        Args:
            drawn: What is where.
            seed: Of the noise vector; None takes the mean over many.

        Returns:
            (size, size) float32 in [0, 1].
        """
        count, random = (1, seed) if seed is not None else (AVERAGED, 0)
        noise = torch.randn(count, self.network.image.noise, generator=torch.Generator().manual_seed(random))
        device = next(self.network.parameters()).device
        condition = torch.from_numpy(self.preprocessing.condition(drawn)).to(device).expand(count, -1, -1, -1)
        with torch.inference_mode():
            made = self.network.image(noise.to(device), condition).float().mean(dim=(0, 1)).cpu().numpy()
        return (np.clip(made, -1, 1) + 1) / 2


def is_mirrored(drawn: LabelMap) -> bool:
    """Whether the chest wall is on the right."""
    breast = drawn.labels > 0
    return bool(breast.any()) and not chest_wall_on_left(breast)


def _window(shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Where an image lies in its square."""
    top = (max(shape) - shape[0]) // 2
    return slice(top, top + shape[0]), slice(0, shape[1])


def _resized(pixels: np.ndarray, shape: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((shape[1], shape[0]), how))
