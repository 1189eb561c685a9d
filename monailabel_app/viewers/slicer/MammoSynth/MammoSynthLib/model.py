"""A model as the server lists it: what it asks for, and how that is offered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

IMAGE, LABEL_MAP, JSON = "image", "label_map", "json"
"""Kinds of slots."""
ON_SOURCE, SAME_STUDY, NEW_STUDY = "on_source", "same_study", "new_study"
"""Where a result belongs: on its source, beside it in its study, in the study of a patient who does not exist."""
_TYPES: Mapping[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
}


@dataclass(frozen=True)
class Slot:
    """One thing that a model starts from.

    Attributes:
        role: Its name in requests.
        kind: `IMAGE`, `LABEL_MAP` or `JSON`.
        description: One sentence.
        required: Whether the model cannot do without.
        on: Of a label map: the role of the image that it is drawn on; None if it stands for itself.
        classes: Of a label map: what its numbers mean; empty if anything may be drawn.
        lesions: Names of the classes that are lesions, where others are parts of the breast; empty if there are none.
    """

    role: str
    kind: str
    description: str = ""
    required: bool = True
    on: str | None = None
    classes: Mapping[int, str] = field(default_factory=dict)
    lesions: tuple[str, ...] = ()

    @classmethod
    def listed(cls, described: Mapping[str, Any]) -> Slot:
        """A slot of the server's /info."""
        classes = {int(number): name for number, name in (described.get("classes") or {}).items()}
        return cls(
            described["role"],
            described["kind"],
            described.get("description") or "",
            bool(described.get("required", True)),
            described.get("on"),
            classes,
            tuple(classes[number] for number in described.get("lesions") or ()),
        )

    @property
    def label(self) -> str:
        """The role as a person reads it."""
        text = spaced(self.role)
        return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class Model:
    """A model of the server.

    Attributes:
        name: In requests.
        title: Of its task, for a person.
        description: What it does.
        placement: Where its results belong.
        slots: What it starts from.
        properties: Its parameters by name, each as JSON Schema, with unit and advanced.
        scores: How well it was measured to do.
    """

    name: str
    title: str = ""
    description: str = ""
    placement: str = ON_SOURCE
    slots: tuple[Slot, ...] = ()
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def listed(cls, name: str, described: Mapping[str, Any]) -> Model:
        """An entry of `models` in the server's /info."""
        return cls(
            name,
            described.get("title") or name,
            described.get("description") or "",
            described.get("placement", ON_SOURCE),
            tuple(Slot.listed(slot) for slot in described["slots"]),
            described["parameters"].get("properties", {}),
            described.get("scores") or {},
        )

    def first(self, kind: str) -> Slot | None:
        """The first slot of a kind; of an image it is the source, on which results lie."""
        return next((slot for slot in self.slots if slot.kind == kind), None)

    def more(self) -> list[Slot]:
        """The slots beside the first image and the first label map."""
        return [slot for slot in self.slots if slot not in (self.first(IMAGE), self.first(LABEL_MAP))]

    def offered(self, *, advanced: bool) -> dict[str, Mapping[str, Any]]:
        """The parameters to show, in the server's order; one of which there is but one value needs no control.

        Args:
            advanced: Those that are folded away instead.
        """
        shown = {name: one for name, one in self.properties.items() if len(one.get("enum") or (1, 2)) > 1}
        return {name: one for name, one in shown.items() if bool(one.get("advanced")) == advanced}

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Refuse to start without what the model cannot do without.

        Args:
            inputs: By role.

        Raises:
            ValueError: Naming all that is missing.
        """
        missing = [slot for slot in self.slots if slot.required and inputs.get(slot.role) is None]
        if missing:
            named = "; ".join(
                f"{slot.label} ({slot.description})" if slot.description else slot.label for slot in missing
            )
            raise ValueError(f"{self.title} cannot do without: {named}; choose or draw it")

    def card(self) -> str:
        """One or two lines: what it does, and how well that was measured."""
        lines = [self.description]
        measured = [_measure(measure) for measure in self.scores.get("measures", ())]
        if measured:
            images, patients = count_of(self.scores["images"], "image"), count_of(self.scores["patients"], "patient")
            whose = f"{images} of {patients} ({self.scores['split']})"
            lines.append(f"On {whose}: {'; '.join(measured)}")
        return "\n".join(line for line in lines if line)


def count_of(number: int, thing: str, things: str = "") -> str:
    """A number with its noun, as a sentence says it: '1 study'."""
    return f"{number} {thing if number == 1 else things or f'{thing}s'}"


def names_of(models: Sequence[Model]) -> list[str]:
    """How models are called in a list: by their title; a further one of the same title by its name, too."""
    titles = [model.title for model in models]
    return [
        model.title if model.title not in titles[:index] else f"{model.title} ({model.name})"
        for index, model in enumerate(models)
    ]


def fits(value: Any, described: Mapping[str, Any]) -> bool:
    """Whether a value, perhaps one that was chosen for another model, can be that of a parameter."""
    kind = described.get("type", "string")
    if not isinstance(value, _TYPES.get(kind, ())) or (isinstance(value, bool) and kind != "boolean"):
        return False
    if described.get("enum"):
        return value in described["enum"]
    low, high = described.get("minimum"), described.get("maximum")
    return (low is None or value >= low) and (high is None or value <= high)


def spaced(name: str) -> str:
    """A name of the server in words."""
    return name.replace("_", " ")


def _measure(measure: Mapping[str, Any]) -> str:
    unit = f" {measure['unit']}" if measure.get("unit") else ""
    text = f"{measure['name']} {measure['value']:.3g}{unit}"
    interval = measure.get("interval")
    return f"{text} [{interval[0]:.3g}, {interval[1]:.3g}]" if interval else text
