"""Style: what is measured is what was painted."""

from __future__ import annotations

import numpy as np
import pytest

from mammosynth.preprocessing.look import Look
from mammosynth.tasks.mask.drawing import Drawing
from mammosynth.tasks.mask.style import KNOWN, Style, about, measure_style, wall_share
from mammosynth.terms import ViewPosition
from tests.support.drawn_breasts import drawn_breast, painted


def test_the_measured_style_is_what_was_painted() -> None:
    labels = drawn_breast(512)
    drawing = Drawing.of(labels)
    fine, coarse = (measure_style(drawing.take(painted(labels, grain=grain)), drawing) for grain in (0.02, 0.08))
    assert fine.adipose == pytest.approx(0.2, abs=0.02)
    assert fine.dense == pytest.approx(0.5, abs=0.05)  # with the lesion in it
    assert coarse.adipose_bands[0] - fine.adipose_bands[0] == pytest.approx(np.log(4), abs=0.35)
    assert fine.lesion == pytest.approx(0.7 - 0.5, abs=0.05)
    assert Style.of(fine.numbers()).numbers() == pytest.approx(fine.numbers())


def test_without_a_lesion_its_contrast_is_unknown() -> None:
    labels = drawn_breast(512, lesion=False)
    drawing = Drawing.of(labels)
    assert np.isnan(measure_style(drawing.take(painted(labels)), drawing).lesion)


def test_what_is_known_of_a_label_map() -> None:
    known = about(Drawing.of(drawn_breast(512)), ViewPosition.MLO, Look.FILM, "c")
    assert known.shape == (len(KNOWN),)
    assert known[4:].tolist() == [1.0, 1.0, 0.0, 0.0, 1.0, 0.0]
    unknown = about(Drawing.of(drawn_breast(512)), None, Look.DIGITAL, None)
    assert unknown[4:].tolist() == [0.0] * 6


def test_the_slope_to_the_skin_is_told_and_is_no_detail() -> None:
    labels = drawn_breast(512)
    drawing = Drawing.of(labels)
    flat = drawing.take(painted(labels, grain=0.02))
    sloped = flat * np.clip(0.2 + drawing.depth.astype(np.float32) / 40, 0, 1)
    plain, found = (measure_style(pixels, drawing) for pixels in (flat, sloped))
    assert plain.rim[3:] == pytest.approx([1, 1, 1], abs=0.1)
    assert list(found.rim[1:]) == sorted(found.rim[1:])
    assert found.rim[1] < 0.5
    assert found.adipose_bands == pytest.approx(plain.adipose_bands, abs=0.25)


def test_the_frame_at_the_chest_wall_is_told() -> None:
    drawing = Drawing.of(drawn_breast(512))
    pixels = np.where(drawing.column <= 2, 0.1, 0.4).astype(np.float32) * drawing.breast
    assert wall_share(pixels, drawing) == pytest.approx(0.25)
