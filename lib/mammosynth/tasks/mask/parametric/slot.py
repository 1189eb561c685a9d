"""`PARAMETRIC_SLOT`: a parametric breast as an input of the task, instead of a drawn label map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mammosynth.errors import MissingAttributeError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.task import Preview, Slot, SlotKind
from mammosynth.tasks.mask.labels.from_image import label_map_of
from mammosynth.tasks.mask.parametric.breast import PARAMETRIC_SCHEMA, ParametricBreast, Pathology
from mammosynth.tasks.mask.parametric.draw import label_map
from mammosynth.tasks.mask.parametric.fit import fit
from mammosynth.tasks.mask.parametric.population import SMALL, median_breast, random_breast, with_lesion
from mammosynth.tasks.mask.roles import BREAST, LABEL_MAP

PARAMETRIC_SHAPE = (2048, 1536)
"""In which a parametric breast is drawn."""
PREVIEW_SHAPE = (512, 384)
"""In which it is shown while it is chosen."""


def accept_parametric(values: Any) -> None:
    """Let a breast pass that can be drawn.

    Raises:
        InvalidParameterError: With what is impossible.
    """
    label_map(ParametricBreast(**values), SMALL)


def _drawn(values: Mapping[str, Any]) -> LabelMap:
    return label_map(ParametricBreast(**values), PREVIEW_SHAPE)


def _like(values: Mapping[str, Any]) -> ParametricBreast:
    """View, side and lesions of a breast, also of one that is impossible otherwise."""
    kept = ("view_position", "image_laterality", "lesions")
    return ParametricBreast(**{name: values[name] for name in kept if name in values})


def _median(values: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Of the same view and side."""
    like = _like(values)
    return median_breast(like.view_position, like.image_laterality).as_json()


def _random(values: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Of the same view and side, with as many lesions of each kind."""
    like = _like(values)
    lesions = [lesion.pathology for lesion in like.lesions]
    return random_breast(seed, like.view_position, like.image_laterality, lesions).as_json()


def _with_lesion(pathology: Pathology) -> Callable[[Mapping[str, Any], int], dict[str, Any]]:
    return lambda values, seed: with_lesion(ParametricBreast(**values), pathology, seed).as_json()


def _measured(image: Mammogram) -> dict[str, Any]:
    return fit(label_map_of(image), "ellipse").breast.as_json()


PARAMETRIC_SLOT = Slot(
    role=BREAST,
    kind=SlotKind.JSON,
    description="A compressed breast and its lesions as numbers, instead of a label map.",
    required=False,
    accept=accept_parametric,
    json_schema=PARAMETRIC_SCHEMA,
    preview=Preview(
        draw=_drawn,
        suggestions={
            "median": _median,
            "random": _random,
            "add_benign_lesion": _with_lesion("benign"),
            "add_malignant_lesion": _with_lesion("malignant"),
        },
        measure=_measured,
    ),
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
