"""What the expected view is regressed on, and where it is cut: SSIM and PSNR on validation breasts.

    python -m experiments.view_regression --data <cbis-ddsm or cdd-cesm folder>

A ridge regression from 32 components of the CC to the MLO in the padded frame, at several resolutions of the CC; then
the same with black where the chance of breast is below a level. docs/decisions/0011 quotes it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from mammosynth.evaluation.similarity import ssim_map
from mammosynth.preprocessing.breast import segment_breast
from mammosynth.preprocessing.look import Look
from mammosynth.tasks.view.data import DATASET
from mammosynth.tasks.view.evaluation.protocol import JUDGED
from mammosynth.tasks.view.frame import ViewFrame, resized
from mammosynth.tasks.view.regression import MADE, MODES, RIDGE, made_of

SIDES, LEVELS = (16, 32, 64), (0.0, 0.15, 0.25, 0.35, 0.5)


def main() -> None:
    """Print a line for each resolution and level."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    folder = parser.parse_args().data
    train, val = (_framed(folder, split) for split in ("train", "val"))
    made = np.stack([made_of(mlo, segment_breast(mlo, background=0.0)) for _, mlo in train]).reshape(len(train), -1)
    real = [resized(mlo, JUDGED) for _, mlo in val]
    for side in SIDES:
        given, asked = (np.stack([resized(cc, side).ravel() for cc, _ in pairs]) for pairs in (train, val))
        predicted = _ridge(given, made, asked).reshape(-1, 2, MADE, MADE)
        for level in LEVELS:
            scores = np.mean([_scores(p, wanted, level) for p, wanted in zip(predicted, real, strict=True)], axis=0)
            told = f"SSIM {scores[0]:.3f}, PSNR {scores[1]:.2f} dB"
            sys.stdout.write(f"CC at {side:2d} px, black below {level:.2f}: {told}\n")
            sys.stdout.flush()


def _framed(folder: Path, split: str) -> list[tuple[np.ndarray, np.ndarray]]:
    pairs = [
        (case.views.cc.pixels, case.views.mlo.pixels) for case in DATASET.read(folder, split) if case.has_true_aspect
    ]
    return [tuple(ViewFrame.of(each, Look.FILM).apply(each) for each in pair) for pair in pairs]  # type: ignore[misc]


def _ridge(given: np.ndarray, made: np.ndarray, asked: np.ndarray) -> np.ndarray:
    mean, middle = given.mean(axis=0), made.mean(axis=0)
    axes = np.linalg.svd(given - mean, full_matrices=False)[2][:MODES].T
    scores = (given - mean) @ axes
    strength = RIDGE * 2 * np.square(given - mean).sum(axis=1).mean()
    gram = scores.T @ scores + strength * np.eye(scores.shape[1])
    return middle + (asked - mean) @ axes @ np.linalg.solve(gram, scores.T @ (made - middle))


def _scores(predicted: np.ndarray, real: np.ndarray, level: float) -> tuple[float, float]:
    shown = np.clip(predicted[0], 0, 1) * (predicted[1] >= level)
    shown = resized(shown, JUDGED)
    return float(ssim_map(shown, real).mean()), float(-10 * np.log10(np.square(shown - real).mean()))


if __name__ == "__main__":
    main()
