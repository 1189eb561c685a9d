"""How well classes are found on phantoms, where the truth is known: Dice of every class, and what finding them costs.

Run from the root: `PYTHONPATH=. .venv/bin/python benchmarks/label_maps.py [--cases 16]`. Both views of the left breast of
each case, densities in turn. Lesions are given to the label map, as annotators give them, and should come back as they
are. `drawn`: against the truth as a person could draw it; `as is`: against the truth with its texture.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from mammosynth.mammogram import Mammogram
from mammosynth.phantom.clinic.case import PhantomView, generate_case
from mammosynth.phantom.parameters import CaseParameters, Density
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.labels.drawable import drawable
from mammosynth.tasks.mask.labels.from_image import label_map_of
from mammosynth.tasks.mask.labels.phantom_truth import phantom_label_map, phantom_lesions
from mammosynth.terms import ImageLaterality

FIRST_SEED, PIXEL_MM = 100, 0.5
SEEN = 0.03
"""Share of the breast under which a class is hardly there, and a Dice of no meaning; lesions, nipple and skin aside."""
_SMALL = (BreastClass.SKIN, BreastClass.NIPPLE)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=16)
    args = parser.parse_args()
    rows: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for view, density in views(args.cases):
        image = Mammogram(
            view.low_energy, "phantom", view.view_position, view.image_laterality, (view.pixel_mm, view.pixel_mm)
        )
        begun = time.perf_counter()
        found = label_map_of(image, phantom_lesions(view)).labels
        seconds = time.perf_counter() - begun
        truth = phantom_label_map(view)
        drawn = drawable(truth, view.pixel_mm)
        rows["seconds", 0]["all"].append(seconds)
        rows["breast (IoU)", 0]["all"].append(_iou(found > 0, truth > 0))
        for kind in BreastClass:
            least = 0 if kind in _SMALL or kind > BreastClass.NIPPLE else SEEN * (truth > 0).sum()
            if kind is BreastClass.BACKGROUND or (truth == kind).sum() <= least:
                continue
            for name, against in (("drawn", drawn), ("as is", truth)):
                for group in ("all", str(view.view_position), density):
                    rows[f"{kind.name.lower()} {name}", int(kind)][group].append(dice(found == kind, against == kind))
    groups = ("all", "CC", "MLO", "a", "b", "c", "d")
    print(f"{'':32}" + "".join(f"{group:>12}" for group in groups))
    for (name, _), values in rows.items():
        cells = (f"{np.mean(values[g]):.3f} ({len(values[g])})" if values[g] else "" for g in groups)
        print(f"{name:32}" + "".join(f"{cell:>12}" for cell in cells))


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
