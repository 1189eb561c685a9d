"""Fit the model that label maps are drawn from, and measure how near drawn outlines are to real ones.

Run from the root: `PYTHONPATH=. .venv/bin/python tools/fit_label_maps.py CDD_CESM CBIS_DDSM [--cache FILE]
[--each 400]` writes `lib/mammosynth/tasks/mask/labels/breasts.json`; with `--measure 100` it draws instead, and prints
the distance of drawn outlines to the nearest real one beside that of real ones to the nearest of another patient.
Folders as their publishers' tables describe them; only rows of the split `train` are used. Label maps of real images
are kept in the cache file, which is not part of the project.
"""

from __future__ import annotations

import argparse
import csv
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from mammosynth.errors import MammoSynthError
from mammosynth.files import read_image
from mammosynth.label_map import LabelMap
from mammosynth.preprocessing.breast import chest_wall_on_left
from mammosynth.preprocessing.look import DENSITIES, Density
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.labels.draw import draw_label_map
from mammosynth.tasks.mask.labels.drawable import pixel_mm_of
from mammosynth.tasks.mask.labels.from_image import label_map_of
from mammosynth.tasks.mask.labels.model import fit_model
from mammosynth.tasks.mask.labels.outline import ANGLES, Outline, fill_outline, outline_of
from mammosynth.terms import ImageLaterality, ViewPosition

MODEL = Path(__file__).parents[1] / "lib/mammosynth/tasks/mask/labels/breasts.json"
FITTED_ON = (
    "train of CDD-CESM (Khaled et al. 2022, doi:10.1038/s41597-022-01238-0, low energy) and of CBIS-DDSM "
    "(Lee et al. 2017, doi:10.1038/sdata.2017.177, aspect ratio not assumed)"
)
Real = tuple[LabelMap, Density, str]
"""With the patient."""


def main() -> None:
    """Fit, or measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cdd_cesm", type=Path)
    parser.add_argument("cbis_ddsm", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--each", type=int, default=400, help="at most so many images of a set")
    parser.add_argument("--measure", type=int, metavar="N", help="draw so many of each view instead of fitting")
    args = parser.parse_args()
    real = _cached(args)
    print(f"{len(real)} label maps of {len({patient for *_, patient in real})} patients")
    if args.measure:
        _measure(real, args.measure)
    else:
        maps = [(label_map, density) for label_map, density, _ in real]
        MODEL.write_text(fit_model(maps, f"{len(real)} images of {FITTED_ON}").to_json())


def _cached(args: argparse.Namespace) -> list[Real]:
    if args.cache and args.cache.exists():
        return pickle.loads(args.cache.read_bytes())
    real = [*_cdd_cesm(args.cdd_cesm, args.each), *_cbis_ddsm(args.cbis_ddsm, args.each)]
    if args.cache:
        args.cache.write_bytes(pickle.dumps(real))
    return real


def _rows(table: Path, each: int) -> list[dict[str, str]]:
    rows = [row for row in csv.DictReader(table.open()) if row["split"] == "train" and row.get("aspect") != "assumed"]
    return [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[:each]]


def _cdd_cesm(folder: Path, each: int) -> Iterator[Real]:
    for row in _rows(folder / "pairs.csv", each):
        name, density = row["low_energy"], row["density"].strip().lower()[:1]
        if density in DENSITIES:
            # Its masks are of whatever was drawn, thickened skin and all: masses are learned from the other set.
            yield from _label_map(folder / "512/images" / name, None, "", density, row["patient"])


def _cbis_ddsm(folder: Path, each: int) -> Iterator[Real]:
    for row in _rows(folder / "index.csv", each):
        if row["density"] in tuple("1234"):
            mask = folder / "masks" / Path(row["file"]).with_suffix(".png").name
            density = DENSITIES[int(row["density"]) - 1]
            yield from _label_map(folder / "images" / row["file"], mask, row["pathology"], density, row["patient"])


def _label_map(image: Path, mask: Path | None, pathology: str, density: Density, patient: str) -> Iterator[Real]:
    """Only outlines that were drawn (255) are lesions; ellipses of boxes (128) are not."""
    drawn = np.asarray(Image.open(mask).convert("L")) == 255 if mask and mask.exists() else None
    benign = pathology.lower().startswith("benign")
    kind = BreastClass.BENIGN_LESION if benign else BreastClass.MALIGNANT_LESION
    try:
        found = label_map_of(read_image(image), {kind: drawn} if drawn is not None else None)
    except MammoSynthError as error:
        print(error)
        return
    yield replace(found, header=None), density, patient


def _measure(real: list[Real], count: int) -> None:
    """IoU and Hausdorff distance to the nearest outline, over a coarse grid of 2 mm, every outline at its own size."""
    for view in ViewPosition:
        shown = [(one, patient) for one, _, patient in real if one.view_position is view]
        radii = np.array([_radii(one) for one, _ in shown])
        patients = np.array([patient for _, patient in shown])
        drawn = [
            draw_label_map(seed, view_position=view, image_laterality=ImageLaterality.LEFT, shape=(512, 400))
            for seed in range(count)
        ]
        drawn_radii = np.array([_radii(one) for one in drawn])
        between = _nearest(radii, radii, patients[:, None] != patients[None])
        to_real = _nearest(drawn_radii, radii, np.ones((count, len(radii)), bool))
        for name, values in (("real to real", between), ("drawn to real", to_real)):
            for measure, each in zip(("IoU", "Hausdorff mm"), values, strict=True):
                ends = np.percentile(each, [1, 5, 50, 95, 99])
                print(f"{view} {name:14} {measure:13} 1/5/50/95/99 %: " + " ".join(f"{end:6.3f}" for end in ends))


def _radii(label_map: LabelMap) -> np.ndarray:
    breast = label_map.labels > 0
    breast = breast if chest_wall_on_left(breast) else breast[:, ::-1]
    return outline_of(breast, pixel_mm_of(breast.shape, label_map.pixel_spacing_mm)).radii_mm


def _nearest(radii: np.ndarray, others: np.ndarray, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """IoU with, and Hausdorff distance to, the nearest other outline."""
    filled, against = _filled(radii), _filled(others)
    shared = filled @ against.T
    iou = shared / (filled.sum(axis=1)[:, None] + against.sum(axis=1)[None] - shared)
    points, other_points = _points(radii), _points(others)
    distances = np.full((len(radii), len(others)), np.inf)
    for i, outline in enumerate(points):
        away = np.linalg.norm(outline[None, :, None] - other_points[:, None], axis=-1)
        distances[i] = np.maximum(away.min(axis=2).max(axis=1), away.min(axis=1).max(axis=1))
    return np.where(allowed, iou, -1).max(axis=1), np.where(allowed, distances, np.inf).min(axis=1)


def _filled(radii: np.ndarray) -> np.ndarray:
    return np.array([fill_outline(Outline(one, 1e3, 75), 2.0, (150, 130)).ravel() for one in radii], np.float32)


def _points(radii: np.ndarray) -> np.ndarray:
    return np.stack((radii * np.sin(ANGLES), radii * np.cos(ANGLES)), axis=-1)


if __name__ == "__main__":
    main()
