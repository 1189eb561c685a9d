"""Do the reader statistics keep what they promise? Type-I error, coverage, power on simulated studies, and time.

Run from the root: `PYTHONPATH=. .venv/bin/python benchmarks/reading.py [--studies 2000] [--only coverage]`. Prints one
row a check: the share that came out, what it should be, its Monte-Carlo error and how many of these they are apart.
Everything is drawn anew from `--seed`. Times are ratios to the AUCs of the same ratings by a plain loop over pairs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cache, partial
from itertools import product

import numpy as np

from mammosynth.reading.statistics.agreement import (
    Weights,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac2,
    krippendorff_alpha,
    percent_agreement,
)
from mammosynth.reading.statistics.covariance import METHODS, bootstrap
from mammosynth.reading.statistics.estimate import Bootstrap, Percentiles
from mammosynth.reading.statistics.figures import ACCURACY, AUC, SENSITIVITY, SPECIFICITY, Figure
from mammosynth.reading.statistics.grading import arm_ratings, summarise_arm, visual_grading
from mammosynth.reading.statistics.margins import equivalence, non_inferiority
from mammosynth.reading.statistics.obuchowski_rockette import Analysis, Components, Fixed, analyse
from mammosynth.reading.statistics.paired import mcnemar, wilcoxon
from mammosynth.reading.statistics.power import power
from mammosynth.reading.statistics.proportions import PROPORTIONS, clustered_proportions, confusion, wilson
from mammosynth.reading.statistics.ratings import Ratings
from mammosynth.reading.statistics.roc import auc_difference, auc_interval
from mammosynth.reading.statistics.roe_metz import RoeMetz
from tests.support.reading import van_dyke

STRUCTURES = {
    "HH": RoeMetz(0.030, 0.030, 0.3, 0.3, 0.2, 0.2),
    "HL": RoeMetz(0.0055, 0.0055, 0.3, 0.3, 0.2, 0.2),
    "LH": RoeMetz(0.030, 0.030, 0.1, 0.1, 0.2, 0.6),
    "LL": RoeMetz(0.0055, 0.0055, 0.1, 0.1, 0.2, 0.6),
}
"""Correlation of cases (high, low) and variance of readers (high, low), after Roe & Metz (1997), table 1."""
SAME_READERS = RoeMetz(0.0, 0.0, 0.3, 0.3, 0.2, 0.2)
"""Readers of one skill: a null hypothesis that holds for these very readers."""
SAME_CASES = RoeMetz(0.030, 0.030, 0.6, 0.0, 0.2, 0.2)
"""Treatments that change no case: a null hypothesis that holds for these very cases."""
GOLDEN = {
    "jackknife": {
        "AUC 1": 0.8970370,
        "AUC 2": 0.9408374,
        "difference": -0.04380032,
        "SE": 0.02074862,
        "F": 4.456319,
        "df2": 15.25967,
        "p": 0.05166569,
        "low": -0.08795950,
        "high": 0.00035885,
        "reader": 0.0015349993,
        "treatment_reader": 0.0002004025,
        "error": 0.0008022883,
        "cov1": 0.0003466137,
        "cov2": 0.0003440748,
        "cov3": 0.0002390284,
    },
    "delong": {"F": 4.484854, "df2": 15.066108, "p": 0.0512330, "SE": 0.02068250},
}
"""Van Dyke's data, empirical AUC, random readers and cases: as MRMCaov prints them, and by DeLong."""
RESAMPLES = Bootstrap(draws=500)
_VALUE_ONLY = Bootstrap(draws=1, percentiles=Percentiles.PLAIN)


@dataclass(frozen=True)
class Row:
    """A share of studies beside what it should be."""

    check: str
    share: float
    expected: float
    studies: int

    @property
    def error(self) -> float:
        """Monte-Carlo standard error, if the expected share is true."""
        return float(np.sqrt(self.expected * (1 - self.expected) / self.studies))

    def __str__(self) -> str:
        apart = (self.share - self.expected) / self.error
        return (
            f"{self.check:66} {self.share:6.3f}  {self.expected:6.3f} ± {self.error:.3f}  {apart:+5.1f}  {self.studies}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20261128)
    parser.add_argument("--only", choices=list(PARTS))
    args = parser.parse_args()
    for name, part in PARTS.items():
        if args.only in (None, name):
            print(f"\n{name}")
            for row in part(args.studies, args.seed):
                print(row, flush=True)


def type_one(studies: int, seed: int) -> Iterator[Row]:
    """Obuchowski-Rockette under null hypotheses, with coverage of the difference and of each treatment's mean."""
    for name, readers in product(STRUCTURES, (3, 5, 10)):
        yield from compare_null(
            f"{name}, {readers} readers, 50 + 50 cases", STRUCTURES[name], readers, (50, 50), studies, seed
        )
    yield from compare_null("HH, 5 readers, 25 + 25 cases", STRUCTURES["HH"], 5, (25, 25), studies, seed)
    yield from compare_null("HH, 5 readers, 30 + 120 cases", STRUCTURES["HH"], 5, (30, 120), studies, seed)
    yield from compare_null(
        "HH, 5 readers, 50 + 50, jackknife", STRUCTURES["HH"], 5, (50, 50), studies, seed, "jackknife"
    )
    yield from compare_null(
        "HH, 5 readers, 50 + 50, bootstrap", STRUCTURES["HH"], 5, (50, 50), studies, seed, "bootstrap"
    )
    for figure in (SENSITIVITY, SPECIFICITY, ACCURACY):
        yield from compare_null(
            f"HH, 5 readers, 50 + 50, {figure.name}", STRUCTURES["HH"], 5, (50, 50), studies, seed, figure=figure
        )
    for name, model, fixed in (("readers", SAME_READERS, Fixed.READERS), ("cases", SAME_CASES, Fixed.CASES)):
        yield from compare_null(f"5 readers, 50 + 50, {name} fixed", model, 5, (50, 50), studies, seed, fixed=fixed)
    found = [
        analyse(_free_response(np.random.default_rng([seed, 4, n])), covariance=METHODS["jackknife"])
        for n in range(studies)
    ]
    yield Row(
        "type-I, JAFROC, 5 readers, 40 + 40 cases",
        float(np.mean([a.test.p < 0.05 for a in found if a.test])),
        0.05,
        studies,
    )
    p = [_margin_p(STRUCTURES["LL"], study, seed) for study in range(studies)]
    yield Row(
        "type-I, non-inferiority at the margin, LL, alpha 0.025", np.mean([one < 0.025 for one, _ in p]), 0.025, studies
    )
    yield Row("type-I, equivalence at the margin, LL, alpha 0.05", np.mean([one < 0.05 for _, one in p]), 0.05, studies)


def powers(studies: int, seed: int) -> Iterator[Row]:
    """Power as it is predicted from components of the same number of null studies, beside power as it comes out."""
    for name, readers, cases in (("HH", 5, 50), ("LL", 5, 50), ("HL", 10, 50), ("LH", 10, 100)):
        model, auc = STRUCTURES[name], (0.82, 0.89)
        delong = [_study(model, auc, readers, (cases, cases), [seed, 1, study]) for study in range(studies)]
        mean = {f.name: float(np.mean([getattr(a.components, f.name) for a in delong])) for f in fields(Components)}
        expected = power(Components(**mean), auc[0] - auc[1], readers=readers, cases=2 * cases, pilot_cases=2 * cases)
        shown = [a.test.p < 0.05 for a in delong if a.test]
        yield Row(
            f"power, {name}, {readers} readers, {cases} + {cases} cases, 0.82 v. 0.89",
            float(np.mean(shown)),
            expected,
            studies,
        )


def coverage(studies: int, seed: int) -> Iterator[Row]:
    """Every other interval of 95 %."""
    for name, (check, truths) in _INTERVALS.items():
        covered = np.zeros(len(truths()))
        for study in range(studies):
            intervals = check(np.random.default_rng([seed, 2, study]))
            covered += [low <= truth <= high for (low, high), truth in zip(intervals.values(), truths(), strict=True)]
        for kind, share in zip(intervals, covered / studies, strict=True):
            yield Row(f"{name}{', ' if kind else ''}{kind}", float(share), 0.95, studies)


def golden(studies: int, seed: int) -> Iterator[str]:
    """Van Dyke's printed values beside ours: AUC, random readers and cases."""
    del studies, seed
    for name, values in GOLDEN.items():
        found = analyse(van_dyke(), covariance=METHODS[name])
        difference, test = found.differences[0, 1], found.test
        ours = {
            "AUC 1": found.means[0].value,
            "AUC 2": found.means[1].value,
            "difference": difference.value,
            "SE": difference.standard_error,
            "F": test.f if test else None,
            "df2": test.df2 if test else None,
            "p": difference.p,
            "low": difference.low,
            "high": difference.high,
            **vars(found.components),
        }
        for key, printed in values.items():
            yield f"{name:9} {key:16} {printed:14.10f} {ours[key]:14.10f} {ours[key] - printed:+.1e}"


def times(studies: int, seed: int) -> Iterator[str]:
    """Of one analysis, by covariance."""
    del studies
    for readers, positive, negative in ((5, 45, 69), (20, 500, 500)):
        random = np.random.default_rng(seed)
        ratings = STRUCTURES["HH"].simulate((0.85, 0.9), readers, positive, negative, random)
        plain = _seconds(lambda ratings=ratings: plain_aucs(ratings))
        for name, method in METHODS.items():
            took = _seconds(lambda ratings=ratings, method=method: analyse(ratings, covariance=method))
            passes = {"jackknife": ratings.truth.size, "delong": 1, "bootstrap": 1000}[name]
            yield (
                f"{readers:2} x 2 x {positive + negative:4}, {name:9}: {took * 1000:6.1f} ms; plain loop once "
                f"{plain * 1000:6.1f} ms, ratio {took / plain:6.3f}; as often as the method asks ({passes}), "
                f"ratio {took / plain / passes:.5f}"
            )


def plain_aucs(ratings: Ratings) -> list[float]:
    """The AUC of every reader under every treatment, pair by pair."""
    aucs = []
    for scores in ratings.scores.reshape(-1, ratings.truth.size).tolist():
        positive = [score for score, truth in zip(scores, ratings.truth, strict=True) if truth]
        negative = [score for score, truth in zip(scores, ratings.truth, strict=True) if not truth]
        wins = 0.0
        for one in positive:
            for other in negative:
                wins += 1.0 if one > other else 0.5 if one == other else 0.0
        aucs.append(wins / (len(positive) * len(negative)))
    return aucs


def compare_null(
    name: str,
    model: RoeMetz,
    readers: int,
    cases: tuple[int, int],
    studies: int,
    seed: int,
    covariance: str = "delong",
    figure: Figure = AUC,
    fixed: Fixed = Fixed.NONE,
) -> Iterator[Row]:
    """Level of the test, coverage of the difference and of a treatment's mean, for two treatments of AUC 0.85."""
    truth, auc = _expected(figure, model, 0.85), (0.85, 0.85)
    found = [_study(model, auc, readers, cases, [seed, 0, n], covariance, figure, fixed) for n in range(studies)]
    yield Row(f"type-I, {name}", float(np.mean([a.test.p < 0.05 for a in found if a.test])), 0.05, studies)
    inside = [a.differences[0, 1].low <= 0 <= a.differences[0, 1].high for a in found]
    yield Row(f"coverage of the difference, {name}", float(np.mean(inside)), 0.95, studies)
    if fixed is not Fixed.CASES:  # the truth of fixed cases is another one in every study
        inside = [a.means[0].low <= truth <= a.means[0].high for a in found]
        yield Row(f"coverage of a treatment's mean, {name}", float(np.mean(inside)), 0.95, studies)
        intervals = [a.means[0].log_odds() for a in found]
        inside = [low <= truth <= high for low, high in intervals]
        yield Row(f"the same on log-odds, {name}", float(np.mean(inside)), 0.95, studies)


def _study(
    model: RoeMetz,
    auc: tuple[float, float],
    readers: int,
    cases: tuple[int, int],
    seed: list[int],
    covariance: str = "delong",
    figure: Figure = AUC,
    fixed: Fixed = Fixed.NONE,
) -> Analysis:
    ratings = model.simulate(auc, readers, *cases, np.random.default_rng(seed))
    method = partial(bootstrap, draws=RESAMPLES.draws) if covariance == "bootstrap" else METHODS[covariance]
    return analyse(ratings, figure=figure, threshold=_threshold(model), covariance=method, fixed=fixed)


def _threshold(model: RoeMetz) -> float:
    return model.separation(0.85) / 2


@cache
def _expected(figure: Figure, model: RoeMetz, auc: float) -> float:
    """Of a reader and cases drawn at random; the threshold lies half-way, so that all three proportions are one."""
    from scipy.stats import norm

    spread = np.sqrt(1 + model.reader + model.treatment_reader)
    return auc if figure is AUC else float(norm.cdf(model.separation(auc) / 2 / spread))


def _margin_p(model: RoeMetz, study: int, seed: int) -> tuple[float, float]:
    found = _study(model, (0.80, 0.85), 5, (100, 100), [seed, 3, study]).differences[0, 1]
    given = (found.value, found.standard_error, found.df, 0.05)
    return non_inferiority(*given).p, equivalence(*given).p


def _free_response(random: np.random.Generator, readers: int = 5, cases: int = 40) -> Ratings:
    """Two treatments alike; one to three lesions a case, of which some are missed; most normal cases without a mark."""
    lesions = random.integers(1, 4, cases)
    of_case = np.concatenate((np.repeat(np.arange(cases), lesions), np.arange(cases, 2 * cases)))
    truth = of_case < cases
    reader, shared = random.normal(0, 0.2, (readers, 1)), random.normal(0, 0.6, 2 * cases)[of_case]
    latent = reader + shared + random.normal(0, 0.7, (2, readers, truth.size)) + np.where(truth, 1.2, 0)
    return Ratings.from_arrays(np.where(latent > 0.6, latent, -np.inf), truth, of_case)


Interval = tuple[float, float]
Check = Callable[[np.random.Generator], dict[str, Interval]]


def _wilson(random: np.random.Generator) -> dict[str, Interval]:
    # Counts are whole numbers, so that coverage swings with the proportion; drawn from a range, the swings even out.
    truth = random.uniform(0.6, 0.95)
    found = wilson(random.binomial(40, truth), 40)
    return {"40 cases, p 0.6 to 0.95": (found.low - truth, found.high - truth)}


def _clustered(random: np.random.Generator) -> dict[str, Interval]:
    truth, calls = _clustered_calls(random, 60)
    found = clustered_proportions(truth, calls, patients=np.repeat(np.arange(60), 2), bootstrap=RESAMPLES)
    return {f"{name}, 60 patients of 2 breasts": (mean.low, mean.high) for name, (_, mean) in found.items()}


def _clustered_calls(random: np.random.Generator, patients: int) -> tuple[np.ndarray, np.ndarray]:
    truth = random.random(2 * patients) < 0.5
    of_patient = np.repeat(random.normal(0, 0.7, patients), 2)
    return truth, of_patient + random.normal(0, 0.7, (3, 2 * patients)) + np.where(truth, 0.8, -0.9) > 0


@cache
def _clustered_truth() -> tuple[float, ...]:
    truth, calls = _clustered_calls(np.random.default_rng(0), 500_000)
    counts = confusion(np.tile(truth, 3), calls.ravel()).counts()
    return tuple(counts[name][0] / counts[name][1] for name in PROPORTIONS)


_AUC = 0.9
_MODEL = RoeMetz(0.0, 0.0, 0.3, 0.3, 0.2, 0.2)


def _delong(random: np.random.Generator) -> dict[str, Interval]:
    ratings = _MODEL.simulate((_AUC, _AUC), 1, 37, 26, random)
    first, second = ratings.scores[:, 0]
    logit, plain = (auc_interval(first, ratings.truth, logit=logit) for logit in (True, False))
    difference = auc_difference(first, second, ratings.truth)
    return {
        "log-odds, AUC 0.9, 37 + 26 cases": (logit.low, logit.high),
        "plain, AUC 0.9, 37 + 26 cases": (plain.low, plain.high),
        "difference, 37 + 26 cases": (difference.low, difference.high),
    }


def _answers(random: np.random.Generator, cases: int) -> np.ndarray:
    """Three readers on a scale of four."""
    latent = random.normal(0, 1, cases) + random.normal(0, 0.6, (3, cases))
    return np.digitize(latent, [-1.0, 0.2, 1.2])


def _agreement(random: np.random.Generator, cases: int = 100) -> dict[str, Interval]:
    answers = _answers(random, cases)
    found = {
        "Cohen's kappa": cohen_kappa(*answers[:2], 4, bootstrap=RESAMPLES),
        "quadratic kappa": cohen_kappa(*answers[:2], 4, weights=Weights.QUADRATIC, bootstrap=RESAMPLES),
        "Fleiss' kappa": fleiss_kappa(answers, 4, bootstrap=RESAMPLES),
        "Gwet's AC2": gwet_ac2(answers, 4, bootstrap=RESAMPLES),
        "Krippendorff's alpha": krippendorff_alpha(answers, 4, bootstrap=RESAMPLES),
        "percent agreement": percent_agreement(*answers[:2], bootstrap=RESAMPLES),
    }
    return {f"{name}, {cases} cases": (one.low, one.high) for name, one in found.items()}


@cache
def _agreement_truth() -> tuple[float, ...]:
    answers, few = _answers(np.random.default_rng(0), 300_000), {"bootstrap": _VALUE_ONLY}
    return (
        cohen_kappa(*answers[:2], 4, **few).value,
        cohen_kappa(*answers[:2], 4, weights=Weights.QUADRATIC, **few).value,
        fleiss_kappa(answers, 4, **few).value,
        gwet_ac2(answers, 4, **few).value,
        krippendorff_alpha(answers, 4, **few).value,
        percent_agreement(*answers[:2], **few).value,
    )


def _arms(random: np.random.Generator, cases: int, readers: int, spread: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Likert answers to the same cases in two arms, of readers who are drawn anew."""
    case, reader = random.normal(0, 0.7, cases), random.normal(0, spread, (2, readers, 1))
    latent = case + reader + random.normal(0, 0.7, (2, readers, cases)) + np.reshape([0, 0.3], (2, 1, 1))
    first, second = np.digitize(latent, [-1.2, -0.4, 0.4, 1.2]) + 1
    return first, second


def _grading(random: np.random.Generator) -> dict[str, Interval]:
    first, second = _arms(random, 60, 5)
    area = visual_grading(arm_ratings(first, second)).means[0]
    return {"60 cases, 5 readers": (area.low, area.high)}


@cache
def _grading_truth() -> tuple[float, ...]:
    first, second = _arms(np.random.default_rng(0), 2000, 2000)
    shares = [np.mean(arm[..., None] == np.arange(1, 6), axis=1) for arm in (first, second)]
    below = np.cumsum(shares[0], axis=1) - shares[0] / 2
    return (float((below * shares[1]).sum(axis=1).mean()),)


def _likert(random: np.random.Generator) -> dict[str, Interval]:
    first, second = _arms(random, 60, 1, spread=0.0)
    calls = (first[0] >= 4, second[0] >= 4)
    effects = summarise_arm(first, bootstrap=RESAMPLES).mean, wilcoxon(second[0], first[0], bootstrap=RESAMPLES).effect
    found = {
        "mean of an arm": effects[0],
        "rank-biserial": effects[1],
        "McNemar": mcnemar(*calls, bootstrap=RESAMPLES).effect,
    }
    return {f"{name}, 60 cases": (one.low, one.high) for name, one in found.items()}


@cache
def _likert_truth() -> tuple[float, ...]:
    first, second = (arm[0] for arm in _arms(np.random.default_rng(0), 1_000_000, 1, spread=0.0))
    biserial = wilcoxon(second, first, bootstrap=_VALUE_ONLY).effect.value
    return float(first.mean()), biserial, float(np.mean(first >= 4) - np.mean(second >= 4))


_INTERVALS: dict[str, tuple[Check, Callable[[], tuple[float, ...]]]] = {
    "Wilson": (_wilson, lambda: (0.0,)),
    "patients resampled": (_clustered, _clustered_truth),
    "DeLong": (_delong, lambda: (_AUC, _AUC, 0.0)),
    "agreement": (_agreement, _agreement_truth),
    "agreement ": (partial(_agreement, cases=40), _agreement_truth),
    "visual grading": (_grading, _grading_truth),
    "scale": (_likert, _likert_truth),
}


def _seconds(call: Callable[[], object], repeats: int = 5) -> float:
    def once() -> float:
        start = time.process_time()
        call()
        return time.process_time() - start

    return min(once() for _ in range(repeats))


PARTS: dict[str, Callable[[int, int], Iterator[object]]] = {
    "golden": golden,
    "type-I": type_one,
    "power": powers,
    "coverage": coverage,
    "time": times,
}

if __name__ == "__main__":
    main()
