"""Measured scores in a bundle's metadata, so that whoever chooses a model sees them beside floor and ceiling."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mammosynth.bundle import METADATA, WEIGHTS, hash_file, read_config, write_json
from mammosynth.errors import BundleError
from mammosynth.evaluation.goals import CEILING
from mammosynth.evaluation.report import COLUMNS

RECORDED = ("psnr", "ssim", "ncc_interior", "ncc_hp", "auroc_hot")
"""Grey values, structure, shading, spots, and the place of enhancement: few enough to be read."""


def record_scores(bundle: Path, report: Mapping[str, Any], method: str = "model") -> dict[str, Any]:
    """Write a model's scores into `mammosynth.scores` of its metadata, in place of earlier ones.

    Args:
        bundle: Its folder.
        report: Of `evaluate_contrast`.
        method: The model's name in the report.

    Returns:
        split, images, patients, and measures: name, unit, value, interval (95 %), floor (the best one's value) and
        ceiling of each.

    Raises:
        BundleError: If the report is about other weights than the bundle holds.
    """
    measured = report["models"][method]["weights_sha256"]
    if measured != hash_file(bundle / WEIGHTS, bundle.name):
        raise BundleError(
            f"{bundle.name}/{WEIGHTS.as_posix()}: the report is about weights {measured[:16]}, which are others; "
            "evaluate this bundle"
        )
    scores = {
        "split": report["split"],
        "images": report["n_images"],
        "patients": report["n_patients"],
        "measures": [_measure(report, method, metric) for metric in RECORDED],
    }
    metadata = read_config(bundle, METADATA)
    metadata["mammosynth"]["scores"] = scores
    write_json(bundle / METADATA, metadata)
    return scores


def _measure(report: Mapping[str, Any], method: str, metric: str) -> dict[str, Any]:
    name, _ = COLUMNS[metric]
    methods = report["methods"]
    own = methods[method]["metrics"][metric]
    goal = next(row for row in report["goals"][method] if row["metric"] == metric)
    floor = methods[goal["minus_best_floor"]["best_floor"]]["metrics"][metric]["value"]
    return {
        "name": name.removesuffix(" dB"),
        "unit": "dB" if name.endswith(" dB") else "",
        "value": own["value"],
        "interval": [own["low"], own["high"]],
        "floor": floor,
        "ceiling": methods[CEILING]["metrics"][metric]["value"],
    }
