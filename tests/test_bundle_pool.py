"""A bundle in a worker gives what it gives here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from mammosynth.bundle_pool import parts_of, synthesize_in
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.terms import ViewPosition
from tests.support.models import Counting, bundle_of


class Here:
    """A pool whose only worker is this process."""

    def __init__(self, parts: dict[str, Callable[[], Any]]) -> None:
        self._workers = {name: load() for name, load in parts.items()}

    def call(self, name: str, job: Any, *, progress: Any, is_unwanted: Callable[[], bool]) -> Any:
        return self._workers[name](job, progress)


def test_result_and_remarks_are_those_of_this_process() -> None:
    bundle = bundle_of(Counting())
    inputs = {
        "source": Mammogram(np.full((8, 6), 0.25, np.float32), "IM1", view_position=ViewPosition.CC),
        "lesions": LabelMap(np.ones((8, 6), np.uint8), "drawn"),
    }
    pool = Here(parts_of([bundle], "cpu"))
    there = synthesize_in(pool, lambda: False, bundle, inputs, progress=lambda *_: None, seed=3)
    here = bundle.synthesize(inputs, seed=3)
    np.testing.assert_array_equal(there.image.pixels, here.image.pixels)
    assert there.remarks == here.remarks
    assert there.inputs.keys() == here.inputs.keys()
    assert dataclasses.replace(there.provenance, created=here.provenance.created) == here.provenance
