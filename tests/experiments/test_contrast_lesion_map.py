"""What is added to an image is found again where it is known, and no patient is in two folds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.contrast_lesion_map import FOLDS, LesionHead, Seen, Shown, changed, fit, folds_of, judge_maps
from mammosynth.tasks.contrast.evaluation.metrics import lesion_contrast
from tests.support.evaluation import phantom_case


def shown(lesion_grey: float) -> Shown:
    """The expected image lacks the lesion; the map shows half of it, readers drew it."""
    case = phantom_case(lesion_grey)
    expected = np.where(case.lesion, 0.3, case.recombined).astype(np.float32)
    drawn = case.lesion.astype(np.float32)
    return Shown(case, expected, drawn / 2, drawn)


def test_the_lesion_that_is_missing_is_added() -> None:
    train = [shown(0.6), shown(0.8)]
    for by_readers, share in ((True, 0.4), (False, 0.8)):
        (found,) = fit(train, ("map",), 0.0, by_readers=by_readers)
        assert found == pytest.approx(share, abs=0.01)
        image = changed(shown(0.7), ("map",), np.array([found]), by_readers=by_readers)
        assert lesion_contrast(image, train[0].case)[0] == pytest.approx(0.4, abs=0.01)


def test_contrast_counts_where_a_map_that_is_wrong_elsewhere_costs_too_much() -> None:
    one = shown(0.7)
    wrong = replace(one, found=np.where(one.case.lesion, 1.0, 0.4 * one.case.breast).astype(np.float32))
    small, large = (fit([wrong], ("map",), counts, by_readers=False)[0] for counts in (0.0, 10.0))
    assert small < 0.3 < large


def test_all_images_of_a_patient_are_in_one_fold() -> None:
    patients = [f"P{number // 3}" for number in range(30)]
    folds = folds_of(patients)
    assert {len(set(folds[start : start + 3])) for start in range(0, 30, 3)} == {1}
    assert set(folds) == set(range(FOLDS))


def test_a_map_that_knows_scores_one_and_its_opposite_none() -> None:
    lesion = torch.zeros(2, 2, 64, 48, dtype=torch.float16)
    lesion[:, :, 20:30, 10:20] = 1
    empty = torch.empty(2, 0)
    seen = Seen(["P1", "P2"], empty, empty, empty, torch.ones(2, 64, 48, dtype=torch.float16), lesion)
    right = lesion[:, 0].float().numpy()
    assert [judge_maps(right, seen)[key]["value"] for key in ("auroc", "hit")] == [1.0, 1.0]
    assert [judge_maps(1 - right, seen)[key]["value"] for key in ("auroc", "hit")] == [0.0, 0.0]


def test_the_head_gives_two_maps_on_the_fine_grid() -> None:
    fine, coarse, own = torch.rand(2, 40, 16, 12), torch.rand(2, 192, 8, 6), torch.rand(2, 12, 16, 12)
    assert LesionHead()(fine, coarse, own).shape == (2, 2, 16, 12)
