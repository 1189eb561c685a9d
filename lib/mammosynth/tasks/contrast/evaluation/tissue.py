"""Fat against fibroglandular tissue: the contrast-to-noise ratio that the published method reports.

CNR = |mean_adipose - mean_fibroglandular| / (std_adipose + std_fibroglandular), on regions drawn on the low-energy
image and carried over to the others (Zormpas-Petridis et al. 2026). It does not change when an image is normalised
linearly, so images are taken as they are. The published means are negative where the formula's bars forbid it
(-0.015 real, -0.169 generated), so the ratio is given with its sign, too: mean_adipose - mean_fibroglandular, of
MONOCHROME2 images. There fibroglandular tissue is the brighter one and the low-energy image's ratio is negative; the
published one is +0.66, so its low-energy images were inverted, or its sign is the other one.

Regions by rule (all lengths in pixels of the 512 px frame, all chosen): in interior tissue farther than 20 px from any
drawn lesion and, in an MLO view, outside the corner where the pectoral muscle lies, the low-energy image is smoothed
(Gauss, sigma 4) and divided in two by Otsu's threshold t. Fat is what is darker than half-way from t to its class's
mean, fibroglandular tissue what is brighter than half-way to its own; each is opened with a disc of radius 3, and its
largest component kept. A region of fewer than 200 pixels is none. Regions drawn by hand replace them, see `read_drawn`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from scipy import ndimage
from skimage.filters import threshold_otsu

from mammosynth.errors import DataError
from mammosynth.preprocessing.regions import largest
from mammosynth.problems import Problems
from mammosynth.tasks.contrast.evaluation.protocol import Case
from mammosynth.terms import ViewPosition

KINDS = ("adipose", "fibroglandular")
SMOOTHING = 4.0
"""Sigma of the Gauss before the threshold, pixels; chosen."""
OPENING = 3
"""Radius of the opening's disc, pixels; chosen."""
SMALLEST = 200
"""Pixels; chosen: with fewer the standard deviation of grain is not known to 5 %."""
PECTORAL = (0.6, 0.5)
"""Legs of the corner left out of an MLO view, parts of the breast's height and width; chosen on validation images."""


@dataclass(frozen=True, eq=False)
class Tissue:
    """Two regions of one case.

    Attributes:
        adipose: (512, 512) bool, chest wall on the left.
        fibroglandular: (512, 512) bool, likewise.
        is_drawn: By a person; by the rule otherwise.
    """

    adipose: np.ndarray
    fibroglandular: np.ndarray
    is_drawn: bool = False


def find_tissue(case: Case) -> Tissue:
    """The regions by rule."""
    area = case.normal & ~_pectoral_corner(case)
    none = np.zeros_like(area)
    smooth = ndimage.gaussian_filter(case.low_energy, SMOOTHING)
    values = smooth[area]
    if values.size < 2 * SMALLEST or np.ptp(values) < 1e-3:
        return Tissue(none, none)
    threshold = otsu_threshold(values)
    dark, bright = values[values <= threshold].mean(), values[values > threshold].mean()
    return Tissue(
        _largest(area & (smooth < (threshold + dark) / 2)), _largest(area & (smooth > (threshold + bright) / 2))
    )


def read_drawn(folder: Path, cases: Sequence[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Regions drawn by hand, in the images' own orientation.

    Args:
        folder: Holds `NAME_adipose.png` and `NAME_fibroglandular.png` for some or all images, where NAME is the
            low-energy image's name without its ending. 512 x 512 pixels, inside white (above 127), outside black.
        cases: Names of the low-energy images.

    Returns:
        By name, the two (512, 512) bool; images without files are left out.

    Raises:
        DataError: If the folder holds none for these images, or a mask is bad; every bad one is listed.
    """
    drawn: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    problems = Problems()
    for name in cases:
        paths = [folder / f"{Path(name).stem}_{kind}.png" for kind in KINDS]
        if not any(path.is_file() for path in paths):
            continue
        with problems.catching(DataError):
            adipose, fibroglandular = (_read_region(path) for path in paths)
            if (adipose & fibroglandular).any():
                raise DataError(
                    f"{paths[0].name}, {paths[1].name}: overlap, expected two regions apart; draw them again"
                )
            drawn[name] = adipose, fibroglandular
    problems.raise_if_any(f"{folder.name}: regions cannot be used:")
    if not drawn:
        raise DataError(
            f"{folder.name}: no region of any image, expected NAME_adipose.png and NAME_fibroglandular.png, "
            f"for example {Path(cases[0]).stem}_adipose.png; name the files so"
        )
    return drawn


def tissue_of(case: Case, drawn: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Tissue:
    """The regions drawn for a case, or those by rule."""
    if case.name not in drawn:
        return find_tissue(case)
    adipose, fibroglandular = (case.turn(region) for region in drawn[case.name])
    return Tissue(adipose, fibroglandular, is_drawn=True)


def contrast_to_noise(pixels: np.ndarray, tissue: Tissue) -> float:
    """(mean_adipose - mean_fibroglandular) / (std_adipose + std_fibroglandular); NaN without both regions.

    An image that is flat in both has no contrast: 0.
    """
    if min(tissue.adipose.sum(), tissue.fibroglandular.sum()) < SMALLEST and not tissue.is_drawn:
        return float("nan")
    fat, gland = pixels[tissue.adipose].astype(np.float64), pixels[tissue.fibroglandular].astype(np.float64)
    return float((fat.mean() - gland.mean()) / max(fat.std() + gland.std(), 1e-3))


def otsu_threshold(values: np.ndarray) -> float:
    """The threshold with the largest variance between the two classes (Otsu 1979), of 256 bins."""
    counts, edges = np.histogram(values, 256)
    return float(threshold_otsu(hist=(counts, edges[1:])))  # the upper edge of the darker class's last bin


def _read_region(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            values = np.asarray(image.convert("L"))
    except FileNotFoundError as error:
        raise DataError(f"{path.name}: is missing, expected both regions of an image; draw it, too") from error
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"{path.name}: cannot be read ({error}), expected a PNG; write it again") from error
    if values.shape != (512, 512):
        raise DataError(
            f"{path.name}: is {values.shape[0]} x {values.shape[1]}, expected 512 x 512 as the image; draw it on that"
        )
    region = values > 127
    if region.sum() < 2:
        raise DataError(f"{path.name}: no pixel is above 127, expected white inside the region; draw it again")
    return region


def _pectoral_corner(case: Case) -> np.ndarray:
    if case.view_position is not ViewPosition.MLO:
        return np.zeros(case.breast.shape, bool)
    rows, columns = np.flatnonzero(case.breast.any(axis=1)), np.flatnonzero(case.breast.any(axis=0))
    y, x = np.mgrid[: case.breast.shape[0], : case.breast.shape[1]]
    down = (y - rows[0]) / (PECTORAL[0] * (rows[-1] - rows[0] + 1))
    out = (x - columns[0]) / (PECTORAL[1] * (columns[-1] - columns[0] + 1))
    return down + out < 1


def _largest(region: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[-OPENING : OPENING + 1, -OPENING : OPENING + 1]
    return largest(ndimage.binary_opening(region, y**2 + x**2 <= OPENING**2))
