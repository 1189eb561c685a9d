"""Measure breast outlines in real mammograms: the numbers in `mammosynth.phantom.anatomy.outline` come from here.

    python tools/measure_outlines.py CDD-CESM-FOLDER

The folder holds CDD-CESM (doi 10.7937/29kw-ae92, CC BY 4.0) as indexed by `full/cc_index.csv`, `pairs.csv` and
`breasts_cc_mlo.csv`. Only rows of the `train` split are read. The size of a pixel is unknown, so lengths are measured
in units of the breast. Orientation is read from the outline; it agrees with the given side in all of these images.
"""
# ruff: noqa: T201

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.polynomial import chebyshev
from PIL import Image
from scipy import ndimage

from mammosynth.phantom.anatomy.outline import ANGLES, DEGREE, chebyshev_axis
from mammosynth.preprocessing.breast import chest_wall_on_left, segment_breast
from mammosynth.terms import ImageLaterality, ViewPosition

SIDE = 512  # longest side on which outlines are measured
NIPPLE_PX = 9  # radius of the opening that takes the nipple off the outline
CUT = 0.35  # share of the outline's angles that may be missing because the image ends there
RIDGE = 1e-3  # steadies the fit where the image ends
MODES = 5
HEIGHTS = (0.4, 0.6, 0.8, 1.0, 1.2, 1.4)  # above the nipple, in depths of the breast
EDGE_CONTRAST = 0.06  # grey step across the muscle's edge that counts as clear
CLEAR_EDGE = 0.45  # mean clearness along an edge, from which on it is believed; chosen by looking at all of them


@dataclass(frozen=True, eq=False)
class Breast:
    """A breast as (H, W) float32 pixels, chest wall at column 0, and its front in pixels, NaN where it is cut."""

    pixels: np.ndarray
    front: np.ndarray

    @property
    def apex(self) -> int:
        """Row of the foremost point, near the nipple, not in the uppermost quarter."""
        smooth = ndimage.gaussian_filter1d(self.front, len(self.front) / 40, mode="nearest")
        start = len(self.front) // 4
        return int(np.nanargmax(smooth[start:])) + start

    @property
    def depth(self) -> float:
        """Of the foremost point, in pixels."""
        return float(self.front[self.apex])


def read(path: Path) -> Breast:
    """Read, orient and outline one image."""
    image = Image.open(path).convert("L")
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    pixels = np.asarray(image, np.float32) / 255
    mask = segment_breast(pixels)
    if not chest_wall_on_left(mask):
        pixels, mask = pixels[:, ::-1], mask[:, ::-1]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], None)
    pixels, mask = pixels[box], mask[box]
    disc = np.hypot(*np.mgrid[-NIPPLE_PX : NIPPLE_PX + 1, -NIPPLE_PX : NIPPLE_PX + 1]) <= NIPPLE_PX
    opened = ndimage.binary_opening(np.pad(mask, NIPPLE_PX, mode="edge"), disc)
    opened = opened[NIPPLE_PX:-NIPPLE_PX, NIPPLE_PX:-NIPPLE_PX]
    front = np.where(opened.any(axis=1), opened.shape[1] - np.argmax(opened[:, ::-1], axis=1), 0).astype(float)
    inside = front > 0
    return Breast(np.where(mask, pixels, pixels[mask].min())[inside], front[inside])


def training_rows(folder: Path, table: str) -> Iterator[dict[str, str]]:
    """Rows of the `train` split of an index."""
    with (folder / table).open() as file:
        yield from (row for row in csv.DictReader(file) if row["split"] == "train")


def fit(breast: Breast, view: ViewPosition) -> np.ndarray | None:
    """(DEGREE + 1,) Chebyshev coefficients of log(radius / size) over the angle; None if too much of it is cut.

    CC is seen from the row that halves the breast's area, MLO from the row of the foremost point, because the muscle
    and the axilla lie above. Size is the square root of the area below that row.
    """
    front = breast.front
    area = np.cumsum(front)
    origin = breast.apex if view is ViewPosition.MLO else float(np.interp(area[-1] / 2, area, np.arange(len(front))))
    up = origin - np.arange(len(front))
    angle, radius = np.degrees(np.arctan2(up, front)), np.hypot(up, front)
    low, high = ANGLES[view]
    uncut = slice(1, -1)  # along the image's upper and lower edge the breast is cut, not outlined
    grid = np.arange(low + 1, high, 2.0)
    seen = (grid > angle[uncut].min() - 2) & (grid < angle[uncut].max() + 2)
    if seen.mean() < 1 - CUT:
        return None
    order = uncut.start + np.argsort(angle[uncut])
    values = np.log(np.interp(grid[seen], angle[order], radius[order]) / np.sqrt(front[up < 0].sum()))
    basis = chebyshev.chebvander(chebyshev_axis(grid[seen], view), DEGREE)
    penalty = np.sqrt(RIDGE * seen.sum()) * np.diag(np.arange(DEGREE + 1.0))
    return np.linalg.lstsq(np.vstack((basis, penalty)), np.append(values, np.zeros(DEGREE + 1)), rcond=None)[0]


def modes_of(coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The strongest modes, each times its standard deviation, and the share of variance that they hold."""
    centred = coefficients - coefficients.mean(axis=0)
    _, spread, directions = np.linalg.svd(centred / np.sqrt(len(centred) - 1), full_matrices=False)
    return (spread[:, None] * directions)[:MODES], spread[:MODES] ** 2 / (spread**2).sum()


def weights_of(coefficients: np.ndarray, fits: np.ndarray) -> np.ndarray:
    """How much of each mode of `fits` makes up other coefficients, in standard deviations."""
    return np.linalg.lstsq(modes_of(fits)[0].T, coefficients - fits.mean(axis=0), rcond=None)[0]


def measure_muscle(breast: Breast) -> np.ndarray | None:
    """Angle in degrees, foot above the nipple in depths, width over front at the top, bulge; None if not clear.

    The edge is the straight line from the upper edge to the chest wall across which it gets darkest most evenly.
    """
    pixels = ndimage.gaussian_filter(breast.pixels, 3)
    depth, apex, front = breast.depth, breast.apex, breast.front[3]
    feet = np.arange(0.25 * apex, min(len(pixels) - 1, apex + 0.5 * depth), 4)
    lines = [(foot, width) for foot in feet for width in np.arange(0.12 * depth, min(0.95 * front, 0.8 * depth), 3)]
    lines = [(foot, width) for foot, width in lines if 0.12 < width / foot < 0.9]
    if not lines:
        return None
    steps = [(_clearness(pixels, foot, width), foot) for foot, width in lines]
    scores = [step.mean() * np.sqrt(foot / 200) - 0.3 * step.std() for step, foot in steps]
    foot, width = lines[int(np.argmax(scores))]
    if _clearness(pixels, foot, width).mean() < CLEAR_EDGE:
        return None
    bulges = np.arange(-0.08, 0.121, 0.01)
    bulge = bulges[np.argmax([_clearness(pixels, foot, width, bulge).mean() for bulge in bulges])]
    return np.array([np.degrees(np.arctan2(width, foot)), (apex - foot) / depth, width / front, bulge])


def _clearness(pixels: np.ndarray, foot: float, width: float, bulge: float = 0.0) -> np.ndarray:
    """(50,) grey step from muscle to breast along the line from (0, width) to (foot, 0), squashed to -1 to 1."""
    normal = np.array([width, foot]) / np.hypot(width, foot)  # row, column, towards the nipple
    way = np.linspace(0.05, 0.95, 50)
    line = np.stack((way * foot, width * (1 - way))) + normal[:, None] * bulge * np.hypot(width, foot) * 4 * way * (
        1 - way
    )
    inner, outer = (
        ndimage.map_coordinates(pixels, line + side * 4 * normal[:, None], order=1, mode="nearest") for side in (-1, 1)
    )
    return np.tanh((inner - outer) / EDGE_CONTRAST)


def report_outlines(fits: np.ndarray, count: int, view: ViewPosition) -> None:
    """Print what `OUTLINE_MEAN` and `OUTLINE_MODES` hold."""
    modes, share = modes_of(fits)
    print(f"\n{view}: {len(fits)} of {count} outlines")
    print("mean", fits.mean(axis=0))
    print("standard deviation", fits.std(axis=0, ddof=1))
    print("correlation", np.corrcoef(fits.T), sep="\n")
    print("modes", modes, "share of variance", share, sep="\n")


def main() -> None:
    """Print, per view, what `mammosynth.phantom.anatomy.outline` draws from."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    np.set_printoptions(precision=4, suppress=True, linewidth=120)

    rows = list(training_rows(folder, "full/cc_index.csv"))
    measured = [fit(read(folder / "full" / "cc_low_energy" / row["file"]), ViewPosition.CC) for row in rows]
    craniocaudal = np.array([m for m in measured if m is not None])
    report_outlines(craniocaudal, len(measured), ViewPosition.CC)
    for side in ImageLaterality:
        group = [m for m, row in zip(measured, rows, strict=True) if m is not None and row["side"] == side]
        print(
            f"asymmetry (coefficients 1, 3) of {side}", np.mean(group, axis=0)[[1, 3]], "lateral is up in both if alike"
        )

    images = folder / "512" / "images"
    breasts = [read(images / row["low_energy"]) for row in training_rows(folder, "pairs.csv") if row["view"] == "MLO"]
    measured = [fit(breast, ViewPosition.MLO) for breast in breasts]
    oblique = np.array([m for m in measured if m is not None])
    report_outlines(oblique, len(measured), ViewPosition.MLO)
    above = [
        [np.interp(b.apex - h * b.depth, np.arange(len(b.front)), b.front, left=np.nan) / b.depth for h in HEIGHTS]
        for b in breasts
    ]
    print("front at", HEIGHTS, "mean", np.nanmean(above, axis=0), "5th percentile", np.nanpercentile(above, 5, axis=0))
    muscles = np.array([m for m in map(measure_muscle, breasts) if m is not None])
    print(
        f"{len(muscles)} muscles: angle, foot above nipple, width over front, bulge",
        muscles.mean(axis=0),
        "sd",
        muscles.std(axis=0, ddof=1),
    )

    both = []
    for row in training_rows(folder, "breasts_cc_mlo.csv"):
        cc = fit(read(images / row["cc_low_energy"]), ViewPosition.CC)
        mlo = fit(read(images / row["mlo_low_energy"]), ViewPosition.MLO)
        if cc is not None and mlo is not None:
            both.append(np.append(weights_of(cc, craniocaudal), weights_of(mlo, oblique)))
    print(f"\n{len(both)} breasts with both views: correlation of CC modes (rows) with MLO modes (columns)")
    print(np.corrcoef(np.array(both).T)[:MODES, MODES:])


if __name__ == "__main__":
    main()
