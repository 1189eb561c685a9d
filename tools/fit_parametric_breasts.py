"""Fit parametric breasts to real mammograms: `tasks/mask/parametric/population.json` comes from here.

    python tools/fit_parametric_breasts.py FOLDER... [--output population.json]

Each folder holds images as the task `mask` reads them, here CDD-CESM (doi 10.7937/29kw-ae92, CC BY 4.0): one with its
views of 512 pixels (`pairs.csv`), CC and MLO, and one with its full-size CC views alone (`full/cc_index.csv`), which
have benign lesions, too. Only the split `train` is read. Prints how well the breasts fit; what fits with less than an
intersection over union of 0.9, or has no fibroglandular tissue, is left out of the distributions.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from mammosynth.errors import MammoSynthError
from mammosynth.label_map import LabelMap
from mammosynth.tasks.mask.data import DATASET
from mammosynth.tasks.mask.parametric import population
from mammosynth.tasks.mask.parametric.breast import Ellipse, ParametricBreast, area_of
from mammosynth.tasks.mask.parametric.fit import Fit, fit
from mammosynth.terms import ViewPosition

ROWS = 512
LEAST_IOU = 0.9
STEPS = np.linspace(0, 1, 21)


def reduced(labels: LabelMap) -> LabelMap:
    """About 512 rows of it."""
    step = max(1, labels.labels.shape[0] // ROWS)
    return LabelMap(
        np.ascontiguousarray(labels.labels[::step, ::step]), labels.source_name, view_position=labels.view_position
    )


def lesions_of(breast: ParametricBreast) -> list[tuple[str, list[float]]]:
    """Pathology, and what `population.LESION` names, of each lesion."""
    glands, found = breast.fibroglandular, []
    for lesion in breast.lesions:
        points = np.array(lesion.shape.points)
        spread = np.linalg.eigvalsh(np.cov(points.T))
        apart = points.mean(axis=0) - (glands.x, glands.y)
        turn = np.radians(glands.angle)
        along, across = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) @ apart
        diameter = 2 * np.sqrt(area_of(lesion.shape.points) / np.pi)
        off_centre = float(np.hypot(along / glands.a, across / glands.b))
        found.append((lesion.pathology, [float(diameter), float(np.sqrt(spread[0] / spread[1])), off_centre]))
    return found


def report(view: ViewPosition, fits: list[Fit], refused: list[str]) -> None:
    """Print how well one view fits."""
    iou, residual = np.array([(each.iou, each.residual_px) for each in fits]).T
    print(f"{view}: {len(fits)} fits, {len(refused)} refused; IoU median {np.median(iou):.4f}", end="")
    print(f", 5th percentile {np.percentile(iou, 5):.4f}, least {iou.min():.4f}", end="")
    print(f"; median residual {np.median(residual):.2f} px of about {ROWS}")
    print("".join(f"  {sentence}\n" for sentence in refused), end="")


def distribution(fits: list[Fit]) -> dict[str, Any]:
    """Quantiles and rank correlation, as correlation of the normal numbers behind the ranks."""
    rows = [population.values_of(each.breast) for each in fits]
    names = list(rows[0])
    table = np.array([[row[name] for name in names] for row in rows])
    correlation = 2 * np.sin(np.pi / 6 * spearmanr(table).statistic)
    quantiles = np.quantile(table, STEPS, axis=0).T
    return {
        "breasts": len(fits),
        "quantiles": {name: np.round(row, 4).tolist() for name, row in zip(names, quantiles, strict=True)},
        "correlation": np.round(correlation, 3).tolist(),
    }


def main() -> None:
    """Print quality, write distributions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, default=Path("population.json"))
    options = parser.parse_args()
    fits, refused, lesions = defaultdict(list), defaultdict(list), defaultdict(list)
    for folder in options.folders:
        for case in DATASET.read(folder, "train"):
            view = case.image.view_position
            try:
                found = fit(reduced(case.labels), "ellipse")
            except MammoSynthError as error:
                refused[view].append(str(error))
                continue
            fits[view].append(found)
            if isinstance(found.breast.fibroglandular, Ellipse):
                for pathology, values in lesions_of(found.breast):
                    lesions[pathology].append(values)
    written: dict[str, Any] = {}
    for view, all_fits in fits.items():
        report(view, all_fits, refused[view])
        wanted = [
            each
            for each in all_fits
            if each.iou >= LEAST_IOU
            and isinstance(each.breast.fibroglandular, Ellipse)
            and (view is ViewPosition.CC or each.breast.pectoral_muscle is not None)
        ]
        written[str(view)] = distribution(wanted)
    written["lesions"] = {
        pathology: {
            "count": len(rows),
            **{
                name: np.round(np.quantile([row[place] for row in rows], STEPS), 4).tolist()
                for place, name in enumerate(population.LESION)
            },
        }
        for pathology, rows in lesions.items()
    }
    options.output.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
