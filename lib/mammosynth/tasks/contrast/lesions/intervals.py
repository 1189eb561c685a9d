"""`lesion_intervals`: how bright each drawn lesion is in the expected image, and between which values it may really be.

The promise is the one that the evaluation judges (`evaluation.coverage`): its regions, its contrast, its interval, in
its frame of 512 pixels, which the breast fills.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from mammosynth.errors import InvalidParameterError, UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.frame import BreastFrame
from mammosynth.tasks.contrast.calibration import BARE, NORMAL_90
from mammosynth.tasks.contrast.evaluation.metrics import lesion_contrast
from mammosynth.tasks.contrast.evaluation.protocol import FRAME, NIPPLE, SKIN, Case

if TYPE_CHECKING:
    from mammosynth.tasks.contrast.synthesizer import ContrastSynthesizer, Prediction

CONNECTED = np.ones((3, 3), int)
"""Pixels that touch by a corner are one lesion."""
LEAST_PX = 16
"""Smaller ones, in pixels of the frame, are slips of the pen."""


@dataclass(frozen=True)
class LesionInterval:
    """One lesion.

    Attributes:
        name: What it is called; with its place where nobody gave it a name, or two have the same.
        row: Of its centre, in the source's matrix.
        column: Likewise.
        pixels: How many of the source are drawn.
        contrast: Lesion minus the tissue around it, in grey values of [0, 1]; None where it cannot be measured.
        low: Lower end of the 90 % interval; None likewise.
        high: Upper end.
    """

    name: str
    row: int
    column: int
    pixels: int
    contrast: float | None = None
    low: float | None = None
    high: float | None = None


def lesion_intervals(
    synthesizer: ContrastSynthesizer,
    source: Mammogram,
    drawn: np.ndarray,
    names: Mapping[int, str] | None = None,
    *,
    predict: Callable[[], Prediction] | None = None,
) -> list[LesionInterval]:
    """Every drawn lesion, by its number, then from top to bottom; what touches is one, unless numbers differ.

    A lesion near skin or nipple, or with too little tissue around it, has no contrast: intervals were never judged
    there.

    Args:
        synthesizer: Of a calibrated ensemble.
        source: A low-energy view; its view position is set.
        drawn: (H, W) bool or uint8, in the matrix of the source; 0 is no lesion.
        names: What numbers of it are called; others are "Lesion 1" and so on.
        predict: Gives what the network says of the source, for who needs it as well; None: it is run here.

    Raises:
        InvalidParameterError: If the model promises nothing.
        MissingAttributeError: If the source has no view position.
        UnsupportedImageError: If shapes differ, nothing is drawn, or no breast is found.
    """
    if not synthesizer.has_members or synthesizer.calibration == BARE:
        raise InvalidParameterError(
            "this model has no calibrated uncertainty, so it promises no intervals; choose one that has, for example "
            "breast_cem_residual"
        )
    if drawn.shape != source.pixels.shape:
        raise UnsupportedImageError(
            f"the drawing has {drawn.shape[0]} x {drawn.shape[1]} pixels, the image {source.pixels.shape[0]} x "
            f"{source.pixels.shape[1]}; draw on the image itself"
        )
    if not drawn.any():
        raise UnsupportedImageError("nothing is drawn, expected at least one lesion; draw it on the low-energy image")
    prediction = synthesizer.predict(source) if predict is None else predict()
    image = synthesizer.expected(prediction)
    half = NORMAL_90 * synthesizer.calibration.contrast * synthesizer.uncertainty(prediction, image)
    frame = BreastFrame.around(prediction.prepared.source_breast_mask, FRAME, source.source_name)
    maps = image, half, source.pixels, prediction.prepared.source_breast_mask
    framed, framed_half, low_energy, breast = (frame.apply(each) for each in maps)
    outside = frame.apply(drawn > 0) <= 0.5
    found: list[LesionInterval] = []
    for number, lesion in _lesions(drawn):
        region = frame.apply(lesion) > 0.5
        if region.sum() < LEAST_PX:
            continue
        inside = breast > 0.5
        case = Case(
            name=source.source_name,
            patient_id="",
            view_position=prediction.prepared.view_position,
            mirrored=frame.mirrored,
            low_energy=low_energy,
            recombined=framed,
            breast=inside,
            recombined_breast=inside & (outside | region),  # other lesions are no tissue
            lesion=inside & region,
        )
        row, column = (round(float(place)) for place in ndimage.center_of_mass(lesion))
        name = (names or {}).get(number) or f"Lesion {len(found) + 1}"
        found.append(LesionInterval(name, row, column, int(lesion.sum()), *_measured(case, framed, framed_half)))
    calls, known = Counter(each.name for each in found), set((names or {}).values())
    return [each if calls[each.name] == 1 and each.name in known else _with_place(each) for each in found]


def _lesions(drawn: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Number and (H, W) bool of each."""
    for value in sorted({int(value) for value in np.unique(drawn)} - {0}):
        numbered, _ = ndimage.label(drawn == value, CONNECTED)
        for number, box in enumerate(ndimage.find_objects(numbered), start=1):
            lesion = np.zeros(drawn.shape, bool)
            lesion[box] = numbered[box] == number
            yield value, lesion


def _with_place(found: LesionInterval) -> LesionInterval:
    return replace(found, name=f"{found.name}, row {found.row}, column {found.column}")


def _measured(case: Case, image: np.ndarray, half: np.ndarray) -> tuple[float, float, float] | tuple[()]:
    """Contrast and interval; empty where none can be told."""
    if not case.has_ring:
        return ()
    contrast, _ = lesion_contrast(image, case)
    width = float(half[case.interior_lesion].mean())
    return contrast, contrast - width, contrast + width


def in_words(found: LesionInterval) -> str:
    """What is told of a lesion, for a person."""
    if found.contrast is None or found.low is None or found.high is None:
        skin, nipple = (f"{100 * distance / FRAME[0]:.0f} %" for distance in (SKIN, NIPPLE))
        return (
            f"{found.name}: no contrast is told. It lies nearer to the skin than about {skin} of the breast's height, "
            f"or to the nipple than {nipple}, or has too little tissue around it; intervals were never judged there."
        )
    expected, low, high = (f"{value:+z.2f}" for value in (found.contrast, found.low, found.high))
    none = "within" if found.low <= 0 <= found.high else "outside"
    return (
        f"{found.name}: expected contrast {expected} to the tissue around it (black is 0, white is 1); 90 % of lesions "
        f"like it lie between {low} and {high}: no enhancement is {none} what is expected."
    )
