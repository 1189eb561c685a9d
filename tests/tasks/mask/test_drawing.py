"""A label map as the network sees it: the frame and the way back, channels of a part as of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.drawing import MULTIPLE, ROWS, Drawing
from tests.support.drawn_breasts import drawn_breast, painted


@pytest.mark.parametrize("rows", [300, 512, 1400])
@pytest.mark.parametrize("mirrored", [False, True])
def test_an_image_comes_back_where_it_was(rows: int, mirrored: bool) -> None:
    labels = drawn_breast(rows, mirrored=mirrored)
    drawing = Drawing.of(labels)
    assert drawing.labels.shape[0] == ROWS
    assert drawing.labels.shape[1] % MULTIPLE == 0
    assert drawing.mirrored is mirrored
    image = painted(labels, grain=0.0)
    restored = drawing.restore(drawing.take(image))
    assert restored.shape == labels.shape
    inside = labels == BreastClass.FIBROGLANDULAR
    assert np.abs(restored - image)[inside].mean() < 0.01


def test_the_chest_wall_comes_to_the_left_and_the_breast_fills_the_frame() -> None:
    padded = np.pad(drawn_breast(512, mirrored=True), ((0, 0), (100, 0)))
    left, right = Drawing.of(drawn_breast(512)), Drawing.of(padded)
    assert np.array_equal(left.labels, right.labels)
    assert left.breast[:, :6].any()
    assert left.nipple == pytest.approx(right.nipple)


def test_without_a_drawn_nipple_the_outermost_place_is_taken() -> None:
    labels = drawn_breast(512)
    without = np.where(labels == BreastClass.NIPPLE, BreastClass.ADIPOSE, labels).astype(np.uint8)
    drawn, guessed = Drawing.of(labels).nipple, Drawing.of(without).nipple
    assert guessed == pytest.approx(drawn, abs=12)


def test_tissue_is_measured_without_the_rim_and_the_whole_where_there_is_too_little() -> None:
    drawing = Drawing.of(drawn_breast(512))
    dense, measured = drawing.tissue(dense=True), drawing.measured(dense=True)
    assert 0.95 * dense.sum() < measured.sum() < dense.sum()  # but for the chest wall, no gland lies at the rim
    assert drawing.measured(dense=False).sum() < drawing.tissue(dense=False).sum()
    plain = np.where(drawing.tissue(dense=True), BreastClass.ADIPOSE, drawing.labels).astype(np.uint8)
    without = Drawing.of(plain)
    assert np.array_equal(without.measured(dense=True), without.measured(dense=False))
