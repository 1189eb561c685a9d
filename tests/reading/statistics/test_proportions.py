import numpy as np
import pytest

from mammosynth.reading.statistics.estimate import Bootstrap, Percentiles, json_ready
from mammosynth.reading.statistics.proportions import Confusion, clustered_proportions, confusion, wilson

POSITIVE, NEGATIVE = 37, 26
S3 = {
    "clinical": [(34, 23), (32, 24), (31, 25)],
    "synthetic": [(26, 23), (28, 23), (26, 24)],
}
"""Positive cases found and negative cases left alone, by reader: Zormpas-Petridis et al. (2026), table 3."""


def s3_confusion(found: int, left: int) -> Confusion:
    return Confusion(found, POSITIVE - found, left, NEGATIVE - left)


@pytest.mark.parametrize(
    ("arm", "accuracy", "sensitivity", "specificity"),
    [("clinical", 89.4, 87.4, 92.3), ("synthetic", 79.4, 72.1, 89.7)],
)
def test_table_3_of_the_contrast_study(arm: str, accuracy: float, sensitivity: float, specificity: float) -> None:
    """Means of three readers in percent, as printed; but for the last one, printed as 90.0.

    Its counts are 23, 23 and 24 of 26: 88.5, 88.5, 92.3. Rounded once more (89, 89, 92) they have the mean 90.0.
    """
    readers = [s3_confusion(*counts).estimates() for counts in S3[arm]]
    means = {name: 100 * np.mean([reader[name].value for reader in readers]) for name in readers[0]}
    assert round(means["accuracy"], 1) == accuracy
    assert round(means["sensitivity"], 1) == sensitivity
    assert round(means["specificity"], 1) == specificity


def test_counts_of_table_3_add_up() -> None:
    of_63 = {arm: [s3_confusion(*counts).counts()["accuracy"] for counts in rows] for arm, rows in S3.items()}
    assert of_63 == {"clinical": [(57, 63), (56, 63), (56, 63)], "synthetic": [(49, 63), (51, 63), (50, 63)]}


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_is_as_published(successes: int, trials: int, low: float, high: float) -> None:
    """Newcombe (1998), Statistics in Medicine 17:857, table I, method 3."""
    found = wilson(successes, trials)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_without_trials_there_is_no_proportion() -> None:
    assert json_ready(wilson(0, 0))["value"] is None


def test_confusion_counts_answers() -> None:
    found = confusion(np.array([1, 1, 1, 0, 0], bool), np.array([1, 1, 0, 1, 0], bool))
    assert found == Confusion(true_positive=2, false_negative=1, true_negative=1, false_positive=1)
    assert found.counts()["ppv"] == (2, 3)
    assert found.counts()["npv"] == (1, 2)


def test_resampled_values_are_those_of_the_counts() -> None:
    random = np.random.default_rng(0)
    truth, calls = random.random(80) < 0.5, random.random((3, 80)) < 0.4
    found = clustered_proportions(truth, calls, patients=np.arange(80) // 2)
    for reader, row in enumerate(calls):
        for name, (hits, trials) in confusion(truth, row).counts().items():
            assert found[name][0][reader].value == pytest.approx(hits / trials)
    values = [estimate.value for estimate in found["ppv"][0]]
    assert found["ppv"][1].value == pytest.approx(np.mean(values))


def test_cases_of_one_patient_widen_the_interval() -> None:
    truth = np.repeat(np.arange(40) % 2 == 0, 4)
    calls = np.repeat(np.random.default_rng(1).random(40) < 0.5, 4)[None]  # all cases of a patient alike
    patients = np.repeat(np.arange(40), 4)
    clustered, independent = (
        clustered_proportions(truth, calls, patients=p)["sensitivity"][1] for p in (patients, None)
    )
    assert clustered.standard_error == pytest.approx(2 * independent.standard_error, rel=0.15)


def test_a_proportion_of_one_has_wilsons_interval() -> None:
    truth = np.repeat([True, False], 20)
    found = clustered_proportions(truth, truth[None], patients=np.arange(40) // 2)["sensitivity"][1]
    assert (found.value, found.low, found.high) == (1, wilson(10, 10).low, 1)


def test_plain_percentiles_are_those_of_the_resamples() -> None:
    values = np.random.default_rng(0).exponential(size=40)
    plain = Bootstrap(draws=4000, percentiles=Percentiles.PLAIN)

    def mean(weights: np.ndarray) -> np.ndarray:
        return weights @ values / weights.sum(axis=1)

    found, accelerated = plain.estimate(mean, np.arange(40)), Bootstrap(draws=4000).estimate(mean, np.arange(40))
    random = np.random.default_rng(1)
    expected = np.quantile([values[random.integers(0, 40, 40)].mean() for _ in range(4000)], [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx(expected, abs=0.02)
    assert found.standard_error == pytest.approx(values.std() / np.sqrt(40), rel=0.05)
    assert accelerated.high - accelerated.value > found.high - found.value  # the mean is skewed to the right
