"""What a mask model must reach."""

from __future__ import annotations

import math
from dataclasses import dataclass

MARGIN = 1.5
"""A set may differ from real images by this many times the 95th percentile of what real halves differ by."""


@dataclass(frozen=True)
class Goal:
    """A range that a measure must lie in.

    Attributes:
        measure: Key of a method's measures.
        low: Smallest value that is accepted.
        high: Largest value that is accepted; a multiple of another number of the report if `times` is set.
        times: Key of the report's `real` numbers that `high` multiplies; "" if `high` stands for itself. Where the
            report lacks that number, the goal is neither reached nor missed.
    """

    measure: str
    low: float = -math.inf
    high: float = math.inf
    times: str = ""


GOALS = (
    Goal("frechet", high=MARGIN, times="frechet_95"),
    Goal("frechet_pretrained", high=MARGIN, times="frechet_pretrained_95"),
    Goal("ks_mean", high=MARGIN, times="ks95_mean"),
    Goal("ks_variance", high=MARGIN, times="ks95_variance"),
    Goal("ks_skewness", high=MARGIN, times="ks95_skewness"),
    Goal("ks_kurtosis", high=MARGIN, times="ks95_kurtosis"),
    Goal("ks_fifth moment", high=MARGIN, times="ks95_fifth moment"),
    Goal("beta_shift", high=0.15),
    Goal("auc", high=0.80),
    Goal("iou", low=0.97),
    Goal("lesion_ratio", low=0.7, high=1.4),
    Goal("gland_ratio", low=0.7, high=1.4),
    Goal("lesion_dice_ratio", low=0.9),
    Goal("nearest_share", high=0.01),
)
"""For sampled renderings; all at once."""
