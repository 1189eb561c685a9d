"""Goals and anchors as tables."""

import pytest

from mammosynth.tasks.contrast.evaluation.goals import ANCHORS, GOALS, Goal, anchor_rows, goal_rows
from mammosynth.tasks.contrast.evaluation.report import COLUMNS


@pytest.mark.parametrize(
    ("goal", "value", "reached"),
    [
        (Goal("psnr", low=21.3), 21.3, True),
        (Goal("psnr", low=21.3), 21.29, False),
        (Goal("mae", high=0.064), 0.05, True),
        (Goal("mae", high=0.064), 0.07, False),
        (Goal("d_ratio", low=0.8, high=1.25), 1.3, False),
        (Goal("d_ratio", low=0.8, high=1.25), None, None),
    ],
)
def test_goal_is_reached_on_its_bound(goal: Goal, value: float | None, reached: bool | None) -> None:
    assert goal.is_reached(value) is reached


def test_goals_say_their_range() -> None:
    assert [str(goal) for goal in GOALS[:3]] == ["≥ 21.3", "≥ 0.6", "≤ 0.064"]
    assert str(Goal("d_ratio", low=0.8, high=1.25)) == "0.8 to 1.25"


def test_every_goal_and_anchor_is_a_metric_that_is_printed() -> None:
    assert {row.metric for row in (*GOALS, *ANCHORS)} <= set(COLUMNS)


def test_rows_put_value_floor_and_ceiling_side_by_side() -> None:
    metrics = {metric: {"value": 22.5, "low": 22.0, "high": 23.0} for metric in COLUMNS}
    paired = {metric: {"best_floor": "F2b", "value": 1.0} for metric in COLUMNS}
    psnr, *_ = goal_rows(metrics, paired, {metric: {"value": 26.6} for metric in COLUMNS})
    assert psnr == {
        "metric": "psnr", "goal": "≥ 21.3", "value": 22.5, "low": 22.0, "high": 23.0, "reached": True,
        "minus_best_floor": {"best_floor": "F2b", "value": 1.0}, "ceiling": 26.6,
    }  # fmt: skip
    tight, *_ = anchor_rows(metrics, {metric: {"value": 18.0} for metric in COLUMNS})
    assert (tight["above"], tight["flat"], tight["anchor_flat"], tight["same_framing"]) == (True, 18.0, 20.74, True)
