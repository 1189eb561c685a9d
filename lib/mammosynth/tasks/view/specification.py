"""`SPECIFICATION`: what the house knows of the task."""

from __future__ import annotations

from mammosynth.errors import MissingAttributeError, UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.task import Placement, Slot, SlotKind, TaskSpec
from mammosynth.tasks.view.roles import BAND, LESIONS, MASK, SOURCE, VIEW
from mammosynth.terms import ViewPosition

CLASSES = {1: "malignant lesion", 2: "benign lesion"}


def accept_view(source: Mammogram) -> None:
    """Let mammograms pass whose view is known.

    Raises:
        MissingAttributeError: If it is not.
    """
    if source.view_position is None:
        raise MissingAttributeError(
            f"{source.source_name}: says no view position, expected {' or '.join(ViewPosition)}; set view_position"
        )


def accept_lesions(drawn: LabelMap) -> None:
    """Let a drawing pass on which something is drawn.

    Raises:
        UnsupportedImageError: If nothing is.
    """
    if not drawn.labels.any():
        raise UnsupportedImageError(f"{drawn.source_name}: nothing is drawn; draw a lesion, or leave this input out")


SPECIFICATION = TaskSpec(
    name=VIEW,
    title="View",
    description="The other standard view of a breast, MLO from CC or CC from MLO, with the lesions drawn on it.",
    slots=(
        Slot(SOURCE, SlotKind.IMAGE, "A mammogram, CC or MLO.", accept=accept_view),
        Slot(
            LESIONS,
            SlotKind.LABEL_MAP,
            "Lesions drawn on it.",
            required=False,
            on=SOURCE,
            classes=CLASSES,
            accept=accept_lesions,
        ),
    ),
    placement=Placement.SAME_STUDY,
    dataset="mammosynth.tasks.view.data:DATASET",
    objectives="mammosynth.tasks.view.objectives.registry:OBJECTIVES",
    evaluation="mammosynth.tasks.view.evaluation:EVALUATION",
    targets=("mammosynth.tasks.view",),
    given_with={MASK: LESIONS, BAND: LESIONS},
)
