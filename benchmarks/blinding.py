"""Are blinded copies of a released model's images told from those of the images that they stand for?

Run from the root with `PYTHONPATH=.:lib`:

    python benchmarks/blinding.py phantoms
    python benchmarks/blinding.py folders REAL SYNTHESIZED

The first makes phantoms: contrast against recombined, mask (of what is found in the CC) against that CC, view against
MLO. The second takes files with equal names but for
a last word (P1_L_CC.jpg, P1_L_CC_contrast.png; `--real-view` and `--view` where names tell the view of the source).
Prints the classifier's area under the ROC curve, its 95 % interval, and what tells alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mammosynth.bundle import default_model_zoo, load_bundle
from mammosynth.files.read import read_image
from mammosynth.mammogram import Mammogram
from mammosynth.phantom.clinic.case import generate_case
from mammosynth.phantom.parameters import CaseParameters
from mammosynth.reading.blinding.attack import Attack, Exhibit, attack
from mammosynth.reading.blinding.detail import coarsest
from mammosynth.reading.blinding.header import BlindedUids, blinded_header
from mammosynth.reading.blinding.pixels import blinded_pixels
from mammosynth.reading.blinding.rule import BlindingRule
from mammosynth.task import Rendering
from mammosynth.tasks.mask.labels.from_image import label_map_of
from mammosynth.terms import ImageLaterality, ViewPosition

Pair = tuple[str, Mammogram, Mammogram]
"""Patient, image, and the synthesized one that stands for it."""
RULE = BlindingRule(rows=512, columns=416, border=10, outline=16.0, edge=8, fade=5)
"""The default, for copies of 1280 x 1024, in pixels of smaller ones."""
MODELS = {"contrast": "breast_cem_residual", "mask": "breast_mg_mask", "view": "breast_mg_view"}
FIRST_SEED = 700
PHANTOM_MM = 0.9
_DETAIL_OF = 5  # images, as `blind` takes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    phantoms = actions.add_parser("phantoms")
    phantoms.add_argument("--cases", type=int, default=30)
    phantoms.add_argument("--first-seed", type=int, default=FIRST_SEED, help="of the phantoms (default: %(default)s)")
    phantoms.add_argument("--draw", type=int, default=0, help="added to the seeds of samples (default: %(default)s)")
    folders = actions.add_parser("folders")
    folders.add_argument("real", type=Path)
    folders.add_argument("synthesized", type=Path)
    folders.add_argument("--real-view", help="in names of real images, for that of the synthesized one's source")
    folders.add_argument("--view", type=ViewPosition, help="of all images, whatever the names say")
    for action in (phantoms, folders):
        action.add_argument("--blindings", type=int, default=3, help="each with other noise")
    args = parser.parse_args()
    if args.action == "phantoms":
        pairs = phantom_pairs(args.cases, args.first_seed, args.draw)
    else:
        pairs = {"folders": list(pairs_of(args.real, args.synthesized, args.real_view, args.view))}
    for name, own in pairs.items():
        for number in range(args.blindings):
            print_attack(name, attack_pairs(own, seed=number))


def print_attack(name: str, found: Attack) -> None:
    """A line, and one for each score that tells."""
    value, low, high = found.classifier
    print(f"{name}: {found.copies[0]} and {found.copies[1]}, AUC {value:.2f} ({low:.2f} to {high:.2f})", flush=True)
    for leak in found.leaks:
        print(f"    {leak}", flush=True)


def attack_pairs(pairs: Sequence[Pair], *, rule: BlindingRule = RULE, seed: int = 0) -> Attack:
    """Blind both arms in memory, and attack them."""
    some = pairs[:: max(1, len(pairs) // _DETAIL_OF)][:_DETAIL_OF]
    measured = coarsest({"real": [pair[1] for pair in some], "synthesized": [pair[2] for pair in some]}, rule)
    rule = rule.resolved(measured)
    random = np.random.default_rng(seed)
    order = iter(random.permutation(2 * len(pairs)).tolist())
    real, synthesized = (
        [_exhibit(pair[0], pair[arm], rule, next(order), random) for pair in pairs]  # type: ignore[arg-type]
        for arm in (1, 2)
    )
    return attack(("real", "synthesized"), real, synthesized, rule)


def _exhibit(patient: str, image: Mammogram, rule: BlindingRule, order: int, random: np.random.Generator) -> Exhibit:
    uids = BlindedUids(random.bytes(32), "attack", 1, order + 1)
    pixels, _ = blinded_pixels(image, rule, int(random.integers(1 << 62)))
    assert image.image_laterality is not None
    assert image.view_position is not None
    header = blinded_header(uids, 1, rule, image.image_laterality, image.view_position)
    return Exhibit(patient, header, pixels, pixels.nbytes, random.bytes(16).hex(), 946_684_800.0, order)


def phantom_pairs(cases: int, first_seed: int = FIRST_SEED, draw: int = 0) -> dict[str, list[Pair]]:
    """By task, phantoms' own images and what the released models make of their low-energy CC views."""
    bundles = {task: load_bundle(default_model_zoo() / name) for task, name in MODELS.items()}
    pairs: dict[str, list[Pair]] = {task: [] for task in MODELS}
    for seed in range(first_seed, first_seed + cases):
        parameters = CaseParameters(seed, sides=(ImageLaterality.LEFT,), pixel_mm=PHANTOM_MM)
        cc, mlo = generate_case(parameters)
        low_energy = _phantom(f"P{seed}", cc.low_energy, ViewPosition.CC)
        real = {
            "contrast": _phantom(f"P{seed}", cc.recombined, ViewPosition.CC),
            "mask": low_energy,
            "view": _phantom(f"P{seed}", mlo.low_energy, ViewPosition.MLO),
        }
        for task, image in real.items():
            source = {"label_map": label_map_of(low_energy)} if task == "mask" else {"source": low_energy}
            made = bundles[task].synthesize(source, rendering=Rendering.SAMPLED, seed=seed + draw).image
            known = replace(made, image_laterality=image.image_laterality, view_position=image.view_position)
            pairs[task].append((f"P{seed}", image, known))
    return pairs


def _phantom(name: str, pixels: np.ndarray, view: ViewPosition) -> Mammogram:
    spacing = PHANTOM_MM, PHANTOM_MM
    return Mammogram(pixels, name, view, ImageLaterality.LEFT, pixel_spacing_mm=spacing)


def pairs_of(real: Path, synthesized: Path, real_view: str | None, view: ViewPosition | None) -> Iterator[Pair]:
    """Pairs of two folders."""
    by_stem = {path.stem: path for path in sorted(real.iterdir())}
    for path in sorted(synthesized.iterdir()):
        stem = path.stem.rpartition("_")[0]
        own = stem.rpartition("_")[0] + f"_{real_view}" if real_view else stem
        images = [_known(read_image(each, accept_generated=True), view) for each in (by_stem[own], path)]
        yield stem.split("_")[0], images[0], images[1]


def _known(image: Mammogram, view: ViewPosition | None) -> Mammogram:
    return image if view is None else replace(image, view_position=view)


if __name__ == "__main__":
    main()
