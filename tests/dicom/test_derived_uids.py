"""UIDs follow from everything that decides the pixels, and from nothing else."""

from __future__ import annotations

import copy
import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.uid import UID

from mammosynth.dicom.derived_uids import (
    content_identity,
    derived_uid,
    instance_identity,
    series_identity,
    value_identity,
    work_digest,
)
from mammosynth.dicom.generated import SYNTHESIZED_UID_ROOT, is_synthesized_uid

WORK: dict[str, Any] = {
    "bundle": "breast_cem_residual",
    "bundle_version": "1.0.0",
    "weights_sha256": "ab" * 32,
    "software_version": "0.1.0",
    "rendering": "expected",
    "seed": 0,
    "burned_in_mark": True,
    "parameters": {"uncertainty": False, "strength": 0.5},
    "inputs": {"source": instance_identity("1.2.3"), "recipe": value_identity({"density": "c"})},
}
OTHER: list[dict[str, Any]] = [
    {"bundle": "breast_cem_cyclegan"},
    {"bundle_version": "1.0.1"},
    {"weights_sha256": "ac" * 32},
    {"software_version": "0.2.0"},
    {"rendering": "sampled"},
    {"seed": 1},
    {"burned_in_mark": False},
    {"parameters": {"uncertainty": True, "strength": 0.5}},
    {"parameters": {"uncertainty": False, "strength": 0.25}},
    {"parameters": {"uncertainty": False}},
    {"parameters": {"uncertainty": 0, "strength": 0.5}},
    {"inputs": {"source": instance_identity("1.2.4"), "recipe": value_identity({"density": "c"})}},
    {"inputs": {"source": instance_identity("1.2.3"), "recipe": value_identity({"density": "d"})}},
    {"inputs": {"source": instance_identity("1.2.3")}},
    {"inputs": {"other": instance_identity("1.2.3"), "recipe": value_identity({"density": "c"})}},
    *(
        {"inputs": {"source": source, "recipe": value_identity({"density": "c"})}}
        for source in (
            instance_identity("1.2.3", view_position="CC"),
            instance_identity("1.2.3", view_position="MLO"),
            instance_identity("1.2.3", image_laterality="L"),
            instance_identity("1.2.3", view_position="CC", image_laterality="L"),
            series_identity("1.2.3"),
            content_identity(b"1.2.3"),
            value_identity("1.2.3"),
        )
    ),
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-1e12, 1e12) | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=4), children, max_size=3),
    max_leaves=8,
)


def uids(**changes: Any) -> set[str]:
    digest = work_digest(**{**WORK, **changes})
    kinds, roles = ("instance", "series", "study", "frame of reference"), ("image", "uncertainty", "labels")
    return {
        derived_uid(digest, kind, role, view_index=index)
        for kind, role, index in itertools.product(kinds, roles, range(4))
    }


def same_json(a: Any, b: Any) -> bool:
    """Whether two JSON values are one: true is not 1, but 1.0 is."""
    if isinstance(a, bool) or isinstance(b, bool) or not isinstance(a, int | float) or not isinstance(b, int | float):
        if type(a) is not type(b):
            return False
        if isinstance(a, dict):
            return a.keys() == b.keys() and all(same_json(a[name], b[name]) for name in a)
        if isinstance(a, list):
            return len(a) == len(b) and all(map(same_json, a, b))
    return bool(a == b)


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reversed_keys(value[name]) for name in reversed(value)}
    return [reversed_keys(each) for each in value] if isinstance(value, list) else value


def test_two_runs_agree() -> None:
    assert uids() == uids(**copy.deepcopy(WORK))


def test_the_same_work_has_the_same_uid_in_every_release() -> None:
    digest = work_digest(**WORK)
    assert digest == "190fbcecfa933be0d2d5f9eb4dc0a77817785fab8e29a7d473c818777cddf981"
    assert derived_uid(digest, "instance", "image") == f"{SYNTHESIZED_UID_ROOT}.2732438185841541060167"


def test_uids_are_valid_and_each_thing_has_its_own() -> None:
    assert len(uids()) == 4 * 3 * 4
    assert all(UID(uid).is_valid and is_synthesized_uid(uid) for uid in uids())


def test_every_ingredient_has_a_change_in_this_test() -> None:
    assert {name for change in OTHER for name in change} == WORK.keys()


def test_any_other_ingredient_gives_other_uids() -> None:
    works = [uids(), *(uids(**change) for change in OTHER)]
    assert len(set.union(*works)) == sum(map(len, works))


@given(json_values)
def test_the_order_of_keys_does_not_matter(value: Any) -> None:
    assert value_identity(reversed_keys(value)) == value_identity(value)
    assert uids(parameters={"a": value, "b": 1}) == uids(parameters={"b": 1, "a": reversed_keys(value)})


@given(json_values, json_values)
@example(1, True)
@example(0, False)
@example(0, None)
@example("1", 1)
@example("", None)
@example([], {})
@example([1, [2]], [[1], 2])
@example({"a": {"b": 1}}, {"a": 1, "b": 1})
@example(1, 1.0)
@example(0.0, -0.0)
@example(0.1, 0.1 + 2**-56)
@example("é", "e\u0301")
@example({"sop_instance_uid": "1.2.3"}, "1.2.3")
def test_values_have_one_digest_exactly_if_they_are_the_same_json(a: Any, b: Any) -> None:
    same = same_json(a, b)
    assert (value_identity(a) == value_identity(b)) == same
    assert (work_digest(**{**WORK, "parameters": {"x": a}}) == work_digest(**{**WORK, "parameters": {"x": b}})) == same


@pytest.mark.slow
@given(json_values)
def test_values_that_went_over_the_wire_are_the_same(value: Any) -> None:
    assert value_identity(json.loads(json.dumps(value))) == value_identity(value)


@given(st.text(max_size=3), st.text(max_size=3), st.text(max_size=3), st.text(max_size=3))
def test_words_do_not_run_into_each_other(a: str, b: str, c: str, d: str) -> None:
    first, second = (work_digest(**{**WORK, "bundle": x, "bundle_version": y}) for x, y in ((a, b), (c, d)))
    assert (first == second) == ((a, b) == (c, d))


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf]])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        value_identity(value)


@pytest.mark.parametrize("value", [{1: "a"}, {None: "a"}, b"bytes", {"a": {1, 2}}])
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="no JSON value|no name in JSON"):
        value_identity(value)
