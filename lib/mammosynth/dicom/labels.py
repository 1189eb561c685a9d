"""A label map as a DICOM Segmentation of an image: what its classes are called in SNOMED CT, and the instance."""

from __future__ import annotations

import re

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from mammosynth.dicom.attributes import coded
from mammosynth.dicom.segmentation import LESION_MODIFIERS, encode_segmentation, keep_study, reference_to
from mammosynth.errors import OutputError
from mammosynth.label_map import LabelMap

_TISSUE, _ABNORMAL = codes.SCT.Tissue, codes.SCT.MorphologicallyAbnormalStructure
_ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
# CID 7163, breast segmentation types
FATTY_TISSUE = Code("89749009", "SCT", "Fatty tissue of breast")
SKIN = Code("82038008", "SCT", "Skin of breast")
FIBROGLANDULAR_TISSUE = Code("1342375003", "SCT", "Breast fibroglandular tissue")
_CODES = {  # by a word that begins in the name of a class: its category (CID 7150) and type
    "adipose": (_TISSUE, FATTY_TISSUE),
    "fat": (_TISSUE, FATTY_TISSUE),
    "fibroglandular": (_TISSUE, FIBROGLANDULAR_TISSUE),
    "gland": (_TISSUE, FIBROGLANDULAR_TISSUE),
    "skin": (_TISSUE, SKIN),
    "pectoral": (_TISSUE, codes.SCT.PectoralisMajorMuscle),
    "muscle": (_TISSUE, codes.SCT.PectoralisMajorMuscle),
    "nipple": (_ANATOMY, codes.SCT.Nipple),
    "breast": (_ANATOMY, codes.SCT.Breast),
    "calcification": (_ABNORMAL, codes.SCT.CalcificationOfBreast),
    "microcalcification": (_ABNORMAL, codes.SCT.CalcificationOfBreast),
    "mass": (_ABNORMAL, codes.SCT.Lesion),
    "lesion": (_ABNORMAL, codes.SCT.Lesion),
}
_OWN_SCHEME = "99MAMMOSYNTH"  # for classes that nobody else knows


def segment_label_map(
    labels: LabelMap,
    image: Dataset,
    *,
    sop_instance_uid: str,
    series_instance_uid: str,
    model_name: str,
    model_version: str,
    software_version: str,
) -> Dataset:
    """A BINARY Segmentation with a segment for each class that is there, or for every class if none is.

    Malignant and benign classes are lesions, coded like drawn ones. The segments are numbered from 1 without gaps, as
    the standard asks; their labels tell the classes.

    Args:
        labels: In the stored matrix of the image.
        image: Header of the image, whose patient, study and frame of reference are the segmentation's.
        sop_instance_uid: Of the new instance.
        series_instance_uid: Of the new series.
        model_name: What has made it.
        model_version: Its version.
        software_version: Of this software.

    Raises:
        OutputError: If nothing is drawn and the classes have no names.
    """
    present = [int(number) for number in np.unique(labels.labels) if number]
    numbers = present or sorted(labels.classes)
    if not numbers:
        raise OutputError(f"{labels.source_name}: an empty label map without classes cannot be written as DICOM")
    algorithm = AlgorithmIdentificationSequence(model_name, codes.DCM.ArtificialIntelligence, model_version)
    dataset = encode_segmentation(
        reference_to(image),
        [labels.labels == number for number in numbers],
        [
            _describe(index, str(labels.classes.get(number, f"Class {number}")), number, algorithm)
            for index, number in enumerate(numbers, start=1)
        ],
        sop_instance_uid=sop_instance_uid,
        series_instance_uid=series_instance_uid,
        series_number=1,
        model_name=model_name[:64],
        software_version=software_version,
        content_label="LABELS",
        content_description="Classes of a synthesized image",
    )
    keep_study(dataset, image)
    return dataset


def code_of_class(name: str, number: int) -> tuple[Code, Code]:
    """Category and type of what a class is called."""
    words = re.findall("[a-z]+", name.casefold())
    if any(str(kind) in words for kind in LESION_MODIFIERS):
        return _ABNORMAL, codes.SCT.Lesion
    known = (code for word in words for start, code in _CODES.items() if word.startswith(start))
    return next(known, (_TISSUE, Code(f"CLASS{number}", _OWN_SCHEME, name[:64])))


def _describe(index: int, name: str, number: int, algorithm: AlgorithmIdentificationSequence) -> SegmentDescription:
    category, kind = code_of_class(name, number)
    description = SegmentDescription(
        index,
        name[:64],
        category,
        kind,
        SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm,
        anatomic_regions=[codes.SCT.Breast],
    )
    words = name.casefold().split()
    modifiers = [code for lesion_class, code in LESION_MODIFIERS.items() if str(lesion_class) in words]
    if modifiers:
        item = description.SegmentedPropertyTypeCodeSequence[0]
        item.SegmentedPropertyTypeModifierCodeSequence = [coded(modifiers[0])]
    return description
