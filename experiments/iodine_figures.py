"""The pictures of the experiment: response to true iodine, correlations, false enhancement, one lesion's twins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.iodine_response import FREE, WITH, Lesions, Reading
from experiments.iodine_tables import Results
from experiments.iodine_twins import LEVELS, TwinView

_COLOURS = {"zero": "#4477aa", "low": "#ccbb44", "high": "#ee6677"}
_SEES = {WITH: "#ee6677", FREE: "#4477aa"}
_SHOWN_MG_CM2 = (-0.2, 1.2)  # window of the panel
_CROP_MM = 70.0
_DOTS_PER_INCH = 100


def draw_figures(
    folder: Path,
    results: Results,
    readings: Sequence[Reading],
    example: TwinView,
    outputs: Mapping[str, Mapping[str, np.ndarray]],
) -> None:
    """Write `iodine-response.png`, `iodine-correlation.png`, `iodine-false-enhancement.png`, `iodine-twins.png`.

    Args:
        folder: Where to.
        results: What `evaluate` gave.
        readings: Of the test split.
        example: A view to show.
        outputs: Per low-energy image of it and model, (H, W) mg/cm2.
    """
    models = [row for row in results["models"] if row["numbers"]["NCC, natural"]["value"] is not None]
    for name, figure in (
        ("response", _draw_response(models, readings)),
        ("correlation", _draw_correlation(results)),
        ("false-enhancement", _draw_false_enhancement(models)),
        ("twins", _draw_twins(example, outputs)),
    ):
        figure.savefig(folder / f"iodine-{name}.png", dpi=_DOTS_PER_INCH)


def _draw_response(models: Sequence[dict], readings: Sequence[Reading]) -> Figure:
    names = list(dict.fromkeys(row["model"] for row in models))
    figure = Figure(figsize=(2.3 * len(names), 5.2), layout="constrained")
    for place, row in enumerate(sorted(models, key=lambda row: (row["low_energy"] == FREE, names.index(row["model"])))):
        axes = figure.add_subplot(2, len(names), place + 1)
        lesions = Lesions(readings, row["model"], row["low_energy"])
        x, y = (np.stack([values[twin] for twin in LEVELS]) for values in (lesions.truth, lesions.contrast))
        axes.plot(x, y, color="0.6", linewidth=0.4, zorder=1)
        for level, twin in enumerate(LEVELS):
            axes.scatter(x[level], y[level], s=5, color=_COLOURS[twin], zorder=2, label=f"{LEVELS[twin]:g} mg/ml")
        axes.plot([0, 3], [0, 3], "k--", linewidth=0.8)
        axes.set(xlim=(-0.05, 2), ylim=(-0.3, 1))
        axes.set_title(f"{_broken(row['model'])}\nslope {_number(row['numbers']['slope'])}", fontsize=8)
        axes.tick_params(labelsize=7)
        if place % len(names) == 0:
            axes.set_ylabel(f"shown {row['low_energy']}\noutput contrast, mg/cm²", fontsize=8)
        if place >= len(names):
            axes.set_xlabel("true iodine, mg/cm²", fontsize=8)
        if not place:
            axes.legend(fontsize=6, loc="upper right", frameon=False)
    return figure


def _draw_correlation(results: Results) -> Figure:
    figure = Figure(figsize=(8.5, 4.2), layout="constrained")
    rows = results["models"]
    for place, name in enumerate(("r, natural", "r, decorrelated"), 1):
        axes = figure.add_subplot(1, 2, place)
        _bars(axes, rows, name, [_SEES[row["low_energy"]] for row in rows])
        axes.set_title(f"contrast of lesions: {name}", fontsize=9)
        axes.set_xlim(-0.35, 1.02)
        if place == 2:
            axes.set_yticklabels([])
    return figure


def _draw_false_enhancement(models: Sequence[dict]) -> Figure:
    figure = Figure(figsize=(8.5, 3.6), layout="constrained")
    axes = figure.add_subplot(1, 2, 1)
    for place, twin in enumerate(LEVELS):
        _points(axes, models, f"contrast, {twin}", _COLOURS[twin], 0.2 * (place - 1), f"{LEVELS[twin]:g} mg/ml")
    axes.axvline(0, color="0.5", linewidth=0.8)
    axes.set_xlabel("mean output contrast of the same lesions, mg/cm²", fontsize=8)
    axes = figure.add_subplot(1, 2, 2)
    for offset, twin in ((-0.12, "zero"), (0.12, "high")):
        _points(axes, models, f"called, {twin}", _COLOURS[twin], offset, f"{LEVELS[twin]:g} mg/ml")
    axes.set_yticklabels([])
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("share of them called enhancing", fontsize=8)
    axes.legend(fontsize=7, loc="center left", frameon=False)
    return figure


def _draw_twins(example: TwinView, outputs: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Rows: zero, low, high, and iodine-free; columns: low energy, target, every model."""
    models = list(next(iter(outputs.values())))
    crop = _around(example)
    shown = [*LEVELS, FREE]
    figure = Figure(figsize=(1.2 * (2 + len(models)), 1.4 * len(shown)), layout="constrained")
    grid = figure.subplots(len(shown), 2 + len(models), squeeze=False)
    for line, seen in zip(grid, shown, strict=True):
        target = example.iodine_mg_cm2.get(seen)
        columns = [None if target is None else target[crop], *(outputs[seen][model][crop] for model in models)]
        line[0].imshow(example.low_energy[seen][crop], cmap="gray", vmin=0, vmax=1)
        for axes, image in zip(line[1:], columns, strict=True):
            if image is not None:
                axes.imshow(image, cmap="gray", vmin=_SHOWN_MG_CM2[0], vmax=_SHOWN_MG_CM2[1])
        for axes in line:
            axes.set(xticks=[], yticks=[])
        if target is None:
            line[1].axis("off")
        line[0].contour(example.lesion[crop], levels=[0.5], colors="#ccbb44", linewidths=0.6)
        line[0].set_ylabel(f"{LEVELS[seen]:g} mg/ml" if seen in LEVELS else "any uptake,\niodine-free", fontsize=8)
    for axes, title in zip(grid[0], ("low energy", "target", *models), strict=True):
        axes.set_title(_broken(title), fontsize=7)
    return figure


def _around(example: TwinView) -> tuple[slice, slice]:
    """A square around the lesion, moved to lie within the image."""
    half = round(_CROP_MM / 2 / example.pixel_mm)
    centre = np.argwhere(example.lesion).mean(axis=0).round().astype(int)
    starts = [
        int(np.clip(middle - half, 0, max(0, side - 2 * half)))
        for middle, side in zip(centre, example.lesion.shape, strict=True)
    ]
    return slice(starts[0], starts[0] + 2 * half), slice(starts[1], starts[1] + 2 * half)


def _bars(axes: Axes, rows: Sequence[dict], name: str, colours: Sequence[str]) -> None:
    values = [row["numbers"][name] for row in rows]
    middle = [np.nan if value["value"] is None else value["value"] for value in values]
    axes.barh(range(len(rows)), middle, color=colours, height=0.65)
    _intervals(axes, values, np.arange(len(rows)), "k")
    _label(axes, rows)


def _points(axes: Axes, rows: Sequence[dict], name: str, colour: str, offset: float, label: str) -> None:
    values = [row["numbers"][name] for row in rows]
    places = np.arange(len(rows)) + offset
    axes.scatter([value["value"] for value in values], places, color=colour, s=16, label=label, zorder=3)
    _intervals(axes, values, places, colour)
    _label(axes, rows)


def _intervals(axes: Axes, values: Sequence[dict], places: np.ndarray, colour: str) -> None:
    known = [(value, place) for value, place in zip(values, places, strict=True) if value["low"] is not None]
    axes.hlines([p for _, p in known], [v["low"] for v, _ in known], [v["high"] for v, _ in known], colour, linewidth=1)


def _label(axes: Axes, rows: Sequence[dict]) -> None:
    axes.set_yticks(range(len(rows)), [f"{row['model']} | shown {row['low_energy']}" for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(labelsize=7)
    axes.grid(axis="x", linewidth=0.3)


def _number(value: dict[str, float | None]) -> str:
    return "-" if value["value"] is None else f"{value['value']:.3f}"


def _broken(name: str) -> str:
    return name.replace(", ", ",\n")
