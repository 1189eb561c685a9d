"""`Evaluation`, `Report`: what a task's own evaluation looks like to whoever runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mammosynth.bundle import Bundle
from mammosynth.errors import BundleError
from mammosynth.parallel.engine import Engine
from mammosynth.parameters import Parameters
from mammosynth.task import TaskSpec

MODEL = "model"
"""The first of several models, in a report."""
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Measure:
    """One score of a model, as people choose by it.

    Attributes:
        name: Of the metric.
        unit: "" if it has none.
        value: Of the model.
        interval: Its 95 % interval over patients; None where there is none.
        floor: What the best trivial predictor reaches.
        ceiling: What the data allow.
    """

    name: str
    unit: str
    value: float | None
    interval: tuple[float | None, float | None]
    floor: float | None
    ceiling: float | None


@dataclass(frozen=True, eq=False)
class Report:
    """How models did on one split.

    Attributes:
        split: Which.
        images: How many.
        patients: How many.
        values: All of it, as JSON values.
        text: Tables that a person reads, as Markdown.
        measures: Of each model, in the order in which they were given.
        page: One self-contained HTML page; None if it was not asked for.
    """

    split: str
    images: int
    patients: int
    values: dict[str, Any]
    text: str
    measures: tuple[tuple[Measure, ...], ...]
    page: str | None = field(default=None, repr=False)


class Evaluation(Protocol):
    """Metrics of a task beside their floors and ceilings.

    Attributes:
        options: What can be chosen about it.
    """

    options: type[Parameters]

    def __call__(
        self,
        place: Path,
        split: str,
        bundles: Sequence[Bundle],
        *,
        options: Any = None,
        with_page: bool = False,
        engine: Engine | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """Score models on the same cases.

        It is given a place, not cases: floors are fitted on the place's own training split.

        Args:
            place: A folder that the task's dataset reads.
            split: One of its splits.
            bundles: At least one; the first is compared with the others.
            options: An instance of `options`; None for all defaults.
            with_page: Whether to draw a page, which keeps all images until the end.
            engine: Where the models make their images; None: in this process.
            progress: Told a fraction in [0, 1] and what happens.

        Raises:
            BundleError: If a model is of another task, or two have one name.
            DataError: If the split is unknown or files are bad.
        """


def name_models(task: TaskSpec, bundles: Sequence[Bundle]) -> dict[str, Bundle]:
    """How a report calls each model: `MODEL` the first, the others by their names.

    Raises:
        BundleError: If there is none, one is of another task, or two have one name.
    """
    if not bundles:
        raise BundleError("no bundle was given; name at least one")
    for bundle in bundles:
        if bundle.task.name != task.name:
            raise BundleError(f"{bundle.name}: synthesizes {bundle.task.name}, expected {task.name}; choose another")
    names = [bundle.name for bundle in bundles]
    if len(set(names)) < len(names):
        raise BundleError(f"bundles are {', '.join(names)}, expected different names; rename a folder")
    return {MODEL if index == 0 else bundle.name: bundle for index, bundle in enumerate(bundles)}


def identify_models(models: Mapping[str, Bundle]) -> dict[str, dict[str, str]]:
    """Which models they are, as JSON values for a report: name, version, digest of the weights."""
    return {
        key: {"name": bundle.name, "version": bundle.version, "weights_sha256": bundle.weights_sha256}
        for key, bundle in models.items()
    }


def format_models(identified: Mapping[str, Mapping[str, str]]) -> str:
    """What `identify_models` gives, for people."""
    return "; ".join(
        f"{key}: {model['name']} {model['version']} (weights {model['weights_sha256'][:12]})"
        for key, model in identified.items()
    )


Part = str | list[list[str]]
"""Of a report: a paragraph, or the rows of a table, its head first."""


def format_parts(parts: Sequence[Part]) -> str:
    """A report's parts as Markdown."""
    return "\n\n".join(each if isinstance(each, str) else format_table(each) for each in parts) + "\n"


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns are aligned; the first row is its head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def scores_of(report: Report, model: int = 0) -> Mapping[str, Any]:
    """What a bundle's metadata keeps of a report: JSON values.

    Args:
        report: Of an evaluation.
        model: Which of its models.
    """
    measures = [
        {
            "name": each.name,
            "unit": each.unit,
            "value": each.value,
            "interval": list(each.interval),
            "floor": each.floor,
            "ceiling": each.ceiling,
        }
        for each in report.measures[model]
    ]
    return {"split": report.split, "images": report.images, "patients": report.patients, "measures": measures}
