"""A report of `evaluate_contrast` as a table that a person reads."""

from __future__ import annotations

from typing import Any

from mammosynth.evaluation.metrics import BEST_AT_ONE

COLUMNS = {
    "psnr": ("PSNR dB", 2),
    "ssim": ("SSIM", 3),
    "mae": ("MAE", 4),
    "ncc_interior": ("NCC interior", 3),
    "dice_hot": ("hot-spot Dice", 3),
    "auroc_hot": ("hot-spot AUROC", 3),
    "ncc_hp": ("NCC high-pass", 3),
    "psnr_affine": ("PSNR affine", 2),
    "psnr_frame": ("PSNR full frame", 2),
    "ssim_frame": ("SSIM full frame", 3),
    "d_r": ("D r", 2),
    "d_ratio": ("D ratio", 2),
    "auroc_enhances": ("enhances AUROC", 3),
    "auroc_ring_enhancing": ("ring AUROC, enhancing", 3),
    "auroc_lesion": ("lesion AUROC", 3),
    "change_mae_r": ("change-MAE r", 2),
    "change_ssim_r": ("change-SSIM r", 2),
}
"""Heading and decimals of every metric, in reading order."""
PER_TABLE = 6
KINDS = ("model", "floor", "control", "ceiling", "real")


def format_report(report: dict[str, Any]) -> str:
    """Markdown: every method with 95 % intervals, then the model against the best floor."""
    bundle = report["bundle"]
    head = (
        f"{bundle['name']} {bundle['version']} (weights {bundle['weights_sha256'][:12]}), task {report['task']}, "
        f"split '{report['split']}': {report['n_images']} images of {report['n_patients']} patients, "
        f"{report['n_enhancing']} enhancing.\n"
        f"Protocol {report['protocol']}. 95 % intervals: {report['bootstrap']} resamples of patients. "
        f"Floors fitted on {report['floors_fitted_on']}."
    )
    metrics = list(COLUMNS)
    tables = [_methods_table(report, metrics[i : i + PER_TABLE]) for i in range(0, len(metrics), PER_TABLE)]
    return "\n\n".join([head, *tables, _paired_table(report)]) + "\n"


def _methods_table(report: dict[str, Any], metrics: list[str]) -> str:
    rows = [["method", *(COLUMNS[metric][0] for metric in metrics)]]
    methods = report["methods"]
    for name in sorted(methods, key=lambda name: KINDS.index(methods[name]["kind"])):
        method = methods[name]
        title = name if name == method["kind"] else f"{method['kind']} {name}"
        rows.append([title, *(_cell(method["metrics"][metric], COLUMNS[metric][1]) for metric in metrics)])
    return _align(rows)


def _paired_table(report: dict[str, Any]) -> str:
    rows = [["model minus best floor", "floor", "difference"]]
    for metric, (title, digits) in COLUMNS.items():
        paired = report["paired"][metric]
        title = f"{title}, distance from 1" if metric in BEST_AT_ONE else title
        note = " (lower is better)" if paired["lower_is_better"] else ""
        rows.append([title + note, paired["best_floor"], _cell(paired, digits, signed=True)])
    return _align(rows)


def _cell(entry: dict[str, Any], digits: int, *, signed: bool = False) -> str:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:{'+' if signed else ''}.{digits}f}"

    if entry["value"] is None:
        return "-"
    return f"{number(entry['value'])} [{number(entry['low'])}, {number(entry['high'])}]"


def _align(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
