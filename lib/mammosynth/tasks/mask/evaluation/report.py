"""A report of `evaluate_mask`: paragraphs and tables, for a terminal as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mammosynth.counts import count_of
from mammosynth.evaluation.evaluation import Part, format_models, format_parts
from mammosynth.evaluation.texture import COMPONENTS
from mammosynth.networks.efficientnet_lite import MISSING

TITLES = {
    "frechet": "Fréchet distance to the pool",
    "frechet_pretrained": "Fréchet distance on EfficientNet-Lite features",
    "frechet_split": "Fréchet distance to the split",
    "auc": "AUC real v. generated",
    "beta": "β",
    "beta_shift": "distance of β from the real one",
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
    """Markdown of `report_parts`."""
    return format_parts(report_parts(values))


def report_parts(values: Mapping[str, Any]) -> list[Part]:
    """What was judged, goals of every model, every method."""
    real = values["real"]
    parts: list[Part] = [
        f"{format_models(values['models'])}. Task {values['task']}, split '{values['split']}': "
        f"{count_of(values['n_images'], 'view')} of {count_of(values['n_patients'], 'patient')}. Protocol "
        f"{values['protocol']}.",
        f"Real against real, {real['n_each']} images each, from a pool of {values['n_pool']}: Fréchet distance "
        f"{real['frechet_median']:.2f} (95th percentile {real['frechet_95']:.2f}), β {real['beta']:.2f}.",
        _pretrained(real),
    ]
    parts.append(_segmenter(values["segmenter"]))
    for model in values["goals"]:
        parts += _goals(values, model)
    names = list(TITLES)
    return parts + [_methods(values, names[at : at + _PER_TABLE]) for at in range(0, len(names), _PER_TABLE)]


def _pretrained(real: Mapping[str, Any]) -> str:
    if "frechet_pretrained_95" not in real:
        return f"No Fréchet distance on EfficientNet-Lite features: {MISSING}."
    return (
        f"On EfficientNet-Lite features: {real['frechet_pretrained_median']:.2f} (95th percentile "
        f"{real['frechet_pretrained_95']:.2f}). Both distances are taken in {COMPONENTS} principal components of "
        "the pool, grow as images become fewer, and compare with no figure published elsewhere."
    )


def _segmenter(about: Mapping[str, Any]) -> str:
    if about["missing"]:
        return f"Whether masses are found where they are drawn was not judged: {about['missing']}."
    return (
        f"Masses are looked for by a U-Net that learned from {about['masses']} of them, real ones of the split 'train'."
    )


def _goals(values: Mapping[str, Any], model: str) -> list[Part]:
    rows, name = values["goals"][model], values["models"][model]["name"]
    reached = sum(row["reached"] is True for row in rows)
    table = [["measure", name, "goal", "reached"]]
    for row in rows:
        table.append(
            [TITLES[row["measure"]], _cell(row), _range(row), {True: "yes", False: "no", None: "-"}[row["reached"]]]
        )
    return [f"Goals of {name}: {reached} of {len(rows)} reached.", table]


def _methods(values: Mapping[str, Any], names: list[str]) -> list[list[str]]:
    table = [["method", *(TITLES[name] for name in names)]]
    for method, entry in values["methods"].items():
        table.append([method, *(_cell(entry["measures"][name]) for name in names)])
    return table


def _range(row: Mapping[str, Any]) -> str:
    low, high = row["at_least"], row["at_most"]
    if low is None:
        return "-" if high is None else f"≤ {high:.3g}"
    return f"≥ {low:.3g}" if high is None else f"{low:.3g} to {high:.3g}"


def _cell(entry: Mapping[str, Any]) -> str:
    if entry["value"] is None:
        return "-"
    value = f"{entry['value']:.3g}" if isinstance(entry["value"], float) else str(entry["value"])
    return value if entry.get("low") is None else f"{value} [{entry['low']:.3g}, {entry['high']:.3g}]"
