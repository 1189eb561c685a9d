"""Segmentations of a study: drawn lesions are stored as DICOM SEG beside the image, and come back as label maps."""

from __future__ import annotations

import gzip
import io
import logging
import zlib
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
import pydicom
from fastapi import APIRouter, Body, File, Form, Path, UploadFile
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import SegmentationStorage
from pydicom.valuerep import DT

from mammosynth import __version__
from mammosynth.dicom.attributes import integer_of, label_of, value_of
from mammosynth.dicom.segmentation import (
    MAX_SEGMENTS,
    LesionClass,
    Segment,
    check_matrix,
    check_segmentation,
    draw_segmentation,
    label_map,
    pixel_area_mm2,
    read_segments,
    referenced_images,
    segments_of,
)
from mammosynth.dicom.stored import MAX_PIXELS
from mammosynth.errors import InvalidParameterError, UnreadableImageError, UnsupportedImageError
from monailabel_app.dicom_json import UID_MAX_LENGTH, UID_PATTERN
from monailabel_app.errors import ConflictError, NotFoundError
from monailabel_app.removal import remove_series
from monailabel_app.studies import DicomWebStudies, InstanceAddress

logger = logging.getLogger(__name__)
Uid = Annotated[str, Path(max_length=UID_MAX_LENGTH, pattern=UID_PATTERN)]
LongString = Annotated[str, Field(max_length=64, pattern=r"^[^\\\x00-\x1f]*$")]  # VR LO, PS3.5 section 6.2


class SegmentDescription(BaseModel):
    """What a value of the label map means."""

    model_config = ConfigDict(extra="forbid")
    number: Annotated[int, Field(ge=1, le=MAX_SEGMENTS)]
    label: Annotated[LongString, Field(min_length=1)]
    lesion_class: LesionClass | None = None


class SegmentationDescription(BaseModel):
    """Field `description` of POST /studies/{study}/segmentations."""

    model_config = ConfigDict(extra="forbid")
    sop_instance_uid: Annotated[str, Field(max_length=UID_MAX_LENGTH, pattern=UID_PATTERN)]
    series_description: LongString | None = None
    segments: Annotated[list[SegmentDescription], Field(min_length=1, max_length=MAX_SEGMENTS)]


def create_segmentations(archive: Callable[[], DicomWebStudies]) -> APIRouter:
    """Routes below /studies/{study}/segmentations.

    Args:
        archive: The archive; raises ConflictError if there is none.
    """
    router = APIRouter(prefix="/studies/{study}/segmentations")

    @router.get("")
    def segmentations(study: Uid) -> dict[str, Any]:
        """Every segmentation of an image of the study, newest first."""
        return {"segmentations": list_segmentations(archive(), study)}

    @router.post("", status_code=201)
    def save(study: Uid, description: Annotated[str, Form()], mask: Annotated[UploadFile, File()]) -> dict[str, Any]:
        """Store a label map as a new segmentation."""
        try:
            described = SegmentationDescription.model_validate_json(description)
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors())
            raise InvalidParameterError(f"description: {problems}") from None
        return save_segmentation(archive(), study, described, mask.file.read())

    @router.post("/file", status_code=201)
    def upload(study: Uid, content: Annotated[bytes, Body(media_type="application/dicom")]) -> dict[str, Any]:
        """Store a segmentation that was made elsewhere."""
        return store_segmentation(archive(), study, content)

    @router.get("/{instance}/mask")
    def mask(study: Uid, instance: Uid) -> Response:
        """The label map: one byte per pixel, row by row; where segments overlap, the higher number."""
        segmentation = find_segmentation(archive(), study, instance)
        labels = label_map(segmentation.segments, segmentation.shape)
        return Response(
            gzip.compress(labels.tobytes(), compresslevel=4),
            media_type="application/octet-stream",
            headers={"Content-Encoding": "gzip", "Cache-Control": "no-store"},
        )

    @router.delete("/{instance}")
    def remove(study: Uid, instance: Uid) -> dict[str, str]:
        """Delete a segmentation that was drawn with this software."""
        store = archive()
        address = _address(store.study(study), study, instance)
        if address.sop_class_uid != SegmentationStorage:
            raise ConflictError(f"{instance} is no segmentation and is never deleted")
        if len(store.series_metadata(study, address.series_instance_uid)) != 1:
            raise ConflictError(f"series {address.series_instance_uid} was not made by this software: it holds more")
        remove_series(store, study, address.series_instance_uid)
        return {"deleted": instance}

    return router


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
        known = {each.sop_instance_uid: each for each in instances}
        source = next((known[uid] for uid in referenced_images(dataset) if uid in known), None)
        if source is None:
            raise UnsupportedImageError(
                f"{name}: the segmentation refers to no image of this study; open the study that it belongs to"
            )
        self.source = source
        self.source_header = archive.header(source)
        self.shape = (int(dataset.Rows), int(dataset.Columns))
        check_matrix(self.shape, self.source_header, source.sop_instance_uid)
        self.segments: tuple[Segment, ...] = read_segments(dataset, source.sop_instance_uid, name)

    def as_json(self) -> dict[str, Any]:
        """What clients are told of it; what the header does not say is None."""
        area = pixel_area_mm2(self.dataset, self.source_header)
        return {
            "series_instance_uid": str(self.dataset.SeriesInstanceUID),
            "sop_instance_uid": str(self.dataset.SOPInstanceUID),
            "series_description": _text(self.dataset, "SeriesDescription"),
            "created": _created(self.dataset),
            "creator": _text(self.dataset, "ContentCreatorName") or _text(self.dataset, "Manufacturer"),
            "source_sop_instance_uid": self.source.sop_instance_uid,
            "source_series_instance_uid": self.source.series_instance_uid,
            "rows": self.shape[0],
            "columns": self.shape[1],
            "segments": [
                {
                    "number": segment.number,
                    "label": segment.label,
                    "lesion_class": segment.lesion_class,
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
    address = _address(instances, study_instance_uid, sop_instance_uid)
    if address.sop_class_uid != SegmentationStorage:
        raise UnsupportedImageError(f"{sop_instance_uid} is no segmentation; ask for the list of them")
    return StudySegmentation(archive, instances, archive.retrieve(address))


def list_segmentations(archive: DicomWebStudies, study_instance_uid: str) -> list[dict[str, Any]]:
    """Every segmentation of a study that can be shown on its image, newest first.

    Raises:
        NotFoundError: If the archive does not hold the study.
    """
    instances = archive.study(study_instance_uid)
    entries = []
    for address in instances:
        if address.sop_class_uid != SegmentationStorage:
            continue
        try:
            entries.append(StudySegmentation(archive, instances, archive.retrieve(address)).as_json())
        except (UnsupportedImageError, UnreadableImageError) as error:
            logger.info("a segmentation is not listed: %s", error)
    return sorted(entries, key=lambda entry: entry["created"] or "", reverse=True)


def save_segmentation(
    archive: DicomWebStudies, study_instance_uid: str, description: SegmentationDescription, mask: bytes
) -> dict[str, Any]:
    """Store a label map as a new segmentation.

    Args:
        archive: Where to.
        study_instance_uid: Study of the image.
        description: The image, and what the values mean.
        mask: gzip of one byte per pixel, row by row, in the stored matrix of the image.

    Raises:
        NotFoundError: If the study does not hold the image.
        InvalidParameterError: If mask and description do not fit each other or the image.
        UnsupportedImageError: If the image is no mammogram.
    """
    instances = archive.study(study_instance_uid)
    source = archive.header(_address(instances, study_instance_uid, description.sop_instance_uid))
    shape = integer_of(source, "Rows") or 0, integer_of(source, "Columns") or 0
    names = [(segment.number, segment.label, segment.lesion_class) for segment in description.segments]
    segments = segments_of(_unpacked(mask, shape), names)
    dataset = draw_segmentation(
        segments, source, software_version=__version__, series_description=description.series_description
    )
    archive.store(dataset)
    return StudySegmentation(archive, instances, dataset).as_json()


def store_segmentation(archive: DicomWebStudies, study_instance_uid: str, content: bytes) -> dict[str, Any]:
    """Store a DICOM file with a segmentation of an image of the study.

    Raises:
        NotFoundError: If the archive does not hold the study.
        UnreadableImageError: If it is no DICOM file, or cannot be decoded.
        UnsupportedImageError: If it is no segmentation of an image of the study, or of another patient.
    """
    instances = archive.study(study_instance_uid)
    try:
        dataset = pydicom.dcmread(io.BytesIO(content))
    except (InvalidDicomError, ValueError, TypeError, KeyError, AttributeError, EOFError, NotImplementedError) as error:
        raise UnreadableImageError(f"the file is not readable as DICOM ({error}); choose a DICOM SEG") from error
    dataset.filename = None
    segmentation = StudySegmentation(archive, instances, dataset)
    for keyword, expected in (
        ("StudyInstanceUID", study_instance_uid),
        ("PatientID", _text(segmentation.source_header, "PatientID")),
    ):
        if _text(dataset, keyword) != expected:
            raise UnsupportedImageError(
                f"the file has another {label_of(keyword)} than its image; it would be filed elsewhere, export it again"
            )
    archive.store(dataset)
    return segmentation.as_json()


def _unpacked(mask: bytes, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8; never more than that is unpacked."""
    expected = shape[0] * shape[1]
    if not 0 < expected <= MAX_PIXELS:
        raise UnsupportedImageError(f"the image has {shape[0]} x {shape[1]} pixels, expected at most {MAX_PIXELS}")
    gunzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        values = gunzip.decompress(mask, expected + 1)
    except zlib.error as error:
        raise InvalidParameterError(f"mask is no gzip ({error}); compress it") from error
    if len(values) != expected or not gunzip.eof:
        raise InvalidParameterError(
            f"mask does not unpack to {expected} bytes, one for each of {shape[0]} x {shape[1]} pixels of the image"
        )
    return np.frombuffer(values, np.uint8).reshape(shape)


def _address(instances: Sequence[InstanceAddress], study: str, sop_instance_uid: str) -> InstanceAddress:
    for each in instances:
        if each.sop_instance_uid == sop_instance_uid:
            return each
    raise NotFoundError(f"study {study} holds no instance {sop_instance_uid}; it may have been deleted")


def _text(header: Dataset, keyword: str) -> str | None:
    value = value_of(header, keyword)
    return None if value is None else str(value).strip() or None


def _created(header: Dataset) -> str | None:
    """When the content was made, in ISO 8601 and the time zone of the header, if it has one."""
    parts = [_text(header, keyword) or "" for keyword in ("ContentDate", "ContentTime", "TimezoneOffsetFromUTC")]
    try:
        return DT("".join(parts)).isoformat() if parts[0] else None
    except ValueError:
        return None
