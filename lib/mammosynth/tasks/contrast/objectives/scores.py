"""Scores of generated images in the frame, by which every objective chooses weights, so that runs compare.

`val_score` is PSNR / 20 dB + SSIM + correlation, which weighs about alike what the evaluation asks for: right grey
values, right structure, and enhancement in the right places. `mammosynth.evaluation` gives the numbers to report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from mammosynth.tasks.contrast.objectives.losses import enhancement_correlation, masked_ssim
from mammosynth.training.similarity import masked_mean


def frame_scores(generated: torch.Tensor, recombined: torch.Tensor, scored: torch.Tensor) -> dict[str, float]:
    """Scores of one image.

    Args:
        generated: (1, 1, H, W) in [0, 1].
        recombined: (1, 1, H, W) in [0, 1].
        scored: (1, 1, H, W), 1 where pixels count.
    """
    mean_square = masked_mean((generated - recombined) ** 2, scored)
    psnr = float(-10 * torch.log10(mean_square.clamp_min(1e-10)))
    ssim = float(masked_ssim(generated, recombined, scored))
    correlation = float(enhancement_correlation(generated, recombined, scored))
    return {
        "val_score": psnr / 20 + ssim + correlation,
        "val_psnr": psnr,
        "val_ssim": ssim,
        "val_correlation": correlation,
    }


def mean_scores(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means over images; empty without images."""
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]} if rows else {}
