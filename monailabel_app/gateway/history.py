"""What was synthesized in a study: read from the archive's headers, so results of another server are there, too."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from pydicom.dataset import Dataset

from mammosynth.dicom.attributes import items_of, value_of
from mammosynth.dicom.generated import is_generated_series
from mammosynth.dicom.provenance_element import read_provenance, read_role
from mammosynth.errors import InvalidParameterError
from monailabel_app import dicom_json
from monailabel_app.dicom_json import Uid, header_of, is_generated, is_removable
from monailabel_app.errors import ConflictError, NotFoundError
from monailabel_app.gateway.ohif import viewer_url
from monailabel_app.removal import Removal, remove_series
from monailabel_app.studies import DicomWebStudies, UnreadableAnswerError, pacs_errors

logger = logging.getLogger(__name__)
_TOLD = (
    "task",
    "bundle",
    "bundle_version",
    "weights_sha256",
    "software_version",
    "rendering",
    "seed",
    "parameters",
    "created",
)
"""Of the provenance; what the sources are is gathered from all instances."""


def create_history(archive: Callable[[], DicomWebStudies]) -> APIRouter:
    """Routes below /studies/{study}/synthesized.

    Args:
        archive: The archive; raises ConflictError if there is none.
    """
    router = APIRouter()

    @router.get("/studies/{study}/synthesized")
    def synthesized(study: Uid) -> dict[str, Any]:
        """Every synthesized series of the study with what made it, newest first."""
        return {"series": list_synthesized(archive(), study)}

    @router.delete("/studies/{study}/synthesized/{series}")
    def remove(study: Uid, series: Uid) -> dict[str, str]:
        """Delete a synthesized series."""
        store = archive()
        if not all(is_generated(header) for header in store.series_metadata(study, series)):
            raise ConflictError(f"series {series} was not synthesized and is never deleted")
        remove_series(store, study, series)
        return {"deleted": series}

    return router


def list_synthesized(archive: DicomWebStudies, study_instance_uid: str) -> list[dict[str, Any]]:
    """Every series of a study that this software has synthesized, newest first.

    Returns:
        JSON values; what the headers do not say is None.

    Raises:
        NotFoundError: If the archive does not hold the study.
    """
    series_of = {each.sop_instance_uid: each.series_instance_uid for each in archive.study(study_instance_uid)}
    with pacs_errors("search for the series of the study"):
        found = archive.client.search_for_series(study_instance_uid, fields=["SeriesDescription"])
    dated: list[tuple[datetime, dict[str, Any]]] = []
    deletes = Removal(archive)
    for item in found:
        uid = str(dicom_json.value_of(item, "0020000E"))
        if not is_generated_series(str(dicom_json.value_of(item, "0008103E", "")), uid):
            continue
        try:
            metadata = archive.series_metadata(study_instance_uid, uid)
            with pacs_errors("read what is said of a synthesized series"):
                if not all(is_generated(each) and is_removable(each) for each in metadata):
                    continue
                entry = _describe([header_of(each) for each in metadata], series_of, removable=False)
                dated.append((_moment(entry["created"]), entry))
        except NotFoundError:
            continue  # deleted meanwhile
        except (UnreadableAnswerError, InvalidParameterError) as error:
            logger.info("a series is not listed: %s", error)  # one that is damaged does not hide the others
            continue
        entry["removable"] = deletes.is_offered(study_instance_uid, uid)
    return [entry for _, entry in sorted(dated, key=lambda pair: pair[0], reverse=True)]


def _describe(headers: Sequence[Dataset], series_of: Mapping[str, str], *, removable: bool) -> dict[str, Any]:
    """A series as JSON values.

    Args:
        headers: One per instance; they were made together, so all but the sources of what made them is the same.
        series_of: Series Instance UID by SOP Instance UID, of the whole study.
        removable: Whether the archive would delete it.
    """
    first = headers[0]
    recipe = read_provenance(first)
    sources = list(
        dict.fromkeys(
            str(value_of(item, "ReferencedSOPInstanceUID"))
            for header in headers
            for item in items_of(header, "SourceImageSequence")
        )
    )
    source_series = next((series_of[uid] for uid in sources if uid in series_of), None)
    series = str(first.SeriesInstanceUID)
    beside = [source_series] if source_series else []
    return {
        "series_instance_uid": series,
        "sop_instance_uids": [str(header.SOPInstanceUID) for header in headers],
        "series_description": str(value_of(first, "SeriesDescription") or ""),
        "role": read_role(first),
        **{name: recipe.get(name) for name in _TOLD},
        "sources": [source for header in headers for source in read_provenance(header).get("sources", ())],
        "removable": removable,
        "source_series_instance_uid": source_series,
        "source_sop_instance_uids": sources,
        "description": str(value_of(first, "DerivationDescription") or "") or None,
        "viewer_url": viewer_url(str(first.StudyInstanceUID), [*beside, series]),
    }


def _moment(created: str | None) -> datetime:
    """For sorting: what has no date is oldest, what has no time zone is in UTC."""
    moment = datetime.fromisoformat(created) if created else datetime.min
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
