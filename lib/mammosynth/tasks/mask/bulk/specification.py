"""`BulkSpec`: what a data set shall hold, from a YAML or JSON file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field

from mammosynth.dicom.bounded import open_regular
from mammosynth.errors import InvalidParameterError
from mammosynth.parameters import Parameters
from mammosynth.preprocessing.look import DENSITIES, Look
from mammosynth.task import Rendering
from mammosynth.tasks.mask.classes import LESION_CLASSES
from mammosynth.tasks.mask.labels.draw import LESION_MM, MOST_LESIONS
from mammosynth.terms import ImageLaterality, ViewPosition

NONE = "none"
"""No lesion."""
ENDINGS = (".yaml", ".yml", ".json")
ROWS, COLUMNS = (256, 4096), (128, 4096)
_MOST_BYTES = 1 << 20
_KINDS = ", ".join(LESION_CLASSES)


def _one_of(accepted: Sequence[str]) -> Callable[[Any], str]:
    """A reader of one word."""

    def read(word: Any) -> str:
        if str(word) not in accepted:
            raise ValueError(f"one of {', '.join(accepted)}; found {str(word)[:32]!r}")
        return str(word)

    return read


def _lesions(word: Any) -> str:
    """Kinds in the order of the table: what is the same is called the same."""
    kinds = [part.strip() for part in str(word).split("+")]
    if kinds == [NONE]:
        return NONE
    if not set(kinds) <= set(LESION_CLASSES) or len(kinds) > MOST_LESIONS:
        raise ValueError(
            f"'{NONE}', or up to {MOST_LESIONS} of {_KINDS} joined by '+'; found {str(word)[:32]!r}",
        )
    return "+".join(sorted(kinds, key=list(LESION_CLASSES).index))


def _weights(word: Callable[[Any], str]) -> Any:
    """A field of weights; a word, or a list of words, weighs 1 each."""

    def read(value: Any) -> dict[str, float]:
        given = value if isinstance(value, Mapping) else dict.fromkeys(value if isinstance(value, list) else [value], 1)
        weights: dict[str, float] = {}
        for name, weight in given.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1e9:
                raise ValueError(f"a number of 0 or more for each; found {str(weight)[:32]!r} for {name!r}")
            weights[word(name)] = weights.get(word(name), 0) + weight
        if not any(weights.values()):
            raise ValueError("a word, a list of words, or a weight of more than 0 for at least one of them")
        return weights

    return Annotated[dict[str, float], BeforeValidator(read)]


def _sizes(value: Any) -> dict[str, list[float]]:
    if not isinstance(value, Mapping) or not set(value) <= set(LESION_CLASSES):
        raise ValueError(f"a range for {_KINDS}")
    for name, limits in value.items():
        numbers = isinstance(limits, list) and len(limits) == 2 and all(type(each) in (int, float) for each in limits)
        if not numbers or not LESION_MM[0] <= limits[0] <= limits[1] <= LESION_MM[1]:
            raise ValueError(
                f"least and largest diameter in mm, from {LESION_MM[0]:g} to {LESION_MM[1]:g}, for each; found "
                f"{str(limits)[:32]} for {name}"
            )
    return {name: [float(limit) for limit in limits] for name, limits in value.items()}


def _shape(value: Any) -> list[int]:
    whole = isinstance(value, list) and len(value) == 2 and all(type(side) is int for side in value)
    if not whole or not (ROWS[0] <= value[0] <= ROWS[1] and COLUMNS[0] <= value[1] <= COLUMNS[1]):
        raise ValueError(f"rows ({ROWS[0]} to {ROWS[1]}) and columns ({COLUMNS[0]} to {COLUMNS[1]})")
    return value


class BulkSpec(Parameters):
    """What a data set shall hold. Weights are shares, percentages or counts: only their proportion counts."""

    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Of everything that is drawn; another seed gives other breasts."""
    density: _weights(_one_of(DENSITIES)) = dict.fromkeys(DENSITIES, 1)  # type: ignore[valid-type]
    """Weights of a, b, c and d."""
    view_position: _weights(_one_of([*ViewPosition])) = dict.fromkeys(map(str, ViewPosition), 1)  # type: ignore[valid-type]
    """Weights of CC and MLO."""
    image_laterality: _weights(_one_of([*ImageLaterality])) = dict.fromkeys(map(str, ImageLaterality), 1)  # type: ignore[valid-type]
    """Weights of L and R."""
    look: _weights(_one_of([*Look])) = {"digital": 1}  # type: ignore[valid-type]
    """Weights of digital and film."""
    lesions: _weights(_lesions) = dict.fromkeys((NONE, *LESION_CLASSES), 1)  # type: ignore[valid-type]
    """Weights of what a breast holds: none, benign, malignant, calcification, or several of them joined by "+"."""
    split: _weights(_one_of(("train", "val", "test"))) = {"train": 8, "val": 1, "test": 1}  # type: ignore[valid-type]
    """Weights of train, val and test. Every case is a patient of its own."""
    lesion_mm: Annotated[dict[str, list[float]], BeforeValidator(_sizes)] = {}
    """Least and largest diameter of a kind of lesion; as in real breasts where it is not given."""
    shape: Annotated[list[int], BeforeValidator(_shape)] = [512, 400]
    """Rows and columns of every image; the rows stand for 256 mm."""
    rendering: Rendering | None = Field(default=None, strict=False)
    """expected or sampled; the model's first where it is not given."""
    burned_in_mark: bool = True
    """Write SYNTHETIC - NOT FOR DIAGNOSIS into the pixels of a free corner. Headers say it in any case."""
    format: Literal["png", "dicom"] = "png"
    """Of images; label maps are PNG, too, or DICOM Segmentations."""

    def axes(self) -> dict[str, dict[str, float]]:
        """What is balanced and crossed."""
        names = ("density", "view_position", "image_laterality", "look", "lesions", "split")
        return {name: getattr(self, name) for name in names}


def read_specification(path: Path) -> BulkSpec:
    """The specification in a file.

    Args:
        path: .yaml, .yml or .json.

    Raises:
        InvalidParameterError: If it cannot be read, says a key twice, or with every key that is unknown and every value
            that cannot be used.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InvalidParameterError(f"{path.name}: expected a file that ends in {', '.join(ENDINGS)}; rename it")
    try:
        with open_regular(path) as file:
            text = file.read(_MOST_BYTES + 1).decode("utf-8")
        if len(text) > _MOST_BYTES:
            raise ValueError("larger than a megabyte")
        is_json = path.suffix.lower() == ".json"
        values = json.loads(text, object_pairs_hook=_unique) if is_json else yaml.load(text, _UniqueKeys)  # noqa: S506
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InvalidParameterError(
            f"{path.name}: cannot be read ({' '.join(str(error).split())}); repair it"
        ) from error
    values = {} if values is None else values
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        known = ", ".join(BulkSpec.model_fields)
        raise InvalidParameterError(f"{path.name}: holds no settings, expected some of {known}, each with its value")
    try:
        return BulkSpec(**values)
    except InvalidParameterError as error:
        raise InvalidParameterError(f"{path.name}: {error}") from None


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which no key hides another: YAML itself forbids it, this loader's parent takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line, name = key.start_mark.line + 1, f"{key.tag} {key.value}"
            if name in seen:
                where = f"line {line}: key '{key.value}'"
                raise ValueError(f"{where} is there already, in line {seen[name]}; keep one of them")
            seen[name] = line
        return super().construct_mapping(node, deep)


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """JSON, likewise; its parser tells no lines."""
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            raise ValueError(f"key '{key}' is there {count} times; keep one of them")
    return dict(pairs)
