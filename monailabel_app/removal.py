"""Removing a series that this software has made; nothing else can be removed.

DICOMweb knows no DELETE, but many archives do, ours among them. Orthanc answers it with an error and has a REST
interface of its own beside DICOMweb instead.
"""

from __future__ import annotations

import re
from typing import Any

from monailabel_app.dicom_json import is_removable, value_of
from monailabel_app.errors import ConflictError, PacsError
from monailabel_app.studies import DicomWebStudies, UnreadableAnswerError, pacs_errors

_ORTHANC_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}")
_UNSUPPORTED = (400, 404, 405, 501)  # what archives answer to a method that they do not have


def remove_series(archive: DicomWebStudies, study_instance_uid: str, series_instance_uid: str) -> None:
    """Delete a series of synthesized images or drawn segmentations.

    Raises:
        NotFoundError: If the archive does not hold the series.
        ConflictError: If this software has not made every instance of it, or the archive does not delete.
        PacsError: If the archive does not answer.
    """
    headers = archive.series_metadata(study_instance_uid, series_instance_uid)
    if not all(is_removable(header) for header in headers):
        raise ConflictError(
            f"series {series_instance_uid} was not made by this software and is never deleted by it; only synthesized "
            "images and segmentations that were drawn here can be"
        )
    with pacs_errors("delete the series"):
        path = f"{archive.url}/studies/{study_instance_uid}/series/{series_instance_uid}"
        answer = archive.session.delete(path)
        if answer.ok:
            return
        if answer.status_code == 403:
            raise ConflictError(f"the archive does not delete series {series_instance_uid}: {_reason(answer)}")
        if answer.status_code not in _UNSUPPORTED:
            answer.raise_for_status()
        root = archive.url.rpartition("/")[0]
        if not _is_orthanc(archive, root):
            raise ConflictError(
                f"the archive does not delete (it answered {answer.status_code} to DELETE, and is no Orthanc); delete "
                f"series {series_instance_uid} with the archive's own tools"
            )
        for header in headers:
            _remove_from_orthanc(archive, root, str(value_of(header, "00080018")))


class Removal:
    """Whether an archive would delete a series, asked without deleting: by OPTIONS, or because it is an Orthanc.

    Args:
        archive: Is asked once what it is.
    """

    def __init__(self, archive: DicomWebStudies) -> None:
        self._archive = archive
        self._orthanc: bool | None = None

    def is_offered(self, study_instance_uid: str, series_instance_uid: str) -> bool:
        """Whether a series that this software has made can be deleted there.

        Raises:
            PacsError: If the archive does not answer.
        """
        with pacs_errors("ask whether the series can be deleted"):
            path = f"{self._archive.url}/studies/{study_instance_uid}/series/{series_instance_uid}"
            answer = self._archive.session.options(path)
            methods = {method.strip().upper() for method in answer.headers.get("Allow", "").split(",")}
            if answer.ok and methods >= {"GET"}:
                return "DELETE" in methods
            if self._orthanc is None:
                self._orthanc = _is_orthanc(self._archive, self._archive.url.rpartition("/")[0])
        return self._orthanc


def _remove_from_orthanc(archive: DicomWebStudies, root: str, sop_instance_uid: str) -> None:
    """Delete exactly the instance that was checked: not its series, to which others may be added at any moment."""
    answer = archive.session.post(f"{root}/tools/lookup", data=sop_instance_uid)
    answer.raise_for_status()
    found = [str(item["ID"]) for item in answer.json() if item["Type"] == "Instance"]
    if len(found) != 1:
        raise PacsError(
            f"Orthanc holds {len(found)} instances {sop_instance_uid}, expected one; it was not deleted, use "
            "Orthanc's explorer"
        )
    if not _ORTHANC_ID.fullmatch(found[0]):  # would be another path
        raise UnreadableAnswerError(
            f"the archive's answer cannot be understood while trying to delete the series (ID {found[0][:80]!r} is "
            "none of Orthanc's); see its log"
        )
    archive.session.delete(f"{root}/instances/{found[0]}").raise_for_status()


def _is_orthanc(archive: DicomWebStudies, root: str) -> bool:
    answer = archive.session.get(f"{root}/system")
    if not answer.ok or "json" not in answer.headers.get("Content-Type", ""):
        return False
    system = answer.json()
    return isinstance(system, dict) and "ApiVersion" in system


def _reason(answer: Any) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return "it is forbidden"
