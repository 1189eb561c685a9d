"""`fit_calibration`: how far off an ensemble is where its members disagree, learned from images whose answer is known.

The members saw the training patients, so errors there may be too small; validation patients are few, so errors there
may be anything. Each of the two groups gets half of the weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import nnls

from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.tasks.contrast.calibration import BARE, NORMAL_90, Calibration
from mammosynth.tasks.contrast.evaluation.coverage import image_and_spread
from mammosynth.tasks.contrast.evaluation.metrics import lesion_contrast
from mammosynth.tasks.contrast.evaluation.protocol import Case
from mammosynth.tasks.contrast.synthesizer import ContrastSynthesizer

LEVEL = 0.9
EVERY = 7
"""Of the scored pixels, every so-manieth: neighbours tell the same."""


@dataclass(frozen=True, eq=False)
class Errors:
    """What is known of one image; its lesion's contrast, too, if that can be measured.

    Attributes:
        patient_id: Whose it is.
        error: (N,) absolute errors of pixels, in grey values.
        image: (N,) the grey values that were generated there.
        spread: (N,) standard deviation over the members there.
        contrast_error: Absolute error of the lesion's contrast; NaN without a usable lesion.
        lesion_image: (M,) the grey values that were generated in the lesion.
        lesion_spread: (M,) standard deviation over the members there.
    """

    patient_id: str
    error: np.ndarray
    image: np.ndarray
    spread: np.ndarray
    contrast_error: float
    lesion_image: np.ndarray
    lesion_spread: np.ndarray

    @classmethod
    def of(cls, case: Case, image: np.ndarray, spread: np.ndarray) -> Errors:
        """The errors of a generated image.

        Args:
            case: The pair.
            image: (512, 512) in [0, 1], turned as the case.
            spread: (512, 512), likewise.
        """
        at, lesion = np.flatnonzero(case.scored)[::EVERY], case.interior_lesion
        generated, real = (lesion_contrast(pixels, case)[0] for pixels in (image, case.recombined))
        return cls(
            case.patient_id,
            np.abs(case.recombined - image).ravel()[at].astype(float),
            image.ravel()[at].astype(float),
            spread.ravel()[at].astype(float),
            abs(real - generated),
            image[lesion].astype(float),
            spread[lesion].astype(float),
        )


def read_errors(synthesizer: ContrastSynthesizer, pairs: Iterable[ContrastPair]) -> list[Errors]:
    """The errors of an ensemble, whose calibration has no effect here, on every pair."""
    errors = []
    for pair in pairs:
        case = Case.from_pair(pair)
        errors.append(Errors.of(case, *image_and_spread(synthesizer, pair.low_energy, case)))
    return errors


def fit_calibration(train: Sequence[Errors], val: Sequence[Errors] = ()) -> Calibration:
    """The calibration by which 90 % intervals hold 90 % of pixels, and 90 % of lesion contrasts, averaged over images.

    The three factors of the variance: least squares of the squared errors of `train`, none below zero. Then one factor
    for all of them, so that the intervals hold what they say (conformal scaling, Vovk et al. 2005,
    doi:10.1007/b106715). Last the factor of contrasts, in the same way.

    Args:
        train: Images that the members learned from.
        val: Images of other patients; together they weigh as much as `train`.

    Raises:
        ValueError: If no image has a usable lesion.
    """
    terms = [np.stack([np.ones_like(e.image), e.spread**2, e.image**2], axis=1) for e in train]
    roots = [1 / np.sqrt(len(e.error)) for e in train]  # every image weighs alike
    factors, _ = nnls(
        np.concatenate([term * root for term, root in zip(terms, roots, strict=True)]),
        np.concatenate([e.error**2 * root for e, root in zip(train, roots, strict=True)]),
    )
    constant, of_spread, of_grey = (float(factor) for factor in factors)
    shape = Calibration(constant, of_spread, of_grey, contrast=1.0)
    scale = _held_by(lambda e: e.error / shape.deviation(e.image, e.spread), train, val) ** 2
    scaled = Calibration(shape.constant * scale, shape.spread * scale, shape.grey * scale, 1.0)
    return replace(scaled, contrast=_held_by(lambda e: _contrast_ratio(e, scaled), train, val))


def coverage(errors: Sequence[Errors], calibration: Calibration) -> tuple[float, float]:
    """Share of pixels, and of lesion contrasts, that the 90 % intervals hold; means over images."""
    pixels = [float((e.error <= NORMAL_90 * calibration.deviation(e.image, e.spread)).mean()) for e in errors]
    contrasts = [
        bool(ratio <= NORMAL_90 * calibration.contrast) for e in errors for ratio in _contrast_ratio(e, calibration)
    ]
    return float(np.mean(pixels)), float(np.mean(contrasts)) if contrasts else float("nan")


def bare_coverage(errors: Sequence[Errors]) -> tuple[float, float]:
    """The same of the members' spread as it is: the floor."""
    return coverage(errors, BARE)


def _contrast_ratio(errors: Errors, calibration: Calibration) -> np.ndarray:
    """(1,) or, without a usable lesion, (0,): its error in mean deviations of its pixels."""
    if np.isnan(errors.contrast_error):
        return np.empty(0)
    deviation = calibration.deviation(errors.lesion_image, errors.lesion_spread).mean()
    return np.array([errors.contrast_error / max(float(deviation), 1e-9)])


def _held_by(ratios: Callable[[Errors], np.ndarray], train: Sequence[Errors], val: Sequence[Errors]) -> float:
    """How many deviations must be called one, that `NORMAL_90` of them hold `LEVEL` of the ratios."""
    values, weights = [], []
    for group in (train, val):
        known = [found for found in map(ratios, group) if len(found)]
        for found in known:
            values.append(found)
            weights.append(np.full(len(found), 1 / len(found) / len(known)))
    if not values:
        raise ValueError("no image has a lesion with a ring around it, expected at least one to learn contrasts from")
    ordered = np.argsort(joined := np.concatenate(values))
    share = np.cumsum(np.concatenate(weights)[ordered])
    return float(joined[ordered][np.searchsorted(share, LEVEL * share[-1])]) / NORMAL_90
