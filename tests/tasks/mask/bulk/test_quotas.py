"""Quotas: exact for every axis alone, and as even as they can be for axes together."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammosynth.tasks.mask.bulk.quotas import crossed, largest_remainder

WEIGHT = st.one_of(st.integers(0, 50), st.floats(0, 10, allow_nan=False))
WEIGHTS = st.dictionaries(st.sampled_from("abcdef"), WEIGHT, min_size=1).filter(lambda given: any(given.values()))
AXES = st.dictionaries(st.sampled_from("uvwxyz"), WEIGHTS, min_size=1, max_size=5)


@given(st.integers(0, 500), WEIGHTS)
def test_quotas_add_up_and_are_less_than_one_from_their_share(total: int, weights: dict[str, float]) -> None:
    counts = largest_remainder(total, weights)
    assert list(counts) == list(weights)
    assert sum(counts.values()) == total
    for name, weight in weights.items():
        assert abs(counts[name] - total * weight / sum(weights.values())) < 1 + 1e-6
        assert weight or not counts[name]


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 50), min_size=1).filter(lambda g: any(g.values())))
def test_counts_that_add_up_are_kept(counts: dict[str, int]) -> None:
    assert largest_remainder(sum(counts.values()), counts) == counts


def test_the_largest_remainders_are_rounded_up_and_of_equal_ones_the_first() -> None:
    # Hare quota of 10 seats: 4.7, 1.6, 1.58, 1.2, 0.6, 0.32 (the usual example of the method, ten times fewer seats)
    votes = {"yellow": 47, "white": 16, "red": 15.8, "green": 12, "blue": 6.1, "pink": 3.1}
    assert largest_remainder(10, votes) == dict(zip(votes, (5, 2, 1, 1, 1, 0), strict=True))
    assert largest_remainder(3, {"a": 1, "b": 1}) == {"a": 2, "b": 1}
    assert largest_remainder(10, {"a": 0.1, "b": 0.2, "c": 0.7}) == {"a": 1, "b": 2, "c": 7}


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.integers(0, 60), AXES)
def test_every_axis_has_its_own_quotas_whatever_the_others_are(total: int, axes: dict[str, dict[str, float]]) -> None:
    cases = crossed(total, axes)
    assert len(cases) == total
    for axis, weights in axes.items():
        found = Counter(case[axis] for case in cases)
        assert {value: found[value] for value in weights} == largest_remainder(total, weights)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(1, 3), min_size=2, max_size=3), min_size=1, max_size=3), st.integers(1, 2))
def test_where_the_numbers_divide_every_combination_has_its_exact_share(parts: list[list[int]], times: int) -> None:
    axes = {str(number): {f"{place}": each for place, each in enumerate(own)} for number, own in enumerate(parts)}
    total = times * prod(sum(own) for own in parts)
    found = Counter(tuple(case.values()) for case in crossed(total, axes))
    for values, count in found.items():
        assert count == times * prod(axes[str(number)][value] for number, value in enumerate(values))


@pytest.mark.parametrize("total", [24, 40, 100, 333])
def test_two_axes_never_go_together_by_more_than_two_cases(total: int) -> None:
    axes = {
        "density": {"a": 1, "b": 4, "c": 4, "d": 1},
        "view": {"CC": 1, "MLO": 1},
        "side": {"L": 1, "R": 1},
        "lesions": {"none": 2, "benign": 1, "malignant": 1, "calcification": 1},
        "split": {"train": 8, "val": 1, "test": 1},
    }
    cases = crossed(total, axes)
    for one, other in combinations(axes, 2):
        found = Counter((case[one], case[other]) for case in cases)
        for first, second in ((first, second) for first in axes[one] for second in axes[other]):
            share = axes[one][first] * axes[other][second] / sum(axes[one].values()) / sum(axes[other].values())
            assert abs(found[first, second] - total * share) <= 2
