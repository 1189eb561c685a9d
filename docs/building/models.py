"""One page that compares all models, task by task, from what `mammosynth evaluate --record` wrote into each."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import safe_open

from mammosynth.task import TaskSpec, tasks

_ROOT = Path(__file__).parents[2]
_ZOO = _ROOT / "model_zoo"


def cards() -> list[str]:
    """Names of the bundles, the default of each task first."""
    return [name for task in tasks() for name, _ in _bundles(task)]


def reports() -> list[str]:
    """Pages with all that was measured, beside the cards."""
    return [f"reports/{path.name}" for path in sorted((_ROOT / "docs" / "reports").glob("*.md"))]


def tables() -> dict[str, Callable[[], str]]:
    """By name, what `models/index.md` asks for: a task's models, and their measured scores beside floor and ceiling."""
    return {f"models_{name}": partial(_of_task, task) for name, task in tasks().items()}


def _of_task(task: TaskSpec) -> str:
    return "\n".join([task.description, *_table(task), *_scores(task)])


def _bundles(name: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for path in sorted(_ZOO.glob("*/configs/metadata.json")):
        metadata = json.loads(path.read_text(encoding="utf-8"))
        if metadata["mammosynth"]["task"] == name:
            found.append((path.parts[-3], metadata))
    return sorted(found, key=lambda bundle: not bundle[1]["mammosynth"].get("default", False))


def _table(task: TaskSpec) -> list[str]:
    lines = ["", "| model | what | renderings | weights |", "|---|---|---|---|"]
    for name, metadata in _bundles(task.name):
        weights = _ZOO / name / "models" / "model.safetensors"
        size = _size(weights) if weights.is_file() else "none: to be trained"
        default = " (default)" if metadata["mammosynth"].get("default") else ""
        renderings = ", ".join(metadata["mammosynth"]["renderings"])
        model = f"[`{name}`]({name}.md) {metadata['version']}{default}"
        lines.append(f"| {model} | {metadata['description']} | {renderings} | {size} |")
    return lines


def _size(weights: Path) -> str:
    with safe_open(weights, framework="numpy") as tensors:
        numbers = sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return f"{numbers / 1e6:.1f} million, {weights.stat().st_size / 1e6:.1f} MB"


def _scores(task: TaskSpec) -> list[str]:
    """A table for each split and set on which models were measured."""
    groups: dict[tuple[str, int, int], dict[str, dict[str, Any]]] = {}
    for name, metadata in _bundles(task.name):
        scores = metadata["mammosynth"].get("scores") or {}
        if scores:
            key = (scores["split"], scores["images"], scores["patients"])
            groups.setdefault(key, {})[name] = {measure["name"]: measure for measure in scores["measures"]}
    lines = []
    for (split, images, patients), models in groups.items():
        measures = list(dict.fromkeys(name for of_model in models.values() for name in of_model))
        heads = [f"`{name}`" for name in models]
        lines += ["", f"Split `{split}`, {images} images of {patients} patients:", ""]
        lines += [f"| measure | floor | {' | '.join(heads)} | ceiling |", "|---" * (len(heads) + 3) + "|"]
        lines += [_row(measure, models) for measure in measures]
    return lines


def _row(name: str, models: dict[str, dict[str, Any]]) -> str:
    found = [of_model.get(name) for of_model in models.values()]
    known = next(measure for measure in found if measure)
    unit = f", {known['unit']}" if known["unit"] else ""
    values = " | ".join(_value(measure) for measure in found)
    return f"| {name}{unit} | {_number(known.get('floor'))} | {values} | {_number(known.get('ceiling'))} |"


def _value(measure: dict[str, Any] | None) -> str:
    if measure is None:
        return "-"
    low, high = measure.get("interval") or (None, None)
    return _number(measure["value"]) + (f" [{_number(low)}, {_number(high)}]" if low is not None else "")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"
