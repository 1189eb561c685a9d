"""The truth about a view as DICOM Segmentations: its lesions, and which tissue is on most of each ray."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from mammosynth.dicom.breast_codes import FATTY_TISSUE, FIBROGLANDULAR_TISSUE, SKIN
from mammosynth.dicom.segmentation import encode_segmentation
from mammosynth.phantom.clinic.case import PhantomView
from mammosynth.phantom.clinic.export import GENERATOR_VERSION, PhantomExam, describe_exam, set_series
from mammosynth.phantom.imaging.paths import PathLengths
from mammosynth.phantom.parameters import LesionKind

LESIONS, TISSUES = "lesions", "tissues"
_SERIES_NUMBERS = {LESIONS: 10, TISSUES: 11}  # behind those of the images
_TRUTH = Code("PHANTOM", "99MAMMOSYNTH", "Simulation with known truth")  # CID 7162 has no such algorithm
_ABNORMAL, _TISSUE = codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Tissue


class Tissue(IntEnum):
    """Labels of the tissue map, numbered as in the VICTRE breast phantom (Graff 2016, doi:10.1117/12.2216312)."""

    FAT = 1
    SKIN = 2
    GLAND = 29
    MUSCLE = 40
    CALCIFICATION = 250


_CODES = {
    Tissue.FAT: FATTY_TISSUE,
    Tissue.SKIN: SKIN,
    Tissue.GLAND: FIBROGLANDULAR_TISSUE,
    Tissue.MUSCLE: codes.SCT.PectoralisMajorMuscle,
    Tissue.CALCIFICATION: codes.SCT.CalcificationOfBreast,
}
_LESION_CODES = {
    LesionKind.NON_MASS: Code("129789007", "SCT", "Focal asymmetric breast tissue"),
    LesionKind.CALCIFICATIONS: codes.SCT.CalcificationCluster,
}  # all others are masses


@dataclass(frozen=True, eq=False)
class _Segment:
    """One segment: its names, its code, and (H, W) bool."""

    label: str
    tracking_id: str
    tracking_uid: str
    category: Code
    kind: Code
    mask: np.ndarray


def tissue_map(paths: PathLengths, *, with_lesions: bool = True) -> np.ndarray:
    """The tissue that is longest on each ray; any calcification on it comes before all others.

    Args:
        paths: What is on the rays.
        with_lesions: Whether lesions count, as fibroglandular tissue and with their calcifications.

    Returns:
        (H, W) uint8 of `Tissue`, 0 in air.
    """
    adipose, gland, skin, muscle, calcium, _ = paths.material_lengths(with_lesions=with_lesions)
    tissues = np.array([Tissue.FAT, Tissue.GLAND, Tissue.SKIN, Tissue.MUSCLE], np.uint8)
    longest = tissues[np.argmax(np.stack((adipose, gland, skin, muscle)), axis=0)]
    longest[calcium > 0] = Tissue.CALCIFICATION
    return np.where(paths.breast_mask, longest, np.uint8(0))


def lesion_segmentation(view: PhantomView, exam: PhantomExam, source: Dataset) -> Segmentation | None:
    """One segment per lesion, with the same tracking identifiers in all views of the breast.

    Args:
        view: What was generated.
        exam: What it belongs to.
        source: The low-energy image For Presentation of the same view, to which the segmentation refers.

    Returns:
        None if the view shows no lesion.
    """
    segments = []
    for number, (lesion, mask) in enumerate(zip(view.paths.lesions, view.lesion_masks, strict=False), start=1):
        segments.append(
            _Segment(
                label=f"Lesion {number}: {lesion.kind}",
                tracking_id=f"{view.image_laterality} lesion {number} {lesion.kind}",
                tracking_uid=exam.uid("lesion", view.image_laterality, number),
                category=_ABNORMAL,
                kind=_LESION_CODES.get(lesion.kind, codes.SCT.MammographicBreastMass),
                mask=mask,
            )
        )
    return _segmentation(segments, view, exam, source, LESIONS)


def tissue_segmentation(view: PhantomView, exam: PhantomExam, source: Dataset) -> Segmentation | None:
    """One segment per tissue of `tissue_map`; None if there is nothing but air. See `lesion_segmentation`."""
    labels = tissue_map(view.paths, with_lesions=view.imaging.with_lesions)
    segments = [
        _Segment(
            label=_CODES[tissue].meaning,
            tracking_id=f"{view.image_laterality} {view.view_position} tissue {tissue.value}",
            tracking_uid=exam.view_uid(view, f"tissue {tissue.value}"),
            category=_ABNORMAL if tissue is Tissue.CALCIFICATION else _TISSUE,
            kind=_CODES[tissue],
            mask=labels == tissue,
        )
        for tissue in Tissue
    ]
    return _segmentation(segments, view, exam, source, TISSUES)


def _segmentation(
    segments: list[_Segment], view: PhantomView, exam: PhantomExam, source: Dataset, kind: str
) -> Segmentation | None:
    shown = [segment for segment in segments if segment.mask.any()]
    if not shown:
        return None
    algorithm = AlgorithmIdentificationSequence("MammoSynth phantom", _TRUTH, GENERATOR_VERSION)
    result = encode_segmentation(
        source,
        [segment.mask for segment in shown],
        [
            SegmentDescription(
                number,
                segment.label,
                segment.category,
                segment.kind,
                SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm,
                segment.tracking_uid,
                segment.tracking_id,
            )
            for number, segment in enumerate(shown, start=1)
        ],
        sop_instance_uid=exam.view_uid(view, kind),
        series_instance_uid="1.2",  # this one, and what else the constructor draws or looks up, is replaced below
        series_number=1,
        model_name="Phantom",
        software_version=GENERATOR_VERSION,
        content_label=kind.upper(),
        content_description=f"Truth about {kind} of a computer-generated phantom",
    )
    describe_exam(result, exam)
    set_series(result, exam, view, kind, _SERIES_NUMBERS[kind])
    result.PatientOrientation = source.PatientOrientation
    organization = exam.view_uid(view, f"{kind} dimensions")
    result.DimensionOrganizationSequence[0].DimensionOrganizationUID = organization
    for item in result.DimensionIndexSequence:
        item.DimensionOrganizationUID = organization
    return result
