"""`SPECIFICATION`: what the house knows of the task."""

from __future__ import annotations

from mammosynth.errors import MissingAttributeError, UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.task import Placement, Slot, SlotKind, TaskSpec
from mammosynth.tasks.view.roles import BAND, LESIONS, MASK, SOURCE, VIEW
from mammosynth.terms import ViewPosition

CLASSES = {1: "malignant lesion", 2: "benign lesion"}


def accept_craniocaudal(source: Mammogram) -> None:
    """Let craniocaudal views pass.

    Raises:
        MissingAttributeError: If the view is not known.
        UnsupportedImageError: If it is another one.
    """
    if source.view_position is None:
        raise MissingAttributeError(f"{source.source_name}: says no view position, expected CC; set view_position")
    if source.view_position is not ViewPosition.CC:
        raise UnsupportedImageError(
            f"{source.source_name}: is a view {source.view_position}, expected CC; choose the craniocaudal view of the "
            "same breast"
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
    description="The mediolateral oblique view of a breast, from its craniocaudal view and the lesions drawn on it.",
    slots=(
        Slot(SOURCE, SlotKind.IMAGE, "A craniocaudal mammogram.", accept=accept_craniocaudal),
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
