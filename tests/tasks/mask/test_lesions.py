"""Forms: a malignant mass has spicules, a benign one a smooth rim with a darker halo, a calcification is a speck."""

from __future__ import annotations

import numpy as np
import pytest

from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.lesions import calcification_form, lesion_form

_DISTANCE = np.hypot(*(np.indices((96, 96)) - 48))
_OUTSIDE = (_DISTANCE > 14) & (_DISTANCE < 18)


def _form(kind: BreastClass) -> np.ndarray:
    labels = np.where(_DISTANCE <= 12, kind, BreastClass.ADIPOSE).astype(np.uint8)
    return lesion_form(labels, np.random.default_rng(0))


def test_a_benign_mass_has_a_halo_and_no_spicules() -> None:
    form = _form(BreastClass.BENIGN_LESION)
    assert form[_OUTSIDE].mean() < -0.02
    assert form[_OUTSIDE].max() <= 0.05
    assert form[_DISTANCE < 6].min() > 0.5


def test_a_malignant_mass_has_spicules() -> None:
    form = _form(BreastClass.MALIGNANT_LESION)
    assert form[_OUTSIDE].max() > 0.15
    assert np.median(form[_OUTSIDE]) < 0.1


def test_other_tissue_has_no_form() -> None:
    assert not _form(BreastClass.FIBROGLANDULAR).any()


def test_calcifications_are_brightest_in_the_middle_and_each_has_its_own_brightness() -> None:
    labels = np.zeros((96, 96), np.uint8)
    labels[20:27, 20:27] = labels[60:67, 60:67] = BreastClass.CALCIFICATION
    form = calcification_form(labels, np.random.default_rng(0))
    peaks = form[23, 23], form[63, 63]
    assert form.max() == pytest.approx(max(peaks), rel=0.05)
    assert min(peaks) > 0.4
    assert abs(peaks[0] - peaks[1]) > 0.05
    assert not form[40:50].any()


def test_without_calcifications_nothing_random_is_taken() -> None:
    random = np.random.default_rng(0)
    assert not calcification_form(np.zeros((8, 8), np.uint8), random).any()
    assert random.random() == np.random.default_rng(0).random()
