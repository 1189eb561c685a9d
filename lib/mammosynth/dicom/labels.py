"""A label map as a DICOM Segmentation of an image."""

from __future__ import annotations

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from mammosynth.dicom.attributes import coded
from mammosynth.dicom.breast_codes import code_of_class
from mammosynth.dicom.segmentation import LESION_MODIFIERS, encode_segmentation, keep_study, reference_to
from mammosynth.errors import OutputError
from mammosynth.label_map import LabelMap


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
