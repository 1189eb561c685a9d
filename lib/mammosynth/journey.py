"""`perform`: the one way from an order to a stored result, for files, requests and jobs alike.

    order, inputs -> read -> check -> synthesize -> mark and store

Where inputs come from is a matter of `Given`, where results go of a `Sink`; everything between stands here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from pydantic import Field

from mammosynth import __version__
from mammosynth.bundle import Bundle
from mammosynth.errors import InvalidParameterError
from mammosynth.parameters import Parameters, merged_schema
from mammosynth.synthesis.result import Result
from mammosynth.task import Rendering, that_change_image
from mammosynth.terms import ImageLaterality, ViewPosition

Progress = Callable[[float, str], None]
Synthesize = Callable[..., Result]
"""Runs a network as `Bundle.synthesize` does, wherever that is; its first argument is the bundle."""
Stored = TypeVar("Stored")  # what a sink gives back
SEEDS = 2**31
"""How many there are; the first is 0."""
_ADVANCED: dict[str, Any] = {"advanced": True}
_OF_SOURCE: dict[str, Any] = _ADVANCED | {"empty": "as in the header"}


class OrderSettings(Parameters):
    """What can be asked of every model."""

    rendering: Rendering | None = Field(default=None, strict=False)
    """expected: least error, smooth. sampled: one plausible image by its seed, which looks real."""
    seed: int = Field(default=0, ge=0, le=SEEDS - 1, json_schema_extra=_ADVANCED)
    """Seed of the synthesis; the same seed gives the same image."""
    burned_in_mark: bool = Field(default=True, json_schema_extra=_ADVANCED)
    """Write SYNTHETIC - NOT FOR DIAGNOSIS into the pixels of a free corner."""
    view_position: ViewPosition | None = Field(default=None, strict=False, json_schema_extra=_OF_SOURCE)
    """View of the source where its header does not say it."""
    image_laterality: ImageLaterality | None = Field(default=None, strict=False, json_schema_extra=_OF_SOURCE)
    """Side of the source where its header does not say it."""


@dataclass(frozen=True, eq=False)
class Order:
    """What was asked for, checked.

    Attributes:
        bundle: The model.
        settings: What can be asked of every model; the rendering is resolved.
        parameters: The model's own.
    """

    bundle: Bundle
    settings: OrderSettings
    parameters: Parameters

    @classmethod
    def parse(cls, bundle: Bundle, values: Mapping[str, Any]) -> Self:
        """The order that names and values stand for.

        Args:
            bundle: The model.
            values: Of `schema`; what is None counts as left out.

        Raises:
            InvalidParameterError: If a name is unknown or a value cannot be used.
        """
        common, own = OrderSettings.model_fields, bundle.synthesizer.parameters.model_fields
        given = {name: value for name, value in values.items() if value is not None}
        if unknown := sorted(set(given) - set(common) - set(own)):
            raise InvalidParameterError(
                f"parameter '{unknown[0][:64]}' is unknown, known are: {', '.join(sorted({*common, *own}))}; leave it "
                "out"
            )
        settings = OrderSettings(**{name: value for name, value in given.items() if name in common})
        settings = settings.changed(rendering=bundle.rendering(settings.rendering))
        parameters = bundle.synthesizer.parameters(**{name: value for name, value in given.items() if name in own})
        bundle.synthesizer.outputs(parameters)
        return cls(bundle, settings, parameters)

    @staticmethod
    def schema(bundle: Bundle) -> dict[str, Any]:
        """A JSON Schema of what can be asked of a model; nothing about a source if it starts from none."""
        own = bundle.synthesizer.parameters
        schema = merged_schema(own, OrderSettings)
        if bundle.task.source_role is None:
            for name in ("view_position", "image_laterality"):
                del schema["properties"][name]
            schema["properties"] = own.json_schema()["properties"] | schema["properties"]
        schema["properties"]["rendering"] |= {"enum": list(bundle.renderings), "default": bundle.renderings[0]}
        return schema


@dataclass(frozen=True, eq=False)
class Given:
    """One input, as it was named.

    Attributes:
        identity: JSON values that stand for its content; see `dicom.derived_uids`.
        read: Gives the `Mammogram`, the `LabelMap` or the JSON values; called once, if it is needed at all. It is given
            what was read before it, by role.
    """

    identity: Any
    read: Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, eq=False)
class Work:
    """One result that is wanted: an order, and what it starts from.

    Attributes:
        order: What was asked for.
        identities: `Given.identity` of every input that changes the image, by role.
    """

    order: Order
    identities: Mapping[str, Any]

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of the outputs, the image first."""
        bundle = self.order.bundle
        needed = bundle.task.given_with
        roles = bundle.synthesizer.outputs(self.order.parameters)
        return tuple(role for role in roles if role not in needed or needed[role] in self.identities)

    def ingredients(self) -> dict[str, Any]:
        """Everything that decides the pixels, as JSON values; see `dicom.derived_uids.work_digest`."""
        bundle, settings = self.order.bundle, self.order.settings
        return {
            "bundle": bundle.name,
            "bundle_version": bundle.version,
            "weights_sha256": bundle.weights_sha256,
            "software_version": __version__,
            "rendering": str(settings.rendering),
            "seed": settings.seed,
            "burned_in_mark": settings.burned_in_mark,
            "parameters": self.order.parameters.as_json(),
            "inputs": dict(self.identities),
        }


class Sink(Protocol[Stored]):
    """Where results go."""

    def find(self, work: Work) -> Stored | None:
        """What is stored of the work already; None if any of it is missing."""

    def store(self, work: Work, result: Result, known: Stored | None) -> Stored:
        """Mark the result and store what of it is missing; what is told goes back with it.

        Args:
            work: What was made.
            result: Without outputs if they are known.
            known: What `find` gave.

        Raises:
            OutputError: If it cannot be written.
        """


def perform(
    order: Order,
    inputs: Mapping[str, Given],
    sink: Sink[Stored],
    *,
    progress: Progress | None = None,
    synthesize: Synthesize = Bundle.synthesize,
) -> Stored:
    """Make one result and store it, unless it is there already.

    Where something is to be told of an input, the network runs also for one that is there, but no image is made.

    Args:
        order: What was asked for.
        inputs: By role, those first that others are drawn on.
        sink: Where the result goes.
        progress: Told a fraction in [0, 1] and what happens.
        synthesize: Runs the network.

    Raises:
        MammoSynthError: If an input cannot be read or used, or the result cannot be stored.
    """
    report = progress or (lambda fraction, message: None)
    made_from = that_change_image(order.bundle.slots, inputs)
    work = Work(order, {role: given.identity for role, given in made_from.items()})
    if (known := sink.find(work)) is not None and len(made_from) == len(inputs):
        report(1.0, "this was synthesized before")
        return known
    report(0.0, "fetching the source")
    values: dict[str, Any] = {}
    for role, given in inputs.items():
        values[role] = given.read(values)
    result = synthesize(
        order.bundle,
        values,
        parameters=order.parameters,
        rendering=order.settings.rendering,
        seed=order.settings.seed,
        progress=lambda fraction, message: report(0.2 + 0.6 * fraction, message),
        only_tell=known is not None,
    )
    report(0.85, "storing the result")
    return sink.store(work, result, known)
