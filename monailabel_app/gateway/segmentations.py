"""Segmentations of a study: drawn lesions are stored as DICOM SEG beside the image, and come back as label maps."""

from __future__ import annotations

import gzip
import logging
import zlib
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Body, File, Form, Request, UploadFile
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydicom.uid import SegmentationStorage

from mammosynth import __version__
from mammosynth.dicom.attributes import integer_of, label_of
from mammosynth.dicom.bounded import MAX_PIXELS, parse_file
from mammosynth.dicom.segmentation import (
    MAX_SEGMENTS,
    LesionClass,
    draw_segmentation,
    label_map,
    segments_of,
)
from mammosynth.errors import InvalidParameterError, UnreadableImageError, UnsupportedImageError
from monailabel_app.dicom_json import UID_MAX_LENGTH, UID_PATTERN, Uid
from monailabel_app.drawings import StudySegmentation, address_of, find_segmentation, text_or_none
from monailabel_app.errors import ConflictError, NotFoundError, field_problems
from monailabel_app.gateway.guard import identity_of
from monailabel_app.identity import LOCAL
from monailabel_app.removal import Removal, remove_series
from monailabel_app.studies import DicomWebStudies, UnreadableAnswerError, pacs_errors

logger = logging.getLogger(__name__)
LongString = Annotated[str, Field(max_length=64, pattern=r"^[^\\\x00-\x1f]*$")]  # VR LO, PS3.5 section 6.2


class SegmentDescription(BaseModel):
    """What a value of the label map means."""

    model_config = ConfigDict(extra="forbid")
    number: Annotated[int, Field(ge=1, le=MAX_SEGMENTS)]
    label: Annotated[LongString, Field(min_length=1)]
    lesion_class: LesionClass | None = None
    is_lesion: bool = True


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
    def save(
        request: Request, study: Uid, description: Annotated[str, Form()], mask: Annotated[UploadFile, File()]
    ) -> dict[str, Any]:
        """Store a label map as a new segmentation."""
        try:
            described = SegmentationDescription.model_validate_json(description)
        except ValidationError as error:
            raise InvalidParameterError(field_problems(error, "description")) from None
        content = mask.file.read()
        return save_segmentation(
            archive(), study, described, lambda shape: _unpacked(content, shape), author=author_of(request)
        )

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
        address = address_of(store.study(study), study, instance)
        if address.sop_class_uid != SegmentationStorage:
            raise ConflictError(f"{instance} is no segmentation and is never deleted")
        if len(store.series_metadata(study, address.series_instance_uid)) != 1:
            raise ConflictError(f"series {address.series_instance_uid} was not made by this software: it holds more")
        remove_series(store, study, address.series_instance_uid)
        return {"deleted": instance}

    return router


def list_segmentations(archive: DicomWebStudies, study_instance_uid: str) -> list[dict[str, Any]]:
    """Every segmentation of a study that can be shown on its image, newest first.

    Raises:
        NotFoundError: If the archive does not hold the study.
    """
    instances = archive.study(study_instance_uid)
    entries = []
    deletes = Removal(archive)
    for address in instances:
        if address.sop_class_uid != SegmentationStorage:
            continue
        try:
            dataset = archive.retrieve(address)
            with pacs_errors("read a segmentation"):
                entry = StudySegmentation(archive, instances, dataset).as_json()
            if entry["removable"]:
                entry["removable"] = deletes.is_offered(study_instance_uid, address.series_instance_uid)
            entries.append(entry)
        except (UnsupportedImageError, UnreadableImageError, UnreadableAnswerError, NotFoundError) as error:
            # The last one: deleted meanwhile. The others: one that is damaged does not hide the rest.
            logger.info("a segmentation is not listed: %s", error)
    return sorted(entries, key=lambda entry: entry["created"] or "", reverse=True)


def author_of(request: Request) -> str | None:
    """Who draws, as segmentations say it; None where the server does not ask who it is."""
    identity = identity_of(request)
    return None if identity == LOCAL else identity.name


def save_segmentation(
    archive: DicomWebStudies,
    study_instance_uid: str,
    description: SegmentationDescription,
    labels_in: Callable[[tuple[int, int]], np.ndarray],
    *,
    author: str | None,
) -> dict[str, Any]:
    """Store a label map as a new segmentation.

    Args:
        archive: Where to.
        study_instance_uid: Study of the image.
        description: The image, and what the values mean.
        labels_in: Gives the label map, (H, W) uint8, for rows and columns of the image.
        author: Who has drawn it; None if that is not known.

    Raises:
        NotFoundError: If the study does not hold the image.
        InvalidParameterError: If mask and description do not fit each other or the image.
        UnsupportedImageError: If the image is no single-frame mammogram.
    """
    instances = archive.study(study_instance_uid)
    source = archive.header(address_of(instances, study_instance_uid, description.sop_instance_uid))
    shape = integer_of(source, "Rows") or 0, integer_of(source, "Columns") or 0
    names = [(segment.number, segment.label, segment.lesion_class) for segment in description.segments]
    parts = [segment.number for segment in description.segments if not segment.is_lesion]
    dataset = draw_segmentation(
        segments_of(labels_in(shape), names, parts),
        source,
        software_version=__version__,
        series_description=description.series_description,
        author=author,
    )
    segmentation = StudySegmentation(archive, instances, dataset)  # before it is stored: what cannot be read is not
    archive.store(dataset)
    return segmentation.as_json()


def store_segmentation(archive: DicomWebStudies, study_instance_uid: str, content: bytes) -> dict[str, Any]:
    """Store a DICOM file with a segmentation of an image of the study.

    Raises:
        NotFoundError: If the archive does not hold the study.
        ConflictError: If the study holds an instance of its UID: archives keep the old one silently, or replace it.
        UnreadableImageError: If it is no DICOM file, or cannot be decoded.
        UnsupportedImageError: If it is no segmentation of an image of the study, or of another patient.
    """
    instances = archive.study(study_instance_uid)
    dataset = parse_file(content, "the uploaded file")
    segmentation = StudySegmentation(archive, instances, dataset)
    uid = text_or_none(dataset, "SOPInstanceUID")
    if uid in {each.sop_instance_uid for each in instances}:
        raise ConflictError(f"the study holds an instance {uid} already; give a changed segmentation a UID of its own")
    for keyword, expected in (
        ("StudyInstanceUID", study_instance_uid),
        ("PatientID", text_or_none(segmentation.source_header, "PatientID")),
    ):
        if text_or_none(dataset, keyword) != expected:
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
