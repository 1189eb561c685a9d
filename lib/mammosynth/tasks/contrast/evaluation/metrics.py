"""Metrics of one generated recombined image against the real one. Float arithmetic, range 1.0.

Images are (512, 512) float32 in [0, 1], turned as the case; those of `psnr`, `affine_psnr` and `correlation` may be the
(N,) pixels of a region, the same of both images.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

from mammosynth.evaluation.similarity import ssim_map
from mammosynth.tasks.contrast.evaluation.protocol import Case, hottest

LOWER_IS_BETTER = frozenset({"mae", "mae_frame"})
BEST_AT_ONE = frozenset({"d_ratio"})
MEAN_METRICS = (
    "psnr",
    "ssim",
    "mae",
    "ncc_interior",
    "dice_hot",
    "auroc_hot",
    "ncc_hp",
    "psnr_affine",
    "ms_ssim",
    "psnr_frame",
    "ssim_frame",
    "mae_frame",
    "psnr_tight",
    "ssim_tight",
    "auroc_lesion",
)
"""Averaged over cases. The others (lesion contrast, change) are compared over cases in the report."""
TIGHT_FRAME = (512, 256)
"""Rows and columns to which published work resizes the breast's box: there no black margin raises a score."""
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of MS-SSIM, from fine to coarse, each scale half the one before (Wang et al. 2003,
doi:10.1109/ACSSC.2003.1292216)."""
_STRUCTURE_ONLY = 1e6


def psnr(generated: np.ndarray, real: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB for range 1.0; at most 100."""
    error = float(np.mean((generated.astype(np.float64) - real) ** 2))
    return float(-10 * np.log10(max(error, 1e-10)))


def affine_psnr(generated: np.ndarray, real: np.ndarray) -> float:
    """PSNR after the least-squares a + b * generated: free of the unknown window. b may be negative."""
    p, y = generated.astype(np.float64), real.astype(np.float64)
    variance = p.var()
    slope = np.mean((p - p.mean()) * (y - y.mean())) / variance if variance > 1e-8 else 0.0
    return psnr(slope * (p - p.mean()) + y.mean(), y)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r; 0 if either is flat."""
    if a.size < 2 or a.std() < 1e-5 or b.std() < 1e-5:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def ms_ssim(a: np.ndarray, b: np.ndarray, scored: np.ndarray) -> float:
    """Multi-scale SSIM inside a mask, as Wang et al. 2003; a scale whose mean structure is negative counts as 0.

    Args:
        a: (H, W) in [0, 1].
        b: Likewise.
        scored: (H, W) bool; at each coarser scale, pixels of which at least half were scored.
    """
    a, b, weight = (image.astype(np.float64) for image in (a, b, scored))
    result = 1.0
    for scale, exponent in enumerate(SCALE_WEIGHTS):
        last = scale == len(SCALE_WEIGHTS) - 1  # where alone luminance counts
        mean = float((ssim_map(a, b) if last else ssim_map(a, b, k1=_STRUCTURE_ONLY))[weight >= 0.5].mean())
        result *= max(mean, 0.0) ** exponent
        a, b, weight = (_halved(image) for image in (a, b, weight))
    return result


def _halved(image: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels; an odd last row or column is left out."""
    rows, columns = (side // 2 for side in image.shape)
    return image[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Chance that one of (P,) positive values exceeds one of (N,) negative ones, ties counted half (Mann-Whitney).

    NaN if a side is empty.
    """
    if not len(positive) or not len(negative):
        return float("nan")
    labels = np.repeat(np.array([1, 0], np.int8), (len(positive), len(negative)))  # wider ones take three times as long
    return float(roc_auc_score(labels, np.concatenate([positive, negative])))


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Twice the overlap of two bool masks of one shape over their sum; NaN if both are empty."""
    total = int(a.sum()) + int(b.sum())
    return float(2 * (a & b).sum() / total) if total else float("nan")


def lesion_contrast(pixels: np.ndarray, case: Case) -> tuple[float, float]:
    """D, lesion minus ring in grey values; C, the same in deviations of the ring; NaN without a usable lesion."""
    if not case.has_ring:
        return float("nan"), float("nan")
    ring = pixels[case.ring]
    difference = float(pixels[case.interior_lesion].mean() - ring.mean())
    return difference, difference / max(float(ring.std()), 1e-3)


def score_case(case: Case, generated: np.ndarray) -> dict[str, float]:
    """All numbers of one generated image.

    Args:
        case: The pair.
        generated: (512, 512), turned as the case; clipped to [0, 1] here.

    Returns:
        `MEAN_METRICS`, and per image: `contrast_d`, `contrast_c`, `auroc_ring`, `change_mae`, `change_ssim`.
    """
    p = np.clip(generated, 0, 1).astype(np.float32)
    y, scored, interior = case.recombined, case.scored, case.interior
    shown = p * case.breast
    scores = {
        "psnr": psnr(p[scored], y[scored]),
        "ssim": _masked_ssim(p, y, case),
        "mae": float(np.abs(p - y)[scored].mean()),
        "ncc_interior": correlation(p[interior], y[interior]),
        "psnr_affine": affine_psnr(p[scored], y[scored]),
        "ms_ssim": ms_ssim(p * case.shared, y * case.shared, scored),
        "psnr_frame": psnr(shown, y),
        "ssim_frame": float(ssim_map(shown, y).mean()),
        "mae_frame": float(np.abs(shown - y).mean()),
        **_tight_frame(case, shown),
        "auroc_lesion": auroc(p[case.interior_lesion], p[case.normal]) if case.has_lesion else float("nan"),
        "change_mae": float(np.abs(case.low_energy - p)[scored].mean()),
        "change_ssim": _masked_ssim(case.low_energy, p, case),
    }
    scores["contrast_d"], scores["contrast_c"] = lesion_contrast(p, case)
    return {**scores, **_hot_spots(case, p)}


def _hot_spots(case: Case, p: np.ndarray) -> dict[str, float]:
    interior = case.interior
    # Ties, of a constant image for example, are broken at random: chance must come out as chance.
    p = p + np.random.default_rng(0).normal(0, 1e-6, p.shape).astype(np.float32)
    smooth = case.smooth(p)
    high_pass = smooth - case.background(p)
    return {
        "dice_hot": dice(case.real_hot, hottest(smooth, interior)),
        "auroc_hot": auroc(smooth[case.real_hot], smooth[interior & ~case.real_hot]),
        "ncc_hp": float(np.corrcoef(case.real_high_pass[interior], high_pass[interior])[0, 1]),
        "auroc_ring": auroc(p[case.interior_lesion], p[case.ring]) if case.has_ring else float("nan"),
    }


def _tight_frame(case: Case, shown: np.ndarray) -> dict[str, float]:
    rows, columns = np.flatnonzero(case.breast.any(axis=1)), np.flatnonzero(case.breast.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)

    def resize(image: np.ndarray) -> np.ndarray:
        bilinear = Image.Resampling.BILINEAR  # averages where it reduces
        return np.asarray(Image.fromarray(np.ascontiguousarray(image[box])).resize(TIGHT_FRAME[::-1], bilinear))

    p, y = resize(shown), resize(case.recombined)
    return {"psnr_tight": psnr(p, y), "ssim_tight": float(ssim_map(p, y).mean())}


def _masked_ssim(a: np.ndarray, b: np.ndarray, case: Case) -> float:
    return float(ssim_map(a * case.shared, b * case.shared)[case.scored].mean())
