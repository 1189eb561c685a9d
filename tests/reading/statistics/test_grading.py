import numpy as np
import pytest
from scipy import stats

from mammosynth.reading.statistics.grading import (
    against_chance,
    arm_ratings,
    readers_against_chance,
    summarise_arm,
    visual_grading,
)
from mammosynth.reading.statistics.obuchowski_rockette import Fixed

REAL, GENERATED = np.array([[4, 5, 3, 4], [3, 5, 4, 4]]), np.array([[2, 4, 3, 5], [1, 4, 4, 3]])


def test_likert_by_arm() -> None:
    found = summarise_arm(REAL, scale=np.arange(1, 6))
    assert found.counts == {1: 0, 2: 0, 3: 2, 4: 4, 5: 2}
    assert (found.mean.value, found.median) == (4, 4)
    assert found.mean.low < 4 < found.mean.high


def test_the_grading_area_is_the_chance_of_a_better_answer() -> None:
    found = visual_grading(arm_ratings(REAL, GENERATED))
    expected = [stats.mannwhitneyu(g, r).statistic / 16 for r, g in zip(REAL, GENERATED, strict=True)]
    assert found.figures[0] == pytest.approx(expected)
    assert found.means[0].null == 0.5


def test_images_of_one_patient_in_both_arms_are_pairs() -> None:
    random = np.random.default_rng(0)
    case = random.normal(0, 1, 80)
    first, second = case + random.normal(0, 0.3, (2, 3, 80))
    paired = visual_grading(arm_ratings(first, second), fixed=Fixed.READERS).means[0]
    strangers = np.arange(80, 160)
    apart = visual_grading(
        arm_ratings(first, second, first_patients=np.arange(80), second_patients=strangers), fixed=Fixed.READERS
    ).means[0]
    assert paired.value == apart.value
    assert paired.standard_error < 0.5 * apart.standard_error


def test_arms_need_the_same_readers_and_patients_of_both() -> None:
    with pytest.raises(ValueError, match="2 and 1 readers"):
        arm_ratings(REAL, GENERATED[:1])
    with pytest.raises(ValueError, match="patients of one arm"):
        arm_ratings(REAL, GENERATED, first_patients=np.arange(4))


def test_exact_tests_against_chance() -> None:
    real, generated = np.array([[10.0, 20, 30, 55]]), np.array([[40.0, 60, 70, 80, 90]])
    found = against_chance(arm_ratings(real, generated), 0, threshold=50)
    assert found.auc.value == 19 / 20
    assert found.auc_p == pytest.approx(stats.mannwhitneyu(generated[0], real[0], method="exact").pvalue)
    assert (found.accuracy.value, found.accuracy_p) == (pytest.approx(7 / 9), stats.binomtest(7, 9).pvalue)


def test_several_images_of_a_patient_count_less() -> None:
    random = np.random.default_rng(0)
    scores = np.repeat(random.normal(0, 1, (2, 1, 20)), 5, axis=2) + np.reshape([0, 0.4], (2, 1, 1))
    one, other = np.repeat(np.arange(20), 5), np.repeat(np.arange(20, 40), 5)
    clustered = against_chance(arm_ratings(*scores, first_patients=one, second_patients=other), 0, threshold=0.2)
    apart = against_chance(
        arm_ratings(*scores, first_patients=np.arange(100), second_patients=np.arange(100, 200)), 0, threshold=0.2
    )
    assert clustered.auc_p > apart.auc_p
    assert clustered.accuracy_p > apart.accuracy_p
    assert clustered.accuracy.high - clustered.accuracy.low > 1.5 * (apart.accuracy.high - apart.accuracy.low)


def test_readers_together_against_chance() -> None:
    random = np.random.default_rng(0)
    real, generated = random.normal(0, 1, (2, 5, 60))
    for shift, told_apart in ((0.0, False), (2.0, True)):
        found = readers_against_chance(arm_ratings(real, generated + shift), threshold=shift / 2)
        assert [comparison.null for comparison in found.values()] == [0.5, 0.5]
        assert [comparison.low > 0.5 for comparison in found.values()] == [told_apart, told_apart]
