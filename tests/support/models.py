"""The smallest models: real synthesizers without weights, as bundles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from mammosynth.bundle import Bundle, told
from mammosynth.errors import MissingAttributeError
from mammosynth.mammogram import Mammogram
from mammosynth.parameters import Parameters
from mammosynth.synthesis.synthesizer import Synthesizer
from mammosynth.task import IMAGE, UNCERTAINTY, Output, Placement, Remark, Rendering, Slot, SlotKind, TaskSpec
from mammosynth.tasks.contrast.specification import SPECIFICATION as CONTRAST

PAINTING = TaskSpec(
    name="painting",
    title="Painting",
    description="What is drawn on an image.",
    slots=(
        Slot("source", SlotKind.IMAGE, "Any image."),
        Slot("lesions", SlotKind.LABEL_MAP, "Drawn on it.", on="source"),
    ),
    placement=Placement.ON_SOURCE,
)


class InvertingParameters(Parameters):
    """See `Inverting`."""

    uncertainty: bool = False


class Inverting:
    """Black becomes white; like the models it needs a view."""

    task = "contrast"
    parameters = InvertingParameters
    preprocessing = None
    network = nn.Identity()

    def outputs(self, parameters: InvertingParameters) -> tuple[str, ...]:
        return (IMAGE, UNCERTAINTY) if parameters.uncertainty else (IMAGE,)

    def __call__(
        self,
        inputs: Mapping[str, Any],
        parameters: InvertingParameters,
        *,
        rendering: Rendering,
        seed: int,
        progress: Any = None,
    ) -> tuple[Output, ...]:
        source: Mammogram = inputs["source"]
        if source.view_position is None:
            raise MissingAttributeError(f"{source.source_name}: view position is missing; set view_position.")
        made = (1 - source.pixels, source.pixels / 8)
        roles = self.outputs(parameters)
        return tuple(Output(role, source.with_pixels(pixels)) for role, pixels in zip(roles, made, strict=False))


class Counting(Inverting):
    """Also counts what is drawn."""

    tells_of = ("lesions",)

    def make_and_tell(
        self, inputs: Mapping[str, Any], parameters: InvertingParameters, *, only_tell: bool = False, **order: Any
    ) -> tuple[tuple[Output, ...], tuple[Remark, ...]]:
        count = int((inputs["lesions"].labels > 0).sum())
        remarks = (Remark("lesions", f"{count} pixels are drawn.", {"pixels": count}),)
        return () if only_tell else self(inputs, parameters, **order), remarks


class PaintingParameters(Parameters):
    """None."""


class Painter:
    """Shows what was drawn: class n is n tenths of white."""

    task = "painting"
    parameters = PaintingParameters
    preprocessing = None
    network = nn.Identity()

    def outputs(self, parameters: PaintingParameters) -> tuple[str, ...]:
        return (IMAGE,)

    def __call__(
        self,
        inputs: Mapping[str, Any],
        parameters: PaintingParameters,
        *,
        rendering: Rendering,
        seed: int,
        progress: Any = None,
    ) -> tuple[Output, ...]:
        return (Output(IMAGE, inputs["source"].with_pixels(inputs["lesions"].labels.astype(np.float32) / 10)),)


def bundle_of(
    synthesizer: Synthesizer,
    *,
    name: str = "a_model",
    task: TaskSpec = CONTRAST,
    renderings: tuple[Rendering, ...] = (Rendering.EXPECTED,),
) -> Bundle:
    """A synthesizer as a model that is served."""
    return Bundle(
        name=name,
        version="1",
        task=task,
        slots=told(task.slots, synthesizer),
        renderings=renderings,
        description="",
        metadata={"mammosynth": {}},
        weights_sha256="ab" * 32,
        is_default=True,
        synthesizer=synthesizer,
    )
