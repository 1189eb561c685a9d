"""What the released models paint of phantoms, blinded, against the phantoms' own images: 30 of each, 512 x 416."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from benchmarks.blinding import attack_pairs, phantom_pairs
from mammosynth.reading.blinding.attack import CLASSIFIER, Attack
from mammosynth.reading.blinding.traces import EDGE

CASES, FIRST_SEED = 30, 6000  # phantoms on which nothing of the rule, the attack or the models was settled
BLINDINGS = 3


@cache
def attacks() -> dict[str, list[Attack]]:
    """Of each task, blindings with other noise."""
    pairs = phantom_pairs(CASES, FIRST_SEED)
    return {task: [attack_pairs(own, seed=seed) for seed in range(BLINDINGS)] for task, own in pairs.items()}


@pytest.mark.slow
@pytest.mark.parametrize("task", ["contrast", "mask"])
def test_what_stands_for_acquired_images_is_not_told_from_them_but_by_chance(task: str) -> None:
    told = Counter(kind for found in attacks()[task] for kind in {leak.kind for leak in found.leaks})
    assert not [kind for kind, times in told.items() if times > 1]  # what other noise hides was chance
    intervals = [found.classifier for found in attacks()[task]]
    assert sum(low <= 0.5 <= high for _, low, high in intervals) >= BLINDINGS - 1


@pytest.mark.slow
def test_view_is_told_by_its_edge_alone() -> None:
    for found in attacks()["view"]:
        assert {leak.kind for leak in found.leaks} <= {EDGE, CLASSIFIER}
        assert found.classifier[0] < 0.85
