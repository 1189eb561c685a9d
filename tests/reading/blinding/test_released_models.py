"""What the released models paint of phantoms, blinded, against the phantoms' own images: 30 of each, 512 x 416."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from benchmarks.blinding import attack_pairs, phantom_pairs
from mammosynth.reading.blinding.attack import CLASSIFIER, Attack
from mammosynth.reading.blinding.traces import EDGE

CASES, FIRST_SEED = 30, 8000  # phantoms on which nothing of the rule, the attack or the models was settled
BLINDINGS = 3


@cache
def attacks() -> dict[str, list[Attack]]:
    """Of each task, blindings with other noise."""
    pairs = phantom_pairs(CASES, FIRST_SEED)
    return {task: [attack_pairs(own, seed=seed) for seed in range(BLINDINGS)] for task, own in pairs.items()}


@pytest.mark.slow
def test_contrast_is_not_told_from_recombined_images_but_by_chance() -> None:
    found = attacks()["contrast"]
    told = Counter(kind for each in found for kind in {leak.kind for leak in each.leaks})
    assert not [kind for kind, times in told.items() if times > 1]  # what other noise hides was chance
    assert sum(each.classifier[1] <= 0.5 <= each.classifier[2] for each in found) >= BLINDINGS - 1


@pytest.mark.slow
def test_mask_is_told_by_its_edge_alone_and_by_all_scores_together_not() -> None:
    found = attacks()["mask"]
    assert {leak.kind for each in found for leak in each.leaks} <= {EDGE}
    assert sum(each.classifier[1] <= 0.5 <= each.classifier[2] for each in found) >= BLINDINGS - 1


@pytest.mark.slow
def test_view_is_told_by_its_edge_alone() -> None:
    for found in attacks()["view"]:
        assert {leak.kind for leak in found.leaks} <= {EDGE, CLASSIFIER}
        assert found.classifier[0] < 0.85
