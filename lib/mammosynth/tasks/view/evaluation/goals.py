"""What a view model must reach: the expected rendering by its error, the sampled one by its looks."""

from __future__ import annotations

from dataclasses import dataclass

from mammosynth.task import Rendering
from mammosynth.tasks.view.evaluation.floors import MEDIAN, RANDOM, RIDGE


@dataclass(frozen=True)
class Goal:
    """A bound for a measure.

    Attributes:
        measure: Key of a method's measures.
        bound: A number; or None for the same measure of the method `floor`.
        times: By what a floor's number is multiplied.
        floor: Of which method; "" for none.
        other: Key of the floor's measure if it is another one.
        at_least: Whether the measure must be above the bound, not below it.
    """

    measure: str
    bound: float | None = None
    times: float = 1.0
    floor: str = ""
    other: str = ""
    at_least: bool = False


_BOTH = (
    Goal("rank", 0.20),
    Goal("depth_error", floor="same depth"),
    Goal("contrast_ratio", 0.7, at_least=True),
    Goal("contrast_ratio", 1.4),
    Goal("radiomics", 0.5, at_least=True),
)
GOALS = {
    Rendering.EXPECTED: (
        Goal("padded_ssim", floor=MEDIAN, at_least=True),
        Goal("padded_psnr", floor=RIDGE, at_least=True),
        Goal("tight_ssim", floor=MEDIAN, at_least=True),
        Goal("tight_psnr", floor=MEDIAN, at_least=True),
        Goal("breast_mae", floor=RIDGE),
        *_BOTH,
    ),
    Rendering.SAMPLED: (
        Goal("beta_shift", 0.15),
        Goal("frechet", times=2.0, floor=RANDOM),
        Goal("padded_mae", floor=RANDOM),
        Goal("iou", 0.85, at_least=True),
        Goal("emd", times=0.5, floor="itself", other="emd_shuffled"),
        *_BOTH,
    ),
}
