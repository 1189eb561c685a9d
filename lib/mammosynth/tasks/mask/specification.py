"""`SPECIFICATION`: what the house knows of the task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mammosynth.errors import UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.task import Placement, Slot, SlotKind, TaskSpec
from mammosynth.tasks.mask.classes import CLASSES, LESIONS, is_lesion
from mammosynth.tasks.mask.labels.from_image import label_map_of
from mammosynth.tasks.mask.parametric.slot import PARAMETRIC_SLOT
from mammosynth.tasks.mask.roles import LABEL_MAP, MASK

LEAST_SHARE = 0.02
"""Of the map that must be breast."""


def accept_breast(drawn: LabelMap) -> None:
    """Let a drawing pass that shows a breast, not lesions alone.

    Raises:
        UnsupportedImageError: If less than 2 % of it is breast.
    """
    breast = (drawn.labels > 0) & ~is_lesion(drawn.labels)
    if breast.mean() < LEAST_SHARE:
        raise UnsupportedImageError(
            f"{drawn.source_name}: {100 * breast.mean():.1f} % of it is breast (classes 1 to 5), expected "
            f"{LEAST_SHARE:.0%} and more; draw the breast first, or begin with the breast that an image shows"
        )


def complete_breast(drawn: LabelMap, image: Callable[[], Mammogram]) -> LabelMap:
    """Lesions that were drawn on a mammogram, in the breast that it shows; other drawings as they are.

    Raises:
        UnsupportedImageError: If the image shows no breast, or no lesion lies within it.
    """
    if not is_lesion(drawn.labels).any() or (~is_lesion(drawn.labels) & (drawn.labels > 0)).any():
        return drawn
    lesions = {kind: drawn.labels == kind for kind in LESIONS}
    whole = label_map_of(image(), lesions)
    if not is_lesion(whole.labels).any():
        raise UnsupportedImageError(f"{drawn.source_name}: no lesion lies within the breast; draw one inside")
    return replace(whole, source_name=drawn.source_name, header=drawn.header)


SPECIFICATION = TaskSpec(
    name=MASK,
    title="Mask",
    description="A whole mammogram, from a label map of the breast or from its parameters.",
    slots=(
        Slot(
            role=LABEL_MAP,
            kind=SlotKind.LABEL_MAP,
            description="The parts of a breast in CC or MLO view, and its lesions. Lesions alone, drawn on a "
            "mammogram, get the breast that it shows.",
            required=False,
            classes=CLASSES,
            lesions=LESIONS,
            from_image=label_map_of,
            accept=accept_breast,
            complete=complete_breast,
        ),
        PARAMETRIC_SLOT,
    ),
    placement=Placement.NEW_STUDY,
    dataset="mammosynth.tasks.mask.data:DATASET",
    objectives="mammosynth.tasks.mask.objectives.registry:OBJECTIVES",
    evaluation="mammosynth.tasks.mask.evaluation:EVALUATION",
    bulk="mammosynth.tasks.mask.bulk.write:write_data_set",
    targets=("mammosynth.tasks.mask",),
)
