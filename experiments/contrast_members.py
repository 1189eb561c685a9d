"""Which members make `breast_cem_residual_heads` better, and can its lesions be made brighter afterwards?

    PYTHONPATH=. python -m experiments.contrast_members --data <cdd-cesm folder> --bundle <folder> --output <folder>
        [--other <folder> ...]

Every row is a mean of some members of the bundle, or of its U-Nets and the members of another bundle, or the image of
all members with its spots amplified. All are scored on `val` on the same images; in brackets stands
the 95 % interval, over patients, of the difference to the first row. Writes `results.json` and `table.md`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from experiments import compared
from experiments.compared import LESIONS, compare_rows
from mammosynth.bundle import load_bundle
from mammosynth.mammogram import Mammogram
from mammosynth.networks.ensemble import Ensemble
from mammosynth.networks.residual_unet import ResidualUNet
from mammosynth.preprocessing.pairs import ContrastPair, read_cdd_cesm
from mammosynth.tasks.contrast.evaluation.metrics import correlation, lesion_contrast, psnr
from mammosynth.tasks.contrast.evaluation.protocol import Case
from mammosynth.tasks.contrast.specification import SOURCE
from mammosynth.tasks.contrast.synthesizer import ContrastSynthesizer

MEANS = ("psnr", "mae", "ncc_interior")
AMPLIFICATIONS = ((0.25, 0.03), (0.5, 0.0), (1.0, 0.0))
"""By how much of itself what exceeds the background by so many grey values is added again."""
ALL = "all members"


def amplify(case: Case, image: np.ndarray, share: float, threshold: float) -> np.ndarray:
    """Spots of the image, smoothed and above their background, brighter; nothing is darker.

    Args:
        case: Says where the breast is.
        image: (512, 512) in [0, 1], turned as the case.
        share: Of what exceeds the threshold, added.
        threshold: Grey values above the background.
    """
    spots = np.maximum(case.smooth(image) - case.background(image) - threshold, 0) * case.scored
    return np.clip(image + share * spots, 0, 1)


def split_members(bundle: Path, others: Sequence[Path]) -> dict[str, list[ContrastSynthesizer]]:
    """Every network on its own: U-Nets and heads of the bundle, and the networks of other bundles by their names."""
    folders = {"ours": bundle, **{folder.name: folder for folder in others}}
    found: dict[str, list[ContrastSynthesizer]] = {"U-Net": [], "head": []}
    for name, folder in folders.items():
        whole = cast(ContrastSynthesizer, load_bundle(folder).synthesizer)
        for member in cast(Ensemble, whole.network).members:
            kind = name if name != "ours" else "U-Net" if isinstance(member, ResidualUNet) else "head"
            alone = ContrastSynthesizer(whole.preprocessing, member, whole.average_flips)
            found.setdefault(kind, []).append(alone)
    return found


def mean_images(members: Mapping[str, Sequence[np.ndarray]], case: Case) -> dict[str, np.ndarray]:
    """The image of every row of the table.

    Args:
        members: By kind as `split_members` names them, the images of single networks, turned as the case.
        case: Says where spots are.
    """
    others = {name: images for name, images in members.items() if name not in ("U-Net", "head")}
    unets, heads = members["U-Net"], members["head"]
    rows: dict[str, Sequence[np.ndarray]] = {f"{len(unets)} U-Nets": unets, "1 U-Net": unets[:1]}
    if len(heads) > 1:
        rows |= {f"{len(unets)} U-Nets + head {number + 1}": [*unets, head] for number, head in enumerate(heads)}
    rows |= {ALL: [*unets, *heads], "heads only": heads}
    rows |= {f"{len(unets)} U-Nets + {name}": [*unets, *images] for name, images in others.items()}
    means = {name: np.mean(images, axis=0, dtype=np.float32) for name, images in rows.items()}
    for share, threshold in AMPLIFICATIONS:
        brighter = f"{ALL}; spots more than {threshold:g} above their background + {100 * share:g} %"
        means[brighter] = amplify(case, means[ALL], share, threshold)
    return means


def score(case: Case, image: np.ndarray) -> dict[str, float]:
    """What the table shows of one image, as the evaluation defines it."""
    real, scored, interior = case.recombined, case.scored, case.interior
    return {
        "psnr": psnr(image[scored], real[scored]),
        "mae": float(np.abs(image - real)[scored].mean()),
        "ncc_interior": correlation(image[interior], real[interior]),
        LESIONS: lesion_contrast(image, case)[0],
    }


def compare(
    rows: Mapping[str, Sequence[Mapping[str, float]]], real: Sequence[float], patient_ids: Sequence[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Per row and metric the value, and its difference to the first row, with 95 % intervals over patients.

    Args:
        rows: Of every image, what `score` gives.
        real: Lesion contrast of every real image.
        patient_ids: One per image.
    """
    return compare_rows(rows, real, patient_ids, MEANS)


def score_rows(data: Path, bundle: Path, others: Sequence[Path]) -> dict[str, dict[str, dict[str, Any]]]:
    """`compare` on `val`."""
    members, pairs = split_members(bundle, others), read_cdd_cesm(data, "val")
    rows: dict[str, list[dict[str, float]]] = {}
    real: list[float] = []
    for pair in pairs:
        case = Case.from_pair(pair)
        images = {
            kind: [case.turn(_image(synthesizer, pair)) for synthesizer in synthesizers]
            for kind, synthesizers in members.items()
        }
        real.append(lesion_contrast(case.recombined, case)[0])
        for name, image in mean_images(images, case).items():
            rows.setdefault(name, []).append(score(case, image))
    return compare(rows, real, [pair.patient_id for pair in pairs])


def _image(synthesizer: ContrastSynthesizer, pair: ContrastPair) -> np.ndarray:
    (made,) = synthesizer({SOURCE: pair.low_energy}, synthesizer.parameters())
    return cast(Mammogram, made.value).pixels


def write_table(results: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Values, and differences to the first row with their intervals."""
    compared.write_table(results, path, title="members", digits={"psnr": 2, "d_r": 2, "d_ratio": 2})


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder laid out like CDD-CESM")
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="an ensemble with heads")
    parser.add_argument(
        "--other", type=Path, nargs="*", default=[], metavar="DIR", help="members to put in their place"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    torch.set_num_threads(1)
    results = score_rows(args.data, args.bundle, args.other)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    write_table(results, args.output / "table.md")


if __name__ == "__main__":
    main()
