"""`TaskSpec`: all that the house knows of a task. A task itself is one folder, found by an entry point.

A package gives its tasks in the entry-point group `mammosynth.tasks`, each a name and a module attribute that holds a
`TaskSpec`. Everything that costs time or needs a library (data, objectives, evaluation) stands there as a dotted name
and is imported when it is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar

from mammosynth.errors import InvalidParameterError, MissingAttributeError, PluginError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.plugins import load_point

ENTRY_POINTS = "mammosynth.tasks"
Value = TypeVar("Value")


class Placement(StrEnum):
    """Where a result belongs in an archive."""

    ON_SOURCE = "on_source"
    """On its source: same study, frame of reference, matrix and geometry."""
    SAME_STUDY = "same_study"
    """Another view of the same breast: the source's study, a frame of reference of its own."""
    NEW_STUDY = "new_study"
    """A fictitious patient: a study of its own."""


class Rendering(StrEnum):
    """Which of the images that are possible is wanted."""

    EXPECTED = "expected"
    """The one of least error, which is smooth."""
    SAMPLED = "sampled"
    """One plausible image, by its seed, which looks real."""


class SlotKind(StrEnum):
    """What a client supplies."""

    IMAGE = "image"
    LABEL_MAP = "label_map"
    JSON = "json"


IMAGE, UNCERTAINTY, LABELS = "image", "uncertainty", "labels"
"""Roles of outputs: the result itself, how uncertain it is in every pixel, and what is where in it."""


@dataclass(frozen=True, eq=False)
class Preview:
    """How JSON values are chosen on a screen: what they stand for, drawn at once, and values to begin with.

    Attributes:
        draw: The label map that a result would be made from, in few pixels; raises if the values cannot be used.
        suggestions: By name; the first is what to begin with. Each gives whole values, from those that are there and a
            seed.
        measure: The values of an image; None if they cannot be measured in one.
    """

    draw: Callable[[Mapping[str, Any]], LabelMap]
    suggestions: Mapping[str, Callable[[Mapping[str, Any], int], dict[str, Any]]]
    measure: Callable[[Mammogram], dict[str, Any]] | None = None

    def as_json(self) -> dict[str, Any]:
        """What a client needs to offer it."""
        return {"suggestions": list(self.suggestions), "can_measure": self.measure is not None}


@dataclass(frozen=True, eq=False)
class Slot:
    """One thing that a client supplies.

    Attributes:
        role: Its name in requests, in provenance and on screen.
        kind: A `Mammogram`, a `LabelMap`, or JSON values.
        description: One sentence for a person.
        required: Whether the task cannot do without; a bundle may require more.
        accept: Raises if the value cannot be used. Of an image it looks at attributes only, never at pixels, so that
            sources can be listed by their headers.
        on: Of a label map: the role of the image in whose matrix it is drawn; None if it stands for itself.
        classes: Of a label map: what its numbers mean; empty if any may be drawn.
        lesions: Which of these are lesions: they lie within the others.
        from_image: Of a label map: what an image shows, to begin a drawing with; None if it cannot be told.
        complete: Of a label map that stands for itself: makes whole what was drawn on an acquired image by what that
            image shows, which it is given by a function; None if a drawing has to be whole already.
        json_schema: Of JSON values.
        preview: Of JSON values that stand for a label map; None if they do not.
        only_lesions: Of a label map: whether parts of the breast have no place in it, so that clients offer no drawing
            that has some.
        changes_image: Otherwise the image is the same without it: a model tells something of the value, and models that
            cannot have no such slot.
    """

    role: str
    kind: SlotKind
    description: str
    required: bool = True
    accept: Callable[[Any], None] | None = None
    on: str | None = None
    classes: Mapping[int, str] = field(default_factory=dict)
    lesions: tuple[int, ...] = ()
    from_image: Callable[[Mammogram], LabelMap] | None = None
    complete: Callable[[LabelMap, Callable[[], Mammogram]], LabelMap] | None = None
    json_schema: Mapping[str, Any] | None = None
    preview: Preview | None = None
    only_lesions: bool = False
    changes_image: bool = True

    def as_json(self) -> dict[str, Any]:
        """What a client needs to offer it."""
        return {
            "role": self.role,
            "kind": str(self.kind),
            "description": self.description,
            "required": self.required,
            "on": self.on,
            "classes": {str(number): name for number, name in self.classes.items()},
            "lesions": [int(number) for number in self.lesions],
            "from_image": self.from_image is not None,
            "json_schema": None if self.json_schema is None else dict(self.json_schema),
            "preview": None if self.preview is None else self.preview.as_json(),
            "only_lesions": self.only_lesions,
            "changes_image": self.changes_image,
        }


@dataclass(frozen=True, eq=False)
class Output:
    """One thing that a synthesizer gives.

    Attributes:
        role: `IMAGE`, `UNCERTAINTY`, `LABELS`, or another word of the task's own.
        value: Its pixels.
    """

    role: str
    value: Mammogram | LabelMap


@dataclass(frozen=True)
class Remark:
    """What a model tells of an input that leaves the image as it is.

    Attributes:
        role: Of the input.
        sentence: For a person.
        values: The numbers in it, as JSON values.
    """

    role: str
    sentence: str
    values: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """What a client is told."""
        return {"role": self.role, "sentence": self.sentence, "values": dict(self.values)}


@dataclass(frozen=True, eq=False)
class TaskSpec:
    """See the module.

    Attributes:
        name: As in requests, commands and metadata: "contrast".
        title: For a person: "Contrast".
        description: One sentence: from what to what.
        slots: What a client supplies. The first image is the source: results are named after it.
        placement: Where results belong.
        dataset: Dotted name `module:attribute` of a `training.data.Dataset`.
        objectives: Dotted name of a mapping from a name in train.json to a `training.objective.Training`.
        evaluation: Dotted name of an `evaluation.report.Evaluation`.
        bulk: Dotted name of what makes whole data sets from a specification; see `commands.synthesize`.
        targets: Packages whose classes the task's bundles may name, beside those that every bundle may.
        renamed: Classes that bundles of earlier versions name otherwise: old to new dotted name.
        given_with: Outputs that are there only if an optional slot is filled: role of the output to role of the slot.
    """

    name: str
    title: str
    description: str
    slots: tuple[Slot, ...]
    placement: Placement
    dataset: str = ""
    objectives: str = ""
    evaluation: str = ""
    bulk: str = ""
    targets: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    given_with: Mapping[str, str] = field(default_factory=dict)

    @property
    def source_role(self) -> str | None:
        """The role of the image that results are named after; None if the task starts from no image."""
        return next((slot.role for slot in self.slots if slot.kind is SlotKind.IMAGE), None)

    def load(self, part: str) -> Any:
        """What one of the dotted names stands for.

        Args:
            part: "dataset", "objectives", "evaluation" or "bulk".

        Raises:
            InvalidParameterError: If the task has none.
            PluginError: If it has a name of it, which leads nowhere.
        """
        name = getattr(self, part)
        if not name:
            raise InvalidParameterError(
                f"task {self.name} has no {part}; choose another task, or name one in its specification: {part}="
            )
        module, _, attribute = name.partition(":")
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
            raise PluginError(
                f"task {self.name}: {part} is {name!r}, but there is no {error.name}; correct it"
            ) from error
        if not hasattr(found, attribute):
            raise PluginError(f"task {self.name}: {part} is {name!r}, but {module} has no such name; correct it")
        return getattr(found, attribute)


@cache
def tasks() -> dict[str, TaskSpec]:
    """Every task that is installed, by its name.

    Raises:
        PluginError: If one cannot be loaded, or has another name in its specification than its package tells.
    """
    found = {point.name: load_point(point) for point in entry_points(group=ENTRY_POINTS)}
    for name, told in found.items():
        if not isinstance(told, TaskSpec) or told.name != name:
            is_called = f"named {told.name!r}" if isinstance(told, TaskSpec) else f"a {type(told).__name__}"
            raise PluginError(
                f"{ENTRY_POINTS}: what the package of {name!r} names is {is_called}, expected a {TaskSpec.__name__} "
                f"named {name!r}; make both names one"
            )
    return {name: found[name] for name in sorted(found)}


def task_named(name: str) -> TaskSpec:
    """The task of that name.

    Raises:
        InvalidParameterError: If there is none; those that are installed are named.
    """
    if name not in tasks():
        raise InvalidParameterError(f"no task {name[:64]!r}, expected one of {', '.join(tasks())}")
    return tasks()[name]


def that_change_image(slots: Sequence[Slot], inputs: Mapping[str, Value]) -> dict[str, Value]:
    """The inputs, by role, that an image is made from; the others are told of."""
    told_of = {slot.role for slot in slots if not slot.changes_image}
    return {role: value for role, value in inputs.items() if role not in told_of}


def check_inputs(slots: Sequence[Slot], inputs: Mapping[str, Any]) -> None:
    """Refuse inputs that a task cannot start from.

    Args:
        slots: What the task, or one of its bundles, asks for.
        inputs: By role.

    Raises:
        InvalidParameterError: If a role is unknown, a value is of another kind, or a label map lies on another matrix.
        MissingAttributeError: If a required one is missing.
        UnsupportedImageError: If the slot itself does not accept the value.
    """
    known = {slot.role: slot for slot in slots}
    if unknown := sorted(set(inputs) - set(known)):
        raise InvalidParameterError(
            f"input {unknown[0][:64]!r} is unknown, expected {', '.join(known) or 'none'}; leave it out"
        )
    for slot in slots:
        if slot.role in inputs:
            _check_input(slot, inputs[slot.role], inputs)
        elif slot.required:
            raise MissingAttributeError(f"input '{slot.role}' is missing: {slot.description}")


def _check_input(slot: Slot, value: Any, inputs: Mapping[str, Any]) -> None:
    expected = {SlotKind.IMAGE: Mammogram, SlotKind.LABEL_MAP: LabelMap}.get(slot.kind)
    if expected is not None and not isinstance(value, expected):
        raise InvalidParameterError(f"input '{slot.role}' is a {type(value).__name__}, expected {slot.kind}")
    if slot.kind is SlotKind.JSON:
        check_json(slot, value)
    if isinstance(value, LabelMap):
        _check_label_map(slot, value, inputs.get(slot.on or ""))
    if slot.accept is not None:
        slot.accept(value)


def check_json(slot: Slot, value: Any) -> None:
    """Refuse JSON values that do not fit the schema of their slot.

    Raises:
        InvalidParameterError: With the place and the reason.
    """
    import jsonschema

    try:
        jsonschema.validate(value, dict(slot.json_schema or {}))
    except jsonschema.ValidationError as error:
        where = "/".join(str(part) for part in error.absolute_path)
        raise InvalidParameterError(f"input '{slot.role}'{f' at {where}' if where else ''}: {error.message}") from None


def _check_label_map(slot: Slot, drawn: LabelMap, image: Mammogram | None) -> None:
    if image is not None and drawn.labels.shape != image.pixels.shape:
        found, expected = (" x ".join(map(str, shape)) for shape in (drawn.labels.shape, image.pixels.shape))
        raise InvalidParameterError(
            f"input '{slot.role}' ({drawn.source_name}) has {found} pixels, the image it is drawn on {expected}; draw "
            "on the source itself"
        )
    present = set(map(int, set(drawn.labels.ravel().tolist()))) - {0}
    if slot.classes and (other := sorted(present - set(slot.classes))):
        named = ", ".join(f"{number} {name}" for number, name in slot.classes.items())
        raise InvalidParameterError(
            f"input '{slot.role}' ({drawn.source_name}) has the value {other[0]}, expected 0 or one of: {named}"
        )
