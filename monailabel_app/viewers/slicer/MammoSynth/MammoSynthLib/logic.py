"""Generating, from a choice to nodes in the scene; no Qt.

The work is cut in three, because only the main thread may touch the scene: `prepare` takes from the scene what is
needed, `generate` talks to the server in a thread of its own, and `show` puts the result into the scene.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable

from MammoSynthLib.background import Progress, Stopped
from MammoSynthLib.client import Client, Image, ServerError
from MammoSynthLib.masks import Mask, load_mask, mask_of
from MammoSynthLib.model import IMAGE, JSON, LABEL_MAP, NEW_STUDY, ON_SOURCE, Model
from MammoSynthLib.parameters import Parameters
from MammoSynthLib.volumes import Source, load_result, note_provenance, source_of, write_labels, write_nrrd

# Of the provenance, what the header of a result says.
_IN_HEADERS = (
    "task",
    "bundle",
    "bundle_version",
    "weights_sha256",
    "software_version",
    "rendering",
    "seed",
    "parameters",
    "sources",
    "created",
)
_CALLED = {"image": "SYNTHESIZED", "uncertainty": "UNCERTAINTY of"}


@dataclass(frozen=True)
class Drawn:
    """A drawing, and the image that it is on."""

    mask: Mask
    on: Source


@dataclass(frozen=True)
class Order:
    """Everything that a synthesis needs, taken from the scene.

    Attributes:
        parameters: The choices of the panel.
        model: Of which model.
        images: What its image slots get, by role.
        drawings: What its label map slots get, by role.
        data: What its JSON slots get, by role.
        upload: A file of the first image, or of the first drawing of a model without images, to send where the archive
            does not have it.
    """

    parameters: Parameters
    model: Model
    images: Mapping[str, Source] = field(default_factory=dict)
    drawings: Mapping[str, Drawn] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    upload: Path | None = None


@dataclass(frozen=True)
class Made:
    """One thing that the server made.

    Attributes:
        role: "image", "uncertainty", "labels", or another word of the model's.
        provenance: How it was made.
        file: NRRD or DICOM of an image.
        mask: What a label map holds, on the image that comes first.
        remarks: Sentences on what was drawn, with the image that comes first.
    """

    role: str
    provenance: Mapping[str, Any]
    file: Path | None = None
    mask: Mask | None = None
    remarks: tuple[str, ...] = ()


def prepare(
    parameters: Parameters,
    model: Model,
    inputs: Mapping[str, Any],
    folder: Path,
    *,
    canvas: Any = None,
    database: Any = None,
) -> Order:
    """What a synthesis needs of the scene.

    Args:
        parameters: The choices of the panel.
        model: What is to be asked.
        inputs: By role: volume nodes, segmentation nodes, JSON as text; what is None is left out.
        folder: For a file to send, if the source has none.
        canvas: Volume node that drawings are on whose image is not an input itself.
        database: Slicer's DICOM database.

    Raises:
        ValueError: If something is missing that the model needs, or a text is no JSON.
        VolumeError: If a volume cannot be a source, or a segmentation is empty or of no class that the model knows.
    """
    model.check(inputs)
    given = [slot for slot in model.slots if inputs.get(slot.role) is not None]
    volumes = {slot.role: inputs[slot.role] for slot in given if slot.kind == IMAGE}
    images = {role: source_of(volume, database) for role, volume in volumes.items()}
    drawings: dict[str, Drawn] = {}
    for slot in given:
        if slot.kind == LABEL_MAP:
            volume = volumes.get(slot.on or "", canvas)
            if volume is None:
                raise ValueError(f"{slot.label}: choose the image that it is drawn on")
            drawings[slot.role] = Drawn(
                mask_of(inputs[slot.role], volume, slot.classes, slot.lesions), source_of(volume, database)
            )
    data = {slot.role: _parsed(slot.label, inputs[slot.role]) for slot in given if slot.kind == JSON}
    upload = _upload_of(model, volumes, images, drawings, canvas, folder)
    return Order(parameters, model, images, drawings, data, upload)


def generate(order: Order, folder: Path, progress: Progress, should_stop: Callable[[], bool]) -> list[Made]:
    """Have the server make the image, and what else comes with it.

    An image that the archive holds is named to the server, any other is sent. With `store_in_study` the results become
    series of a study; otherwise nothing is stored but what is drawn, which the server reads from the study.

    Args:
        order: From `prepare`.
        folder: For the files that come back.
        progress: Told how far it is.
        should_stop: Asked now and then.

    Returns:
        What was made, the image first.

    Raises:
        ServerError: If it cannot be done, with the reason.
        Stopped: If it was cancelled.
    """
    parameters = order.parameters
    client = Client(parameters.address, parameters.token)
    progress(-1, "looking for the image in the archive")
    sent = _sent_as_file(order, client)
    for source in _to_archive(order, sent):
        if not _holds(client, source):
            _send(source, client, progress)
    references: dict[str, Any] = {**order.data}
    for role, drawn in order.drawings.items():
        if role != sent:
            progress(-1, f"storing {drawn.mask.name} in the study")
            references[role] = _save(drawn, client)
    for role, source in order.images.items():
        if role != sent:
            references[role] = {
                "study_instance_uid": source.study_instance_uid,
                "series_instance_uid": source.series_instance_uid,
                "sop_instance_uid": source.sop_instance_uid,
            }
    if should_stop():
        raise Stopped
    if parameters.store_in_study:
        return _stored(order, client, references, folder, progress, should_stop)
    progress(-1, "synthesizing")
    named = {role: value if role in order.data else value["sop_instance_uid"] for role, value in references.items()}
    content, said = client.infer(
        order.model.name, parameters.values, named, order.upload if sent else None, should_stop
    )
    file = folder / "result.nrrd"
    file.write_bytes(content)
    return [Made("image", said["provenance"], file, remarks=_sentences(said))]


def show(scene: Any, made: list[Made], model: Model, source_volume: Any) -> list[Any]:
    """Nodes of what came back, the image first.

    Args:
        scene: Where they go.
        made: From `generate`.
        model: What made it; says where results belong.
        source_volume: What they were made from; None if it was no image.

    Raises:
        VolumeError: If a result does not lie on its source, but should.
    """
    source = source_volume.GetName() if source_volume is not None else ""
    if model.placement == ON_SOURCE:
        name, under = source, source_volume
    elif model.placement == NEW_STUDY or not source:
        name, under = f"{model.title}, a study of its own", None
    else:
        name, under = f"{model.title} beside {source}", None
    nodes: list[Any] = []
    for one in made:
        called = f"{_CALLED.get(one.role, one.role.upper() + ' of')} {name}"
        said = {**one.provenance, "remarks": "\n".join(one.remarks)} if one.remarks else one.provenance
        if one.mask is None:
            nodes.append(load_result(scene, one.file, called, said, under))
        else:
            node = load_mask(scene, one.mask, nodes[0])
            node.SetName(called)
            note_provenance(node, one.provenance)
            nodes.append(node)
    return nodes


def fetch(client: Client, image: Image, folder: Path) -> tuple[Path, Source]:
    """An image of the archive: its file, and what it is. No scene: may run in the background."""
    path = client.fetch_source(image, folder)
    return path, Source(image.label, image.study_instance_uid, image.series_instance_uid, image.sop_instance_uid)


def fetch_masks(client: Client, source: Source) -> list[Mask]:
    """What the archive holds that is drawn on an image, newest first. No scene: may run in the background."""
    study = source.study_instance_uid
    if not study:
        return []
    return [
        _mask(client, study, found)
        for found in client.segmentations(study)
        if found["source_sop_instance_uid"] == source.sop_instance_uid
    ]


def _parsed(label: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{label}: is no JSON ({error}); correct it") from None


def _upload_of(
    model: Model,
    volumes: Mapping[str, Any],
    images: Mapping[str, Source],
    drawings: Mapping[str, Drawn],
    canvas: Any,
    folder: Path,
) -> Path | None:
    """See `Order.upload`."""
    slot = model.first(IMAGE)
    if slot is not None:
        source = images.get(slot.role)
        if source is None or source.sop_instance_uid:
            return source.file if source is not None else None
        file = folder / "source.nrrd"
        write_nrrd(volumes[slot.role], file)
        return file
    slot = model.first(LABEL_MAP)
    if slot is None or slot.role not in drawings or drawings[slot.role].on.sop_instance_uid:
        return None
    file = folder / "drawing.nrrd"
    write_labels(drawings[slot.role].mask.numbered(slot.classes), canvas, file)
    return file


def _holds(client: Client, source: Source) -> bool:
    return client.holds(source.study_instance_uid, source.series_instance_uid, source.sop_instance_uid)


def _sent_as_file(order: Order, client: Client) -> str | None:
    """The role of what is sent with the order itself; None if all of it is, or has to be, in the archive."""
    model = order.model
    slot = model.first(IMAGE) or model.first(LABEL_MAP)
    if slot is None or order.parameters.store_in_study:
        return None
    if slot.kind == LABEL_MAP:
        return slot.role if order.upload is not None else None
    source = order.images.get(slot.role)
    if source is None or source in [drawn.on for drawn in order.drawings.values()] or _holds(client, source):
        return None
    if order.upload is None:
        raise ServerError(f"{source.name}: the archive does not hold it any more; load it again")
    return slot.role


def _to_archive(order: Order, sent: str | None) -> list[Source]:
    """The images that the server must find in the archive."""
    named = [source for role, source in order.images.items() if role != sent]
    drawn_on = [drawn.on for role, drawn in order.drawings.items() if role != sent]
    return list(dict.fromkeys([*named, *drawn_on]))


def _send(source: Source, client: Client, progress: Progress) -> None:
    if source.file is None:
        raise ServerError(
            f"{source.name}: is no DICOM image of Slicer's database, so that it has no study to store in; import it as "
            "DICOM, or untick 'Store in the study' and leave out what is drawn"
        )
    progress(-1, "sending the image to the archive")
    client.store(source.file)


def _save(drawn: Drawn, client: Client) -> dict[str, Any]:
    source, mask = drawn.on, drawn.mask
    study = source.study_instance_uid
    saved = client.save_segmentation(study, source.sop_instance_uid, mask.pixels, mask.segments, mask.name)
    return {"study_instance_uid": study, "sop_instance_uid": saved["sop_instance_uid"]}


def _stored(
    order: Order,
    client: Client,
    references: Mapping[str, Any],
    folder: Path,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> list[Made]:
    request = {
        "model": order.model.name,
        "inputs": dict(references),
        "parameters": dict(order.parameters.values),
    }
    result = client.synthesize(request, progress, should_stop)
    progress(1.0, "loading the result")
    outputs = sorted(result["outputs"], key=lambda output: output["modality"] == "SEG")  # they lie on the images
    made = [_fetched(client, output, result["provenance"], folder) for output in outputs]
    return [replace(made[0], remarks=_sentences(result)), *made[1:]]


def _sentences(said: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(remark["sentence"] for remark in said.get("remarks", ()))


def _fetched(client: Client, output: Mapping[str, Any], provenance: list[Any], folder: Path) -> Made:
    study, series, uid = (output[key] for key in ("study_instance_uid", "series_instance_uid", "sop_instance_uid"))
    known = provenance[0] if provenance else _in_headers(client, study, series)
    if output["modality"] == "SEG":
        found = next((one for one in client.segmentations(study) if one["sop_instance_uid"] == uid), None)
        if found is None:
            raise ServerError(
                f"the archive does not list the segmentation {uid} that was made; look at the server's log"
            )
        return Made(output["role"], known, mask=_mask(client, study, found))
    return Made(output["role"], known, client.fetch_dicom(study, series, uid, folder))


def _in_headers(client: Client, study: str, series: str) -> dict[str, Any]:
    """How a result was made that was there before the order."""
    known = next((one for one in client.synthesized(study) if one["series_instance_uid"] == series), {})
    return {key: known[key] for key in _IN_HEADERS if known.get(key) is not None}


def _mask(client: Client, study: str, found: Mapping[str, Any]) -> Mask:
    return Mask(client.segmentation_mask(study, found), found["segments"], found["series_description"] or "Lesions")
