"""A report of `evaluate_mask` as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mammosynth.evaluation.evaluation import format_models, format_table

TITLES = {
    "frechet": "Fréchet distance to the pool",
    "frechet_split": "Fréchet distance to the split",
    "auc": "AUC real v. generated",
    "beta": "β",
    "beta_shift": "|β - real β|",
    "ks_mean": "KS mean",
    "ks_variance": "KS variance",
    "ks_skewness": "KS skewness",
    "ks_kurtosis": "KS kurtosis",
    "ks_fifth moment": "KS fifth moment",
    "iou": "breast IoU",
    "lesion_ratio": "lesion D, generated / real",
    "gland_ratio": "gland contrast, generated / real",
    "lesions": "lesions",
    "lesion_dice": "Dice of masses that a network finds",
    "lesion_dice_ratio": "that Dice, generated / real",
    "nearest_share": "share nearer to training than real ones",
    "spread": "spread (models: over ten seeds of one label map; real: over images)",
}
"""Every measure, in reading order."""
_PER_TABLE = 5


def format_report(values: Mapping[str, Any]) -> str:
    """Markdown: what was judged, goals of every model, every method."""
    real = values["real"]
    models = format_models(values["models"])
    parts = [
        f"{models}. Task {values['task']}, split '{values['split']}': {values['n_images']} CC views of "
        f"{values['n_patients']} patients. Protocol {values['protocol']}.",
        f"Real against real, {real['n_each']} images each, from a pool of {values['n_pool']}: Fréchet distance "
        f"{real['frechet_median']:.2f} (95th percentile {real['frechet_95']:.2f}), β {real['beta']:.2f}.",
    ]
    parts.append(_segmenter(values["segmenter"]))
    parts += [f"{_goals(values, model)}" for model in values["goals"]]
    names = list(TITLES)
    parts += [_methods(values, names[at : at + _PER_TABLE]) for at in range(0, len(names), _PER_TABLE)]
    return "\n\n".join(parts) + "\n"


def _segmenter(about: Mapping[str, Any]) -> str:
    if about["missing"]:
        return f"**Whether masses are found where they are drawn was not judged:** {about['missing']}."
    return (
        f"Masses are looked for by a U-Net that learned from {about['masses']} of them, real ones of the split 'train'."
    )


def _goals(values: Mapping[str, Any], model: str) -> str:
    rows = values["goals"][model]
    reached = sum(row["reached"] is True for row in rows)
    table = [["measure", values["models"][model]["name"], "goal", "reached"]]
    for row in rows:
        table.append(
            [TITLES[row["measure"]], _cell(row), _range(row), {True: "yes", False: "no", None: "-"}[row["reached"]]]
        )
    return f"Goals of {values['models'][model]['name']}: {reached} of {len(rows)} reached.\n\n{format_table(table)}"


def _methods(values: Mapping[str, Any], names: list[str]) -> str:
    table = [["method", *(TITLES[name] for name in names)]]
    for method, entry in values["methods"].items():
        table.append([method, *(_cell(entry["measures"][name]) for name in names)])
    return format_table(table)


def _range(row: Mapping[str, Any]) -> str:
    low, high = row["at_least"], row["at_most"]
    if low is None:
        return f"≤ {high:.3g}"
    return f"≥ {low:.3g}" if high is None else f"{low:.3g} to {high:.3g}"


def _cell(entry: Mapping[str, Any]) -> str:
    if entry["value"] is None:
        return "-"
    value = f"{entry['value']:.3g}" if isinstance(entry["value"], float) else str(entry["value"])
    return value if entry.get("low") is None else f"{value} [{entry['low']:.3g}, {entry['high']:.3g}]"
