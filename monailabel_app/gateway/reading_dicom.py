"""The images of the case that a reader sees, as DICOMweb (PS3.18): QIDO-RS and WADO-RS of blinded copies.

Beside them only what comes after it in the session is given, so that a viewer can fetch it ahead. Everything else is
answered in one sentence, whether there is such a UID or not: no other is ever looked up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydicom.dataset import Dataset

from mammosynth.reading.blinding.copies import BlindedImage
from monailabel_app.dicom_json import UID_MAX_LENGTH
from monailabel_app.errors import NotFoundError
from monailabel_app.gateway.guard import identity_of
from monailabel_app.gateway.presentation import METADATA_TYPE, frame_response

_ROOT = "/reading-room/dicom"
NO_STORE = {"cache-control": "private, no-store"}
_KEPT_FRAME = "private, max-age=600"  # what was fetched ahead is not fetched again
_NOTHING = "this is not the case that you read now"
_UID = rf"[0-9][0-9.]{{0,{UID_MAX_LENGTH - 1}}}"
_PATH = re.compile(
    rf"(?:qido|wado)/studies(?:/(?P<study>{_UID})(?:/series(?:/(?P<series>{_UID}))?)?"
    rf"(?:/instances(?:/(?P<instance>{_UID}))?)?(?:/(?P<last>metadata|frames/1))?)?/?"
)
# What a search tells of each level, beside what its answers count.
_OF_STUDY = (
    *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID"),
    *("StudyInstanceUID", "StudyID", "StudyDescription"),
)
_OF_SERIES = ("StudyInstanceUID", "Modality", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber")
_OF_INSTANCE = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "InstanceNumber", "Rows", "Columns"),
)


@dataclass(frozen=True)
class Visible:
    """What a reader may fetch: the case that is shown, and the one after it."""

    shown: tuple[BlindedImage, ...] = ()
    ahead: tuple[BlindedImage, ...] = ()


def create_reading_dicom(visible: Callable[[str], Visible]) -> APIRouter:
    """The routes.

    Args:
        visible: What somebody of that name may fetch.
    """
    router = APIRouter(prefix=_ROOT)

    @router.get("/{path:path}")
    def read(path: str, request: Request) -> Response:
        """QIDO-RS and WADO-RS."""
        asked = _PATH.fullmatch(path)
        mine = visible(identity_of(request).name)
        if asked is None:
            raise NotFoundError(_NOTHING)
        return _answer(path.rstrip("/"), asked, mine, request.headers.get("accept", ""))

    return router


def frame_url(image: BlindedImage) -> str:
    """Where the pixels of an image are."""
    of_series = f"{image.study_instance_uid}/series/{image.series_instance_uid}"
    return f"{_ROOT}/wado/studies/{of_series}/instances/{image.sop_instance_uid}/frames/1"


def metadata_url(image: BlindedImage) -> str:
    """Where the headers of its study are."""
    return f"{_ROOT}/wado/studies/{image.study_instance_uid}/metadata"


def _answer(path: str, asked: re.Match[str], mine: Visible, accept: str) -> Response:
    study, series, instance, last = asked.group("study", "series", "instance", "last")
    if study is None:
        return _found([_study(mine.shown)] if mine.shown else [])
    uids = ((study, "study_instance_uid"), (series, "series_instance_uid"), (instance, "sop_instance_uid"))
    images = [
        image for image in (*mine.shown, *mine.ahead) if all(uid in (None, getattr(image, name)) for uid, name in uids)
    ]
    if not images or (instance is not None and series is None):
        raise NotFoundError(_NOTHING)
    if last == "metadata":
        return _found([image.header() for image in images])
    if last is not None and instance is not None:
        return frame_response(images[0].pixels(), accept, _KEPT_FRAME)
    if path.endswith("/series"):
        return _found(_series(images))
    if path.endswith("/instances"):
        return _found(_only(image.header(), _OF_INSTANCE) for image in images)
    raise NotFoundError(_NOTHING)


def _found(items: Iterable[Dataset]) -> Response:
    return JSONResponse([item.to_json_dict() for item in items], media_type=METADATA_TYPE, headers=NO_STORE)


def _study(images: Sequence[BlindedImage]) -> Dataset:
    found = _only(images[0].header(), _OF_STUDY)
    found.ModalitiesInStudy = ["MG"]
    found.NumberOfStudyRelatedSeries = found.NumberOfStudyRelatedInstances = len(images)
    return found


def _series(images: Sequence[BlindedImage]) -> Iterator[Dataset]:
    for image in images:  # each is a series of its own
        found = _only(image.header(), _OF_SERIES)
        found.NumberOfSeriesRelatedInstances = 1
        yield found


def _only(header: Dataset, keywords: Sequence[str]) -> Dataset:
    found = Dataset()
    for keyword in keywords:
        if keyword in header:
            element: Any = header[keyword]
            found.add(element)
    return found
