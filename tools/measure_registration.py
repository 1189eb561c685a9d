"""How well the recombined images of CDD-CESM lie on their low-energy images: as a table says, and as estimated here.

    python tools/measure_registration.py DIR [--every N]

DIR holds CDD-CESM (doi 10.7937/29kw-ae92, CC BY 4.0) with a registration of other origin in `pairs.csv`. Printed are
the distance between both registrations and, for none, the table's and the estimated one: the correlation of gradient
magnitudes, which the estimate maximises; and what neither was made with, the residual shift of the breast's interior
(skin line and crops left out), found by the Laplacians of both images.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from mammosynth.preprocessing.breast import erode, segment_breast
from mammosynth.preprocessing.registration import (
    Box,
    Registration,
    estimate_registration,
    gradient_correlation,
)

NOISE = 6 / 255  # grey value: what JPEG leaves in the padding
SKIN_PX = 12  # left out along the outline
REACH_PX = 10  # largest residual shift looked for
PATCH_PX = 64
CLEAR_PEAK = 0.1  # below, the interior shows nothing common to both images
METHODS = ("none", "table", "estimated")


def read_grey(folder: Path, name: str) -> np.ndarray:
    """(512, 512) float32 in [0, 1]."""
    with Image.open(folder / "512" / "images" / name) as image:
        return np.asarray(image.convert("L"), np.float32) / np.float32(255)


def shown(image: np.ndarray) -> Box:
    """The box of the image within its padding."""
    rows, columns = (np.flatnonzero((image > NOISE).sum(axis=axis) > 2) for axis in (1, 0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def interior_shift(low_energy: np.ndarray, recombined: np.ndarray, registration: Registration) -> float:
    """Length in pixels of the shift that would make the interiors agree best; NaN if nothing is common."""
    moved = registration.apply(recombined, order=1)
    seen = ndimage.binary_erosion(registration.apply(recombined > NOISE, order=1) > 0.5, iterations=6)
    inside = erode(segment_breast(low_energy, background=0.0), SKIN_PX) & ndimage.binary_closing(seen, iterations=3)
    still, other = (np.sqrt(np.abs(ndimage.gaussian_laplace(image, 1.5))) for image in (low_energy, moved))
    maps = []
    for top in range(REACH_PX, 512 - PATCH_PX - REACH_PX, PATCH_PX):
        for left in range(REACH_PX, 512 - PATCH_PX - REACH_PX, PATCH_PX):
            window = np.s_[top - REACH_PX : top + PATCH_PX + REACH_PX, left - REACH_PX : left + PATCH_PX + REACH_PX]
            if inside[window].mean() > 0.98:
                maps.append(correlate(still[top : top + PATCH_PX, left : left + PATCH_PX], other[window]))
    if len(maps) < 4 or (mean := np.mean(maps, axis=0)).max() < CLEAR_PEAK:
        return float("nan")
    peak = np.unravel_index(mean.argmax(), mean.shape)
    return float(np.hypot(peak[0] - REACH_PX, peak[1] - REACH_PX))


def correlate(patch: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Pearson's correlation of the patch with every place in the window."""
    places = np.lib.stride_tricks.sliding_window_view(window, patch.shape)
    mean, spread = places.mean(axis=(2, 3)), places.std(axis=(2, 3))
    standard = (patch - patch.mean()) / patch.std()
    return np.einsum("abij,ij->ab", places - mean[..., None, None], standard) / patch.size / np.maximum(spread, 1e-6)


def main() -> None:
    """Print the figures of one folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take each Nth pair only")
    args = parser.parse_args()
    with (args.folder / "pairs.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))[:: args.every]
    distances, scales, correlations, shifts = [], [], [], []
    for row in rows:
        low_energy, recombined = (read_grey(args.folder, row[kind]) for kind in ("low_energy", "recombined"))
        boxes = {"fixed_box": shown(low_energy), "moving_box": shown(recombined)}
        table = Registration(float(row["scale"]), float(row["dy"]), float(row["dx"]))
        found, _ = estimate_registration(low_energy, recombined, **boxes)
        each = (Registration(1.0, 0.0, 0.0), table, found)
        correlations.append([gradient_correlation(low_energy, recombined, one, **boxes) for one in each])
        shifts.append([interior_shift(low_energy, recombined, one) for one in each])
        rows_, columns = np.nonzero(segment_breast(low_energy, background=0.0))
        middle = np.array([rows_.mean(), columns.mean()])
        seen = [(middle - [one.dy, one.dx]) / one.scale for one in (table, found)]
        distances.append(float(np.hypot(*(seen[0] - seen[1]))))
        scales.append(abs(found.scale - table.scale))
    near = (np.array(distances) <= 2) & (np.array(scales) <= 0.01)
    print(
        f"{len(rows)} pairs; estimated and table within 2 px at the breast's middle and 1 % of scale: {near.mean():.2f}"
    )
    print(f"distance of both at the middle: median {np.median(distances):.1f} px, largest {max(distances):.0f} px")
    common = ~np.isnan(shifts).any(axis=1)
    for index, method in enumerate(METHODS):
        values, rest = np.array(correlations)[:, index], np.array(shifts)[common, index]
        print(
            f"{method:>9}: gradients correlate by {values.mean():.3f}; "
            f"interior off by {np.median(rest):.1f} px (median), {rest.mean():.1f} px (mean), "
            f"over 3 px in {(rest > 3).mean():.2f} of {common.sum()} pairs with common detail"
        )
    gains = np.array(correlations)[:, 2] - np.array(correlations)[:, 1]
    print(f"estimated at least as well correlated as the table in {(gains >= 0).mean():.3f}, worst {gains.min():.3f}")


if __name__ == "__main__":
    main()
