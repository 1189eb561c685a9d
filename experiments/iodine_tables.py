"""The numbers of the experiment as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.iodine_response import FREE, WITH

Results = dict[str, Any]
_MAIN = (
    "r, natural",
    "r, decorrelated",
    "slope",
    "read share",
    "AUROC, high v. zero",
    "NCC, natural",
)
_FALSE = (
    "contrast, zero",
    "contrast, low",
    "contrast, high",
    "called, zero",
    "called, high",
    "hot, natural",
    "hot, zero",
)


def write_tables(results: Results) -> str:
    """All tables, one after the other."""
    settings = results["settings"]
    first = results["models"][0]
    head = (
        f"test: {first['n_lesions']} lesion views of {first['n_patients']} patients; breasts {settings['breasts']}, "
        f"{settings['pixel_mm']} mm\n"
    )
    trainings = _table(
        ["training", "steps", "kept", "loss on val", "correlation on val"],
        [
            [name, str(t["steps"]), f"{t['best_step']:g}", f"{t['val_loss']:.4f}", f"{t['val_correlation']:.3f}"]
            for name, t in settings["trainings"].items()
        ],
    )
    visibility = _table(
        ["iodine in the low-energy signal", "value"],
        [[name, _cell(value, 4)] for name, value in results["visibility"].items()],
    )
    return "\n".join(
        [
            head,
            trainings,
            _numbers(results, _MAIN, bounds=True),
            _numbers(results, _FALSE, bounds=False),
            _kinds(results),
            visibility,
        ]
    )


def _numbers(results: Results, names: Sequence[str], *, bounds: bool) -> str:
    rows = [
        [row["model"], row["low_energy"], *(_cell(row["numbers"][name], _digits(name)) for name in names)]
        for row in results["models"]
        if bounds or row["numbers"]["NCC, natural"]["value"] is not None
    ]
    return _table(["model", "low-energy image", *names], rows)


def _digits(name: str) -> int:
    """Small numbers need three."""
    return 3 if name.startswith(("slope", "contrast", "hot")) else 2


def _kinds(results: Results) -> str:
    """Slope and contrast without uptake by kind, of models that see iodine."""
    rows = [row for row in results["models"] if row["numbers"]["NCC, natural"]["value"] is not None]
    kinds = list(rows[0]["by_kind"])
    cells = [
        [row["model"], row["low_energy"], name, *(_cell(row["by_kind"][kind][name], 3) for kind in kinds)]
        for row in rows
        for name in (["slope", "contrast, zero"] if row["low_energy"] == WITH else ["contrast, zero"])
        if row["low_energy"] == WITH or FREE in row["model"]
    ]
    counted = [f"{kind} (n {rows[0]['by_kind'][kind]['n_lesions']})" for kind in kinds]
    return _table(["model", "low-energy image", "number", *counted], cells)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _cell(value: dict[str, float | None], digits: int) -> str:
    if value["value"] is None:
        return "-"
    if value["low"] is None:
        return f"{value['value']:.{digits}f}"
    return f"{value['value']:.{digits}f} [{value['low']:.{digits}f}, {value['high']:.{digits}f}]"
