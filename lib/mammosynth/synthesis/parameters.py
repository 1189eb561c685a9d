"""Task parameters: frozen dataclasses that check themselves and describe themselves to clients."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from mammosynth.errors import InvalidParameterError

Parameters = TypeVar("Parameters")
_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "bool": ("boolean", (bool,)),
    "int": ("integer", (int,)),
    "float": ("number", (int, float)),
    "str": ("string", (str,)),
}
"""By the name of a field's type: its name for clients, as in JSON Schema, and what is accepted."""
_ACCEPTED = dict(_TYPES.values())


def describe_parameters(kind: type) -> list[dict[str, Any]]:
    """What a client needs to draw a form.

    Args:
        kind: A parameter dataclass; its fields' metadata may hold minimum, maximum, options (the values that a string
            may have), unit and description.

    Returns:
        One dictionary per field: name, type, default, minimum, maximum, options, unit, description.
    """
    return [
        {
            "name": field.name,
            "type": _TYPES[getattr(field.type, "__name__", str(field.type))][0],
            "default": field.default,
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
        InvalidParameterError: If a name is unknown, or a value has the wrong type or is out of range.
    """
    values = dict(values or {})
    described = {entry["name"]: entry for entry in describe_parameters(kind)}
    problems = [_unknown(name, described) for name in values if name not in described]
    problems += [
        problem for name, entry in described.items() if name in values and (problem := _bad(values[name], entry))
    ]
    if problems:
        raise InvalidParameterError("; ".join(problems))
    return kind(**values)


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
