"""How the sampled rendering is judged: by known images, so that every number can be told beforehand."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from scipy import ndimage

from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.tasks.contrast.evaluation.protocol import Case
from mammosynth.tasks.contrast.evaluation.sampled import EXPECTED, SAMPLED, SampledJudge
from mammosynth.tasks.contrast.synthesizer import ContrastSynthesizer
from mammosynth.terms import ViewPosition
from tests.support.breasts import half_ellipse

GRAIN = 0.05
BREAST = half_ellipse(512, 512)


def grainy(level: np.ndarray, random: np.random.Generator) -> np.ndarray:
    grain = ndimage.gaussian_filter(random.normal(size=level.shape), 1)
    return (np.clip(level + GRAIN * grain / grain.std(), 0.05, 1) * BREAST).astype(np.float32)


def pair_of(number: int) -> ContrastPair:
    """Another level for every patient; a lesion that is brighter by 0.2."""
    random = np.random.default_rng(number)
    lesion = np.zeros(BREAST.shape, bool)
    lesion[236:276, 100:140] = True
    level = np.full(BREAST.shape, 0.3 + 0.02 * random.normal()) + 0.2 * lesion
    source = Mammogram(grainy(np.full(BREAST.shape, 0.5), random), f"{number}.png", view_position=ViewPosition.CC)
    return ContrastPair(source, grainy(level, random), f"P{number}", lesion=lesion)


def without_grain(pair: ContrastPair, lesion: float) -> np.ndarray:
    """What the grain of a real image lies on, its lesion as many times as bright."""
    assert pair.lesion is not None
    tissue = pair.recombined[BREAST & ~pair.lesion].mean()
    return (BREAST * (tissue + lesion * (pair.recombined[pair.lesion].mean() - tissue) * pair.lesion)).astype(
        np.float32
    )


class Known:
    """Knows the real images: expected is the smooth one, sampled has grain of its own, in the upper half only."""

    has_members = True

    def __init__(self, pairs: list[ContrastPair], lesion: float = 1.0) -> None:
        self._smooth = {pair.name: without_grain(pair, lesion) for pair in pairs}
        self._upper = np.arange(512)[:, None] < 256
        self.asked: list[str] = []

    def predict(self, source: Mammogram) -> np.ndarray:
        self.asked.append(source.source_name)
        return self._smooth[source.source_name]

    def expected(self, prediction: np.ndarray) -> np.ndarray:
        return prediction

    def uncertainty(self, prediction: np.ndarray, image: np.ndarray) -> np.ndarray:
        return 0.1 * self._upper * BREAST

    def sampled(self, prediction: np.ndarray, seed: int) -> np.ndarray:
        return np.where(self._upper, grainy(prediction, np.random.default_rng([seed, 7])), prediction)


def judged(count: int, samples: int, **changes: float) -> dict[str, Any]:
    pairs = [pair_of(number) for number in range(count)]
    known = Known(pairs, **changes)
    judge = SampledJudge(cast(ContrastSynthesizer, known), samples)
    for pair in pairs:
        judge.add(Case.from_pair(pair), pair)
    assert known.asked == [pair.name for pair in pairs], "the network is asked once for each image"
    return judge.report(20)


@pytest.mark.slow
def test_cost_spread_and_lesions_are_what_they_were_made_to_be() -> None:
    found = judged(2, 4)
    sampled, expected = (found["methods"][name] for name in (SAMPLED, EXPECTED))
    # Half of the pixels have the grain's variance once more, in the mean of four samples a quarter of it.
    assert sampled["psnr_drop"]["value"] == pytest.approx(10 * np.log10(1.5), abs=0.25)
    assert sampled["mean_psnr_drop"]["value"] == pytest.approx(10 * np.log10(1.125), abs=0.15)
    assert sampled["spread_r"]["value"] > 0.8
    assert sampled["lesion_ratio"]["value"] == pytest.approx(expected["lesion_ratio"]["value"], abs=0.05)
    assert sampled["lesion_ratio"]["value"] == pytest.approx(1, abs=0.05)
    assert sampled["frechet"]["value"] is None, "of two images there is no covariance"
    reached = {goal["measure"]: goal["reached"] for goal in found["goals"]}
    assert (reached["psnr_drop"], reached["spread_r"], reached["frechet"]) == (False, True, None)


def test_lesions_that_are_too_faint_are_told() -> None:
    found = judged(1, 2, lesion=0.5)
    assert found["methods"][SAMPLED]["lesion_ratio"]["value"] < 0.6
    assert not next(goal for goal in found["goals"] if goal["measure"] == "lesion_ratio")["reached"]


@pytest.mark.slow
def test_grain_looks_more_real_than_none() -> None:
    found = judged(12, 2)
    sampled, expected = (found["methods"][name] for name in (SAMPLED, EXPECTED))
    assert sampled["frechet"]["value"] < 0.5 * expected["frechet"]["value"]
    assert expected["auc"]["value"] > 0.95
    assert sampled["beta_shift"]["value"] < expected["beta_shift"]["value"]
