"""The attack: it finds a leak of each kind, and none in copies whose sources differ in all of that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks.blinding import RULE
from mammosynth.errors import DataError
from mammosynth.mammogram import Mammogram
from mammosynth.phantom.clinic.case import generate_case
from mammosynth.phantom.parameters import CaseParameters
from mammosynth.reading.blinding.attack import ALL_KINDS, CLASSIFIER, Exhibit, attack
from mammosynth.reading.blinding.pixels import blinded_pixels
from mammosynth.reading.blinding.traces import EDGE, traces
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.exhibits import COUNT, PLANTED, SMALL_RULE, exhibit, exhibits

PHANTOMS = RULE.resolved(0.15)
ARMS = ("clinical", "synthesized")


@pytest.mark.slow
def test_copies_of_other_detectors_grain_and_grey_levels_are_not_told_apart() -> None:
    found = attack(ARMS, *exhibits(), SMALL_RULE)
    assert [str(leak) for leak in found.leaks] == []
    assert found.copies == (COUNT, COUNT)
    assert found.classifier[1] <= 0.5  # below chance on patients that it has not seen, it knows nothing


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_leak_is_found(name: str) -> None:
    kind, plant = PLANTED[name]
    first, second = exhibits()
    leaks = attack(ARMS, first, [plant(each) for each in second], SMALL_RULE).leaks
    assert kind in {leak.kind for leak in leaks}


def test_leaks_of_every_kind_are_planted() -> None:
    assert {kind for kind, _ in PLANTED.values()} | {CLASSIFIER} == set(ALL_KINDS)


@pytest.mark.slow
def test_a_ragged_edge_is_told_as_roughness() -> None:
    first, second = exhibits()
    _, plant = PLANTED["a ragged edge"]
    leaks = attack(ARMS, first, [plant(each) for each in second], SMALL_RULE).leaks
    assert "roughness" in {leak.what for leak in leaks}


@pytest.mark.slow
def test_the_departure_at_the_edge_follows_no_texture_of_the_same_breasts() -> None:
    departures = []
    for seed in range(700, 714):
        cc, _ = generate_case(CaseParameters(seed, sides=(ImageLaterality.LEFT,), pixel_mm=0.9))
        for pixels in (cc.low_energy, cc.recombined):
            image = Mammogram(pixels, f"P{seed}", ViewPosition.CC, ImageLaterality.LEFT)
            copy, _ = blinded_pixels(image, PHANTOMS, seed)
            departures.append(traces(copy, PHANTOMS)[EDGE, "departure from the rule's rise"])
    assert 0.35 < roc_auc_score([0, 1] * 14, departures) < 0.65


@pytest.mark.slow
def test_many_weak_traces_are_found_together() -> None:
    random = np.random.default_rng(3)

    def weak(exhibit: Exhibit, shift: float) -> Exhibit:
        size, time, length = random.normal(shift, 1, 3)
        return replace(exhibit, size=100_000 + round(1000 * size), modified=time, file="x" * (50 + round(10 * length)))

    first, second = exhibits()
    found = attack(ARMS, [weak(each, 0) for each in first], [weak(each, 0.75) for each in second], SMALL_RULE)
    assert CLASSIFIER in {leak.kind for leak in found.leaks}


def test_too_few_copies_tell_nothing_and_say_so() -> None:
    copies = [exhibit("P0", "clinical", "0" * 32, 0)] * 20
    with pytest.raises(DataError, match="expected at least 20"):
        attack(ARMS, copies, copies[:19], SMALL_RULE)
