"""Image quality and realism on ordered scales: answers by arm, visual grading characteristics, real against generated.

Both questions are an AUC whose two classes are arms instead of healthy and ill: how often is an image of the second arm
rated above one of the first? 0.5 is no difference. Patients who are in both arms belong together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from mammosynth.reading.statistics.covariance import METHODS, Method
from mammosynth.reading.statistics.estimate import DEFAULT, LEVEL, Bootstrap, Estimate, patient_index
from mammosynth.reading.statistics.figures import ACCURACY, AUC
from mammosynth.reading.statistics.obuchowski_rockette import Analysis, Comparison, Fixed, analyse, compare
from mammosynth.reading.statistics.proportions import wilson
from mammosynth.reading.statistics.ratings import Ratings
from mammosynth.reading.statistics.roc import auc_interval

CHANCE = 0.5


@dataclass(frozen=True, eq=False)
class ArmSummary:
    """Answers on an ordered scale to the images of one arm.

    Attributes:
        counts: By level of the scale.
        mean: With an interval from resampled patients.
        median: Of all answers.
    """

    counts: dict[float, int]
    mean: Estimate
    median: float


def summarise_arm(
    answers: np.ndarray,
    *,
    scale: np.ndarray | None = None,
    patients: np.ndarray | None = None,
    bootstrap: Bootstrap = DEFAULT,
) -> ArmSummary:
    """Likert answers to one arm.

    Args:
        answers: (R, N), a row a reader.
        scale: Levels that could be chosen; without them, those that were.
        patients: (N,) labels; without them, each image is of another patient.
        bootstrap: How patients are resampled.
    """
    answers = np.atleast_2d(np.asarray(answers, float))
    of_image = answers.mean(axis=0)
    index = patient_index(patients, of_image.size)
    levels = np.unique(answers) if scale is None else scale
    return ArmSummary(
        counts={float(of): int((answers == of).sum()) for of in levels},
        mean=bootstrap.estimate(lambda weights: weights @ of_image / weights.sum(axis=1), index),
        median=float(np.median(answers)),
    )


def arm_ratings(
    first: np.ndarray,
    second: np.ndarray,
    *,
    first_patients: np.ndarray | None = None,
    second_patients: np.ndarray | None = None,
) -> Ratings:
    """Answers to two arms as ratings whose positive cases are the second arm.

    Args:
        first: (R, N1), a row a reader.
        second: (R, N2), the same readers.
        first_patients: (N1,) labels.
        second_patients: (N2,) labels. Without labels, N1 = N2 images are pairs, and others of different patients.

    Raises:
        ValueError: If readers differ in number, or one arm alone has patients.
    """
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} readers, expected the same")
    if (first_patients is None) != (second_patients is None):
        raise ValueError("patients of one arm alone, expected of both or of none")
    sizes = first.shape[1], second.shape[1]
    if first_patients is None or second_patients is None:
        start = 0 if sizes[0] == sizes[1] else sizes[0]
        first_patients, second_patients = np.arange(sizes[0]), np.arange(start, start + sizes[1])
    patients = np.concatenate((first_patients, second_patients))
    return Ratings.from_arrays(np.hstack((first, second))[None], np.repeat([False, True], sizes), patients)


def visual_grading(
    ratings: Ratings,
    *,
    fixed: Fixed = Fixed.NONE,
    covariance: Method = METHODS["jackknife"],
    level: float = LEVEL,
) -> Analysis:
    """Area under the visual grading characteristic, by reader and as their mean, against 0.5.

    Args:
        ratings: See `arm_ratings`; the higher, the better.
        fixed: What the conclusion is confined to.
        covariance: One of `METHODS`.
        level: Of intervals.

    Raises:
        DataError: If an arm has fewer than two patients, or one reader is not fixed.

    Source: Bath & Mansson (2007), doi:10.1259/bjr/35012658.
    """
    return analyse(ratings, fixed=fixed, covariance=covariance, null=CHANCE, level=level)


@dataclass(frozen=True)
class AgainstChance:
    """Can a reader tell generated images from real ones?

    Attributes:
        auc: Of confidence, with DeLong's interval on log-odds.
        auc_p: Two-sided, against 0.5: Mann-Whitney's test, exact without ties up to 8 images in an arm; if
            patients have several images, from the AUC's clustered standard error.
        accuracy: Wilson's interval; from resampled patients if they have several images.
        accuracy_p: Against 0.5: exact binomial; if patients have several images, from the resamples' standard error.
    """

    auc: Estimate
    auc_p: float
    accuracy: Estimate
    accuracy_p: float


def against_chance(ratings: Ratings, reader: int, threshold: float, *, level: float = LEVEL) -> AgainstChance:
    """One reader's answers to real and generated images.

    Accuracy is against 0.5 whatever the share of generated images; the two arms should be of one size.

    Args:
        ratings: Confidence that an image is generated; positive cases are.
        reader: Index.
        threshold: The least confidence that says generated.
        level: Of intervals.

    Raises:
        DataError: If an arm has fewer than two patients.
    """
    scores, truth, patients = ratings.scores[0, reader], ratings.truth, ratings.patients
    auc = auc_interval(scores, truth, patients=patients, level=level)
    right = (scores >= threshold) == truth
    if len(np.unique(patients)) == len(patients):
        auc_p = float(stats.mannwhitneyu(scores[truth], scores[~truth]).pvalue)
        return AgainstChance(
            auc,
            auc_p,
            wilson(int(right.sum()), right.size, level),
            float(stats.binomtest(int(right.sum()), right.size).pvalue),
        )
    accuracy = Bootstrap(level=level).estimate(lambda weights: weights @ right / weights.sum(axis=1), patients)
    return AgainstChance(auc, _normal_p(auc), accuracy, _normal_p(accuracy))


def _normal_p(estimate: Estimate) -> float:
    return compare(estimate.value, estimate.standard_error, np.inf, null=CHANCE).p


def readers_against_chance(
    ratings: Ratings, threshold: float, *, fixed: Fixed = Fixed.NONE, level: float = LEVEL
) -> dict[str, Comparison]:
    """AUC and accuracy of all readers together against 0.5; arguments as `against_chance`.

    Args:
        ratings: See `against_chance`.
        threshold: See `against_chance`.
        fixed: What the conclusion is confined to.
        level: Of intervals.
    """
    return {
        figure.name: analyse(ratings, figure=figure, threshold=threshold, fixed=fixed, null=CHANCE, level=level).means[
            0
        ]
        for figure in (AUC, ACCURACY)
    }
