"""The form of masses: a malignant one has spicules, a benign one a smooth rim with a darker halo."""

from __future__ import annotations

import numpy as np

from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.lesions import lesion_form

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
