"""`lesions_told`: contrasts of drawn lesions, as clients of every kind are told them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from mammosynth.dicom.segmentation import described_segments
from mammosynth.errors import UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.task import Remark
from mammosynth.tasks.contrast.evaluation.protocol import FRAME
from mammosynth.tasks.contrast.lesions.intervals import LEAST_PX, LesionInterval, in_words, lesion_intervals
from mammosynth.tasks.contrast.specification import LESIONS

if TYPE_CHECKING:
    from mammosynth.tasks.contrast.synthesizer import ContrastSynthesizer, Prediction


def intervals_of(
    synthesizer: ContrastSynthesizer,
    source: Mammogram,
    drawn: LabelMap,
    *,
    predict: Callable[[], Prediction] | None = None,
) -> list[LesionInterval]:
    """As `lesion_intervals`, by the names of segments where somebody gave them; errors name the drawing.

    Args:
        synthesizer: Of a calibrated ensemble.
        source: A low-energy view; its view position is set.
        drawn: On it. Of a picture every value but 0 is lesion, since masks are often saved with soft edges.
        predict: As for `lesion_intervals`.

    Raises:
        MammoSynthError: As `lesion_intervals`.
        UnsupportedImageError: If there is nothing but slips of the pen.
    """
    described = {} if drawn.header is None else described_segments(drawn.header)
    labels: np.ndarray = drawn.labels if described else drawn.labels > 0
    try:
        names = {number: label for number, (label, _) in described.items()}
        found = lesion_intervals(synthesizer, source, labels, names, predict=predict)
    except UnsupportedImageError as error:
        raise UnsupportedImageError(f"{drawn.source_name}: {error}") from None
    if not found:
        raise UnsupportedImageError(
            f"{drawn.source_name}: what is drawn has fewer than {LEAST_PX} pixels where the breast fills {FRAME[0]}, "
            "expected a whole lesion; draw around all of it"
        )
    return found


def lesions_told(
    synthesizer: ContrastSynthesizer, source: Mammogram, drawn: LabelMap, predict: Callable[[], Prediction]
) -> tuple[Remark, ...]:
    """A remark for each lesion; see `intervals_of`."""
    found = intervals_of(synthesizer, source, drawn, predict=predict)
    return tuple(Remark(LESIONS, in_words(each), asdict(each)) for each in found)
