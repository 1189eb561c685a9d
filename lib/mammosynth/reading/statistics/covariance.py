"""How figures of merit vary together over cases: jackknife, DeLong, bootstrap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mammosynth.counts import count_of
from mammosynth.errors import DataError
from mammosynth.reading.statistics.estimate import DRAWS, resample, without_each
from mammosynth.reading.statistics.figures import Figure


def jackknife(figure: Figure, scores: np.ndarray, truth: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Covariances by leaving out one patient at a time.

    Args:
        figure: Of merit.
        scores: (K, N), a row for each reader under each treatment.
        truth: (N,) bool.
        patients: (N,) int from 0.

    Returns:
        (K, K) float64.

    Raises:
        DataError: If a class that the figure needs has fewer than two patients.
    """
    check_classes(figure, truth, patients)
    number = patients.max() + 1
    left_out = without_each(lambda weights: figure.values(scores, truth, weights), patients)
    deviations = left_out - left_out.mean(axis=0)
    return (number - 1) / number * deviations.T @ deviations


def delong(figure: Figure, scores: np.ndarray, truth: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Covariances from what each case adds to the figure; arguments, result and errors as of `jackknife`.

    Source: DeLong et al. (1988), doi:10.2307/2531595; several cases a patient: Obuchowski (1997), doi:10.2307/2533958.
    """
    check_classes(figure, truth, patients)
    number = patients.max() + 1
    covariance, sums = np.zeros((len(scores), len(scores))), []
    for cases, parts in figure.components(scores, truth):
        by_patient = np.stack([np.bincount(patients[cases], row, number) for row in parts])
        known = len(np.unique(patients[cases]))
        covariance += known / (known - 1) * by_patient @ by_patient.T
        sums.append(by_patient)
    if len(sums) == 2:
        crossed = sums[0] @ sums[1].T  # 0 unless patients have cases of both classes
        covariance += number / (number - 1) * (crossed + crossed.T)
    return covariance


def bootstrap(
    figure: Figure, scores: np.ndarray, truth: np.ndarray, patients: np.ndarray, *, draws: int = DRAWS, seed: int = 0
) -> np.ndarray:
    """Covariances over resamples of patients; arguments, result and errors as of `jackknife`.

    Patients with positive cases only, with negative ones only and with both keep their numbers in every resample.
    """
    check_classes(figure, truth, patients)
    number = patients.max() + 1
    has = [np.bincount(patients, of_class, number) > 0 for of_class in (truth, ~truth)]
    weights = resample(patients, draws, seed, has[0] + 2 * has[1])
    return np.atleast_2d(np.cov(figure.values(scores, truth, weights), rowvar=False))


Method = Callable[..., np.ndarray]
METHODS: dict[str, Method] = {"jackknife": jackknife, "delong": delong, "bootstrap": bootstrap}


def check_classes(figure: Figure, truth: np.ndarray, patients: np.ndarray) -> None:
    """Refuse cases from which a figure or its variance cannot be had.

    Raises:
        DataError: If a class that the figure needs has fewer than two patients.
    """
    for is_positive in figure.needs or (None,):
        found = patients if is_positive is None else patients[truth == is_positive]
        if len(np.unique(found)) < 2:
            kind = {True: "positive ", False: "negative ", None: ""}[is_positive]
            raise DataError(
                f"{count_of(len(found), f'{kind}case')} of {count_of(len(np.unique(found)), 'patient')}, "
                f"expected cases of two or more for the {figure.name}; add cases or ask for another figure"
            )
