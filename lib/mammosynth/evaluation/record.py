"""Measured scores in a bundle's metadata, so that whoever chooses a model sees them beside floor and ceiling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mammosynth.atomic import write_json
from mammosynth.bundle import METADATA, WEIGHTS, Bundle, hash_file, read_config
from mammosynth.errors import BundleError
from mammosynth.evaluation.evaluation import Report, scores_of


def record_scores(folder: Path, bundle: Bundle, report: Report, model: int = 0) -> dict[str, Any]:
    """Write a model's scores into `mammosynth.scores` of its metadata, in place of earlier ones.

    Args:
        folder: Of the bundle.
        bundle: As it was evaluated.
        report: Of an evaluation.
        model: Which of its models.

    Returns:
        See `scores_of`.

    Raises:
        BundleError: If the folder holds other weights than were evaluated.
    """
    if bundle.weights_sha256 != hash_file(folder / WEIGHTS, folder.name):
        raise BundleError(
            f"{folder.name}/{WEIGHTS.as_posix()}: the report is about weights {bundle.weights_sha256[:16]}, which are "
            "others; evaluate this bundle"
        )
    scores = dict(scores_of(report, model))
    metadata = read_config(folder, METADATA)
    metadata["mammosynth"]["scores"] = scores
    write_json(folder / METADATA, metadata)
    return scores
