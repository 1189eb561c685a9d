"""Descriptions of series tell results apart and fit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammosynth.dicom.description import series_description
from mammosynth.mammogram import Mammogram
from mammosynth.task import IMAGE, LABELS, UNCERTAINTY
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.provenance import provenance

SAMPLED = {"rendering": "sampled", "seed": 12}
CHANGED = {"bundle": "b", "changed": ("uncertainty", "strength", "x")}
R_MLO = Mammogram(np.zeros((2, 2), np.float32), "a", ViewPosition.MLO, ImageLaterality.RIGHT)
RESIDUAL = {"bundle": "breast_cem_residual", "bundle_version": "0.2.0"}


@pytest.mark.parametrize(
    ("role", "view", "changes", "expected"),
    [
        (IMAGE, R_MLO, {}, "SYNTHETIC contrast R MLO expected breast_cem_residual 0.2.0"),
        (UNCERTAINTY, R_MLO, {}, "SYNTHETIC contrast uncertainty R MLO expected cem_residual 0.2.0"),
        (LABELS, R_MLO, {}, "SYNTHETIC contrast labels R MLO expected cem_residual 0.2.0"),
        (IMAGE, None, {}, "SYNTHETIC contrast expected breast_cem_residual 0.2.0"),
        (IMAGE, R_MLO, SAMPLED, "SYNTHETIC contrast R MLO sampled seed 12 cem_residual 0.2.0"),
        (IMAGE, R_MLO, CHANGED, "SYNTHETIC contrast R MLO expected b 0.2.0 strength=0.5"),
    ],
)
def test_a_description_names_view_rendering_and_model(
    role: str, view: Mammogram | None, changes: dict[str, Any], expected: str
) -> None:
    made_by = provenance(**{**RESIDUAL, "parameters": {"strength": 0.5, "x": "a" * 64}, **changes})
    assert series_description(made_by, role, view) == expected


@given(st.text(), st.text(), st.text(max_size=80), st.integers(0, 2**31 - 1))
def test_any_name_fits(task: str, bundle: str, version: str, seed: int) -> None:
    made_by = provenance(task=task, bundle=bundle, bundle_version=version, seed=seed, rendering="sampled")
    text = series_description(made_by, UNCERTAINTY, R_MLO)
    assert text.startswith("SYNTHETIC")
    assert text.isascii()
    assert "\\" not in text
    assert len(text) <= 64
