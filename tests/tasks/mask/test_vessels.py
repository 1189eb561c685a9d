"""Vessels: thin, within the frame, others by another seed."""

from __future__ import annotations

import numpy as np

from mammosynth.tasks.mask.drawing import Drawing
from mammosynth.tasks.mask.vessels import draw_vessels
from tests.support.drawn_breasts import drawn_breast


def test_vessels_are_thin_and_their_seeds() -> None:
    drawing = Drawing.of(drawn_breast(512))
    first, same, other = (draw_vessels(drawing, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    assert first.shape == drawing.labels.shape
    assert 0.002 < (first > 0.2).mean() < 0.15
    assert 0.3 < first.max() <= 1
