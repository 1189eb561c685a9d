"""Where results go in an archive, and how every image that an order names is made and stored there, or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from mammosynth.bundle import Bundle
from mammosynth.dicom.derive import derive_instances
from mammosynth.dicom.derived_uids import derived_uid, series_identity, work_digest
from mammosynth.errors import BundleError, InvalidParameterError, MammoSynthError
from mammosynth.journey import Given, Order, Synthesize, Work, perform
from mammosynth.parallel.pool_errors import PoolError
from mammosynth.synthesis.result import Result
from mammosynth.task import Placement
from monailabel_app.errors import PacsError
from monailabel_app.studies import DicomWebStudies, InstanceAddress

Report = Callable[[float, str], None]
_OF_ALL_IMAGES = (InvalidParameterError, BundleError, PacsError, PoolError)
"""Errors of the order, the model, the archive or the workers, which no other image would escape; all others
are of one image."""


@dataclass(frozen=True)
class Stored:
    """One instance that a job has made.

    Attributes:
        role: Of the output.
        address: Where it lies.
        source_sop_instance_uid: What it was made from; None for a task that starts from no image.
        provenance: As JSON values; None if it was made before.
        remarks: On inputs that left the image as it is, as JSON values.
    """

    role: str
    address: InstanceAddress
    source_sop_instance_uid: str | None
    provenance: dict[str, Any] | None = None
    remarks: tuple[dict[str, Any], ...] = ()

    @property
    def is_label_map(self) -> bool:
        """Whether it lies on an image, as a segmentation does, whatever its role is called."""
        return self.address.sop_class_uid == SegmentationStorage

    def as_json(self) -> dict[str, Any]:
        """What clients are told of it."""
        return {
            "role": self.role,
            "modality": "SEG" if self.is_label_map else "MG",
            "study_instance_uid": self.address.study_instance_uid,
            "series_instance_uid": self.address.series_instance_uid,
            "sop_instance_uid": self.address.sop_instance_uid,
            "source_sop_instance_uid": self.source_sop_instance_uid,
        }


def synthesize_each(
    archive: DicomWebStudies,
    order: Order,
    works: Sequence[tuple[InstanceAddress | None, Mapping[str, Given]]],
    report: Report,
    *,
    synthesize: Synthesize = Bundle.synthesize,
) -> Iterator[list[Stored] | MammoSynthError]:
    """Synthesize from every image and store the results, one after the other.

    Args:
        archive: Where to store.
        order: Model and settings.
        works: What each journey starts from, see `inputs.archive_inputs`.
        report: Told a fraction of all in [0, 1] and what happens.
        synthesize: Runs the network.

    Yields:
        For each image what is stored of it, or why it cannot be used.

    Raises:
        MammoSynthError: Of the order, the model or the archive, which no other image would escape.
    """
    numbers = _numbers_in_series(archive, [source for source, _ in works if source])
    for index, (source, inputs) in enumerate(works):

        def step(fraction: float, message: str, index: int = index, total: int = len(works)) -> None:
            prefix = f"image {index + 1} of {total}: " if total > 1 else ""
            report((index + fraction) / total, prefix + message)

        sink = ArchiveSink(archive, source, numbers.get(source.sop_instance_uid) if source else None)
        try:
            outcome: list[Stored] | MammoSynthError = perform(order, inputs, sink, progress=step, synthesize=synthesize)
        except _OF_ALL_IMAGES:
            raise
        except MammoSynthError as error:
            outcome = error
        yield outcome


class ArchiveSink:
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
        stored = []
        for role in work.roles:
            address = self._archive.find(self._address(work, role))
            if address is None:
                return None
            stored.append(self._stored(role, address))
        return stored

    def store(self, work: Work, result: Result, known: list[Stored] | None) -> list[Stored]:
        """Store what the archive does not hold; remarks go with the image."""
        first, *others = known or self._store(work, result)
        return [replace(first, remarks=tuple(remark.as_json() for remark in result.remarks)), *others]

    def _store(self, work: Work, result: Result) -> list[Stored]:
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
            is_new = self._archive.find(address) is None
            if is_new:
                self._archive.store(dataset)
            stored.append(self._stored(output.role, address, provenance if is_new else None))
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
