"""What a contrast model must reach, and the published values to stand above: tables, and how a report reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CEILING = "shift 2 px"
"""The real image moved by what registration leaves: the ceiling beside every goal."""


@dataclass(frozen=True)
class Goal:
    """A range that a metric must lie in.

    Attributes:
        metric: Key of the report's metrics.
        low: Smallest value that is accepted.
        high: Largest value that is accepted.
    """

    metric: str
    low: float = -math.inf
    high: float = math.inf

    def is_reached(self, value: float | None) -> bool | None:
        """Whether the value lies in the range; None if there is no value."""
        return None if value is None else self.low <= value <= self.high

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"≥ {self.low:g}"
        return f"≤ {self.high:g}" if math.isinf(self.low) else f"{self.low:g} to {self.high:g}"


GOALS = (
    Goal("psnr", low=21.3),
    Goal("ssim", low=0.60),
    Goal("mae", high=0.064),
    Goal("ncc_interior", low=0.68),
    Goal("ncc_hp", low=0.55),
    Goal("dice_hot", low=0.47),
    Goal("auroc_hot", low=0.90),
    Goal("d_r", low=0.6),
    Goal("d_ratio", low=0.8, high=1.25),
    Goal("auroc_enhances", low=0.78),
    Goal("change_mae_r", low=0.93),
    Goal("change_ssim_r", low=0.60),
)
"""Ours, for split `test` of CDD-CESM (56 pairs, 31 patients, Protocol A): chosen between the best floor measured there
and the real image moved by 2 px, above a U-Net trained for 21 minutes. They hold for that split and protocol."""


@dataclass(frozen=True)
class Anchor:
    """A value of another system, measured by us on its own images, and which of our metrics stands beside it.

    Attributes:
        metric: Key of the report's metrics.
        value: What to exceed.
        flat: What the mean grey of other images scored on the same images: how easy they and their frame are.
        same_framing: Whether frame and mask are the other's, as far as is known.
        framing: In what frame ours is.
    """

    metric: str
    value: float
    flat: float
    same_framing: bool
    framing: str


ANCHORS = (
    Anchor("psnr_tight", 22.0, 20.74, True, "breast's box resized to 512 x 256, as there"),
    Anchor("ssim_tight", 0.503, 0.375, False, "the same, but a flat image shows that our images have less grain"),
    Anchor("psnr", 21.5, 20.13, False, "inside both breasts at 512 x 512, without a rim of 3 px"),
    Anchor("psnr_frame", 22.0, 20.74, False, "padded square: its black margin raises every method"),
    Anchor("ssim_frame", 0.503, 0.375, False, "padded square: its black margin raises every method"),
)
"""RISS (github.com/yyyhd/RISS): its 8 published outputs for CDD-CESM at 512 x 256, scored in float, and the mean of the
other seven on each one's breast. Other images than these, and few: 21.99 dB, 0.503, inside the breast 21.48 dB."""


def goal_rows(
    metrics: Mapping[str, dict[str, float | None]], paired: Mapping[str, Any], ceiling: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Every goal with a model's value, whether it is reached, the best floor and the ceiling.

    Args:
        metrics: The model's value and interval by metric.
        paired: The model against the best floor, by metric.
        ceiling: Values of the real image moved by 2 px.
    """
    return [
        {
            "metric": goal.metric,
            "goal": str(goal),
            **metrics[goal.metric],
            "reached": goal.is_reached(metrics[goal.metric]["value"]),
            "minus_best_floor": paired[goal.metric],
            "ceiling": ceiling[goal.metric]["value"],
        }
        for goal in GOALS
    ]


def anchor_rows(metrics: Mapping[str, dict[str, float | None]], floor: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every anchor with a model's value, whether that is above it, and what a flat image scores in either frame."""
    rows = []
    for anchor in ANCHORS:
        value = metrics[anchor.metric]["value"]
        rows.append(
            {
                "metric": anchor.metric,
                "anchor": anchor.value,
                **metrics[anchor.metric],
                "above": None if value is None else value > anchor.value,
                "anchor_flat": anchor.flat,
                "same_framing": anchor.same_framing,
                "framing": anchor.framing,
                "flat": floor[anchor.metric]["value"],
            }
        )
    return rows
