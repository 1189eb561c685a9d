"""From what a request names to what a journey starts from: references, checked, then what they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydicom.dataset import Dataset

from mammosynth.dicom.attributes import text_of
from mammosynth.dicom.derived_uids import instance_identity, value_identity
from mammosynth.dicom.read import refuse_generated
from mammosynth.dicom.view import read_view
from mammosynth.errors import InvalidParameterError, MammoSynthError, MissingAttributeError, UnsupportedImageError
from mammosynth.files import read_image, read_label_map
from mammosynth.journey import Given, Order
from mammosynth.mammogram import Mammogram
from mammosynth.task import Slot, SlotKind, check_json
from monailabel_app.dicom_json import UID_MAX_LENGTH, UID_PATTERN, header_of
from monailabel_app.drawings import label_map_for
from monailabel_app.errors import NotFoundError, field_problems
from monailabel_app.studies import (
    MAMMOGRAPHY_SOP_CLASSES,
    AnyStudies,
    DicomWebStudies,
    InstanceAddress,
    ViewRequest,
    check_image_id,
    check_uid,
    choose_instance,
    pacs_errors,
)

UidText = Annotated[str, Field(max_length=UID_MAX_LENGTH, pattern=UID_PATTERN)]


class ImageReference(BaseModel):
    """Images of an archive: one, those of a series, or all of a study that a model can start from."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    study_instance_uid: UidText
    series_instance_uid: UidText | None = None
    sop_instance_uid: UidText | None = None


class LabelMapReference(BaseModel):
    """A DICOM Segmentation of an archive."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    study_instance_uid: UidText
    sop_instance_uid: UidText


_REFERENCES: dict[SlotKind, type[BaseModel]] = {
    SlotKind.IMAGE: ImageReference,
    SlotKind.LABEL_MAP: LabelMapReference,
}


def parse_references(slots: Sequence[Slot], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """References by role, in the order in which they are read; JSON values as they are.

    Raises:
        InvalidParameterError: If a role is unknown or a reference is none.
        MissingAttributeError: If a required one is missing.
    """
    known = {slot.role: slot for slot in slots}
    if unknown := sorted(set(inputs) - set(known)):
        raise InvalidParameterError(f"input '{unknown[0][:64]}' is unknown, expected {', '.join(known) or 'none'}")
    if missing := [slot for slot in slots if slot.required and inputs.get(slot.role) is None]:
        raise MissingAttributeError(f"input '{missing[0].role}' is missing: {missing[0].description}")
    in_order = sorted(slots, key=_reading_order)
    return {s.role: _parse_reference(s, inputs[s.role]) for s in in_order if inputs.get(s.role) is not None}


def _parse_reference(slot: Slot, value: Any) -> Any:
    if slot.kind not in _REFERENCES:
        check_json(slot, value)
        return value
    kind = _REFERENCES[slot.kind]
    if not isinstance(value, Mapping):
        raise InvalidParameterError(
            f"inputs.{slot.role} is a JSON {type(value).__name__}, expected an object of {', '.join(kind.model_fields)}"
        )
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise InvalidParameterError(field_problems(error, "inputs", slot.role)) from None


def archive_inputs(
    archive: DicomWebStudies, order: Order, references: Mapping[str, Any]
) -> list[tuple[InstanceAddress | None, dict[str, Given]]]:
    """What each journey of an order starts from: one for every image that the source stands for.

    Args:
        archive: Where images and drawings lie.
        order: Model and settings.
        references: See `parse_references`.

    Returns:
        The source's address, None for a task that starts from no image, and its inputs.

    Raises:
        NotFoundError: If the archive does not hold what is named.
        UnsupportedImageError: If the whole study is named and holds nothing that the model can start from.
    """
    slots = {slot.role: slot for slot in order.bundle.slots}
    source_role = order.bundle.task.source_role
    fixed = {
        role: _given(archive, slots[role], reference, order)
        for role, reference in references.items()
        if role != source_role
    }
    if source_role not in references:
        return [(None, fixed)]
    reference = references[source_role]
    if reference.series_instance_uid is None and reference.sop_instance_uid is None:
        found = acceptable_sources(archive, slots[source_role], reference.study_instance_uid)
    else:
        found = _addresses(archive, reference)
    return [(each, {source_role: _image(archive, each, order), **fixed}) for each in found]


def _given(archive: DicomWebStudies, slot: Slot, reference: Any, order: Order) -> Given:
    if slot.kind is SlotKind.JSON:
        return Given(value_identity(reference), lambda _: reference)
    if slot.kind is SlotKind.LABEL_MAP:
        return Given(instance_identity(reference.sop_instance_uid), partial(_drawing, archive, slot, reference))
    return _image(archive, the_image(archive, slot.role, reference), order)


def the_image(archive: DicomWebStudies, role: str, reference: ImageReference) -> InstanceAddress:
    """The one image that a reference stands for.

    Raises:
        InvalidParameterError: If it stands for several.
        NotFoundError: If the archive does not hold it.
    """
    if reference.series_instance_uid is None and reference.sop_instance_uid is None:
        raise InvalidParameterError(f"input '{role}' stands for a whole study, expected one image; name it")
    found = _addresses(archive, reference)
    if len(found) != 1:
        raise InvalidParameterError(f"input '{role}' stands for {len(found)} images, expected one; name it")
    return found[0]


def _image(archive: DicomWebStudies, address: InstanceAddress, order: Order) -> Given:
    settings = order.settings
    wanted = ViewRequest(address.sop_instance_uid, settings.view_position, settings.image_laterality)
    identity = instance_identity(
        address.sop_instance_uid, view_position=wanted.view_position, image_laterality=wanted.image_laterality
    )
    return Given(identity, lambda _: archive.view(address, wanted))


def _drawing(archive: DicomWebStudies, slot: Slot, reference: LabelMapReference, read: Mapping[str, Any]) -> Any:
    image = read.get(slot.on or "")
    study = reference.study_instance_uid
    return label_map_for(archive, study, reference.sop_instance_uid, image, slot.classes, slot.complete)


def _addresses(archive: DicomWebStudies, reference: ImageReference) -> list[InstanceAddress]:
    series, study = reference.series_instance_uid, reference.study_instance_uid
    if series is None:
        found = [each for each in archive.study(study) if each.sop_instance_uid == reference.sop_instance_uid]
        if not found:
            raise NotFoundError(f"study {study} holds no instance {reference.sop_instance_uid}; check both UIDs")
        return found
    found = choose_instance(archive.instances(series), series, reference.sop_instance_uid)
    if any(each.study_instance_uid != study for each in found):
        raise NotFoundError(f"series {series} is not part of study {study}; check both UIDs")
    return found


def acceptable_sources(archive: DicomWebStudies, slot: Slot, study_instance_uid: str) -> list[InstanceAddress]:
    """The images of a study that a model can start from.

    Raises:
        NotFoundError: If the archive does not hold the study.
        UnsupportedImageError: If there is none, with the first reason.
    """
    listed = list_sources(archive, slot, study_instance_uid)
    accepted = [address for address, _, refusal in listed if refusal is None]
    if not accepted:
        reasons = [str(refusal) for _, _, refusal in listed]
        raise UnsupportedImageError(
            f"study {study_instance_uid} holds no image that this model can start from"
            + (f": {reasons[0]}" if reasons else "")
        )
    return accepted


def study_inputs(
    archive: DicomWebStudies, order: Order, slot: Slot, study_instance_uid: str
) -> tuple[list[tuple[InstanceAddress, dict[str, Given]]], list[tuple[InstanceAddress, MammoSynthError]]]:
    """What each journey of an order starts from that needs nothing but a source, and what in the study cannot be one.

    Raises:
        NotFoundError: If the archive does not hold the study.
    """
    listed = list_sources(archive, slot, study_instance_uid)
    works = [(each, {slot.role: _image(archive, each, order)}) for each, _, refusal in listed if refusal is None]
    return works, [(each, refusal) for each, _, refusal in listed if refusal is not None]


def list_sources(
    archive: DicomWebStudies, slot: Slot, study_instance_uid: str
) -> list[tuple[InstanceAddress, Mammogram | None, MammoSynthError | None]]:
    """Every acquired mammogram of a study, by its header, and why it cannot be a source; None if it can.

    Raises:
        NotFoundError: If the archive does not hold the study.
    """
    addresses = archive.study(study_instance_uid)
    headers = {
        text_of(header, "SOPInstanceUID"): header
        for series in dict.fromkeys(
            each.series_instance_uid for each in addresses if each.sop_class_uid in MAMMOGRAPHY_SOP_CLASSES
        )
        for header in map(header_of, archive.series_metadata(study_instance_uid, series))
    }
    listed: list[tuple[InstanceAddress, Mammogram | None, MammoSynthError | None]] = []
    for address in addresses:
        if (header := headers.get(address.sop_instance_uid)) is not None:
            listed.append((address, *_judged(header, slot, address.sop_instance_uid)))
    return listed


def _judged(header: Dataset, slot: Slot, name: str) -> tuple[Mammogram | None, MammoSynthError | None]:
    try:
        with pacs_errors("read the header of an image"):
            refuse_generated(header, name)
            view = read_view(header, name)
        pixels = np.zeros((1, 1), np.float32)  # nothing that accepts a source looks at them
        source = Mammogram(pixels, name, view.view_position, view.image_laterality, header=header)
    except MammoSynthError as error:
        return None, error
    try:
        if slot.accept is not None:
            slot.accept(source)
    except MammoSynthError as error:
        return source, error
    return source, None


def request_inputs(
    studies: AnyStudies, order: Order, request: Mapping[str, Any]
) -> tuple[dict[str, Given], Path | None]:
    """What one request to /infer starts from.

    Args:
        studies: An archive, or a folder of image files.
        order: Model and settings.
        request: `image`, an image id, or `path`, a file, fill the model's first image or label map; `inputs` the other
            slots: image ids, JSON values, and the SOP Instance UID of a segmentation or the id of a file of labels.

    Returns:
        The inputs by role, and the file of the source if it has one.

    Raises:
        InvalidParameterError: If a role is unknown, or filled twice.
        MissingAttributeError: If a required one is missing.
    """
    named = dict(request.get("inputs") or {})
    slots = {slot.role: slot for slot in order.bundle.slots}
    first = next((slot for slot in order.bundle.slots if slot.kind is not SlotKind.JSON), None)
    asked = request.get("path") or request.get("image")
    if asked and first is not None:
        if first.role in named:
            raise InvalidParameterError(f"input '{first.role}' is given twice: as image and in inputs; give it once")
        named[first.role] = asked
    if unknown := sorted(set(named) - set(slots)):
        raise InvalidParameterError(f"input '{unknown[0][:64]}' is unknown, expected {', '.join(slots) or 'none'}")
    if missing := [slot for slot in slots.values() if slot.required and named.get(slot.role) is None]:
        raise MissingAttributeError(f"input '{missing[0].role}' is missing: {missing[0].description}")
    values: dict[str, Any] = {}
    path: Path | None = None
    for slot in sorted(slots.values(), key=_reading_order):
        if named.get(slot.role) is not None:
            values[slot.role], file = _read_now(studies, slot, order, named[slot.role], values)
            path = file if slot is first else path
    return {role: _at_hand(role, value) for role, value in values.items()}, path


def _at_hand(role: str, value: Any) -> Given:
    return Given(role, lambda _: value)


def _reading_order(slot: Slot) -> int:
    """Images first: label maps are drawn on them."""
    return list(SlotKind).index(slot.kind)


def _read_now(
    studies: AnyStudies, slot: Slot, order: Order, named: Any, read: Mapping[str, Any]
) -> tuple[Any, Path | None]:
    """The value that fills a slot, and its file if it has one."""
    settings = order.settings
    if slot.kind is SlotKind.JSON:
        return named, None
    if slot.kind is SlotKind.IMAGE:
        if isinstance(named, Path):
            view, side = settings.view_position, settings.image_laterality
            return read_image(named, view_position=view, image_laterality=side), named
        wanted = ViewRequest(None, settings.view_position, settings.image_laterality)
        return studies.source(check_image_id(str(named)), wanted)
    image = read.get(slot.on or "")
    if isinstance(studies, DicomWebStudies) and not isinstance(named, Path):
        address = studies.instances(check_uid(named, slot.role))[0]
        study = address.study_instance_uid
        return label_map_for(studies, study, named, image, slot.classes, slot.complete), None
    file = named if isinstance(named, Path) else studies.path(check_image_id(str(named)))
    return read_label_map(file, image=image, classes=slot.classes), file
