"""False enhancement: bright spots of a generated image where the real one shows none.

Hot is what is brighter, after smoothing, than the median of the image's own interior far from drawn lesions by three
of its robust standard deviations (1.4826 times the median absolute deviation; three is chosen). Every image is judged
by its own level, so its window does not matter, nor how large the lesions are. The rate is the part of the interior
far from lesions and not hot in the real image that is hot in the generated one. An image that is flat has no hot
pixel: floors that show nothing have a rate near 0, which is no merit.

What to expect, by the same rule, is the real image of the same patient's other view or breast: the part of its
interior far from drawn lesions that is hot, by benign enhancement, vessels, halo or grain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mammosynth.tasks.contrast.evaluation.protocol import Case

DEVIATIONS = 3.0
"""Robust standard deviations above the median; chosen: on validation images about half of the lesions' area is hot."""
_NORMAL = 1.4826
"""Standard deviation over median absolute deviation of a normal distribution."""


def hot_tissue(smooth: np.ndarray, case: Case) -> np.ndarray:
    """Hot pixels of the interior far from lesions, of an image that is smoothed already.

    Returns:
        (512, 512) bool; all False for an image that is flat there.
    """
    if not case.normal.any():
        return np.zeros_like(case.normal)
    tissue = smooth[case.normal]
    middle = np.median(tissue)
    deviation = _NORMAL * np.median(np.abs(tissue - middle))
    return case.normal & (smooth > middle + DEVIATIONS * max(float(deviation), 1e-4))


def false_enhancement(generated: np.ndarray, case: Case) -> float:
    """Part of the tissue that is not hot in the real image and is in the generated one; NaN without such tissue.

    Args:
        generated: (512, 512) in [0, 1], turned as the case.
        case: The pair.
    """
    quiet = case.normal & ~hot_tissue(case.real_smooth, case)
    return float(hot_tissue(case.smooth(generated), case)[quiet].mean()) if quiet.any() else float("nan")


def real_rate(case: Case) -> float:
    """Part of the real image's interior far from lesions that is hot; NaN without such tissue."""
    hot = hot_tissue(case.real_smooth, case)
    return float(hot[case.normal].mean()) if case.normal.any() else float("nan")


def rates_elsewhere(real_rates: np.ndarray, patient_ids: Sequence[str]) -> np.ndarray:
    """Per case, the mean `real_rate` of the same patient's other images; NaN for a patient with one image."""
    patients = np.asarray(patient_ids)
    rates = np.full(len(patients), np.nan)
    for index in range(len(patients)):
        others = (patients == patients[index]) & ~np.isnan(real_rates)
        others[index] = False
        if others.any():
            rates[index] = real_rates[others].mean()
    return rates
