"""`PARAMETRIC_SLOT`: a parametric breast as an input of the task, instead of a drawn label map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mammosynth.errors import MissingAttributeError
from mammosynth.label_map import LabelMap
from mammosynth.task import Slot, SlotKind
from mammosynth.tasks.mask.parametric.breast import PARAMETRIC_SCHEMA, ParametricBreast
from mammosynth.tasks.mask.parametric.draw import label_map
from mammosynth.tasks.mask.roles import BREAST, LABEL_MAP


def accept_parametric(values: Any) -> None:
    """Let a breast pass that can be drawn.

    Raises:
        InvalidParameterError: With what is impossible.
    """
    label_map(ParametricBreast(**values), (64, 96))


PARAMETRIC_SLOT = Slot(
    role=BREAST,
    kind=SlotKind.JSON,
    description="A compressed breast and its lesions as numbers, instead of a label map.",
    required=False,
    accept=accept_parametric,
    json_schema=PARAMETRIC_SCHEMA,
)


def given_label_map(inputs: Mapping[str, Any], shape: tuple[int, int]) -> LabelMap:
    """What was drawn; else the parametric breast, drawn.

    Args:
        inputs: By role.
        shape: (H, W) in which a parametric breast is drawn.

    Raises:
        InvalidParameterError: If the parametric breast is impossible.
        MissingAttributeError: If there is neither.
    """
    if LABEL_MAP in inputs:
        return inputs[LABEL_MAP]
    if BREAST not in inputs:
        raise MissingAttributeError(f"inputs '{LABEL_MAP}' and '{BREAST}' are both missing: give one of them")
    return label_map(ParametricBreast(**inputs[BREAST]), shape)
