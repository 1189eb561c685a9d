"""A drawable label map stays as it is; texture does not get through."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mammosynth.label_map import LabelMap
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.labels.drawable import (
    LEAST_AREA_MM2,
    drawable,
    is_drawable,
    open_and_close,
    pixel_mm_of,
    undrawable_share,
)

SIDE, PIXEL_MM = 128, 1.0
CUT_OFF_MM = 3.0


def drawn_by_hand() -> np.ndarray:
    """A breast with all classes, chest wall on the left."""
    y, x = np.ogrid[:SIDE, :SIDE]
    reach = np.hypot((y - 64) / 58, x / 80)
    labels = np.where(reach <= 1, BreastClass.SKIN, BreastClass.BACKGROUND).astype(np.uint8)
    labels[np.hypot((y - 64) / 55, x / 77) <= 1] = BreastClass.ADIPOSE
    labels[np.hypot((y - 64) / 30, (x - 35) / 28) <= 1] = BreastClass.FIBROGLANDULAR
    labels[(reach <= 1) & (y + x < 40)] = BreastClass.PECTORAL_MUSCLE
    labels[np.hypot(y - 64, x - 79) <= 5] = BreastClass.NIPPLE
    labels[np.hypot(y - 60, x - 40) <= 6] = BreastClass.MALIGNANT_LESION
    return labels


def textured(seed: int, sigma: float) -> np.ndarray:
    """The same breast, its gland a thresholded image."""
    labels = drawn_by_hand()
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(labels.shape), sigma)
    tissue = np.isin(labels, (BreastClass.ADIPOSE, BreastClass.FIBROGLANDULAR))
    labels[tissue] = np.where(noise > 0, BreastClass.FIBROGLANDULAR, BreastClass.ADIPOSE)[tissue]
    return labels


def test_what_was_drawn_by_hand_keeps_its_classes_and_its_lesion() -> None:
    labels = drawn_by_hand()
    smooth = drawable(labels, PIXEL_MM)
    assert (smooth != labels).mean() < 0.01
    assert set(np.unique(smooth)) == set(np.unique(labels))
    assert ((smooth == BreastClass.MALIGNANT_LESION) == (labels == BreastClass.MALIGNANT_LESION)).all()


@given(seed=st.integers(0, 10_000), sigma=st.sampled_from([0.0, 1.0, 2.0, 5.0]), pixel_mm=st.sampled_from([0.5, 1.0]))
@settings(max_examples=25, deadline=None, derandomize=True)
@pytest.mark.slow
def test_doing_it_twice_is_doing_it_once(seed: int, sigma: float, pixel_mm: float) -> None:
    once = drawable(textured(seed, sigma), pixel_mm)
    assert (drawable(once, pixel_mm) == once).all()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None, derandomize=True)
@pytest.mark.slow
def test_noise_of_all_classes_is_made_drawable(seed: int) -> None:
    noise = ndimage.zoom(np.random.default_rng(seed).integers(0, 9, (16, 16), np.uint8), 4, order=0)
    once = drawable(noise, PIXEL_MM)
    assert (drawable(once, PIXEL_MM) == once).all()


@pytest.mark.parametrize(("sigma", "left"), [(0.0, 0.2), (0.7, 0.35), (1.5, 0.75)])
def test_texture_is_not_drawable_and_does_not_get_through(sigma: float, left: float) -> None:
    labels = LabelMap(textured(3, sigma), "texture", pixel_spacing_mm=(PIXEL_MM, PIXEL_MM))
    assert undrawable_share(labels) > 0.1
    assert not is_drawable(labels)
    smooth = drawable(labels.labels, PIXEL_MM)
    for kind in (BreastClass.ADIPOSE, BreastClass.FIBROGLANDULAR):
        assert fine_share(smooth == kind) < left * fine_share(labels.labels == kind)


def test_an_outline_has_no_energy_beyond_the_cut_off() -> None:
    y, x = np.mgrid[:256, :256] - 128
    angle, pixel_mm = np.arctan2(y, x), 0.25
    labels = np.full(y.shape, BreastClass.ADIPOSE, np.uint8)
    # 100 teeth around a circle of 100 pixels: a wave of 6.3 pixels, 1.6 mm, at an amplitude of 1 mm.
    labels[np.hypot(y, x) <= 100 + 4 * np.cos(100 * angle)] = BreastClass.FIBROGLANDULAR
    smooth = drawable(labels, pixel_mm) == BreastClass.FIBROGLANDULAR

    def wave(mask: np.ndarray) -> float:
        at = np.linspace(0, 2 * np.pi, 2048, endpoint=False)
        reach = np.arange(80, 120, 0.25)
        rows, columns = 128 + np.sin(at)[:, None] * reach, 128 + np.cos(at)[:, None] * reach
        inside = ndimage.map_coordinates(mask.astype(np.float32), [rows, columns], order=1) > 0.5
        spectrum = np.abs(np.fft.rfft(inside.sum(axis=1) * 0.25)) * 2 / at.size
        return float(np.sqrt((spectrum[int(2 * np.pi * 100 * pixel_mm / CUT_OFF_MM) :] ** 2).sum() / 2))

    assert wave(labels == BreastClass.FIBROGLANDULAR) > 2.0
    assert wave(smooth) < 0.5  # of a pixel: the grid's


def test_islands_and_holes_under_25_mm2_are_filled() -> None:
    labels = drawn_by_hand()
    labels[100:104, 20:24] = BreastClass.FIBROGLANDULAR
    labels[50:54, 20:24] = BreastClass.ADIPOSE
    smooth = drawable(labels, PIXEL_MM)
    for kind in (BreastClass.ADIPOSE, BreastClass.FIBROGLANDULAR):
        pieces, _ = ndimage.label(smooth == kind)
        assert np.bincount(pieces.ravel())[1:].min() >= LEAST_AREA_MM2
    assert smooth[102, 22] == BreastClass.ADIPOSE
    assert smooth[52, 22] == BreastClass.FIBROGLANDULAR


def test_a_lesion_finer_than_anything_stays_as_it_is_drawn() -> None:
    labels = drawn_by_hand()
    lesion = np.zeros(labels.shape, bool)
    lesion[60, 20:60:2] = True
    labels[lesion] = BreastClass.CALCIFICATION
    assert ((drawable(labels, PIXEL_MM) == BreastClass.CALCIFICATION) == lesion).all()


def test_the_breast_is_one_piece_without_holes() -> None:
    labels = drawn_by_hand()
    labels[5:20, 100:115] = BreastClass.ADIPOSE
    labels[80:82, 30:32] = BreastClass.BACKGROUND
    breast = drawable(labels, PIXEL_MM) > 0
    assert ndimage.label(breast)[1] == 1
    assert ndimage.binary_fill_holes(breast).sum() == breast.sum()


def test_opening_and_closing_leaves_a_disk_and_drops_a_line() -> None:
    y, x = np.ogrid[:64, :64]
    disk = np.hypot(y - 32, x - 32) <= 15
    lined = disk.copy()
    lined[32, :] = True
    assert (open_and_close(lined, 5) == open_and_close(disk, 5)).all()
    assert (open_and_close(disk, 5) ^ disk).sum() < 30


def test_an_empty_map_stays_empty_and_spacing_is_assumed_from_the_height() -> None:
    assert not drawable(np.zeros((32, 32), np.uint8), 1.0).any()
    assert pixel_mm_of((1024, 300), None) == 0.25
    assert pixel_mm_of((1024, 300), (0.1, 0.3)) == 0.2


def fine_share(mask: np.ndarray) -> float:
    """Outline per area."""
    return float((mask ^ ndimage.binary_erosion(mask)).sum() / max(1, mask.sum()))
