"""Rows of a table on contrast, each beside the first one: values and differences, with intervals over patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mammosynth.evaluation.statistics import (
    interval,
    resample_patients,
    weighted_correlation,
    weighted_mean,
    weighted_ratio,
)

RESAMPLES = 2000
LESIONS = "contrast_d"
"""Key of the lesion contrast in the numbers of an image."""


def compare_rows(
    rows: Mapping[str, Sequence[Mapping[str, float]]],
    real: Sequence[float],
    patient_ids: Sequence[str],
    means: Sequence[str],
) -> dict[str, dict[str, dict[str, Any]]]:
    """Per row and metric the value, and its difference to the first row, with 95 % intervals over patients.

    Args:
        rows: By name the numbers of every image, `LESIONS` among them.
        real: Lesion contrast of every real image.
        patient_ids: One per image.
        means: Metrics whose mean is told; correlation and ratio of lesion contrasts are `d_r` and `d_ratio`.
    """
    weights = resample_patients(patient_ids, RESAMPLES)
    values = {name: _values(images, np.array(real), weights, means) for name, images in rows.items()}
    first = next(iter(values.values()))
    return {
        name: {key: {**interval(found[key]), "minus_first": interval(found[key] - first[key])} for key in first}
        for name, found in values.items()
    }


def _values(
    images: Sequence[Mapping[str, float]], real: np.ndarray, weights: np.ndarray, means: Sequence[str]
) -> dict[str, np.ndarray]:
    columns = {key: np.array([image[key] for image in images]) for key in (*means, LESIONS)}
    return {
        **{metric: weighted_mean(columns[metric], weights) for metric in means},
        "d_r": weighted_correlation(columns[LESIONS], real, weights),
        "d_ratio": weighted_ratio(columns[LESIONS], real, weights),
    }


def write_table(
    results: Mapping[str, Mapping[str, Any]],
    path: Path,
    *,
    title: str,
    names: Mapping[str, str] | None = None,
    digits: Mapping[str, int] | None = None,
) -> None:
    """Values, and differences to the first row with their intervals, in Markdown.

    Args:
        results: Of `compare_rows`.
        path: Where to.
        title: Of the first column.
        names: What rows are called there; None: as in `results`.
        digits: Decimals of metrics that have not three.
    """
    first, *_ = results
    metrics = list(results[first])
    lines = [f"| {title} | " + " | ".join(metrics) + " |", "|---" * (len(metrics) + 1) + "|"]
    for row, scores in results.items():
        cells = []
        for metric in metrics:
            decimals, gained = (digits or {}).get(metric, 3), scores[metric]["minus_first"]
            difference = "" if row == first else f" ({gained['low']:+.{decimals}f} to {gained['high']:+.{decimals}f})"
            cells.append(f"{scores[metric]['value']:.{decimals}f}{difference}")
        lines.append(f"| {names[row] if names else row} | " + " | ".join(cells) + " |")
    path.write_text("\n".join(lines) + "\n")
