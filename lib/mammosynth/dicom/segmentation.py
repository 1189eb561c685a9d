"""DICOM Segmentations (SEG) of one mammogram: written with highdicom, read from any maker.

Drawn lesions are Lesion (CID 7159) with the modifier Benign or Malignant (CID 6063) where the class is known: that says
what the radiologist said, and no more; not every benign lesion is a neoplasm.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from highdicom import PixelMeasuresSequence
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import SegmentationStorage

from mammosynth.counts import count_of
from mammosynth.dicom.attributes import (
    code_of,
    coded,
    integer_of,
    items_of,
    label_of,
    numbers_of,
    text_of,
    texts_of,
    value_of,
)
from mammosynth.dicom.breast_codes import code_of_class
from mammosynth.dicom.generated import MANUFACTURER
from mammosynth.dicom.write import new_uid
from mammosynth.errors import InvalidParameterError, UnreadableImageError, UnsupportedImageError

MAX_SEGMENTS = 255  # a label map has 8 bits
MAX_FRAME_PIXELS = 400_000_000  # of all frames together, one byte each once decoded: 13 lesions on 4800 x 6000 pixels
_DEVICE = "Lesion drawing"
_ABNORMAL = (codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Lesion)
_CALCIFICATION = "calcification"  # as the class of a label map is called
_SERIES_NUMBER_OFFSET = 3000  # behind the synthesized series
# fmt: off
_KEPT = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientIdentityRemoved",
    "DeidentificationMethod", "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription",
    "AccessionNumber", "ReferringPhysicianName", "FrameOfReferenceUID", "PositionReferenceIndicator",
    "PatientOrientation",
)
_ASKED_FOR = (  # by highdicom, of the source
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName",
)
# fmt: on


class LesionClass(StrEnum):
    """What a radiologist takes a lesion for."""

    MALIGNANT = "malignant"
    BENIGN = "benign"


LESION_MODIFIERS = {LesionClass.MALIGNANT: codes.SCT.Malignant, LesionClass.BENIGN: codes.SCT.Benign}
"""What a segment of a lesion says of its class."""
_CLASS_OF = {code: lesion_class for lesion_class, code in LESION_MODIFIERS.items()} | {
    # how others say it, as the type itself: Malignant neoplasm (morphologic abnormality), since 2022 and before
    Code("1240414004", "SCT", "Malignant neoplasm"): LesionClass.MALIGNANT,
    codes.SCT.MalignantNeoplasmPrimary: LesionClass.MALIGNANT,
}


@dataclass(frozen=True, eq=False)
class Segment:
    """What is drawn under one number.

    Attributes:
        number: 1 to 255.
        label: For a person.
        mask: (H, W) bool, in the stored matrix of the image; segments may overlap.
        lesion_class: None if the segmentation does not say, or is of no lesion.
        is_lesion: Otherwise it is a part of the breast, and the label tells which.
    """

    number: int
    label: str
    mask: np.ndarray
    lesion_class: LesionClass | None = None
    is_lesion: bool = True


def label_map(segments: Sequence[Segment], shape: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8 of segment numbers, 0 where nothing is drawn; where segments overlap, the higher number."""
    labels = np.zeros(shape, np.uint8)
    for segment in sorted(segments, key=lambda segment: segment.number):
        labels[segment.mask] = segment.number
    return labels


def segments_of(
    labels: np.ndarray, names: Sequence[tuple[int, str, LesionClass | None]], parts: Collection[int] = ()
) -> tuple[Segment, ...]:
    """The segments of a label map, numbered from 1 without gaps, as SEG asks; those without a pixel are left out.

    Args:
        labels: (H, W) uint8.
        names: Number in the label map, label and class of each.
        parts: Numbers of those that are parts of the breast, not lesions.

    Raises:
        InvalidParameterError: If two have the same number, a value of the label map has no name, all is empty, or
            there are more segments than could be read again.
    """
    described = [number for number, _, _ in names]
    drawn = {int(value) for value in np.unique(labels)} - {0}
    if len(set(described)) < len(described):
        raise InvalidParameterError(f"segments have the numbers {described}, expected each number once")
    if unnamed := sorted(drawn - set(described)):
        raise InvalidParameterError(f"mask has the value {unnamed[0]}, but segments are {described}; describe it")
    if not drawn:
        raise InvalidParameterError("mask is empty, expected at least one pixel of a segment; draw a lesion first")
    if len(drawn) * labels.size > MAX_FRAME_PIXELS:
        raise InvalidParameterError(
            f"mask has {len(drawn)} segments, expected at most {MAX_FRAME_PIXELS // labels.size} on an image of this "
            "size; save some of them in a segmentation of their own"
        )
    present = [entry for entry in sorted(names, key=lambda entry: entry[0]) if entry[0] in drawn]
    return tuple(
        Segment(index, label, labels == number, lesion_class, is_lesion=number not in parts)
        for index, (number, label, lesion_class) in enumerate(present, start=1)
    )


def encode_segmentation(
    source: Dataset,
    masks: Sequence[np.ndarray],
    descriptions: Sequence[SegmentDescription],
    *,
    sop_instance_uid: str,
    series_instance_uid: str,
    series_number: int,
    model_name: str,
    software_version: str,
    content_label: str,
    content_description: str,
) -> Segmentation:
    """A BINARY segmentation of one image with one frame per mask.

    Args:
        source: Header of the image.
        masks: (H, W) bool each, in the image's stored matrix.
        descriptions: One per mask, numbered from 1.
        sop_instance_uid: Of the new instance.
        series_instance_uid: Of the new series.
        series_number: Of the new series.
        model_name: Which part of this software has made it.
        software_version: Its version.
        content_label: At most 16 capitals.
        content_description: At most 64 characters.
    """
    spacing = numbers_of(source, "ImagerPixelSpacing")
    thickness = numbers_of(source, "BodyPartThickness")
    return Segmentation(
        source_images=[source],
        pixel_array=np.stack(masks, axis=-1)[None],
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        # OHIF 3.13 turns black on a segmentation without pixel measures; it cannot show one of an MG image anyway.
        pixel_measures=PixelMeasuresSequence(spacing, thickness[0] if thickness else None) if spacing else None,
        series_instance_uid=series_instance_uid,
        series_number=series_number,
        sop_instance_uid=sop_instance_uid,
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=model_name,
        software_versions=software_version,
        device_serial_number="none",
        content_label=content_label,
        content_description=content_description,
    )


def draw_segmentation(
    segments: Sequence[Segment],
    source: Dataset,
    *,
    software_version: str,
    series_description: str | None = None,
    author: str | None = None,
) -> Dataset:
    """What a person has drawn on an image, as a SEG in a new series of the same study.

    Args:
        segments: Numbered from 1 without gaps.
        source: Header of the image.
        software_version: Of this software.
        series_description: By default "Lesions" or, with parts of the breast, "Label map", then side and view.
        author: Who has drawn them, at most 63 characters; None leaves Content Creator's Name empty.

    Raises:
        UnsupportedImageError: If the source is no single-frame mammogram, or has another matrix than the masks.
    """
    name = str(value_of(source, "SOPInstanceUID"))
    if text_of(source, "Modality") != "MG" or (integer_of(source, "NumberOfFrames") or 1) != 1:
        raise UnsupportedImageError(
            f"{name}: {label_of('Modality')} is '{text_of(source, 'Modality')}', expected a single-frame mammogram "
            "(MG); draw on another image"
        )
    check_matrix(segments[0].mask.shape, source, name)
    are_lesions = all(segment.is_lesion for segment in segments)
    what = "Lesions" if are_lesions else "Label map"
    dataset = encode_segmentation(
        reference_to(source),
        [segment.mask for segment in segments],
        [_describe(segment) for segment in segments],
        sop_instance_uid=new_uid(),
        series_instance_uid=new_uid(),
        series_number=_SERIES_NUMBER_OFFSET + (integer_of(source, "SeriesNumber") or 0),
        model_name=_DEVICE,
        software_version=software_version,
        content_label="LESIONS" if are_lesions else "LABELS",
        content_description=f"{what} drawn by a person",
    )
    keep_study(dataset, source)
    if author is not None:
        dataset.ContentCreatorName = f"{author}^"  # a name that is not taken apart is a family name, PS3.5 section 6.2
    view = " ".join([what, text_of(source, "ImageLaterality"), text_of(source, "ViewPosition")])
    dataset.SeriesDescription = (series_description or view).strip()[:64]
    return dataset


def reference_to(source: Dataset) -> Dataset:
    """What highdicom is to know of the image: values that it would refuse are copied by `keep_study` afterwards."""
    reference = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "Rows"):
        setattr(reference, keyword, source[keyword].value)
    reference.Columns = source.Columns
    for keyword in ("ImagerPixelSpacing", "BodyPartThickness"):
        if numbers_of(source, keyword):
            reference[keyword] = copy.deepcopy(source[keyword])
    for keyword in _ASKED_FOR:
        setattr(reference, keyword, None)
    return reference


def keep_study(dataset: Dataset, source: Dataset) -> None:
    """Give a segmentation patient, study and frame of reference of the image that it is of."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _KEPT:
        if value_of(source, keyword) is not None:
            dataset[keyword] = copy.deepcopy(source[keyword])
    if "FrameOfReferenceUID" in dataset and "PositionReferenceIndicator" not in dataset:
        dataset.PositionReferenceIndicator = None


def check_matrix(shape: tuple[int, ...], source: Dataset, name: str) -> None:
    """Refuse a mask that has not the matrix of an image.

    Args:
        shape: Rows and columns of the mask.
        source: Header of the image.
        name: How the message names the image.

    Raises:
        UnsupportedImageError: If they differ.
    """
    expected = integer_of(source, "Rows"), integer_of(source, "Columns")
    if tuple(shape) != expected:
        raise UnsupportedImageError(
            f"{name}: the segmentation has {shape[0]} x {shape[1]} pixels, the image {expected[0]} x {expected[1]}; "
            "draw on the image itself"
        )


def check_segmentation(header: Dataset, name: str) -> None:
    """Refuse what is no segmentation that can be read.

    Raises:
        UnsupportedImageError: With what it is.
    """
    if (found := str(value_of(header, "SOPClassUID") or "none")) != SegmentationStorage:
        raise UnsupportedImageError(
            f"{name}: {label_of('SOPClassUID')} is {found}, expected a DICOM Segmentation ({SegmentationStorage})"
        )
    if (kind := text_of(header, "SegmentationType")) not in ("BINARY", "FRACTIONAL"):
        raise UnsupportedImageError(
            f"{name}: {label_of('SegmentationType')} is '{kind}', expected BINARY or FRACTIONAL; store it as one"
        )
    rows, columns = integer_of(header, "Rows") or 0, integer_of(header, "Columns") or 0
    frames = integer_of(header, "NumberOfFrames") or 1
    if not 0 < rows * columns * frames <= MAX_FRAME_PIXELS:
        raise UnsupportedImageError(
            f"{name}: the segmentation has {count_of(frames, 'frame')} of {rows} x {columns} pixels, expected at most "
            f"{MAX_FRAME_PIXELS} pixels; split it"
        )


def referenced_images(header: Dataset) -> tuple[str, ...]:
    """SOP Instance UIDs of the images that a segmentation is of, in the order of its frames; each once."""
    groups = (
        *items_of(header, "PerFrameFunctionalGroupsSequence"),
        *items_of(header, "SharedFunctionalGroupsSequence"),
    )
    found = [uid for group in groups for uid in _images_of(group)]
    if not found:  # otherwise what the frames do not name is something else: what a model has made it from
        found += _instances(items_of(header, "SourceImageSequence"))
        for series in items_of(header, "ReferencedSeriesSequence"):
            found += _instances(items_of(series, "ReferencedInstanceSequence"))
    return tuple(dict.fromkeys(found))


def read_segments(dataset: Dataset, source_sop_instance_uid: str, name: str) -> tuple[Segment, ...]:
    """What a segmentation shows on one image, whoever made it.

    Frames without a reference of their own belong to the image if it is the only one. A segment without a frame is
    empty. Fractions count from one half.

    Args:
        dataset: The segmentation with its pixels.
        source_sop_instance_uid: The image.
        name: How messages name the segmentation.

    Raises:
        UnsupportedImageError: If it is no segmentation, refers to other images only, or has more than 255 segments.
        UnreadableImageError: If its pixels cannot be decoded, or it does not say what each frame is of.
    """
    check_segmentation(dataset, name)
    images = referenced_images(dataset)
    if source_sop_instance_uid not in images:
        raise UnsupportedImageError(
            f"{name}: the segmentation is of image {', '.join(images) or 'none'}, not of {source_sop_instance_uid}"
        )
    items = {number: item for item in items_of(dataset, "SegmentSequence") if (number := _number(item))}
    described = described_segments(dataset)
    if not described or max(described) > MAX_SEGMENTS:
        raise UnsupportedImageError(
            f"{name}: {label_of('SegmentSequence')} has {count_of(len(described), 'segment')}, the highest number is "
            f"{max(described, default=0)}, expected 1 to {MAX_SEGMENTS}"
        )
    masks = {number: np.zeros((dataset.Rows, dataset.Columns), bool) for number in described}
    frames, meanings = _decode(dataset, name), list(_frames(dataset))
    if len(frames) != len(meanings):
        raise UnreadableImageError(
            f"{name}: {label_of('PerFrameFunctionalGroupsSequence')} describes {count_of(len(meanings), 'frame')} of "
            f"{len(frames)}; export the segmentation again"
        )
    for frame, (number, shown) in zip(frames, meanings, strict=True):
        if number in masks and (source_sop_instance_uid in shown if shown else len(images) == 1):
            masks[number] |= frame
    return tuple(
        Segment(number, label, masks[number], _class_of(items[number]), is_lesion)
        for number, (label, is_lesion) in described.items()
    )


def described_segments(header: Dataset) -> dict[int, tuple[str, bool]]:
    """What a segmentation calls each of its segments, by number, and whether that is a lesion; without its pixels."""
    described = {number: item for item in items_of(header, "SegmentSequence") if (number := _number(item))}
    return {
        number: (str(value_of(item, "SegmentLabel") or f"Segment {number}"), _is_lesion(item))
        for number, item in sorted(described.items())
    }


def pixel_area_mm2(*headers: Dataset) -> float | None:
    """Area of a pixel at the detector plane, by the first header that tells it: a segmentation's or an image's."""
    for header in headers:
        shared = items_of(header, "SharedFunctionalGroupsSequence")
        measures = [item for group in shared for item in items_of(group, "PixelMeasuresSequence")]
        for spacing in (
            *(numbers_of(item, "PixelSpacing") for item in measures),
            numbers_of(header, "ImagerPixelSpacing"),
        ):
            if len(spacing) == 2 and min(spacing) > 0:
                return spacing[0] * spacing[1]
    return None


def _describe(segment: Segment) -> SegmentDescription:
    category, kind = _ABNORMAL
    if not segment.is_lesion or segment.label == _CALCIFICATION:
        category, kind = code_of_class(segment.label, segment.number)
    description = SegmentDescription(
        segment.number,
        segment.label,
        category,
        kind,
        SegmentAlgorithmTypeValues.MANUAL,
        anatomic_regions=[codes.SCT.Breast],
    )
    if segment.lesion_class is not None:
        kind = description.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [coded(LESION_MODIFIERS[segment.lesion_class])]
    return description


def _class_of(segment: Dataset) -> LesionClass | None:
    for kind in items_of(segment, "SegmentedPropertyTypeCodeSequence"):
        for item in (*items_of(kind, "SegmentedPropertyTypeModifierCodeSequence"), kind):
            for code, lesion_class in _CLASS_OF.items():
                if code_of(item) == code:
                    return lesion_class
    return None


def _is_lesion(segment: Dataset) -> bool:
    """By class, category or type, never by its name."""
    kinds = (
        *items_of(segment, "SegmentedPropertyCategoryCodeSequence"),
        *items_of(segment, "SegmentedPropertyTypeCodeSequence"),
    )
    return _class_of(segment) is not None or any(code_of(kind) in _ABNORMAL for kind in kinds)


def _number(segment: Dataset) -> int | None:
    number = integer_of(segment, "SegmentNumber")
    return number if number and number > 0 else None


def _frames(dataset: Dataset) -> Iterator[tuple[int | None, list[str]]]:
    """Segment number and images of every frame; no images if neither the frame nor all frames together name one."""
    shared = next(iter(items_of(dataset, "SharedFunctionalGroupsSequence")), Dataset())
    for group in items_of(dataset, "PerFrameFunctionalGroupsSequence"):
        numbers = [
            integer_of(item, "ReferencedSegmentNumber")
            for each in (group, shared)
            for item in items_of(each, "SegmentIdentificationSequence")
        ]
        yield next(iter(numbers), None), _images_of(group) or _images_of(shared)


def _images_of(group: Dataset) -> list[str]:
    derivations = items_of(group, "DerivationImageSequence")
    return [uid for item in derivations for uid in _instances(items_of(item, "SourceImageSequence"))]


def _instances(references: Sequence[Dataset]) -> list[str]:
    return [uid for item in references for uid in texts_of(item, "ReferencedSOPInstanceUID")]


def _decode(dataset: Dataset, name: str) -> np.ndarray:
    """(F, H, W) bool."""
    try:
        frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, RuntimeError) as error:
        raise UnreadableImageError(
            f"{name}: the pixels of the segmentation cannot be decoded ({error}); fetch or export it again"
        ) from error
    whole = (
        1 if text_of(dataset, "SegmentationType") == "BINARY" else integer_of(dataset, "MaximumFractionalValue") or 255
    )
    return frames >= (whole + 1) // 2
