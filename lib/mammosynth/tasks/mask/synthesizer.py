"""`MaskSynthesizer`: a label map to a mammogram of the same matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image
from pydantic import Field

from mammosynth.mammogram import Mammogram
from mammosynth.parameters import Parameters
from mammosynth.preprocessing.look import Density, Look
from mammosynth.synthesis.engine import run_whole
from mammosynth.synthesis.synthesizer import Progress
from mammosynth.task import IMAGE, LABELS, Output, Rendering
from mammosynth.tasks.mask.cases import view_of
from mammosynth.tasks.mask.drawing import ROWS, Drawing
from mammosynth.tasks.mask.expected import ExpectedPreprocessing
from mammosynth.tasks.mask.labels.drawable import pixel_mm_of
from mammosynth.tasks.mask.network import MaskNetwork
from mammosynth.tasks.mask.parametric.slot import PARAMETRIC_SHAPE, given_label_map
from mammosynth.tasks.mask.roles import MASK
from mammosynth.tasks.mask.style import about, look_of
from mammosynth.tasks.mask.tissue import draw_finer, draw_tissue
from mammosynth.terms import ViewPosition

_FROM_LABEL_MAP: dict[str, Any] = {"empty": "as the label map shows"}


class MaskParameters(Parameters):
    """What a label map does not say."""

    density: Density | None = Field(default=None, json_schema_extra=_FROM_LABEL_MAP)
    """ACR breast composition, a to d; none leaves it to the label map."""
    view_position: ViewPosition | None = Field(default=None, strict=False, json_schema_extra=_FROM_LABEL_MAP)
    """CC or MLO; none takes the label map's own, or MLO where a pectoral muscle is drawn."""
    look: Look = Field(default=Look.DIGITAL, strict=False)
    """A digital mammogram or one on film."""


class MaskSynthesizer:
    """See `mammosynth.synthesis.synthesizer.Synthesizer`.

    Args:
        network: The model's networks.
    """

    task = MASK
    parameters = MaskParameters
    preprocessing = ExpectedPreprocessing()

    def __init__(self, network: MaskNetwork) -> None:
        self.network = network

    def outputs(self, parameters: MaskParameters) -> tuple[str, ...]:
        """The image, and the label map that it shows."""
        return (IMAGE, LABELS)

    def __call__(
        self,
        inputs: Mapping[str, Any],
        parameters: MaskParameters,
        *,
        rendering: Rendering,
        seed: int,
        progress: Progress | None = None,
    ) -> tuple[Output, ...]:
        """The mammogram and its label map.

        Args:
            inputs: `label_map`, or `breast`.
            parameters: What the label map does not say.
            rendering: Expected: the mean of what the model has learnt, smooth. Sampled: one image, by its seed.
            seed: Of tissue and style of a sampled image.
            progress: Told a fraction in [0, 1] and what happens.

        Returns:
            In the matrix and orientation of the label map; 0 in air.
        """
        drawn = given_label_map(inputs, PARAMETRIC_SHAPE)
        report = progress or (lambda fraction, message: None)
        report(0.0, "laying out the breast")
        drawing = Drawing.of(drawn.labels)
        view = parameters.view_position or view_of(drawn)
        known = about(drawing, view, parameters.look, parameters.density)
        report(0.1, "drawing tissue")
        pixels = self.generate(drawing, known, rendering, seed)
        whole = np.clip(pixels, 0, 1) * (drawn.labels > 0)
        spacing = drawn.pixel_spacing_mm or (pixel_mm_of(drawn.labels.shape, None),) * 2
        image = Mammogram(
            whole.astype(np.float32),
            drawn.source_name,
            view_position=view,
            image_laterality=drawn.image_laterality,
            pixel_spacing_mm=spacing,
        )
        report(1.0, "done")
        return (Output(IMAGE, image), Output(LABELS, drawn))

    def generate(self, drawing: Drawing, known: np.ndarray, rendering: Rendering, seed: int) -> np.ndarray:
        """The image.

        Args:
            drawing: What is where.
            known: (10,), see `style.about`.
            rendering: Sampled: tissue is drawn in a style that is drawn. Expected: what the network has learned.
            seed: Of the sampled image.

        Returns:
            (H, W) float32 in [0, 1], in the label map's matrix.
        """
        if rendering is Rendering.EXPECTED:
            return drawing.restore(self._expected(drawing, known))
        random = np.random.default_rng(seed)
        style = self.network.styles.draw(known, random)
        restored = np.clip(drawing.restore(draw_tissue(drawing, style, look_of(known), random)), 0, 1)
        if drawing.shape[0] <= ROWS:
            return restored
        return draw_finer(restored, drawing, style, random)

    def _expected(self, drawing: Drawing, known: np.ndarray) -> np.ndarray:
        half = run_whole(self.network.expected, self.preprocessing.channels(drawing, known)[None])[0, 0]
        whole = np.asarray(
            Image.fromarray(half).resize((drawing.labels.shape[1], drawing.labels.shape[0]), Image.Resampling.BICUBIC)
        )
        return whole * drawing.breast
