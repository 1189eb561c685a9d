"""Where source images come from and derived ones go: a DICOMweb archive, or a folder of image files.

Both answer the same question, "give me the view behind this image id", with the full DICOM header where there is one.
The platform's own way (DICOM to NIfTI) loses view, laterality, photometric interpretation and VOI LUT.
"""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.message import Message
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
)

from mammosynth.dicom.bounded import parse_file
from mammosynth.dicom.generated import is_generated_series
from mammosynth.dicom.read import read_mammogram
from mammosynth.errors import InvalidParameterError, MammoSynthError, UnreadableImageError, UnsupportedImageError
from mammosynth.files import read_image
from mammosynth.mammogram import Mammogram
from mammosynth.terms import ImageLaterality, ViewPosition
from monailabel_app.archive_session import (
    ArchiveSession,
    NoDicomJsonError,
    TooLongError,
    UnwantedError,
    read_dicom_json,
)
from monailabel_app.dicom_json import UID_MAX_LENGTH, UID_PATTERN, header_of, value_of
from monailabel_app.errors import NotFoundError, PacsError

INSTANCE_TYPE = 'multipart/related; type="application/dicom"; transfer-syntax=*'  # as it is stored
_UID = re.compile(UID_PATTERN)
_IMAGE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# Storage classes of single-frame mammograms; anything else in an MG series is refused before it is fetched.
MAMMOGRAPHY_SOP_CLASSES = (
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
)
_WHERE = "; check that --studies names its DICOMweb root, and see its log"
_WHO_ASKS = "; it knows another user or password: see --archive-user and MAMMOSYNTH_ARCHIVE_PASSWORD"
_FAILED_SEQUENCE, _STORED_SEQUENCE = "00081198", "00081199"


class UnreadableAnswerError(PacsError):
    """What the archive sent cannot be understood."""


@dataclass(frozen=True)
class ViewRequest:
    """Which view of an image id is meant, and what to assume where its header is silent."""

    sop_instance_uid: str | None = None
    view_position: ViewPosition | None = None
    image_laterality: ImageLaterality | None = None


@dataclass(frozen=True)
class InstanceAddress:
    """Where one instance lives in the archive."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str


def choose_instance(
    addresses: list[InstanceAddress], image_id: str, sop_instance_uid: str | None
) -> list[InstanceAddress]:
    """The instance that is meant; all of them if none is named.

    Raises:
        NotFoundError: If the named one is not among them, with those that are.
    """
    chosen = [address for address in addresses if sop_instance_uid in (None, address.sop_instance_uid)]
    if not chosen:
        known = ", ".join(address.sop_instance_uid for address in addresses)
        raise NotFoundError(f"sop_instance_uid {sop_instance_uid} is not in series {image_id}; it holds {known}")
    return chosen


def read_retrieved(content: bytes, content_type: str, sop_instance_uid: str) -> Dataset:
    """The instance in the answer to a WADO-RS request for one; dicomweb_client would parse it without bounds.

    Args:
        content: A multipart body; parts behind the first one are not looked at.
        content_type: Of the answer.
        sop_instance_uid: What was asked for.

    Raises:
        UnreadableAnswerError: If it holds none, or one that is damaged.
    """
    with pacs_errors("retrieve the instance"):
        header = Message()
        header["Content-Type"] = content_type
        delimiter = f"\r\n--{header.get_boundary()}".encode()
        _, part, *_ = (b"\r\n" + content).split(delimiter, 2)
        try:
            return parse_file(part.partition(b"\r\n\r\n")[2], f"the archive's instance {sop_instance_uid}")
        except UnreadableImageError as error:
            raise UnreadableAnswerError(str(error)) from error


def check_uid(value: str, name: str) -> str:
    """The value, if it is a DICOM UID.

    Raises:
        InvalidParameterError: If it is not.
    """
    if not isinstance(value, str) or len(value) > UID_MAX_LENGTH or not _UID.fullmatch(value):
        raise InvalidParameterError(f"{name} is {str(value)[:80]!r}, not a DICOM UID (digits and dots, at most 64)")
    return value


def check_image_id(value: str) -> str:
    """The value, if it can be an image id: never a path.

    Raises:
        InvalidParameterError: If it is not.
    """
    if not _IMAGE_ID.fullmatch(value) or ".." in value:
        raise InvalidParameterError(
            f"image is {value[:80]!r}, expected an id of the datastore (letters, digits, '.', '_', '-'), not a path"
        )
    return value


def _reopened(url: str, credentials: tuple[str, str] | None, timeout_s: float) -> DicomWebStudies:
    return DicomWebStudies(url, credentials, timeout_s=timeout_s)


class DicomWebStudies:
    """A DICOMweb archive (PS3.18): QIDO-RS to find, WADO-RS to fetch, STOW-RS to store.

    Args:
        url: DICOMweb root.
        credentials: User and password; None sends none.
        timeout_s: Longest time of one request, to the last byte of its answer.
    """

    def __init__(self, url: str, credentials: tuple[str, str] | None = None, *, timeout_s: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self._arguments = url, credentials, timeout_s
        self.session = ArchiveSession(credentials, deadline_s=timeout_s)
        self.client = DICOMwebClient(url, session=self.session)
        # The session tries once more, soon; the client would keep a person waiting when the archive is down.
        self.client.set_http_retry_params(retry=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process, a session of its own."""
        return _reopened, self._arguments

    def check(self) -> None:
        """Ask the archive for one study.

        Raises:
            PacsError: If it does not answer as a DICOMweb archive.
        """
        try:
            with pacs_errors("search for studies"):
                self.client.search_for_studies(limit=1)
        except NotFoundError as error:
            raise PacsError(f"the archive answered 404 while trying to search for studies{_WHERE}") from error

    def instances(self, image_id: str, sop_instance_uid: str | None = None) -> list[InstanceAddress]:
        """The instances of a series (image id = Series Instance UID), or one instance by its SOP Instance UID.

        Raises:
            NotFoundError: If the archive holds neither.
        """
        check_uid(image_id, "image")
        with pacs_errors("search for the series"):
            series = self.client.search_for_series(search_filters={"SeriesInstanceUID": image_id})
            if series:
                study = value_of(series[0], "0020000D")
                found = self.client.search_for_instances(study, image_id)
            else:
                found = self.client.search_for_instances(search_filters={"SOPInstanceUID": image_id})
        if not found:
            raise NotFoundError(f"no series or instance {image_id} in the archive; choose an image of the study list")
        addresses = [address for _, address in sorted(_addresses(found), key=lambda pair: pair[0])]
        return choose_instance(addresses, image_id, sop_instance_uid)

    def study(self, study_instance_uid: str) -> list[InstanceAddress]:
        """Every instance of a study.

        Raises:
            NotFoundError: If the archive does not hold the study.
        """
        check_uid(study_instance_uid, "study")
        with pacs_errors("search for the study"):
            found = self.client.search_for_instances(study_instance_uid)
        if not found:
            raise NotFoundError(f"no study {study_instance_uid} in the archive; choose one of the study list")
        return [address for _, address in _addresses(found)]

    def series_metadata(self, study_instance_uid: str, series_instance_uid: str) -> list[dict[str, Any]]:
        """The header of every instance of a series, in the DICOM JSON model.

        Raises:
            NotFoundError: If the archive does not hold the series.
        """
        check_uid(study_instance_uid, "study")
        check_uid(series_instance_uid, "series")
        with pacs_errors("read the headers of the series"):
            found = self.client.retrieve_series_metadata(study_instance_uid, series_instance_uid)
        if not found:
            raise NotFoundError(f"no series {series_instance_uid} in study {study_instance_uid}; check both UIDs")
        return found

    def header(self, address: InstanceAddress) -> Dataset:
        """The header of an instance, without pixels and other bulk data."""
        with pacs_errors("read the header of the instance"):
            return header_of(
                self.client.retrieve_instance_metadata(
                    address.study_instance_uid, address.series_instance_uid, address.sop_instance_uid
                )
            )

    def retrieve(self, address: InstanceAddress) -> Dataset:
        """An instance with its pixels.

        Raises:
            NotFoundError: If the archive does not hold it.
            UnreadableAnswerError: If what it sends is none.
        """
        path = f"studies/{address.study_instance_uid}/series/{address.series_instance_uid}/instances"
        with pacs_errors("retrieve the instance"):
            url = f"{self.url}/{path}/{address.sop_instance_uid}"
            answer = self.session.get(url, headers={"Accept": INSTANCE_TYPE})
            answer.raise_for_status()
        return read_retrieved(answer.content, answer.headers.get("Content-Type", ""), address.sop_instance_uid)

    def view(self, address: InstanceAddress, wanted: ViewRequest, *, accept_generated: bool = False) -> Mammogram:
        """Fetch one instance and read it as a source.

        Raises:
            UnsupportedImageError: If it is no single-frame mammogram, or was generated itself and is not accepted.
        """
        if address.sop_class_uid not in MAMMOGRAPHY_SOP_CLASSES:
            raise UnsupportedImageError(
                f"{address.sop_instance_uid}: (0008,0016) SOP Class UID is {address.sop_class_uid}, expected a digital "
                "mammography image; tomosynthesis, secondary captures and reports cannot be sources"
            )
        return read_mammogram(
            self.retrieve(address),
            source_name=address.sop_instance_uid,
            view_position=wanted.view_position,
            image_laterality=wanted.image_laterality,
            accept_generated=accept_generated,
        )

    def views(self, image_id: str, wanted: ViewRequest, *, accept_generated: bool = False) -> list[Mammogram]:
        """Every view behind an image id that fits the request; errors of single views are raised."""
        return [
            self.view(address, wanted, accept_generated=accept_generated)
            for address in self.instances(image_id, wanted.sop_instance_uid)
        ]

    def source(self, image_id: str, wanted: ViewRequest) -> tuple[Mammogram, None]:
        """The one view behind an image id, which has no file of ours.

        Raises:
            NotFoundError: If there is no such image.
            UnsupportedImageError: If the id stands for several views and none was chosen, or for no usable image.
        """
        views = self.views(image_id, wanted)
        if len(views) > 1:
            choices = "; ".join(
                f"{view.source_name} ({view.image_laterality or '?'} {view.view_position or '?'})" for view in views
            )
            raise UnsupportedImageError(
                f"series {image_id} holds {len(views)} images: {choices}. Ask for one of them by this UID as image"
            )
        return views[0], None

    def find(self, address: InstanceAddress) -> InstanceAddress | None:
        """An instance as the archive knows it, with its SOP class; None if it does not hold it."""
        with pacs_errors("search for the instance"):
            found = self.client.search_for_instances(
                address.study_instance_uid,
                address.series_instance_uid,
                search_filters={"SOPInstanceUID": address.sop_instance_uid},
            )
        return replace(address, sop_class_uid=value_of(found[0], "00080016", "")) if found else None

    def store(self, dataset: Dataset) -> None:
        """Store one instance.

        Raises:
            PacsError: If the archive refuses it, or does not say that it has stored it.
        """
        boundary = uuid.uuid4().hex  # chance alone keeps it out of the pixels
        start = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n"
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
        }
        with pacs_errors("store the result"):
            body = b"".join((start.encode(), _as_file(dataset), f"\r\n--{boundary}--\r\n".encode()))
            answer = self.session.post(f"{self.url}/studies", data=body, headers=headers)
        _check_stored(answer, str(dataset.SOPInstanceUID))

    def mammography_series(self) -> Iterator[Mapping[str, Any]]:
        """QIDO results of all acquired MG series, phantoms' included: series that were generated are left out."""
        with pacs_errors("search for series"):
            found = self.client.search_for_series(
                fields=["SeriesDescription", "NumberOfSeriesRelatedInstances"], search_filters={"Modality": "MG"}
            )
        for item in found:
            if not is_generated_series(str(value_of(item, "0008103E", "")), str(value_of(item, "0020000E"))):
                yield item


class FolderStudies:
    """A folder of image files without an archive; an image id is the file's name without extension."""

    def __init__(self, find: Callable[[str], str]) -> None:
        self._find = find

    def source(self, image_id: str, wanted: ViewRequest) -> tuple[Mammogram, Path]:
        """The view behind an image id, and its file.

        Raises:
            NotFoundError: If there is no such image.
        """
        path = self.path(image_id)
        return read_image(path, view_position=wanted.view_position, image_laterality=wanted.image_laterality), path

    def path(self, image_id: str) -> Path:
        """The file behind an image id.

        Raises:
            NotFoundError: If there is none.
        """
        path = Path(self._find(check_image_id(image_id)) or "")
        if not path.is_file():
            raise NotFoundError(f"no image {image_id!r} in the folder; ask /datastore/?output=all for the ids")
        return path


AnyStudies = DicomWebStudies | FolderStudies


def _addresses(found: list[dict[str, Any]]) -> Iterator[tuple[tuple[int, int], InstanceAddress]]:
    """Where instances lie, with what they are sorted by; those whose identifiers are none cannot be asked for."""
    for index, item in enumerate(found):
        place, address = _address(item, index)
        uids = (address.study_instance_uid, address.series_instance_uid, address.sop_instance_uid)
        if all(len(uid) <= UID_MAX_LENGTH and _UID.fullmatch(uid) for uid in uids):
            yield place, address


def _address(item: Mapping[str, Any], index: int) -> tuple[tuple[int, int], InstanceAddress]:
    number = _whole(value_of(item, "00200013"), index)
    address = InstanceAddress(
        study_instance_uid=str(value_of(item, "0020000D")),
        series_instance_uid=str(value_of(item, "0020000E")),
        sop_instance_uid=str(value_of(item, "00080018")),
        sop_class_uid=str(value_of(item, "00080016", "")),
    )
    return (number, index), address


def _whole(value: Any, default: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return default


def _as_file(dataset: Dataset) -> bytes:
    dataset.preamble = b"\0" * 128  # pydicom 2.4 writes a dataset as it is, and so without what PS3.10 asks for
    with io.BytesIO() as file:
        pydicom.dcmwrite(file, dataset)
        return file.getvalue()


def _check_stored(answer: requests.Response, sop_instance_uid: str) -> None:
    """Believe that an instance is stored only if the answer names it as stored (PS3.18 section 10.5.3).

    Raises:
        PacsError: Otherwise.
    """
    try:
        outcome = (read_dicom_json(answer.content) or [{}])[0]
    except ValueError:
        outcome = {}
    failed, stored = (_items(outcome, tag) for tag in (_FAILED_SEQUENCE, _STORED_SEQUENCE))
    if failed:
        reason = f"failure reason {value_of(failed[0], '00081197', 'not told')}"
        words = value_of(failed[0], "0040A160")  # of our own archive; DICOM has no place for them
        raise PacsError(f"the archive refused to store the result ({str(words or reason)[:300]}); see its log")
    with pacs_errors("store the result"):
        answer.raise_for_status()
    if sop_instance_uid not in [value_of(item, "00081155") for item in stored]:
        kind = answer.headers.get("Content-Type", "no content type")[:80]
        raise PacsError(
            f"the archive answered {answer.status_code} ({kind}) and does not say that it has stored the result: its "
            f"answer names no {sop_instance_uid} in (0008,1199) Referenced SOP Sequence; check that --studies names "
            "its DICOMweb root, and see its log"
        )


def _items(attributes: Mapping[str, Any], tag: str) -> list[Mapping[str, Any]]:
    return [item for item in attributes.get(tag, {}).get("Value", []) if isinstance(item, dict)]


@contextmanager
def pacs_errors(action: str) -> Iterator[None]:
    """Turn into one sentence what fails in the transport, or in reading what the archive has sent.

    Raises:
        NotFoundError: If the archive does not hold it.
        PacsError: For everything else but our own errors, which pass: in such a block nothing else can go wrong than
            the archive's part. `UnreadableAnswerError`, if it is in what the archive has sent.
    """
    try:
        yield
    except MammoSynthError:
        raise
    except TooLongError as error:
        raise PacsError(f"the archive was too slow while trying to {action}: {error}; see its log") from error
    except UnwantedError as error:
        raise PacsError(f"stopped while trying to {action}") from error
    except (NoDicomJsonError, requests.JSONDecodeError) as error:
        raise UnreadableAnswerError(
            f"the archive's answer cannot be understood while trying to {action} ({error}); check that --studies names "
            "its DICOMweb root, and see its log"
        ) from error
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else "no status"
        if status == 404:
            raise NotFoundError(f"the archive does not hold it (404 while trying to {action})") from error
        hint = _WHO_ASKS if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) else _WHERE
        raise PacsError(f"the archive answered {status} while trying to {action}{hint}") from error
    except requests.RequestException as error:
        raise PacsError(
            f"the archive cannot be reached while trying to {action} ({type(error).__name__}); "
            "check that it runs and that --studies names its DICOMweb root"
        ) from error
    except Exception as error:  # whatever the parsers of the client raise
        raise UnreadableAnswerError(
            f"the archive's answer cannot be understood while trying to {action} ({type(error).__name__}); see its log"
        ) from error
