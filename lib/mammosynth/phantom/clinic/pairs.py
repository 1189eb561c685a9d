"""Training pairs of phantoms in memory, for machines that have no DICOM library; `read` gives the same from files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mammosynth.mammogram import Mammogram
from mammosynth.phantom.clinic.case import PhantomView, generate_case
from mammosynth.phantom.parameters import CaseParameters, patient_id_of
from mammosynth.preprocessing.pairs import ContrastPair, ViewPair
from mammosynth.terms import PresentationIntentType, ViewPosition


def phantom_pairs(parameters: Sequence[CaseParameters], *, device: str = "cpu") -> Iterator[ContrastPair]:
    """Low-energy and recombined image of every view of every case, one by one.

    Args:
        parameters: Cases, in the order of the result.
        device: A torch device.
    """
    for case in parameters:
        for view in generate_case(case, device=device):
            yield contrast_pair(view, patient_id_of(case.seed))


def phantom_view_pairs(parameters: Sequence[CaseParameters], *, device: str = "cpu") -> Iterator[ViewPair]:
    """Both low-energy views of every breast of every case, one by one.

    Args:
        parameters: Cases with both views, in the order of the result.
        device: A torch device.
    """
    for case in parameters:
        views = {(view.image_laterality, view.view_position): view for view in generate_case(case, device=device)}
        for side in case.sides:
            cc, mlo = (views[side, position] for position in (ViewPosition.CC, ViewPosition.MLO))
            patient = patient_id_of(case.seed)
            yield ViewPair(_source(cc, patient), _source(mlo, patient), patient, _lesions(cc), _lesions(mlo))


def contrast_pair(view: PhantomView, patient_id: str) -> ContrastPair:
    """The pair of a view; its lesion masks are empty, not None, where it is known to have no lesion."""
    lesions = _lesions(view)
    return ContrastPair(
        low_energy=_source(view, patient_id),
        recombined=view.recombined,
        patient_id=patient_id,
        recombined_breast=view.paths.breast_mask,
        lesion=lesions,
        low_energy_lesion=lesions,
    )


def _source(view: PhantomView, patient_id: str) -> Mammogram:
    return Mammogram(
        pixels=view.low_energy,
        source_name=f"{patient_id} {view.image_laterality} {view.view_position}",
        view_position=view.view_position,
        image_laterality=view.image_laterality,
        pixel_spacing_mm=(view.pixel_mm, view.pixel_mm),
        presentation_intent_type=PresentationIntentType.FOR_PRESENTATION,
    )


def _lesions(view: PhantomView) -> np.ndarray:
    """(H, W) bool: any of them."""
    return np.logical_or.reduce(view.lesion_masks or (np.zeros(view.low_energy.shape, bool),))
