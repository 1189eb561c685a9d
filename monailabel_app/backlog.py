"""Synthesis through an archive: every study that a search finds, an order for each, as often as it takes.

Nothing is kept but what the archive holds: what is there already is found by its UID and not made again, so that the
same command goes on where it was stopped.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import IO, Any
from urllib.parse import parse_qsl

from pydicom.datadict import tag_for_keyword

from mammosynth.counts import count_of
from mammosynth.errors import BundleError, InvalidParameterError, MammoSynthError, UnsupportedImageError
from mammosynth.journey import Order, Work
from mammosynth.parallel.engine import Engine
from mammosynth.parallel.local import LocalEngine
from mammosynth.parallel.threads import one_thread
from mammosynth.task import Slot
from monailabel_app.dicom_json import value_of, values_of
from monailabel_app.errors import PacsError
from monailabel_app.inputs import study_inputs
from monailabel_app.results import ArchiveSink, synthesize_each
from monailabel_app.studies import DicomWebStudies, UnreadableAnswerError, check_uid, pacs_errors

PAGE = 100
"""Studies of one answer to a search."""
_MODALITIES = "ModalitiesInStudy"
_PAUSES_S = (2.0, 10.0, 60.0)  # before a study is tried again, with which the archive has failed
_MOST_FAILURES = 3  # studies in a row with which it fails after all
Refuse = Callable[[str, str], None]


@dataclass
class Totals:
    """What became of the studies.

    Attributes:
        studies: That were looked at.
        made: Images that were made and stored, or would be.
        kept: Images that the archive held already.
        passed_over: Images that the model does not start from, by their header.
        refused: Images and studies that could not be used.
        left: Studies that were not looked at, because the archive failed again and again.
    """

    studies: int = 0
    made: int = 0
    kept: int = 0
    passed_over: int = 0
    refused: int = 0
    left: int = 0


def parse_query(text: str) -> dict[str, str]:
    """Attributes that studies must have, of a query of DICOMweb: `ModalitiesInStudy=MG&StudyDate=20260101-`.

    Raises:
        InvalidParameterError: If it is none.
    """
    try:
        found = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        found = []
    if not found:
        raise InvalidParameterError(
            f"--query {text[:200]!r} is no query, expected ATTRIBUTE=VALUE joined by &, such as ModalitiesInStudy=MG"
        )
    names = [name for name, _ in found]
    for name in names:
        if tag_for_keyword(name) is None:
            raise InvalidParameterError(
                f"--query: {name[:64]!r} is no attribute of DICOM; name those of a study by their keyword, such as "
                "StudyDate; all pages of the answer are read, so that limit and offset are not needed"
            )
        if names.count(name) > 1:
            raise InvalidParameterError(f"--query: {name} is there twice; join its values by a comma")
    return dict(found)


def synthesize_archive(
    archive: DicomWebStudies,
    order: Order,
    filters: Mapping[str, str],
    *,
    store: bool,
    refuse: Refuse,
    progress: Callable[[int, int, str], None],
    engine: Engine | None = None,
) -> Totals:
    """Synthesize from every image of every study found that the model starts from, unless the archive has the result.

    A study with which the archive fails is tried again, for a minute at most. Memory does not grow with the number of
    studies: of each, its UID lies in a temporary file.

    Args:
        archive: Where images come from and results go.
        order: Model and settings, the same for all.
        filters: See `parse_query`.
        store: Make and store; otherwise only count what would be made.
        refuse: Told (UID, reason) of each image or study that cannot be used; the others go on.
        progress: Told of every study (done, in all, its UID).
        engine: Where studies are worked through, one order for each; None: here.

    Raises:
        InvalidParameterError: If the model does not start from one image alone, or refuses a parameter.
        PacsError: If the archive cannot be searched.
    """
    worker = _Worker(archive, order, _source_slot(order), store)
    totals, failures = Totals(), 0
    with tempfile.TemporaryFile() as file:
        uids = _Uids(file)
        for found in find_studies(archive, filters):
            try:
                uids.append(check_uid(found, "StudyInstanceUID"))
            except InvalidParameterError as error:
                totals.refused += 1
                refuse("a study", str(error))
        with closing((engine or LocalEngine(1)).run(worker, uids)) as finished:
            for study, images in finished:
                totals.studies += 1
                for uid, reason in images.reasons.items():
                    refuse(uid, reason)
                for what in images.became.values():
                    setattr(totals, what, getattr(totals, what) + 1)
                failures = failures + 1 if images.failed else 0
                progress(totals.studies, len(uids), study)
                if failures >= _MOST_FAILURES:
                    totals.left = len(uids) - totals.studies
                    break
    return totals


class _Uids(Sequence[str]):
    """UIDs in a file, each in as many bytes as the longest may have."""

    _LENGTH = 64

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._count = file, 0

    def append(self, uid: str) -> None:
        self._file.seek(self._count * self._LENGTH)
        self._file.write(uid.encode("ascii").ljust(self._LENGTH))
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < self._count:
            raise IndexError(index)
        self._file.seek(index * self._LENGTH)
        return self._file.read(self._LENGTH).decode("ascii").strip()


def _source_slot(order: Order) -> Slot:
    task = order.bundle.task
    source = next((slot for slot in order.bundle.slots if slot.role == task.source_role), None)
    if source is None:
        raise InvalidParameterError(f"{task.name} starts from no image, so that no archive can be searched for it")
    if others := [slot.role for slot in order.bundle.slots if slot.required and slot is not source]:
        raise InvalidParameterError(f"{task.name} needs {others[0]} for each image, which an archive does not tell")
    return source


@dataclass
class _Images:
    """What became of the images of a study, each counted once, however often the study is tried.

    Attributes:
        became: made, kept, passed_over or refused, by UID.
        reasons: Of what was refused.
        failed: Whether the archive failed with the study.
    """

    became: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    failed: bool = False

    def refused(self, uid: str, reason: str) -> None:
        if uid not in self.became:
            self.reasons[uid] = reason
        self.count(uid, "refused")

    def count(self, uid: str, what: str) -> None:
        self.became.setdefault(uid, what)


@dataclass
class _Worker:
    """Works through one study after the other; waits for an archive that fails, unless it did so the last time."""

    archive: DicomWebStudies
    order: Order
    slot: Slot
    store: bool
    failed: bool = False

    def __call__(self, study: str) -> _Images:
        images, pauses_s = _Images(), () if self.failed else _PAUSES_S
        try:
            _try_study(self.archive, self.order, self.slot, study, images, store=self.store, pauses_s=pauses_s)
        except (InvalidParameterError, BundleError):  # of all images
            raise
        except MammoSynthError as error:
            images.refused(study, str(error))
            images.failed = _is_of_archive(error)
        self.failed = images.failed
        return images


def _try_study(
    archive: DicomWebStudies,
    order: Order,
    slot: Slot,
    study: str,
    images: _Images,
    *,
    store: bool,
    pauses_s: Sequence[float],
) -> None:
    for pause_s in pauses_s:
        try:
            _do_study(archive, order, slot, study, images, store=store)
        except PacsError as error:
            if not _is_of_archive(error):
                raise
            time.sleep(pause_s)
        else:
            return
    _do_study(archive, order, slot, study, images, store=store)


def _do_study(archive: DicomWebStudies, order: Order, slot: Slot, study: str, images: _Images, *, store: bool) -> None:
    works, unusable = study_inputs(archive, order, slot, study)
    for address, reason in unusable:
        if isinstance(reason, UnsupportedImageError):
            images.count(address.sop_instance_uid, "passed_over")
        else:
            images.refused(address.sop_instance_uid, str(reason))
    if not store:
        for source, inputs in works:
            work = Work(order, {role: given.identity for role, given in inputs.items()})
            is_there = ArchiveSink(archive, source, None).find(work) is not None
            images.count(source.sop_instance_uid, "kept" if is_there else "made")
        return
    outcomes = synthesize_each(archive, order, works, lambda fraction, message: None)
    with one_thread():  # what a sum over several is depends on their number
        for (source, _), outcome in zip(works, outcomes, strict=True):
            if isinstance(outcome, MammoSynthError):
                images.refused(source.sop_instance_uid, str(outcome))
            else:
                images.count(source.sop_instance_uid, "made" if outcome[0].provenance else "kept")


def _is_of_archive(error: MammoSynthError) -> bool:
    """Whether all studies may fail by it."""
    return isinstance(error, PacsError) and not isinstance(error, UnreadableAnswerError)


def find_studies(archive: DicomWebStudies, filters: Mapping[str, str]) -> Iterator[str]:
    """Study Instance UIDs, page by page until one is empty: an archive may send fewer than it was asked for.

    Modalities are compared here, in what is answered: Orthanc 1.10 leaves studies out of all pages but the first where
    it is asked for them, and others cannot be asked.

    Raises:
        PacsError: If the archive does not answer, or sends the same page again and again.
    """
    asked = {name: value for name, value in filters.items() if name != _MODALITIES}
    wanted = re.split(r"[,\\]", filters.get(_MODALITIES, "")) if filters.get(_MODALITIES) else ["*"]
    before: list[str] = []
    offset = 0
    while True:
        with pacs_errors("search for studies"):
            found = archive.client.search_for_studies(
                search_filters=asked, fields=[_MODALITIES], limit=PAGE, offset=offset
            )
            page = [str(value_of(each, "0020000D")) for each in found]
        if page and page == before:
            if len(page) > PAGE:
                return  # it knows no pages: that was everything
            raise PacsError(
                f"the archive sends the same {count_of(len(page), 'study', 'studies')} whatever the offset is; "
                f"narrow --query until it finds fewer than {len(page)}, for example by days"
            )
        yield from (uid for uid, each in zip(page, found, strict=True) if _has(each, wanted))
        if not page:
            return
        before, offset = page, offset + len(page)


def _has(study: Mapping[str, Any], modalities: Sequence[str]) -> bool:
    """Whether a study has one of them; one that does not say what it has is looked into."""
    there = values_of(study, "00080061")
    return not there or any(fnmatchcase(str(each), wanted) for each in there for wanted in modalities)
