"""A report of `evaluate_view`: paragraphs and tables, for a terminal as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mammosynth.counts import count_of
from mammosynth.evaluation.evaluation import Part, format_models, format_parts

TITLES = {
    "padded_ssim": "P256 SSIM",
    "padded_psnr": "P256 PSNR",
    "padded_mae": "P256 L1",
    "tight_ssim": "T256 SSIM",
    "tight_psnr": "T256 PSNR",
    "tight_mae": "T256 L1",
    "breast_mae": "L1 in breast",
    "iou": "breast IoU",
    "emd": "profile EMD",
    "emd_shuffled": "profile EMD, shuffled",
    "rank": "rank",
    "beta": "β",
    "beta_shift": "distance of β from the real one",
    "frechet": "Fréchet distance",
    "depth_error": "lesion depth error, px",
    "depth_error_shuffled": "depth error, lesion of another",
    "contrast_ratio": "lesion D, generated / real",
    "radiomics": "radiomics CCC",
    "radiomics_shuffled": "radiomics CCC, shuffled",
    "lesions": "lesions",
}
"""Every measure, in reading order."""
_PER_TABLE = 5


def format_report(values: Mapping[str, Any]) -> str:
    """Markdown of `report_parts`."""
    return format_parts(report_parts(values))


def report_parts(values: Mapping[str, Any]) -> list[Part]:
    """What was judged, goals of every model and rendering, every method."""
    parts: list[Part] = [
        f"{format_models(values['models'])}. Task {values['task']}, split '{values['split']}' ({values['look']}), "
        f"to {values['to']}: {count_of(values['n_images'], 'breast')} of "
        f"{count_of(values['n_patients'], 'patient')}, {values['n_pool']} real "
        f"views to be nearer to. Protocol: {values['protocol']}."
    ]
    for method in values["goals"]:
        parts += _goals(values, method)
    names = list(TITLES)
    return parts + [_methods(values, names[at : at + _PER_TABLE]) for at in range(0, len(names), _PER_TABLE)]


def _goals(values: Mapping[str, Any], method: str) -> list[Part]:
    rows = values["goals"][method]
    reached = sum(row["reached"] is True for row in rows)
    table = [["measure", method, "goal", "reached"]]
    for row in rows:
        bound = "-" if row["bound"] is None else f"{'≥' if row['at_least'] else '≤'} {row['bound']:.3g}"
        answer = {True: "yes", False: "no", None: "-"}[row["reached"]]
        table.append([TITLES[row["measure"]], _cell(row), bound, answer])
    return [f"Goals of {method}: {reached} of {len(rows)} reached.", table]


def _methods(values: Mapping[str, Any], names: list[str]) -> list[list[str]]:
    table = [["method", *(TITLES[name] for name in names)]]
    for method, entry in values["methods"].items():
        cells = [_cell(entry["measures"].get(name, {"value": None})) for name in names]
        if any(cell != "-" for cell in cells):
            table.append([method, *cells])
    return table


def _cell(entry: Mapping[str, Any]) -> str:
    if entry["value"] is None:
        return "-"
    value = f"{entry['value']:.3g}" if abs(entry["value"]) < 10 else f"{entry['value']:.4g}"
    return value if entry.get("low") is None else f"{value} [{entry['low']:.3g}, {entry['high']:.3g}]"
