# ruff: noqa: T201
"""Measure breast outlines in real mammograms: the numbers in `mammosynth.phantom.outline` come from here.

    python tools/measure_outlines.py CDD-CESM-FOLDER

The folder holds CDD-CESM (doi 10.7937/29kw-ae92, CC BY 4.0) as indexed by `full/cc_index.csv` and `pairs.csv`. Only
rows of the `train` split are read. Pixel size is unknown, so outlines are measured in units of their own size.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.polynomial import chebyshev
from PIL import Image
from scipy import ndimage

from mammosynth.phantom.outline import ANGLES, DEGREE, chebyshev_axis
from mammosynth.preprocessing.breast import chest_wall_on_left, segment_breast
from mammosynth.terms import ViewPosition

SIDE = 512  # longest side on which outlines are measured
NIPPLE_PX = 9  # radius of the opening that takes the nipple off the outline
CUT = 0.35  # share of the outline's angles that may be missing because the image ends there
RIDGE = 1e-3  # steadies the fit where the image ends
MODES = 5


def read_images(folder: Path, view: ViewPosition) -> Iterator[tuple[str, np.ndarray]]:
    """Name and (H, W) float32 low-energy pixels of every training image of a view."""
    table = folder / ("full/cc_index.csv" if view is ViewPosition.CC else "pairs.csv")
    with table.open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    if view is ViewPosition.CC:
        paths = [folder / "full" / "cc_low_energy" / row["file"] for row in rows]
    else:
        paths = [folder / "512" / "images" / row["low_energy"] for row in rows if row["view"] == "MLO"]
    for path in paths:
        image = Image.open(path).convert("L")
        image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
        yield path.name, np.asarray(image, np.float32) / 255


def front_of(pixels: np.ndarray) -> np.ndarray:
    """(rows,) distance of the skin from the chest wall in pixels, lateral or cranial first; NaN where cut or absent."""
    mask = segment_breast(pixels)
    if not chest_wall_on_left(mask):
        mask = mask[:, ::-1]
    mask = mask[:, np.flatnonzero(mask.any(axis=0))[0] :]
    radius = NIPPLE_PX
    disc = np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) <= radius
    padded = np.pad(mask, radius, mode="edge")
    opened = ndimage.binary_opening(padded, disc)[radius:-radius, radius:-radius]
    front = np.where(opened.any(axis=1), opened.shape[1] - np.argmax(opened[:, ::-1], axis=1), np.nan)
    front[[0, -1]] = np.nan  # along the image's edge the breast is cut, not outlined
    rows = np.flatnonzero(front > 0)
    return front[rows[0] : rows[-1] + 1]


def measure(front: np.ndarray, view: ViewPosition) -> np.ndarray | None:
    """(DEGREE + 1,) Chebyshev coefficients of log(radius / size) over the angle; None if too much of it is cut.

    CC is seen from the row that halves the breast's area, MLO from the row of the foremost point, because the muscle
    and the axilla lie above. Size is the square root of the area below that row.
    """
    if view is ViewPosition.CC:
        area = np.cumsum(front)
        origin = float(np.interp(area[-1] / 2, area, np.arange(len(front))))
    else:
        smooth = ndimage.gaussian_filter1d(front, len(front) / 40, mode="nearest")
        origin = float(np.argmax(smooth[len(front) // 4 :]) + len(front) // 4)
    up = origin - np.arange(len(front))
    angle, radius = np.degrees(np.arctan2(up, front)), np.hypot(up, front)
    size = np.sqrt(front[up < 0].sum())
    low, high = ANGLES[view]
    inside = (angle > low) & (angle < high)
    grid = np.arange(low + 1, high, 2.0)
    seen = (grid > angle[inside].min() - 2) & (grid < angle[inside].max() + 2)
    if seen.mean() < 1 - CUT:
        return None
    order = np.argsort(angle)
    values = np.log(np.interp(grid[seen], angle[order], radius[order]) / size)
    basis = chebyshev.chebvander(chebyshev_axis(grid[seen], view), DEGREE)
    penalty = np.sqrt(RIDGE * seen.sum()) * np.diag(np.arange(DEGREE + 1.0))
    return np.linalg.lstsq(np.vstack((basis, penalty)), np.append(values, np.zeros(DEGREE + 1)), rcond=None)[0]


def describe(coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, the strongest modes (each times its standard deviation) and the share of variance that they hold."""
    mean = coefficients.mean(axis=0)
    _, spread, directions = np.linalg.svd((coefficients - mean) / np.sqrt(len(coefficients) - 1), full_matrices=False)
    return mean, (spread[:, None] * directions)[:MODES], spread[:MODES] ** 2 / (spread**2).sum()


def main() -> None:
    """Print, per view, what `mammosynth.phantom.outline` draws from."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    np.set_printoptions(precision=4, suppress=True, linewidth=120)
    for view in ViewPosition:
        measured = [measure(front_of(pixels), view) for _, pixels in read_images(folder, view)]
        kept = np.array([m for m in measured if m is not None])
        mean, modes, share = describe(kept)
        print(f"{view}: {len(kept)} of {len(measured)} outlines")
        print("mean", repr(mean))
        print("standard deviation", kept.std(axis=0, ddof=1))
        print("correlation", np.corrcoef(kept.T), sep="\n")
        print("modes", repr(modes), "share of variance", share)


if __name__ == "__main__":
    main()
