"""`Parameters`: settings that check themselves and describe themselves to clients, from one declaration.

Of a synthesis, of a training run, of a request: each is a class with typed fields, whose limits stand in `Field`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from mammosynth.errors import InvalidParameterError

_MAX_DEPTH = 16  # of JSON values: no order nests deeper, and every reader of JSON calls itself once a level
_MAX_INTEGER = 2**63 - 1  # what databases and DICOM hold
_TOLD = 8  # of all that is wrong: a list has thousands of values
_SHOWN = 64  # characters of a bad value that a message repeats
_KEPT = ("type", "description", "default", "minimum", "maximum", "enum", "unit", "advanced", "empty")


class Parameters(BaseModel):
    """Base of all settings: frozen, of exactly the declared types, nothing unknown.

    A field's `Field` may hold ge, le, and `json_schema_extra` with unit, advanced (rarely changed) and empty (what
    leaving it out means, in words); the string below it describes it. One of an enumeration is declared with
    strict=False, so that its value is taken for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    def __init__(self, /, **values: Any) -> None:
        """Check.

        Raises:
            InvalidParameterError: With the names that are unknown and the values that cannot be used, eight at most.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InvalidParameterError("; ".join(_sentences(type(self), error))) from None

    @classmethod
    def from_text(cls, texts: Mapping[str, str]) -> dict[str, Any]:
        """Values from a command line; text that is no value of its field stays text, to be refused by the class."""
        return {name: _value(cls.model_fields.get(name), text) for name, text in texts.items()}

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """A JSON Schema object: what a client needs to draw a form.

        Returns:
            "type", "properties" and "required"; of each property type, description, default, minimum, maximum, enum,
            unit, advanced and empty, as far as they are known. What may be left empty has the default null.
        """
        whole = cls.model_json_schema()
        definitions = whole.get("$defs", {})
        properties = {name: _flat(entry, definitions) for name, entry in whole.get("properties", {}).items()}
        return {"type": "object", "properties": properties, "required": whole.get("required", [])}

    def changed(self, **values: Any) -> Self:
        """The same with other values, checked again."""
        return type(self)(**{**{name: getattr(self, name) for name in type(self).model_fields}, **values})

    def not_default(self) -> tuple[str, ...]:
        """Names of the values that are not their default."""
        fields = type(self).model_fields.items()
        return tuple(name for name, field in fields if getattr(self, name) != field.get_default())

    def as_json(self) -> dict[str, Any]:
        """The resolved values as JSON values."""
        return self.model_dump(mode="json")


def _value(field: FieldInfo | None, text: str) -> Any:
    annotation: Any = str if field is None else field.annotation
    try:
        return TypeAdapter(annotation).validate_strings(text)
    except ValidationError:
        return text


def check_json_bounds(values: Any, name: str) -> None:
    """Refuse JSON values that no setting has, and at which one reader or another would break.

    Args:
        values: As they were parsed.
        name: What they are, for the message.

    Raises:
        InvalidParameterError: If they nest too deep, or hold a number that is too large or none, or text that is none.
    """
    level, depth = [values], 0
    while level:
        if depth > _MAX_DEPTH:
            raise InvalidParameterError(f"{name} nests deeper than {_MAX_DEPTH} levels; send a flatter JSON object")
        for value in level:
            _check_scalar(value, name)
        level = [part for value in level for part in _parts(value)]
        depth += 1


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, list | tuple) else []


def _check_scalar(value: Any, name: str) -> None:
    if isinstance(value, int) and abs(value) > _MAX_INTEGER:
        raise InvalidParameterError(f"{name} holds a whole number of {value.bit_length()} bits, expected up to 63")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidParameterError(f"{name} holds {value}, expected a finite number")
    if isinstance(value, str) and not is_unicode(value):
        raise InvalidParameterError(f"{name} holds half of a surrogate pair, expected text in Unicode")


def is_unicode(value: str) -> bool:
    """Whether a text can be written down as UTF-8: it holds no half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def merged_schema(*kinds: type[Parameters]) -> dict[str, Any]:
    """One JSON Schema of several kinds whose names differ."""
    schemas = [kind.json_schema() for kind in kinds]
    return {
        "type": "object",
        "properties": {name: entry for schema in schemas for name, entry in schema["properties"].items()},
        "required": [name for schema in schemas for name in schema["required"]],
    }


def _flat(entry: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A property without references, and without the alternative of being null."""
    if "$ref" in entry:
        entry = {**definitions[entry["$ref"].rpartition("/")[2]], **entry}
    if "anyOf" in entry:
        first = next(choice for choice in entry["anyOf"] if choice.get("type") != "null")
        entry = {**_flat(first, definitions), **entry}
    if "const" in entry:
        entry = {**entry, "enum": [entry["const"]]}
    flat = {key: entry[key] for key in _KEPT if key in entry}
    if "description" in flat:
        flat["description"] = inspect.cleandoc(flat["description"])
    return flat


def _sentences(kind: type[Parameters], error: ValidationError) -> list[str]:
    known = ", ".join(kind.model_fields) or "none"
    found = list(dict.fromkeys(_sentence(problem, known) for problem in error.errors(include_url=False)))
    return found[:_TOLD] + [f"and {len(found) - _TOLD} more"] * (len(found) > _TOLD)


def _sentence(problem: Mapping[str, Any], known: str) -> str:
    name = ".".join(str(part) for part in _place(problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return f"parameter '{name[:_SHOWN]}' is unknown, known are: {known}; leave it out"
    if problem["type"] == "missing":
        return f"parameter '{name}' is missing; give it"
    expected = problem["msg"].removeprefix("Input should be ").removeprefix("a valid ").removeprefix("Value error, ")
    return f"parameter '{name}' is {str(problem['input'])[:_SHOWN]!r}, expected {expected}"


def _place(location: Sequence[int | str]) -> Sequence[int | str]:
    """Without the names of alternatives that pydantic appends."""
    return location[:1]
