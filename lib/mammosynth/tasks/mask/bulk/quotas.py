"""Quotas: how many cases of every kind, exactly, and crossed, so that no kind goes with another by chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations


def largest_remainder(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers in proportion to weights: every one rounded down, and one more where most was cut off.

    Args:
        total: What they add up to, 0 or more.
        weights: 0 or more, not all 0. Counts that add up to `total` are given back as they are.

    Returns:
        In the order of the weights, which also decides between equal remainders.
    """
    exact = {name: Fraction(str(weight)) for name, weight in weights.items()}  # decimals as they are written
    whole = sum(exact.values())
    shares = {name: total * weight / whole for name, weight in exact.items()}
    counts = {name: int(share) for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: counts[name] - shares[name])
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def crossed(total: int, axes: Mapping[str, Mapping[str, float]]) -> list[dict[str, str]]:
    """So many cases, with a value of every axis each; every axis alone has the counts of `largest_remainder`.

    Axis by axis, every case gets the value that it lacks most: among all cases so far, among those that share a value,
    or two, with it, and among those that share all. Where the numbers divide, every combination has its exact share.

    Args:
        total: How many.
        axes: Weights by axis.

    Returns:
        Sorted by the values of the axes.
    """
    cases: list[tuple[str, ...]] = [()] * total
    for weights in axes.values():
        cases = _with_axis(cases, largest_remainder(total, weights))
    return [dict(zip(axes, case, strict=True)) for case in cases]


def _with_axis(cases: Sequence[tuple[str, ...]], quotas: Mapping[str, int]) -> list[tuple[str, ...]]:
    total, known = len(cases), len(cases[0]) if cases else 0
    groups = sorted({(), *combinations(range(known), 1), *combinations(range(known), 2), tuple(range(known))})
    seen: Counter[tuple[object, ...]] = Counter()
    given: Counter[tuple[object, ...]] = Counter()
    left, order = dict(quotas), list(quotas)
    longer = []
    for case in cases:
        keys = [(group, *(case[axis] for axis in group)) for group in groups]
        for key in keys:
            seen[key] += 1

        def lacking(value: str, keys: Sequence[tuple[object, ...]] = keys) -> int:
            return sum(seen[key] * quotas[value] - given[(*key, value)] * total for key in keys)

        value = max((each for each in order if left[each]), key=lacking)
        left[value] -= 1
        for key in keys:
            given[(*key, value)] += 1
        longer.append((*case, value))
    return sorted(longer)  # those that share all values stand together, and are dealt their shares of the next axis
