"""How well classes are found on phantoms, where the truth is known: Dice of every class, and what finding them costs.

Run from the root: `PYTHONPATH=. .venv/bin/python benchmarks/label_maps.py [--cases 16]`. Both views of the left breast
of each case, densities in turn. Lesions are given to the label map, as annotators give them, and should come back as
they are. Seeds from 300 on: thresholds were chosen on 100 to 115. `drawn`: against the truth as a person could draw it;
`as is`: against the truth with its texture. With `--images DIR` instead: how well the breast agrees with the mask by
which generated images are judged (4/255 after smoothing over 2 pixels, opened, largest piece, filled), on up to
`--most` images of a folder.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage

from mammosynth.files import read_image
from mammosynth.mammogram import Mammogram
from mammosynth.phantom.clinic.case import PhantomView, generate_case
from mammosynth.phantom.parameters import CaseParameters, Density
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.labels.drawable import drawable, undrawable_share
from mammosynth.tasks.mask.labels.from_image import label_map_of
from mammosynth.tasks.mask.labels.phantom_truth import phantom_label_map, phantom_lesions
from mammosynth.terms import ImageLaterality

FIRST_SEED, PIXEL_MM = 300, 0.5
SEEN, SEEN_NIPPLE_MM2 = 0.03, 10.0
"""Share of the breast under which a tissue is hardly there and a Dice of no meaning; area of a nipple that juts out."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=16)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--most", type=int, default=100)
    args = parser.parse_args()
    if args.images:
        _measure_images(args.images, args.most)
    else:
        _measure_phantoms(args.cases)


def _measure_images(folder: Path, most: int) -> None:
    paths = sorted(path for path in folder.iterdir() if path.suffix == ".jpg" and "_CM_" not in path.name)
    paths = [paths[i] for i in np.random.default_rng(0).permutation(len(paths))[:most]]
    agreement, seconds, undrawable = [], [], []
    for path in paths:
        image = read_image(path)
        begun = time.process_time()
        found = label_map_of(image)
        seconds.append(time.process_time() - begun)
        agreement.append(_iou(found.labels > 0, _judged(image.pixels)))
        undrawable.append(undrawable_share(found))
    ends = np.percentile(agreement, [0, 5, 50])
    good = float(np.mean(np.array(agreement) > 0.97))
    print(f"{len(paths)} images, {good:.1%} with IoU > .97; least, 5 %, median {ends.round(3)}")
    print(f"CPU seconds, median and most {np.median(seconds):.2f} {max(seconds):.2f}; undrawable {max(undrawable):.4f}")


def _judged(pixels: np.ndarray) -> np.ndarray:
    mask = ndimage.binary_opening(ndimage.gaussian_filter(pixels, 2) > 4 / 255, iterations=2)
    pieces, count = ndimage.label(mask)
    largest = 1 + np.argmax(ndimage.sum(mask, pieces, range(1, count + 1)))
    return ndimage.binary_fill_holes(pieces == largest)


def _measure_phantoms(cases: int) -> None:
    rows: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for view, density in views(cases):
        image = Mammogram(
            view.low_energy, "phantom", view.view_position, view.image_laterality, (view.pixel_mm, view.pixel_mm)
        )
        begun = time.process_time()
        found = label_map_of(image, phantom_lesions(view)).labels
        seconds = time.process_time() - begun
        truth = phantom_label_map(view)
        drawn = drawable(truth, view.pixel_mm)
        rows["CPU seconds", 0]["all"].append(seconds)
        rows["breast (IoU)", 0]["all"].append(_iou(found > 0, truth > 0))
        for kind in BreastClass:
            if kind is BreastClass.BACKGROUND or (truth == kind).sum() <= _least(kind, truth):
                continue
            for name, against in (("drawn", drawn), ("as is", truth)):
                for group in ("all", str(view.view_position), density):
                    rows[f"{kind.name.lower()} {name}", int(kind)][group].append(dice(found == kind, against == kind))
    groups = ("all", "CC", "MLO", "a", "b", "c", "d")
    print(f"{'':32}" + "".join(f"{group:>12}" for group in groups))
    for (name, _), values in rows.items():
        cells = (f"{np.mean(values[g]):.3f} ({len(values[g])})" if values[g] else "" for g in groups)
        print(f"{name:32}" + "".join(f"{cell:>12}" for cell in cells))


def _least(kind: BreastClass, truth: np.ndarray) -> float:
    """Pixels under which a class is not asked for."""
    if kind is BreastClass.NIPPLE:
        return SEEN_NIPPLE_MM2 / PIXEL_MM**2
    is_tissue = kind in (BreastClass.ADIPOSE, BreastClass.FIBROGLANDULAR, BreastClass.PECTORAL_MUSCLE)
    return SEEN * (truth > 0).sum() if is_tissue else 0


def views(cases: int) -> Iterator[tuple[PhantomView, str]]:
    """Views of left breasts with lesions, and their density."""
    for seed in range(FIRST_SEED, FIRST_SEED + cases):
        density = list(Density)[seed % 4]
        parameters = CaseParameters(seed, density=density, sides=(ImageLaterality.LEFT,), pixel_mm=PIXEL_MM)
        for view in generate_case(parameters):
            yield view, str(density)


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """0 to 1; 1 where both are empty."""
    both = first.sum() + second.sum()
    return float(2 * (first & second).sum() / both) if both else 1.0


def _iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))


if __name__ == "__main__":
    main()
