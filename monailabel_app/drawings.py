"""`StudySegmentation`: a DICOM Segmentation in the archive, read together with the image that it is of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage
from pydicom.valuerep import DT

from mammosynth.dicom.attributes import items_of, numbers_of, text_of, texts_of, value_of
from mammosynth.dicom.drawn import number_segments
from mammosynth.dicom.generated import MANUFACTURER, generated_mark_of, is_phantom_uid
from mammosynth.dicom.segmentation import (
    Segment,
    check_matrix,
    check_segmentation,
    pixel_area_mm2,
    read_segments,
    referenced_images,
)
from mammosynth.dicom.view import read_view
from mammosynth.errors import InvalidParameterError, UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from monailabel_app.errors import NotFoundError
from monailabel_app.studies import MAMMOGRAPHY_SOP_CLASSES, DicomWebStudies, InstanceAddress, ViewRequest


class StudySegmentation:
    """A segmentation of a study, read.

    Args:
        archive: Where it lies.
        instances: All of its study.
        dataset: The segmentation with its pixels.

    Raises:
        UnsupportedImageError: If it is no segmentation of an image of this study in that image's matrix.
        UnreadableImageError: If it cannot be decoded.
    """

    def __init__(self, archive: DicomWebStudies, instances: Sequence[InstanceAddress], dataset: Dataset) -> None:
        self.dataset = dataset
        name = str(value_of(dataset, "SOPInstanceUID"))
        check_segmentation(dataset, name)
        known = {each.sop_instance_uid: each for each in instances if each.sop_class_uid in MAMMOGRAPHY_SOP_CLASSES}
        source = next((known[uid] for uid in referenced_images(dataset) if uid in known), None)
        if source is None:
            raise UnsupportedImageError(
                f"{name}: the segmentation refers to no image of this study that is a mammogram; open the study that "
                "it belongs to"
            )
        self.source = source
        self.source_header = archive.header(source)
        self.shape = (int(dataset.Rows), int(dataset.Columns))
        check_matrix(self.shape, self.source_header, source.sop_instance_uid)
        self.segments: tuple[Segment, ...] = read_segments(dataset, source.sop_instance_uid, name)

    def shows_lesions(self) -> bool:
        """Whether lesions are what it shows, by class, category or type of its segments, never by their names.

        The tissues of a breast are none, although calcifications may be among them.
        """
        return any(each.lesion_class is not None for each in self.segments) or all(
            each.is_lesion for each in self.segments
        )

    def as_json(self) -> dict[str, Any]:
        """What clients are told of it; what the header does not say is None."""
        area = pixel_area_mm2(self.dataset, self.source_header)
        author = (text_or_none(self.dataset, "ContentCreatorName") or "").rstrip("^")
        return {
            "series_instance_uid": str(self.dataset.SeriesInstanceUID),
            "sop_instance_uid": str(self.dataset.SOPInstanceUID),
            "series_description": text_or_none(self.dataset, "SeriesDescription"),
            "created": created_in(self.dataset),
            "creator": author or text_or_none(self.dataset, "Manufacturer"),
            "is_lesions": self.shows_lesions(),
            "removable": text_or_none(self.dataset, "Manufacturer") == MANUFACTURER
            and not is_phantom_uid(str(self.dataset.SOPInstanceUID)),
            "source_sop_instance_uid": self.source.sop_instance_uid,
            "source_series_instance_uid": self.source.series_instance_uid,
            "rows": self.shape[0],
            "columns": self.shape[1],
            "segments": [
                {
                    "number": segment.number,
                    "label": segment.label,
                    "lesion_class": segment.lesion_class,
                    "is_lesion": segment.is_lesion,
                    "area_mm2": None if area is None else round(float(segment.mask.sum()) * area, 3),
                }
                for segment in self.segments
            ],
        }


def find_segmentation(archive: DicomWebStudies, study_instance_uid: str, sop_instance_uid: str) -> StudySegmentation:
    """A segmentation of a study.

    Raises:
        NotFoundError: If the study holds no such instance.
        UnsupportedImageError: If it is no segmentation of an image of the study.
        UnreadableImageError: If it cannot be decoded.
    """
    instances = archive.study(study_instance_uid)
    address = address_of(instances, study_instance_uid, sop_instance_uid)
    if address.sop_class_uid != SegmentationStorage:
        raise UnsupportedImageError(f"{sop_instance_uid} is no segmentation; ask for the list of them")
    return StudySegmentation(archive, instances, archive.retrieve(address))


def label_map_for(
    archive: DicomWebStudies,
    study_instance_uid: str,
    sop_instance_uid: str,
    source: Mammogram | None,
    classes: Mapping[int, str],
    complete: Callable[[LabelMap, Callable[[], Mammogram]], LabelMap] | None = None,
) -> LabelMap:
    """What a segmentation shows on the source of a synthesis, or by itself.

    It may be drawn on the source, or on another image of that exposure in the same matrix: one that was synthesized
    from it, or recombined. Another exposure of the same view is another compression, where the lesion lies elsewhere.

    Args:
        archive: Where it lies.
        study_instance_uid: Of the segmentation.
        sop_instance_uid: Of the segmentation.
        source: What it must lie on; None if it stands for itself.
        classes: What the numbers of the label map are to mean; empty for the segments' own numbers.
        complete: Makes it whole where it stands for itself; see `mammosynth.task.Slot`.

    Raises:
        NotFoundError: If the study holds no such instance.
        InvalidParameterError: If the source is no DICOM image, or of another study.
        UnsupportedImageError: If the segmentation is of another view or exposure, or of something else.
    """
    segmentation = find_segmentation(archive, study_instance_uid, sop_instance_uid)
    segments = segmentation.segments if source is None else _segments_on(segmentation, source, sop_instance_uid)
    drawn = number_segments(segments, segmentation.shape, sop_instance_uid, classes, segmentation.dataset)
    if source is not None:
        return drawn
    drawn, on = _as_seen(drawn, segmentation.source_header), segmentation.source
    return complete(drawn, lambda: archive.view(on, ViewRequest(on.sop_instance_uid))) if complete else drawn


def drawn_on(archive: DicomWebStudies, study_instance_uid: str, sop_instance_uid: str) -> InstanceAddress | None:
    """The acquired image that a segmentation is drawn on; None if that was generated.

    Raises:
        MammoSynthError: As `find_segmentation`.
    """
    segmentation = find_segmentation(archive, study_instance_uid, sop_instance_uid)
    return None if generated_mark_of(segmentation.source_header) else segmentation.source


def _segments_on(segmentation: StudySegmentation, source: Mammogram, sop_instance_uid: str) -> tuple[Segment, ...]:
    header = source.header
    if header is None:
        raise InvalidParameterError(
            f"{source.source_name} has no DICOM header, so no segmentation belongs to it; use a study of the archive"
        )
    check_matrix(segmentation.shape, header, source.source_name)
    dataset, own_uid = segmentation.dataset, str(value_of(header, "SOPInstanceUID"))
    if own_uid in referenced_images(dataset):
        return read_segments(dataset, own_uid, sop_instance_uid)
    views = [
        [text_of(each, keyword) for keyword in ("ImageLaterality", "ViewPosition")]
        for each in (segmentation.source_header, header)
    ]
    if views[0] != views[1] or not all(views[1]):
        raise UnsupportedImageError(
            f"{source.source_name}: segmentation {sop_instance_uid} is drawn on {' '.join(views[0])}, the source "
            f"is {' '.join(views[1])}; draw on the source itself"
        )
    if not _with_sources(segmentation.source_header) & _with_sources(header):
        raise UnsupportedImageError(
            f"{source.source_name}: segmentation {sop_instance_uid} is drawn on an image that is not known to "
            "be of the same exposure: neither is made from the other, nor both from one; draw on the source itself"
        )
    return segmentation.segments


def _as_seen(drawn: LabelMap, image: Dataset) -> LabelMap:
    """With view, side and spacing of the image that it is drawn on."""
    view = read_view(image, drawn.source_name)
    spacing = numbers_of(image, "ImagerPixelSpacing")
    return replace(
        drawn,
        view_position=view.view_position,
        image_laterality=view.image_laterality,
        pixel_spacing_mm=(spacing[0], spacing[1]) if len(spacing) == 2 and min(spacing) > 0 else None,
    )


def _with_sources(header: Dataset) -> set[str]:
    """SOP Instance UIDs of an image and of those that it was made from, unless it is another view of them."""
    made_from = items_of(header, "SourceImageSequence")
    return {str(header.SOPInstanceUID)} | {
        uid
        for each in made_from
        if text_of(each, "SpatialLocationsPreserved") != "NO"
        for uid in texts_of(each, "ReferencedSOPInstanceUID")
    }


def address_of(instances: Sequence[InstanceAddress], study: str, sop_instance_uid: str) -> InstanceAddress:
    """The instance of that UID among those of a study.

    Raises:
        NotFoundError: If it is none of them.
    """
    for each in instances:
        if each.sop_instance_uid == sop_instance_uid:
            return each
    raise NotFoundError(f"study {study} holds no instance {sop_instance_uid}; it may have been deleted")


def text_or_none(header: Dataset, keyword: str) -> str | None:
    """The value of an attribute as it is written."""
    value = value_of(header, keyword)
    return None if value is None else str(value).strip() or None


def created_in(header: Dataset) -> str | None:
    """When the content was made, in ISO 8601 and the time zone of the header, if it has one."""
    parts = [text_or_none(header, keyword) or "" for keyword in ("ContentDate", "ContentTime", "TimezoneOffsetFromUTC")]
    try:
        return DT("".join(parts)).isoformat() if parts[0] else None
    except ValueError:
        return None
