"""From a job to derived instances in the archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from mammosynth.dicom.derive import derive_instances
from mammosynth.dicom.derived_uids import derived_uid, series_identity, work_digest
from mammosynth.errors import BundleError, InvalidParameterError, MammoSynthError
from mammosynth.journey import Work, perform
from mammosynth.synthesis.result import Result
from mammosynth.task import LABELS, Placement, Slot, SlotKind
from monailabel_app.app import MammoSynthApp
from monailabel_app.drawings import drawn_on
from monailabel_app.errors import PacsError
from monailabel_app.gateway.jobs import JobRequest
from monailabel_app.gateway.ohif import viewer_url
from monailabel_app.infers import ONE_AT_A_TIME
from monailabel_app.inputs import archive_inputs, list_sources, parse_references
from monailabel_app.studies import DicomWebStudies, InstanceAddress

Report = Callable[[float, str], None]
_OF_ALL_IMAGES = (InvalidParameterError, BundleError, PacsError)
"""Errors of the order, the model or the archive, which no other image would escape; all others are of one image."""


@dataclass(frozen=True)
class Stored:
    """One instance that a job has made.

    Attributes:
        role: Of the output.
        address: Where it lies.
        source_sop_instance_uid: What it was made from; None for a task that starts from no image.
        provenance: As JSON values; None if it was made before.
    """

    role: str
    address: InstanceAddress
    source_sop_instance_uid: str | None
    provenance: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """What clients are told of it."""
        return {
            "role": self.role,
            "modality": "SEG" if self.role == LABELS else "MG",
            "study_instance_uid": self.address.study_instance_uid,
            "series_instance_uid": self.address.series_instance_uid,
            "sop_instance_uid": self.address.sop_instance_uid,
            "source_sop_instance_uid": self.source_sop_instance_uid,
        }


def run_job(app: MammoSynthApp, archive: DicomWebStudies, request: JobRequest, report: Report) -> dict[str, Any]:
    """Synthesize from every image that is named and store the results.

    Images that cannot be used, for whatever reason of their own, are named in the result, and the others are made; the
    job fails only if none could be used. What is stored stays, also if the job is cancelled.

    Returns:
        outputs (see `Stored.as_json`), viewer_url, provenance (one per image that was made now), refused (messages) and
        message.

    Raises:
        MammoSynthError: If nothing could be synthesized.
    """
    task = app.task(request.model)
    order = task.parse(request.parameters)
    references = parse_references(order.bundle.slots, request.inputs)
    report(0.02, "looking for the source")
    works = archive_inputs(archive, order, references)
    numbers = _numbers_in_series(archive, [source for source, _ in works if source])
    stored: list[Stored] = []
    refused: list[MammoSynthError] = []
    for index, (source, inputs) in enumerate(works):

        def step(fraction: float, message: str, index: int = index, total: int = len(works)) -> None:
            prefix = f"image {index + 1} of {total}: " if total > 1 else ""
            report(0.05 + 0.93 * (index + fraction) / total, prefix + message)

        try:
            sink = _Archive(archive, source, numbers.get(source.sop_instance_uid) if source else None)
            stored += perform(order, inputs, sink, progress=step, alone=ONE_AT_A_TIME)
        except _OF_ALL_IMAGES:
            raise
        except MammoSynthError as error:
            refused.append(error)
    if not stored:
        raise refused[0]
    return {
        "outputs": [each.as_json() for each in stored],
        "viewer_url": _viewer_url(works[0][0], _drawn_on(archive, task.bundle.slots, references), stored),
        "provenance": _distinct([each.provenance for each in stored if each.provenance]),
        "refused": [str(error) for error in refused],
        "message": f"done; {len(refused)} of {len(works)} images could not be used" if refused else "done",
    }


class _Archive:
    """Where results of one source go. Their UIDs follow from all that decides their pixels."""

    def __init__(self, archive: DicomWebStudies, source: InstanceAddress | None, number: int | None) -> None:
        """Prepare.

        Args:
            archive: Where to store.
            source: What the result is made from; None for a task that starts from no image.
            number: Of the source in its series, if that holds several images.
        """
        self._archive, self._source, self._number = archive, source, number

    def find(self, work: Work) -> list[Stored] | None:
        """The instances, if the archive holds all of them."""
        addresses = [self._address(work, role) for role in work.roles]
        if not all(self._archive.exists(address) for address in addresses):
            return None
        return [self._stored(role, address) for role, address in zip(work.roles, addresses, strict=True)]

    def store(self, work: Work, result: Result) -> list[Stored]:
        """Store what the archive does not hold."""
        identify = self._identify(work)
        instances = derive_instances(
            result.outputs,
            result.provenance,
            result.task.placement,
            result.source,
            identify=identify,
            burned_in_mark=work.order.settings.burned_in_mark,
            several_views=self._number is not None,
            instance_number=self._number,
        )
        provenance = result.provenance.as_json()
        stored = []
        for output, dataset in zip(result.outputs, instances, strict=True):
            address = _address_of(dataset)
            if not self._archive.exists(address):
                self._archive.store(dataset)
            stored.append(self._stored(output.role, address, provenance))
        return stored

    def _stored(self, role: str, address: InstanceAddress, provenance: dict[str, Any] | None = None) -> Stored:
        return Stored(role, address, self._source.sop_instance_uid if self._source else None, provenance)

    def _identify(self, work: Work) -> Callable[[str, str], str]:
        """UIDs by kind and role of the output; views of one source series share a series."""
        own = work_digest(**work.ingredients())
        source_role = work.order.bundle.task.source_role
        series = own
        if self._source is not None and source_role is not None:
            settings = work.order.settings
            whole = series_identity(
                self._source.series_instance_uid,
                view_position=settings.view_position,
                image_laterality=settings.image_laterality,
            )
            series = work_digest(**{**work.ingredients(), "inputs": {**work.identities, source_role: whole}})
        return lambda kind, role: derived_uid(own if kind == "instance" else series, kind, role)

    def _address(self, work: Work, role: str) -> InstanceAddress:
        identify = self._identify(work)
        on_new_study = work.order.bundle.task.placement is Placement.NEW_STUDY or self._source is None
        study = identify("study", "") if on_new_study or self._source is None else self._source.study_instance_uid
        return InstanceAddress(study, identify("series", role), identify("instance", role), "")


def _address_of(dataset: Dataset) -> InstanceAddress:
    return InstanceAddress(
        str(dataset.StudyInstanceUID),
        str(dataset.SeriesInstanceUID),
        str(dataset.SOPInstanceUID),
        str(dataset.SOPClassUID),
    )


def _numbers_in_series(archive: DicomWebStudies, sources: Sequence[InstanceAddress]) -> dict[str, int]:
    """From 1, by SOP Instance UID, in every series that holds several images, asked for or not.

    A derived series grows with every one of them, so that what it says of itself must be true of all.
    """
    numbers: dict[str, int] = {}
    for series in dict.fromkeys(each.series_instance_uid for each in sources):
        found = archive.instances(series)
        if len(found) > 1:
            numbers |= {each.sop_instance_uid: number for number, each in enumerate(found, start=1)}
    return numbers


def _viewer_url(source: InstanceAddress | None, drawn: InstanceAddress | None, stored: Sequence[Stored]) -> str:
    """Of what was made: beside its source in the same study, or what it was drawn on, whichever study that lies in."""
    made = list(dict.fromkeys(each.address.series_instance_uid for each in stored if each.role != LABELS))
    study = stored[0].address.study_instance_uid
    beside = source if source is not None and source.study_instance_uid == study else drawn
    if beside is None:
        return viewer_url(study, made)
    studies = dict.fromkeys((beside.study_instance_uid, study))
    return viewer_url(",".join(studies), [beside.series_instance_uid, *made])


def _drawn_on(archive: DicomWebStudies, slots: Sequence[Slot], references: Mapping[str, Any]) -> InstanceAddress | None:
    """The acquired image that gave a drawing its breast."""
    role = next((slot.role for slot in slots if slot.complete is not None and slot.role in references), None)
    if role is None:
        return None
    return drawn_on(archive, references[role].study_instance_uid, references[role].sop_instance_uid)


def _distinct(values: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [value for index, value in enumerate(values) if value not in values[:index]]


def sources_of(app: MammoSynthApp, archive: DicomWebStudies, study: str, model: str) -> list[dict[str, Any]]:
    """Every acquired mammogram of a study, and whether a model can start from it.

    Raises:
        NotFoundError: If there is no such study or model.
    """
    slots = app.task(model).bundle.slots
    slot = next((slot for slot in slots if slot.kind is SlotKind.IMAGE), None)
    if slot is None:
        return []
    return [
        {
            "series_instance_uid": address.series_instance_uid,
            "sop_instance_uid": address.sop_instance_uid,
            "image_laterality": source.image_laterality if source else None,
            "view_position": source.view_position if source else None,
            "accepted": refusal is None,
            "reason": None if refusal is None else str(refusal),
        }
        for address, source, refusal in list_sources(archive, slot, study)
    ]
