"""A judge that learned from the data set's own real masses, or says why there is none."""

import numpy as np
import pytest

from mammosynth.evaluation.statistics import resample_patients
from mammosynth.preprocessing.look import Look
from mammosynth.tasks.mask.evaluation.lesion_judge import LesionJudge
from mammosynth.tasks.mask.evaluation.protocol import Shown
from tests.support.drawn_breasts import mask_case


def shown(number: int, *, lesion: bool = True) -> Shown:
    case = mask_case(number, lesion=lesion)
    return Shown.of(case.image.pixels, case.labels.labels, Look.DIGITAL, generated=False)


@pytest.mark.slow
def test_masses_are_found_where_they_are_drawn_and_nowhere_else() -> None:
    judge = LesionJudge([shown(number) for number in range(20)], steps=60)
    real = [shown(number) for number in range(20, 26)]
    without = [Shown(shown(number, lesion=False).pixels, each.labels) for number, each in enumerate(real, start=20)]
    weights = resample_patients([str(number) for number in range(6)], 20)
    assert not judge.missing
    own, other = judge.measures(real, real, weights), judge.measures(without, real, weights)
    assert own["lesion_dice"]["value"] > 0.8
    assert own["lesion_dice_ratio"]["value"] == 1
    assert other["lesion_dice_ratio"]["value"] < 0.7


@pytest.mark.parametrize(
    ("count", "steps", "is_known", "reason"),
    [(20, 0, False, "switched off"), (20, 1, True, "judge another"), (5, 1, False, "5 masses, expected")],
)
def test_a_judge_that_is_missing_says_why(count: int, steps: int, is_known: bool, reason: str) -> None:
    image = shown(0)
    judge = LesionJudge([image] * count, steps=steps, is_known=is_known)
    assert reason in judge.missing
    assert judge.measures([image], [image], np.ones((1, 1)))["lesion_dice_ratio"] == {"value": None}
