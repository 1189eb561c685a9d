"""Fit what the spread of a contrast model's members means, write it into the bundle, and judge how well it holds.

    PYTHONPATH=. python -m experiments.contrast_calibration --data <cdd-cesm folder> --bundle <folder>

Fitted on `train` and `val` (see `tasks.contrast.calibrate`), half of the weight each. Judged on other patients: fitted
on `train` and one half of the patients of `val`, judged on the other half, both ways, for many random halves. Tells the
calibration, the shares of pixels and of lesion contrasts that its 90 % intervals hold, and how many intervals of the
lesions of `val` hold 0; writes `configs/inference.json`.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import cast

import numpy as np
import torch

from mammosynth.atomic import write_json
from mammosynth.bundle import INFERENCE, load_bundle, read_config
from mammosynth.preprocessing.pairs import ContrastPair, read_cdd_cesm
from mammosynth.tasks.contrast.calibrate import Errors, bare_coverage, coverage, fit_calibration, read_errors
from mammosynth.tasks.contrast.calibration import Calibration
from mammosynth.tasks.contrast.lesions.intervals import lesion_intervals
from mammosynth.tasks.contrast.synthesizer import ContrastSynthesizer

logger = logging.getLogger("contrast_calibration")

HALVES = 200
TARGET = f"{Calibration.__module__}.{Calibration.__qualname__}"


def judge_halves(train: Sequence[Errors], val: Sequence[Errors], halves: int, seed: int = 0) -> np.ndarray:
    """(2 * halves, 2): pixels and lesion contrasts held on the half of the patients of `val` that was not fitted on."""
    patients = sorted({errors.patient_id for errors in val})
    random = np.random.default_rng(seed)
    held = []
    for _ in range(halves):
        first = set(random.permutation(patients)[: len(patients) // 2])
        parts = [[e for e in val if (e.patient_id in first) == is_first] for is_first in (True, False)]
        for fitted, judged in (parts, reversed(parts)):
            held.append(coverage(judged, fit_calibration(train, fitted)))
    return np.array(held)


def holding_zero(synthesizer: ContrastSynthesizer, pairs: Sequence[ContrastPair]) -> tuple[int, int]:
    """Of the drawn lesions, how many have an interval of contrast that holds 0, and how many have one at all."""
    drawn = [(pair.low_energy, pair.lesion) for pair in pairs if pair.lesion is not None and pair.lesion.any()]
    found = [each for source, lesion in drawn for each in lesion_intervals(synthesizer, source, lesion)]
    known = [each for each in found if each.low is not None and each.high is not None]
    return sum(each.low <= 0 <= each.high for each in known), len(known)


def write_calibration(bundle: Path, calibration: Calibration) -> None:
    """Into the configuration of the bundle's synthesizer, with six digits."""
    inference = read_config(bundle, INFERENCE)
    values = {name: float(f"{value:.6g}") for name, value in asdict(calibration).items()}
    inference["synthesizer"]["calibration"] = {"_target_": TARGET, **values}
    write_json(bundle / INFERENCE, inference)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder laid out like CDD-CESM")
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="an ensemble; is written to")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    torch.set_num_threads(1)
    synthesizer = cast(ContrastSynthesizer, load_bundle(args.bundle).synthesizer)
    pairs = {split: read_cdd_cesm(args.data, split) for split in ("train", "val")}
    errors = {split: read_errors(synthesizer, of_split) for split, of_split in pairs.items()}
    calibration = fit_calibration(errors["train"], errors["val"])
    write_calibration(args.bundle, calibration)
    logger.warning("%s", calibration)
    logger.warning("held in %              pixels  lesion contrasts")
    rows = {f"{split}, fitted on both": coverage(found, calibration) for split, found in errors.items()}
    rows |= {f"{split}, bare spread": bare_coverage(found) for split, found in errors.items()}
    halves = judge_halves(errors["train"], errors["val"], HALVES)
    rows["halves of val, mean"] = tuple(halves.mean(axis=0))
    for percent in (5, 95):
        rows[f"halves of val, {percent} %"] = tuple(np.percentile(halves, percent, axis=0))
    for title, (pixels, contrasts) in rows.items():
        logger.warning("%-22s%6.1f%14.1f", title, 100 * pixels, 100 * contrasts)
    calibrated = cast(ContrastSynthesizer, load_bundle(args.bundle).synthesizer)
    logger.warning("lesions of val whose interval holds 0: %d of %d", *holding_zero(calibrated, pairs["val"]))


if __name__ == "__main__":
    main()
