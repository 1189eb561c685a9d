"""Task parameters: frozen dataclasses that check themselves and describe themselves to clients."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

import numpy as np

from mammosynth.errors import InvalidParameterError

Parameters = TypeVar("Parameters")


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A parameter that is drawn on the source: a lesion mask, or the parts of a breast.

    A model asks for one by a field of this type; `LabelMap | None = None` if it can do without.

    Attributes:
        name: SOP Instance UID of the DICOM Segmentation that it comes from, or the name of a file; provenance keeps it.
        labels: (H, W) uint8 in the source's matrix and orientation, 0 where nothing is drawn.
    """

    name: str
    labels: np.ndarray

    def __post_init__(self) -> None:
        """Refuse what is no label map."""
        if self.labels.ndim != 2 or self.labels.dtype != np.uint8:
            raise ValueError(f"labels must be (H, W) uint8, found {self.labels.shape} {self.labels.dtype}")


SEGMENTATION = "segmentation"
"""How clients know a `LabelMap`: its value in a request names a DICOM Segmentation of the study."""
_TYPES: dict[Any, tuple[str, tuple[type, ...]]] = {
    bool: ("boolean", (bool,)),
    int: ("integer", (int,)),
    float: ("number", (int, float)),
    str: ("string", (str,)),
    LabelMap: (SEGMENTATION, (LabelMap,)),
    LabelMap | None: (SEGMENTATION, (LabelMap,)),
}
"""By a field's type: its name for clients, as in JSON Schema where it has one, and what is accepted."""
_ACCEPTED = dict(_TYPES.values())


def describe_parameters(kind: type) -> list[dict[str, Any]]:
    """What a client needs to draw a form.

    Args:
        kind: A parameter dataclass; its fields' metadata may hold minimum, maximum, options (the values that a string
            may have), unit and description.

    Returns:
        One dictionary per field: name, type, default (None for a `LabelMap`), minimum, maximum, options, unit,
        description.
    """
    types = get_type_hints(kind)
    return [
        {
            "name": field.name,
            "type": _TYPES[types[field.name]][0],
            "default": None if field.default is dataclasses.MISSING else field.default,
            **{key: field.metadata.get(key) for key in ("minimum", "maximum", "options", "unit", "description")},
        }
        for field in dataclasses.fields(kind)
    ]


def parse_parameters(kind: type[Parameters], values: Mapping[str, Any] | None) -> Parameters:
    """The parameters of a request, defaults filled in.

    Args:
        kind: A parameter dataclass.
        values: Names and values; None for all defaults.

    Raises:
        InvalidParameterError: If a name is unknown or missing, or a value has the wrong type or is out of range.
    """
    values = dict(values or {})
    described = {entry["name"]: entry for entry in describe_parameters(kind)}
    problems = [_unknown(name, described) for name in values if name not in described]
    problems += [_missing(entry) for name, entry in described.items() if name in _required(kind) - values.keys()]
    problems += [
        problem for name, entry in described.items() if name in values and (problem := _bad(values[name], entry))
    ]
    if problems:
        raise InvalidParameterError("; ".join(problems))
    return kind(**values)


def check_label_maps(parameters: Any, shape: tuple[int, ...]) -> None:
    """Refuse a label map that is not in the source's matrix.

    Args:
        parameters: A parameter dataclass.
        shape: Of the source.

    Raises:
        InvalidParameterError: With both shapes.
    """
    for field in dataclasses.fields(parameters):
        value = getattr(parameters, field.name)
        if isinstance(value, LabelMap) and value.labels.shape != shape:
            raise InvalidParameterError(
                f"parameter '{field.name}' ({value.name}) has {value.labels.shape[0]} x {value.labels.shape[1]} "
                f"pixels, the source {shape[0]} x {shape[1]}; draw on the source itself"
            )


def parameters_as_json(parameters: Any) -> dict[str, Any]:
    """Parameters as JSON values for provenance; of a label map its name, never the pixels."""
    values = {field.name: getattr(parameters, field.name) for field in dataclasses.fields(parameters)}
    return {name: value.name if isinstance(value, LabelMap) else value for name, value in values.items()}


def _required(kind: Any) -> set[str]:
    fields = dataclasses.fields(kind)
    return {each.name for each in fields if each.default is each.default_factory is dataclasses.MISSING}


def _missing(entry: Mapping[str, Any]) -> str:
    return f"parameter '{entry['name']}' is missing, expected a {entry['type']}; this model cannot do without"


def _unknown(name: str, described: Mapping[str, Any]) -> str:
    return f"parameter '{name}' is unknown, known are: {', '.join(described) or 'none'}; leave it out"


def _bad(value: Any, entry: Mapping[str, Any]) -> str | None:
    accepted = _ACCEPTED[entry["type"]]
    is_wrong_bool = isinstance(value, bool) and bool not in accepted
    if is_wrong_bool or not isinstance(value, accepted):
        return f"parameter '{entry['name']}' is {value!r}, expected {entry['type']}"
    if entry["options"] is not None and value not in entry["options"]:
        return f"parameter '{entry['name']}' is '{str(value)[:64]}', expected one of {', '.join(entry['options'])}"
    low, high = entry["minimum"], entry["maximum"]
    # NaN fails every comparison, so it is refused as well.
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        return f"parameter '{entry['name']}' is {value}, expected {low} to {high}"
    return None
